//! `/api/v1/checks`: what must report in time, how it is, and what it reported.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use crate::engine::task_keeper::KeepError;
use crate::http::auth::{Access, ConfigWrite, MonitoringRead, MonitoringWrite};
use crate::http::error::Problem;
use crate::http::extract::{ApiPath, ApiQuery};
use crate::http::page::{List, Paging};
use crate::http::registry::{Registry, routes};
use crate::http::state::{App, AppState};
use crate::model::access::{Principal, Scope};
use crate::model::check::{CheckView, Ping};

pub fn routes<R: Registry>(registry: R) -> R {
    registry
        .routes(routes!(list))
        .routes(routes!(one))
        .routes(routes!(pings))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(key, draw_key))
}

/// Who may make a check may know what it is pinged by.
pub fn sees_secrets(principal: &Principal) -> bool {
    principal.may(Scope::ConfigWrite)
}

/// The check `name`.
///
/// # Errors
/// 404 when there is none, with the names there are.
pub fn find(app: &App, name: &str, secrets: bool) -> Result<CheckView, Problem> {
    let keeper = app.tasks()?;
    keeper.check(name, secrets).ok_or_else(|| unknown(app, name))
}

/// 404 with the names there are.
pub fn unknown(app: &App, name: &str) -> Problem {
    let problem = Problem::not_found(format!("there is no check `{}`", name.escape_default()));
    let known = app.services.settings.config();
    let known: Vec<&str> = known.check.iter().map(|check| check.name.as_str()).take(20).collect();
    match known.as_slice() {
        [] => problem.hint("no check is configured"),
        known => problem.hint(format!("checks are {}", known.join(", "))),
    }
}

/// All checks by name. What they are pinged by is null without the scope `config:write`.
#[utoipa::path(
    get, path = "/api/v1/checks", tag = "checks", params(Paging),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = List<CheckView>))
)]
async fn list(
    access: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiQuery(paging): ApiQuery<Paging>,
) -> Result<Json<List<CheckView>>, Problem> {
    let checks = app.tasks()?.checks(sees_secrets(&access.principal));
    Ok(Json(List::of(checks, paging.window()?)))
}

/// One check. What it is pinged by is null without the scope `config:write`.
#[utoipa::path(
    get, path = "/api/v1/checks/{name}", tag = "checks", params(("name" = String, Path)),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = CheckView))
)]
async fn one(
    access: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
) -> Result<Json<CheckView>, Problem> {
    find(&app, &name, sees_secrets(&access.principal)).map(Json)
}

/// Its last hundred pings, newest first; with long bodies fewer are kept.
#[utoipa::path(
    get, path = "/api/v1/checks/{name}/pings", tag = "checks", params(("name" = String, Path), Paging),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = List<Ping>))
)]
async fn pings(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
    ApiQuery(paging): ApiQuery<Paging>,
) -> Result<Json<List<Ping>>, Problem> {
    let window = paging.window()?;
    let name = find(&app, &name, false)?.name;
    let (items, total) = app.tasks()?.pings(&name, window.limit, window.offset).await?;
    Ok(Json(List::cut(items, total, window)))
}

/// Stops waiting for it; its next start, success or failure resumes it.
#[utoipa::path(
    post, path = "/api/v1/checks/{name}/pause", tag = "checks", params(("name" = String, Path)),
    security(("token" = ["monitoring:write"]), ("key" = ["monitoring:write"])),
    responses((status = 200, body = CheckView))
)]
async fn pause(
    access: Access<MonitoringWrite>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
) -> Result<Json<CheckView>, Problem> {
    let name = find(&app, &name, false)?.name;
    Ok(Json(app.tasks()?.pause(&name, &access.principal.who).await?))
}

/// Waits for it again, as for a new one.
#[utoipa::path(
    post, path = "/api/v1/checks/{name}/resume", tag = "checks", params(("name" = String, Path)),
    security(("token" = ["monitoring:write"]), ("key" = ["monitoring:write"])),
    responses((status = 200, body = CheckView))
)]
async fn resume(
    access: Access<MonitoringWrite>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
) -> Result<Json<CheckView>, Problem> {
    let name = find(&app, &name, false)?.name;
    Ok(Json(app.tasks()?.resume(&name, &access.principal.who).await?))
}

/// What pings by slug carry: `/ping/{key}/{slug}`.
#[derive(Serialize, utoipa::ToSchema)]
struct PingKey {
    key: String,
}

fn shown_key(app: &App) -> Result<Json<PingKey>, Problem> {
    let busy = || {
        let detail = "the ping key could not be drawn yet";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", detail).retry_after(5)
    };
    let key = app.tasks()?.ping_key().ok_or_else(busy)?;
    Ok(Json(PingKey { key: key.expose().to_owned() }))
}

/// The key of all pings by slug.
#[utoipa::path(
    get, path = "/api/v1/ping-key", tag = "checks",
    security(("token" = ["config:write"]), ("key" = ["config:write"])),
    responses((status = 200, body = PingKey))
)]
async fn key(_: Access<ConfigWrite>, State(app): State<AppState>) -> Result<Json<PingKey>, Problem> {
    shown_key(&app)
}

/// Draws a new key of all pings by slug; the former is good for nothing from then on.
#[utoipa::path(
    post, path = "/api/v1/ping-key", tag = "checks",
    security(("token" = ["config:write"]), ("key" = ["config:write"])),
    responses((status = 200, body = PingKey))
)]
async fn draw_key(
    access: Access<ConfigWrite>,
    State(app): State<AppState>,
) -> Result<Json<PingKey>, Problem> {
    app.tasks()?.draw_key(Some(&access.principal.who)).await?;
    shown_key(&app)
}

impl From<KeepError> for Problem {
    fn from(error: KeepError) -> Self {
        let detail = error.to_string();
        let conflict = |code, detail| Self::new(StatusCode::CONFLICT, code, detail);
        match error {
            KeepError::Store(error) => error.into(),
            KeepError::UnknownAddress | KeepError::UnknownCheck(_) | KeepError::UnknownTask(_) => {
                Self::not_found(detail)
            }
            KeepError::Exists(_) => conflict("exists", detail.clone()).field("/id", detail),
            KeepError::OfCheck { .. } => conflict("of_check", detail),
            KeepError::Off(_) => conflict("switched_off", detail),
            KeepError::State(_) => conflict("wrong_state", detail),
            KeepError::Invalid { member, detail: why } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail)
                    .field(format!("/{member}"), why)
            }
            KeepError::TooMany { wait } => Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_pings", detail)
                .retry_after(wait.as_secs() + 1)
                .limit(super::pings::POLICY),
            KeepError::Failed => Self::internal(),
        }
    }
}
