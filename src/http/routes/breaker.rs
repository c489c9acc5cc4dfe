//! `/api/v1/targets/{name}/breaker`: the breaker of a target, and what an operator may
//! tell it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use crate::engine::breaker_keeper::TellError;
use crate::http::auth::{Access, MonitoringRead, TargetsWrite};
use crate::http::error::Problem;
use crate::http::extract::ApiPath;
use crate::http::registry::{Registry, routes};
use crate::http::routes::target_changes::Place;
use crate::http::state::{App, AppState};
use crate::model::breaker::{BreakerCommand, BreakerView};

pub fn routes<R: Registry>(registry: R) -> R {
    registry
        .routes(routes!(show))
        .routes(routes!(reset))
        .routes(routes!(force_open))
        .routes(routes!(disable))
        .routes(routes!(metrics_only))
        .routes(routes!(release))
}

impl From<TellError> for Problem {
    fn from(error: TellError) -> Self {
        let detail = error.to_string();
        match error {
            TellError::Unknown { .. } => Self::not_found(detail),
            TellError::Unsaved { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", detail).retry_after(5)
            }
        }
    }
}

/// Tells the breaker of the target and answers how it is then.
pub async fn tell(
    app: &App,
    access: &Access<TargetsWrite>,
    name: &str,
    command: BreakerCommand,
) -> Result<BreakerView, Problem> {
    Ok(app.breakers()?.tell(name, command, &access.principal.who).await?)
}

/// The breaker of the target; one of a target that was never probed is closed.
///
/// # Errors
/// 404 where there is no such target.
pub fn view(app: &App, name: &str) -> Result<BreakerView, Problem> {
    let configured = || Place::of(app, name).map(|_| BreakerView::unused(app.now()));
    let view = app.breakers()?.view(name).or_else(configured);
    view.ok_or_else(|| Problem::not_found(format!("there is no breaker of `{}`", name.escape_default())))
}

/// Its state, counts, shares of its window, and its last transitions.
#[utoipa::path(
    get, path = "/api/v1/targets/{name}/breaker", tag = "targets", params(("name" = String, Path)),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = BreakerView))
)]
async fn show(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
) -> Result<Json<BreakerView>, Problem> {
    view(&app, &name).map(Json)
}

/// Closes it, with nothing counted.
#[utoipa::path(
    post, path = "/api/v1/targets/{name}/breaker/reset", tag = "targets", params(("name" = String, Path)),
    security(("token" = ["targets:write"]), ("key" = ["targets:write"])),
    responses((status = 200, body = BreakerView))
)]
async fn reset(
    access: Access<TargetsWrite>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
) -> Result<Json<BreakerView>, Problem> {
    tell(&app, &access, &name, BreakerCommand::Reset).await.map(Json)
}

/// Rejects every call until it is released.
#[utoipa::path(
    post, path = "/api/v1/targets/{name}/breaker/force-open", tag = "targets", params(("name" = String, Path)),
    security(("token" = ["targets:write"]), ("key" = ["targets:write"])),
    responses((status = 200, body = BreakerView))
)]
async fn force_open(
    access: Access<TargetsWrite>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
) -> Result<Json<BreakerView>, Problem> {
    tell(&app, &access, &name, BreakerCommand::ForceOpen).await.map(Json)
}

/// Lets every call pass and counts none, until it is released.
#[utoipa::path(
    post, path = "/api/v1/targets/{name}/breaker/disable", tag = "targets", params(("name" = String, Path)),
    security(("token" = ["targets:write"]), ("key" = ["targets:write"])),
    responses((status = 200, body = BreakerView))
)]
async fn disable(
    access: Access<TargetsWrite>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
) -> Result<Json<BreakerView>, Problem> {
    tell(&app, &access, &name, BreakerCommand::Disable).await.map(Json)
}

/// Lets every call pass and counts them all, until it is released.
#[utoipa::path(
    post, path = "/api/v1/targets/{name}/breaker/metrics-only", tag = "targets",
    params(("name" = String, Path)),
    security(("token" = ["targets:write"]), ("key" = ["targets:write"])),
    responses((status = 200, body = BreakerView))
)]
async fn metrics_only(
    access: Access<TargetsWrite>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
) -> Result<Json<BreakerView>, Problem> {
    tell(&app, &access, &name, BreakerCommand::MetricsOnly).await.map(Json)
}

/// Ends forced open, disabled and metrics only: closed again.
#[utoipa::path(
    post, path = "/api/v1/targets/{name}/breaker/release", tag = "targets", params(("name" = String, Path)),
    security(("token" = ["targets:write"]), ("key" = ["targets:write"])),
    responses((status = 200, body = BreakerView))
)]
async fn release(
    access: Access<TargetsWrite>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
) -> Result<Json<BreakerView>, Problem> {
    tell(&app, &access, &name, BreakerCommand::Release).await.map(Json)
}
