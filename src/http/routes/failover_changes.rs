//! Creating, changing and removing failover groups at run time.
//!
//! A body has the keys of `[[failover.group]]`, but for the two that name programs: those
//! stand in the configuration file or nowhere.

use axum::Json;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;

use super::failover::{configured, find, groups};
use crate::base::id::Name;
use crate::engine::settings::Author;
use crate::http::auth::{Access, MonitoringRead, TargetsWrite};
use crate::http::error::Problem;
use crate::http::extract::{ApiJson, ApiPath, ApiQuery};
use crate::http::page::{List, Paging};
use crate::http::registry::{Registry, routes};
use crate::http::section::{Body, Section, same, wrong};
use crate::http::state::{App, AppState};
use crate::model::failover::view::GroupView;

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(list, create)).routes(routes!(replace, patch, remove)).routes(routes!(show))
}

const LIST: [&str; 2] = ["failover", "group"];

fn section(name: &str) -> Section<'_> {
    Section { list: &LIST, name }
}

async fn apply(
    app: &App,
    access: &Access<TargetsWrite>,
    name: &str,
    make: impl Fn() -> Result<Value, Problem>,
) -> Result<(), Problem> {
    section(name).apply(app, &Author::from(&access.principal), make).await
}

/// All failover groups.
#[utoipa::path(
    get, path = "/api/v1/failover/groups", tag = "failover", params(Paging),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = List<GroupView>))
)]
async fn list(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiQuery(paging): ApiQuery<Paging>,
) -> Result<Json<List<GroupView>>, Problem> {
    Ok(Json(List::of(groups(&app), paging.window()?)))
}

/// Adds a group: the keys of `[[failover.group]]`. 409 where the name is taken.
#[utoipa::path(
    post, path = "/api/v1/failover/groups", tag = "failover",
    request_body(content = Object, example = json!({
        "kind": "postgres", "name": "main", "members": ["pg1", "pg2"], "listen": "127.0.0.1:6432"
    })),
    security(("token" = ["targets:write"]), ("key" = ["targets:write"])),
    responses((status = 201, body = Object, headers(("Location" = String))))
)]
async fn create(
    access: Access<TargetsWrite>,
    State(app): State<AppState>,
    ApiJson(body): ApiJson<Body>,
) -> Result<Response, Problem> {
    let name = body.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let name = Name::new(name).map_err(|error| wrong("/name", error.to_string()))?;
    let name = name.as_str();
    apply(&app, &access, name, || match configured(&app, name) {
        None => Ok(Value::Object(body.clone())),
        Some(_) => Err(section(name).taken(&app)),
    })
    .await?;
    let mut response = (StatusCode::CREATED, Json(section(name).shown(&app))).into_response();
    if let Ok(address) = HeaderValue::from_str(&format!("/api/v1/failover/groups/{name}")) {
        response.headers_mut().insert(LOCATION, address);
    }
    Ok(response)
}

/// The group's section as it is in force.
#[utoipa::path(
    get, path = "/api/v1/failover/groups/{name}/config", tag = "failover", params(("name" = String, Path)),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = Object))
)]
async fn show(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
) -> Result<Json<Value>, Problem> {
    find(&app, &name)?;
    Ok(Json(section(&name).shown(&app)))
}

/// Replaces what was set at run time; what the body leaves out has its default again,
/// or the file's value. 409 names the file and line that define a key.
#[utoipa::path(
    put, path = "/api/v1/failover/groups/{name}", tag = "failover", params(("name" = String, Path)),
    request_body(content = Object),
    security(("token" = ["targets:write"]), ("key" = ["targets:write"])),
    responses((status = 200, body = Object))
)]
async fn replace(
    access: Access<TargetsWrite>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
    ApiJson(mut body): ApiJson<Body>,
) -> Result<Json<Value>, Problem> {
    find(&app, &name)?;
    same(&mut body, "name", &name)?;
    apply(&app, &access, &name, || Ok(section(&name).whole(&app, &body))).await?;
    Ok(Json(section(&name).shown(&app)))
}

/// Changes keys at run time: a JSON merge patch, `null` takes a run-time value away.
#[utoipa::path(
    patch, path = "/api/v1/failover/groups/{name}", tag = "failover", params(("name" = String, Path)),
    request_body(content = Object, content_type = "application/merge-patch+json"),
    security(("token" = ["targets:write"]), ("key" = ["targets:write"])),
    responses((status = 200, body = Object))
)]
async fn patch(
    access: Access<TargetsWrite>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
    ApiJson(mut body): ApiJson<Body>,
) -> Result<Json<Value>, Problem> {
    find(&app, &name)?;
    same(&mut body, "name", &name)?;
    apply(&app, &access, &name, || Ok(Value::Object(body.clone()))).await?;
    Ok(Json(section(&name).shown(&app)))
}

/// Removes a group that was created at run time; its endpoint closes, its members stay
/// targets. 409 names the file and line of one that the file defines.
#[utoipa::path(
    delete, path = "/api/v1/failover/groups/{name}", tag = "failover", params(("name" = String, Path)),
    security(("token" = ["targets:write"]), ("key" = ["targets:write"])),
    responses((status = 204))
)]
async fn remove(
    access: Access<TargetsWrite>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
) -> Result<StatusCode, Problem> {
    find(&app, &name)?;
    apply(&app, &access, &name, || Ok(Value::Null)).await?;
    Ok(StatusCode::NO_CONTENT)
}
