//! The OpenAPI 3.1 document: what the handlers declare, and what is true of all.
//!
//! The document is checked in as `openapi.json`; a test compares it, so that a
//! changed answer shows in the change that made it. The agent hands out that copy, which
//! lies in the binary compressed: what makes the document is a tenth of the code and must not be reached from
//! where requests are answered, see [`super::registry`].

use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, RefOr};
use utoipa_axum::router::OpenApiRouter;

use super::dialect::{AlertmanagerError, PrometheusError};
use super::error::{FieldError, ProblemBody};
use super::refusals;
use crate::model::event::{Event, EventType};

/// `openapi.json` as the agent hands it out: without the white space, in gzip.
pub const PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/openapi.json.gz"));
/// Of gzip: what `build.rs` writes before the deflated text, and after it, bytes.
const HEAD: usize = 10;
const FOOT: usize = 8;
/// Far more than the document has, bytes.
const LARGEST: usize = 16 * 1024 * 1024;

/// The same as it is read, for those that do not take gzip; `None` is a build gone wrong.
pub fn unpacked() -> Option<Vec<u8>> {
    let deflated = PACKED.get(HEAD..PACKED.len().checked_sub(FOOT)?)?;
    miniz_oxide::inflate::decompress_to_vec_with_limit(deflated, LARGEST).ok()
}

/// The document as the handlers have it now; what is checked in must equal it.
pub fn made() -> String {
    finished(super::routes::all(OpenApiRouter::with_openapi(base())).into_openapi())
}

/// The document before any route is known.
fn base() -> OpenApi {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A token of this agent. From loopback, reading needs none by default."))
        .build();
    let key = ApiKey::Header(ApiKeyValue::with_description("X-API-Key", "The same token."));
    let cookie = ApiKey::Cookie(ApiKeyValue::with_description(
        "holdfast_session",
        "The login of the page, see `POST /api/v1/session`; `__Host-holdfast_session` over TLS. What changes something \
         needs the agent's own `Origin` beside it.",
    ));
    let components = ComponentsBuilder::new()
        // What a WebSocket brings, which no operation can say.
        .schema_from::<Event>()
        .schema_from::<EventType>()
        .schema_from::<ProblemBody<'_>>()
        .schema_from::<FieldError>()
        .schema_from::<PrometheusError<'_>>()
        .schema_from::<AlertmanagerError<'_>>()
        .responses_from_iter(refusals::components())
        .security_scheme("token", SecurityScheme::Http(bearer))
        .security_scheme("key", SecurityScheme::ApiKey(key))
        .security_scheme("session", SecurityScheme::ApiKey(cookie))
        .build();
    let info = InfoBuilder::new()
        .title("holdfast")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(env!("CARGO_PKG_DESCRIPTION")))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
        .build();
    OpenApiBuilder::new().info(info).components(Some(components)).build()
}

/// Adds what is the same for all operations, and writes the document.
fn finished(mut document: OpenApi) -> String {
    for (path, item) in &mut document.paths.paths {
        let operations = [
            ("get", &mut item.get),
            ("put", &mut item.put),
            ("post", &mut item.post),
            ("delete", &mut item.delete),
            ("patch", &mut item.patch),
        ];
        for (method, operation) in operations {
            let Some(operation) = operation else { continue };
            for response in operation.responses.responses.values_mut() {
                if let RefOr::T(response) = response
                    && response.description.is_empty()
                {
                    response.description = String::from("The answer.");
                }
            }
            refusals::add(operation, method, path);
            with_session(operation);
            // Function names repeat between resources; method and path do not.
            operation.operation_id = Some(operation_id(method, path));
        }
    }
    let text = document.to_pretty_json().unwrap_or_default();
    let Some(components) = &mut document.components else { return text };
    let refers = |name: &String| text.contains(&format!("\"#/components/responses/{name}\""));
    components.responses.retain(|name, _| refers(name));
    document.to_pretty_json().unwrap_or_default()
}

/// Where a token does, the login of the page does too.
fn with_session(operation: &mut Operation) {
    let Some(security) = &mut operation.security else { return };
    let scopes = security.iter().filter_map(|one| serde_json::to_value(one).ok()?.get("token").cloned());
    let scopes: Vec<String> =
        scopes.filter_map(|scopes| serde_json::from_value::<Vec<String>>(scopes).ok()).flatten().collect();
    if !scopes.is_empty() {
        security.push(SecurityRequirement::new("session", scopes));
    }
}

/// `get`, `/api/v1/targets/{name}/history` is `get_v1_targets_name_history`.
fn operation_id(method: &str, path: &str) -> String {
    let words = path.split(['/', '{', '}', '.']).filter(|word| !word.is_empty());
    let words: Vec<&str> = words.skip_while(|word| matches!(*word, "api" | "v1")).collect();
    // The same resource may also be there without the prefix.
    let prefix = match path {
        path if path.starts_with("/api/v1/") => "v1_",
        path if path.starts_with("/api/") => "api_",
        _ => "",
    };
    format!("{method}_{prefix}{}", words.join("_"))
}
