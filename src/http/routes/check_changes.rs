//! Creating, changing and removing checks at run time. A body has the keys of
//! `[[check]]`.

use axum::Json;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;

use super::checks::{find, unknown};
use crate::base::id::Name;
use crate::engine::settings::Author;
use crate::http::auth::{Access, ConfigWrite, MonitoringRead};
use crate::http::error::Problem;
use crate::http::extract::{ApiJson, ApiPath};
use crate::http::registry::{Registry, routes};
use crate::http::section::{Body, Section, same, wrong};
use crate::http::state::{App, AppState};
use crate::model::check::CheckView;

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(create)).routes(routes!(replace, patch, remove)).routes(routes!(show))
}

const fn section(name: &str) -> Section<'_> {
    Section { list: &["check"], name }
}

fn is_configured(app: &App, name: &str) -> bool {
    app.services.settings.config().check.iter().any(|check| check.name.as_str() == name)
}

fn configured<'a>(app: &App, name: &'a str) -> Result<Section<'a>, Problem> {
    if is_configured(app, name) { Ok(section(name)) } else { Err(unknown(app, name)) }
}

/// Creates the check `name`; it has its id when this returns.
///
/// # Errors
/// 409 where the name is taken, or what the configuration or the store says.
pub async fn make(app: &App, author: &Author, name: &str, body: &Body) -> Result<CheckView, Problem> {
    let section = section(name);
    let patch = || match is_configured(app, name) {
        false => Ok(Value::Object(body.clone())),
        true => Err(section.taken(app)),
    };
    section.apply(app, author, patch).await?;
    app.tasks()?.follow().await?;
    find(app, name, true)
}

async fn change(
    app: &App,
    access: &Access<ConfigWrite>,
    name: &str,
    patch: impl Fn() -> Result<Value, Problem>,
) -> Result<Json<CheckView>, Problem> {
    section(name).apply(app, &Author::from(&access.principal), patch).await?;
    app.tasks()?.follow().await?;
    find(app, name, true).map(Json)
}

/// Adds a check: the keys of `[[check]]`, of which only `name` is needed. 409 where the
/// name is taken.
#[utoipa::path(
    post, path = "/api/v1/checks", tag = "checks",
    request_body(content = Object, example = json!({ "name": "nightly-backup", "period": "1d", "grace": "2h" })),
    security(("token" = ["config:write"]), ("key" = ["config:write"])),
    responses((status = 201, body = CheckView, headers(("Location" = String))))
)]
async fn create(
    access: Access<ConfigWrite>,
    State(app): State<AppState>,
    ApiJson(body): ApiJson<Body>,
) -> Result<Response, Problem> {
    let name = body.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let name = Name::new(name).map_err(|error| wrong("/name", error.to_string()))?;
    let made = make(&app, &Author::from(&access.principal), name.as_str(), &body).await?;
    let mut response = (StatusCode::CREATED, Json(made)).into_response();
    if let Ok(address) = HeaderValue::from_str(&format!("/api/v1/checks/{name}")) {
        response.headers_mut().insert(LOCATION, address);
    }
    Ok(response)
}

/// The check's section as it is in force.
#[utoipa::path(
    get, path = "/api/v1/checks/{name}/config", tag = "checks", params(("name" = String, Path)),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = Object))
)]
async fn show(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(configured(&app, &name)?.shown(&app)))
}

/// Replaces what was set at run time; what the body leaves out has its default again,
/// or the file's value. 409 names the file and line that define a key.
#[utoipa::path(
    put, path = "/api/v1/checks/{name}", tag = "checks", params(("name" = String, Path)),
    request_body(content = Object),
    security(("token" = ["config:write"]), ("key" = ["config:write"])),
    responses((status = 200, body = CheckView))
)]
async fn replace(
    access: Access<ConfigWrite>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
    ApiJson(mut body): ApiJson<Body>,
) -> Result<Json<CheckView>, Problem> {
    let section = configured(&app, &name)?;
    same(&mut body, "name", &name)?;
    change(&app, &access, &name, || Ok(section.whole(&app, &body))).await
}

/// Changes keys at run time: a JSON merge patch, `null` takes a run-time value away.
#[utoipa::path(
    patch, path = "/api/v1/checks/{name}", tag = "checks", params(("name" = String, Path)),
    request_body(content = Object, content_type = "application/merge-patch+json"),
    security(("token" = ["config:write"]), ("key" = ["config:write"])),
    responses((status = 200, body = CheckView))
)]
async fn patch(
    access: Access<ConfigWrite>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
    ApiJson(mut body): ApiJson<Body>,
) -> Result<Json<CheckView>, Problem> {
    configured(&app, &name)?;
    same(&mut body, "name", &name)?;
    change(&app, &access, &name, || Ok(Value::Object(body.clone()))).await
}

/// Removes a check that was created at run time, with its pings. 409 names the file and
/// line of one that the file defines.
#[utoipa::path(
    delete, path = "/api/v1/checks/{name}", tag = "checks", params(("name" = String, Path)),
    security(("token" = ["config:write"]), ("key" = ["config:write"])),
    responses((status = 204))
)]
async fn remove(
    access: Access<ConfigWrite>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
) -> Result<StatusCode, Problem> {
    let section = configured(&app, &name)?;
    section.apply(&app, &Author::from(&access.principal), || Ok(Value::Null)).await?;
    app.tasks()?.forget(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}
