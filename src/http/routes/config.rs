//! `/api/v1/config`: what is in force and where it comes from, and its change.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, ETAG, HeaderValue, IF_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde_json::Value;

use crate::config::problem::Problems;
use crate::config::view::Drift;
use crate::engine::settings::{Applied, ApplyError, Rotated, Shown};
use crate::http::auth::{Access, Admin, ConfigWrite, MonitoringRead};
use crate::http::error::Problem;
use crate::http::extract::{ApiJson, BODY_LIMIT, from_json, media_type, read_body};
use crate::http::page::List;
use crate::http::registry::{Registry, routes};
use crate::http::state::{App, AppState};
use crate::runtime::supervisor::Supervisor;

pub fn routes<R: Registry>(registry: R) -> R {
    registry
        .routes(routes!(show, patch, put))
        .routes(routes!(diff))
        .routes(routes!(export))
        .routes(routes!(validate))
        .routes(routes!(reload))
        .routes(routes!(rotate_key))
}

impl From<ApplyError> for Problem {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Stale { current } => {
                let detail = "the configuration changed since the ETag in If-Match was read";
                Self::new(StatusCode::PRECONDITION_FAILED, "stale", detail)
                    .hint(format!("its ETag is {current}; read it again and repeat the change"))
            }
            ApplyError::Pinned(pins) => {
                let texts: Vec<String> =
                    pins.iter().map(|pin| format!("{} ({})", pin.reason, pin.origin)).collect();
                let problem = Self::new(StatusCode::CONFLICT, "pinned", texts.join("; "));
                pins.into_iter().fold(problem, |problem, pin| {
                    problem.field(pointer(&pin.key), format!("{} ({})", pin.reason, pin.origin))
                })
            }
            ApplyError::Invalid(problems) => problems.into(),
            error @ ApplyError::HandedOut { .. } => {
                Self::new(StatusCode::CONFLICT, "key_handed_out", error.to_string())
            }
            ApplyError::Unavailable { reason } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "config_unavailable", reason).retry_after(5)
            }
        }
    }
}

impl From<Problems> for Problem {
    fn from(problems: Problems) -> Self {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        let problem = Self::new(status, "config_invalid", "the configuration would not be valid");
        problems.0.iter().fold(problem, |problem, one| problem.field(pointer(&one.key), one.to_string()))
    }
}

/// `storage.cap` as a JSON pointer.
fn pointer(key: &str) -> String {
    key.split('.').filter(|step| !step.is_empty()).map(|step| format!("/{step}")).collect()
}

fn with_etag(body: impl axum::response::IntoResponse, etag: &str) -> Response {
    let mut response = body.into_response();
    if let Ok(value) = HeaderValue::from_str(etag) {
        response.headers_mut().insert(ETAG, value);
    }
    response
}

/// Every value with its default, its origin, and whether it is pinned. The ETag is
/// what a change wants in `If-Match`.
#[utoipa::path(
    get, path = "/api/v1/config", tag = "config",
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = Shown, headers(("ETag" = String))))
)]
async fn show(_: Access<MonitoringRead>, State(app): State<AppState>) -> Response {
    let shown = app.services.settings.show();
    let etag = shown.etag.clone();
    with_etag(Json(shown), &etag)
}

/// Changes values at run time: a JSON merge patch (RFC 7386), `null` takes a
/// run-time value away again. Wants `If-Match`; 409 names who pins a value.
#[utoipa::path(
    patch, path = "/api/v1/config", tag = "config",
    params(("If-Match" = String, Header, description = "ETag of the configuration, or `*`.")),
    request_body(content = Object, content_type = "application/merge-patch+json"),
    security(("token" = ["config:write"]), ("key" = ["config:write"])),
    responses((status = 200, body = Applied, headers(("ETag" = String))), (status = 412), (status = 428))
)]
async fn patch(
    access: Access<ConfigWrite>,
    State(app): State<AppState>,
    headers: HeaderMap,
    ApiJson(patch): ApiJson<Value>,
) -> Result<Response, Problem> {
    change(&app, &access, &headers, patch).await
}

/// The same as PATCH: what is not in the body stays as it is, and `null` takes a
/// run-time value away again. Wants `If-Match`; 409 names who pins a value.
#[utoipa::path(
    put, path = "/api/v1/config", tag = "config",
    params(("If-Match" = String, Header, description = "ETag of the configuration, or `*`.")),
    request_body(content = Object, content_type = "application/json"),
    security(("token" = ["config:write"]), ("key" = ["config:write"])),
    responses((status = 200, body = Applied, headers(("ETag" = String))), (status = 412), (status = 428))
)]
async fn put(
    access: Access<ConfigWrite>,
    State(app): State<AppState>,
    headers: HeaderMap,
    ApiJson(patch): ApiJson<Value>,
) -> Result<Response, Problem> {
    change(&app, &access, &headers, patch).await
}

