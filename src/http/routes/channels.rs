//! `/api/v1/monitoring/channels`: where notifications go, and whether that works. A body
//! has the keys of `[[channel.<kind>]]`, and `kind`.

use axum::Json;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;

use crate::base::id::Name;
use crate::config::channel::KINDS;
use crate::engine::alerting::dispatch::{ChannelView, Tested};
use crate::engine::settings::Author;
use crate::http::auth::{Access, ConfigWrite, MonitoringRead, MonitoringWrite};
use crate::http::error::Problem;
use crate::http::extract::{ApiJson, ApiPath, ApiQuery};
use crate::http::page::{List, Paging};
use crate::http::registry::{Registry, routes};
use crate::http::section::{Body, Section, same, wrong};
use crate::http::state::{App, AppState};

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(list, create)).routes(routes!(show, replace, patch, remove)).routes(routes!(test))
}

fn unknown(name: &str) -> Problem {
    Problem::not_found(format!("there is no channel `{}`", name.escape_default()))
}

/// The kind of the channel `name`.
fn kind_of(app: &App, name: &str) -> Option<&'static str> {
    let config = app.services.settings.config();
    let sections = config.channel.sections();
    sections.iter().find(|section| section.common().name.as_str() == name).map(|section| section.kind())
}

fn known(app: &App, name: &str) -> Result<&'static str, Problem> {
    kind_of(app, name).ok_or_else(|| unknown(name))
}

/// The section in force, secrets masked, with its kind.
fn shown(app: &App, kind: &'static str, name: &str) -> Value {
    let mut shown = Section { list: &["channel", kind], name }.shown(app);
    if let Some(map) = shown.as_object_mut() {
        map.insert(String::from("kind"), Value::from(kind));
    }
    shown
}

async fn apply(
    app: &App,
    access: &Access<ConfigWrite>,
    kind: &'static str,
    name: &str,
    patch: impl Fn() -> Result<Value, Problem>,
) -> Result<(), Problem> {
    let section = Section { list: &["channel", kind], name };
    section.apply(app, &Author::from(&access.principal), patch).await?;
    let config = app.services.settings.config();
    app.alerting()?.follow(&config).await;
    app.dispatcher()?.follow(&config);
    Ok(())
}

/// Every channel, with what waits for it and how the last delivery went.
#[utoipa::path(
    get, path = "/api/v1/monitoring/channels", tag = "channels", params(Paging),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = List<ChannelView>))
)]
async fn list(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiQuery(paging): ApiQuery<Paging>,
) -> Result<Json<List<ChannelView>>, Problem> {
    let window = paging.window()?;
    Ok(Json(List::of(app.dispatcher()?.channels().await, window)))
}

/// Adds a channel: the keys of `[[channel.<kind>]]`, and `kind`. A program is named by the
/// configuration file only. 409 where the name is taken.
#[utoipa::path(
    post, path = "/api/v1/monitoring/channels", tag = "channels",
    request_body(content = Object, example = json!({ "kind": "webhook", "name": "ops", "url": "http://127.0.0.1:9000/hook" })),
    security(("token" = ["config:write"]), ("key" = ["config:write"])),
    responses((status = 201, body = Object, headers(("Location" = String))))
)]
async fn create(
    access: Access<ConfigWrite>,
    State(app): State<AppState>,
    ApiJson(mut body): ApiJson<Body>,
) -> Result<Response, Problem> {
    let said = body.remove("kind").unwrap_or_default();
    let kind = KINDS.iter().copied().find(|kind| said == *kind);
    let kind = kind.ok_or_else(|| {
        wrong("/kind", format!("`kind` is {said}, expected one of \"{}\"", KINDS.join("\", \"")))
    })?;
    let name = body.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let name = Name::new(name).map_err(|error| wrong("/name", error.to_string()))?;
    let name = name.as_str();
    apply(&app, &access, kind, name, || match kind_of(&app, name) {
        None => Ok(Value::Object(body.clone())),
        Some(other) => Err(Section { list: &["channel", other], name }.taken(&app)),
    })
    .await?;
    let mut response = (StatusCode::CREATED, Json(shown(&app, kind, name))).into_response();
    if let Ok(address) = HeaderValue::from_str(&format!("/api/v1/monitoring/channels/{name}")) {
        response.headers_mut().insert(LOCATION, address);
    }
    Ok(response)
}

/// The channel's section as it is in force, secrets masked, with its kind.
#[utoipa::path(
    get, path = "/api/v1/monitoring/channels/{name}", tag = "channels", params(("name" = String, Path)),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = Object))
)]
async fn show(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
) -> Result<Json<Value>, Problem> {
    let kind = known(&app, &name)?;
    Ok(Json(shown(&app, kind, &name)))
}

/// Replaces what was set at run time; what the body leaves out has its default again,
/// or the file's value.
#[utoipa::path(
    put, path = "/api/v1/monitoring/channels/{name}", tag = "channels", params(("name" = String, Path)),
    request_body(content = Object),
    security(("token" = ["config:write"]), ("key" = ["config:write"])),
    responses((status = 200, body = Object))
)]
async fn replace(
    access: Access<ConfigWrite>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
    ApiJson(mut body): ApiJson<Body>,
) -> Result<Json<Value>, Problem> {
    let kind = known(&app, &name)?;
    same(&mut body, "kind", kind)?;
    same(&mut body, "name", &name)?;
    let section = Section { list: &["channel", kind], name: &name };
    apply(&app, &access, kind, &name, || Ok(section.whole(&app, &body))).await?;
    Ok(Json(shown(&app, kind, &name)))
}

/// Changes keys at run time: a JSON merge patch, `null` takes a run-time value away.
#[utoipa::path(
    patch, path = "/api/v1/monitoring/channels/{name}", tag = "channels", params(("name" = String, Path)),
    request_body(content = Object, content_type = "application/merge-patch+json"),
    security(("token" = ["config:write"]), ("key" = ["config:write"])),
    responses((status = 200, body = Object))
)]
async fn patch(
    access: Access<ConfigWrite>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
    ApiJson(mut body): ApiJson<Body>,
) -> Result<Json<Value>, Problem> {
    let kind = known(&app, &name)?;
    same(&mut body, "kind", kind)?;
    same(&mut body, "name", &name)?;
    apply(&app, &access, kind, &name, || Ok(Value::Object(body.clone()))).await?;
    Ok(Json(shown(&app, kind, &name)))
}

/// Removes a channel that was created at run time. What waits for it is given up, and an
/// alert says so. 409 names the file and line of one that the file defines.
#[utoipa::path(
    delete, path = "/api/v1/monitoring/channels/{name}", tag = "channels", params(("name" = String, Path)),
    security(("token" = ["config:write"]), ("key" = ["config:write"])),
    responses((status = 204))
)]
async fn remove(
    access: Access<ConfigWrite>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
) -> Result<StatusCode, Problem> {
    let kind = known(&app, &name)?;
    apply(&app, &access, kind, &name, || Ok(Value::Null)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sends a test message and answers what was really sent and what came back, secrets
/// masked.
#[utoipa::path(
    post, path = "/api/v1/monitoring/channels/{name}/test", tag = "channels", params(("name" = String, Path)),
    security(("token" = ["monitoring:write"]), ("key" = ["monitoring:write"])),
    responses((status = 200, body = Tested))
)]
async fn test(
    _: Access<MonitoringWrite>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
) -> Result<Json<Tested>, Problem> {
    app.dispatcher()?.test(&name).await.map(Json).ok_or_else(|| unknown(&name))
}