async fn change(
    app: &App,
    access: &Access<ConfigWrite>,
    headers: &HeaderMap,
    patch: Value,
) -> Result<Response, Problem> {
    let Some(wanted) = headers.get(IF_MATCH) else {
        let detail = "a change wants the ETag of what it was made from in If-Match";
        return Err(Problem::new(StatusCode::PRECONDITION_REQUIRED, "if_match_missing", detail)
            .hint("read GET /api/v1/config and send its ETag"));
    };
    let wanted = wanted.to_str().unwrap_or_default();
    let applied = app.services.settings.apply(patch, wanted, &access.principal).await?;
    let etag = applied.etag.clone();
    Ok(with_etag(Json(applied), &etag))
}

/// What run-time values change against the file.
#[utoipa::path(
    get, path = "/api/v1/config/diff", tag = "config",
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = List<Drift>))
)]
async fn diff(_: Access<MonitoringRead>, State(app): State<AppState>) -> Json<List<Drift>> {
    let items = app.services.settings.drift();
    let total = items.len() as u64;
    Json(List { items, total, next: None })
}

/// A file that says what is in force, without secrets.
#[utoipa::path(
    get, path = "/api/v1/config/export", tag = "config",
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = String, content_type = "application/toml"))
)]
async fn export(_: Access<MonitoringRead>, State(app): State<AppState>) -> Response {
    let mut response = app.services.settings.export().into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/toml"));
    response
}

#[derive(Serialize, utoipa::ToSchema)]
struct Valid {
    valid: bool,
    warnings: Vec<String>,
}

/// Whether a configuration could replace the file: TOML, or JSON by Content-Type.
#[utoipa::path(
    post, path = "/api/v1/config/validate", tag = "config",
    request_body(content((String = "application/toml"), (Object = "application/json"))),
    security(("token" = ["config:write"]), ("key" = ["config:write"])),
    responses((status = 200, body = Valid))
)]
async fn validate(
    _: Access<ConfigWrite>,
    State(app): State<AppState>,
    request: Request,
) -> Result<Json<Valid>, Problem> {
    let kind = media_type(request.headers());
    let body = read_body(request.into_body(), BODY_LIMIT).await?;
    let settings = app.services.settings.clone();
    // Looks at files that the document names: on a thread that may wait for them.
    let checked = match kind.as_str() {
        "application/json" => {
            let document: Value = from_json(&body)?;
            Supervisor::blocking(move || settings.validate_json(&document)).await
        }
        "" | "application/toml" | "text/plain" | "application/octet-stream" => {
            let text = String::from_utf8(body.into()).map_err(|_| {
                Problem::new(StatusCode::BAD_REQUEST, "bad_body", "the configuration is not UTF-8")
            })?;
            Supervisor::blocking(move || settings.validate_toml(&text)).await
        }
        other => {
            let detail = format!("the body is `{other}`, expected `application/toml` or `application/json`");
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail));
        }
    };
    let warnings = checked.ok_or_else(Problem::internal)??;
    Ok(Json(Valid { valid: true, warnings }))
}

/// Reads the file again and takes all of it, or nothing.
#[utoipa::path(
    post, path = "/api/v1/config/reload", tag = "config",
    security(("token" = ["config:write"]), ("key" = ["config:write"])),
    responses((status = 200, body = Applied, headers(("ETag" = String))))
)]
async fn reload(access: Access<ConfigWrite>, State(app): State<AppState>) -> Result<Response, Problem> {
    let applied = app.services.settings.reload(&access.principal.who).await?;
    let etag = applied.etag.clone();
    Ok(with_etag(Json(applied), &etag))
}

/// Makes a new key and seals the secrets that were set at run time with it. 409 where the
/// key is a credential of the service manager, which alone can replace it.
#[utoipa::path(
    post, path = "/api/v1/config/rotate-key", tag = "config",
    security(("token" = ["admin"]), ("key" = ["admin"])),
    responses((status = 200, body = Rotated))
)]
async fn rotate_key(access: Access<Admin>, State(app): State<AppState>) -> Result<Json<Rotated>, Problem> {
    Ok(Json(app.services.settings.rotate_key(&access.principal.who).await?))
}
