//! The object-store family: `/api/health` and below, about one bucket.
//!
//! `?target=` says which; without it, the only one. What can be changed here is the
//! target's section of the configuration under other names, so it is validated,
//! stored and audited like every change, and the probes start again by themselves.
//! Milliseconds in, milliseconds out.

mod alerts;
mod config;
mod shapes;

use axum::Json;
use axum::extract::State;

use self::config::MonitorConfig;
use self::shapes::{
    Breaker, BreakerAnswer, Checked, HealthAnswer, HistoryAnswer, HistoryQuery, MetricsAnswer, MetricsQuery,
    Monitoring, Pick,
};
use crate::base::id::Name;
use crate::config::target::object_store::ObjectStore;
use crate::http::auth::{Access, MonitoringRead, TargetsWrite};
use crate::http::error::Problem;
use crate::http::extract::{ApiJson, ApiQuery};
use crate::http::registry::{Registry, routes};
use crate::http::routes::breaker;
use crate::http::routes::targets::{last_hours, probe_now};
use crate::http::state::{App, AppState};
use crate::model::breaker::BreakerCommand;
use crate::model::target::TargetStatus;
use crate::runtime::supervisor::Supervisor;

/// Operations of history in one answer.
const MOST_HISTORY: usize = 1000;

pub fn routes<R: Registry>(registry: R) -> R {
    registry
        .routes(routes!(health))
        .routes(routes!(check))
        .routes(routes!(history))
        .routes(routes!(metrics))
        .routes(routes!(circuit_breaker))
        .routes(routes!(reset))
        .routes(routes!(show_config, put_config))
        .routes(routes!(start))
        .routes(routes!(stop))
        .routes(alerts::routes)
}

/// The section the question is about.
///
/// # Errors
/// 404 where there is none of that name or none at all, 422 where there are several.
fn pick(app: &App, pick: &Pick) -> Result<ObjectStore, Problem> {
    let config = app.services.settings.config();
    let all = &config.target.object_store;
    let names = || {
        let names: Vec<&str> = all.iter().map(|section| section.name.as_str()).collect();
        names.join(", ")
    };
    match (&pick.target, all.as_slice()) {
        (Some(name), _) => {
            let found = all.iter().find(|section| section.name.as_str() == name).cloned();
            found.ok_or_else(|| {
                let detail = format!("there is no object store `{}`", name.escape_default());
                Problem::not_found(detail).hint(format!("object stores are {}", names()))
            })
        }
        (None, [only]) => Ok(only.clone()),
        (None, []) => Err(Problem::not_found("no object store is configured")
            .hint("add one: a section [[target.object_store]], or POST /api/v1/targets")),
        (None, _) => {
            let detail = format!("there are several object stores, expected one of {}", names());
            let status = axum::http::StatusCode::UNPROCESSABLE_ENTITY;
            Err(Problem::new(status, "target_missing", detail.clone()).field("target", detail))
        }
    }
}

fn status_of(app: &App, name: &Name) -> Option<TargetStatus> {
    app.targets().iter().find(|target| target.name == name.as_str()).cloned()
}

/// How the store is, as a whole and by operation.
#[utoipa::path(
    get, path = "/api/health", tag = "object-store", params(Pick),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = HealthAnswer), (status = 503, body = HealthAnswer))
)]
async fn health(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiQuery(wanted): ApiQuery<Pick>,
) -> Result<axum::response::Response, Problem> {
    let section = pick(&app, &wanted)?;
    let name = section.name.clone();
    let status = status_of(&app, &name);
    let breaker = breaker::view(&app, name.as_str())?;
    let (store, now) = (app.store()?.clone(), app.now());
    let read = move || shapes::by_operation(&store, &section, status.as_ref(), breaker, now);
    let answer = Supervisor::blocking(read).await.ok_or_else(Problem::internal)??;
    Ok(answer.respond())
}

/// Probes now and answers what came of it.
#[utoipa::path(
    post, path = "/api/health/check", tag = "object-store", params(Pick),
    security(("token" = ["targets:write"]), ("key" = ["targets:write"])),
    responses((status = 200, body = Checked))
)]
async fn check(
    _: Access<TargetsWrite>,
    State(app): State<AppState>,
    ApiQuery(wanted): ApiQuery<Pick>,
) -> Result<Json<Checked>, Problem> {
    let section = pick(&app, &wanted)?;
    Ok(Json(Checked::of(&probe_now(&app, section.name).await?)))
}

/// Operations that were done, newest first.
#[utoipa::path(
    get, path = "/api/health/history", tag = "object-store", params(HistoryQuery),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = HistoryAnswer))
)]
async fn history(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiQuery(query): ApiQuery<HistoryQuery>,
) -> Result<Json<HistoryAnswer>, Problem> {
    let (limit, offset) = (query.limit.unwrap_or(50), query.offset.unwrap_or(0));
    if limit == 0 || limit > MOST_HISTORY {
        return Err(Problem::bad_parameter("limit", format!("expected 1 to {MOST_HISTORY}")));
    }
    let name = pick(&app, &Pick { target: query.target })?.name;
    let store = app.store()?.clone();
    let read = move || store.probe_history(name.as_str(), usize::MAX, 0);
    let (probes, _) = Supervisor::blocking(read).await.ok_or_else(Problem::internal)??;
    Ok(Json(HistoryAnswer::of(&probes, limit, offset)))
}

/// What the operations came to over the last hours.
#[utoipa::path(
    get, path = "/api/health/metrics", tag = "object-store", params(MetricsQuery),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = MetricsAnswer))
)]
async fn metrics(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiQuery(query): ApiQuery<MetricsQuery>,
) -> Result<Json<MetricsAnswer>, Problem> {
    let name = pick(&app, &Pick { target: query.target })?.name;
    let window = last_hours(query.hours, app.now())?;
    let store = app.store()?.clone();
    let read = move || shapes::metrics(&store, &name, window);
    Ok(Json(Supervisor::blocking(read).await.ok_or_else(Problem::internal)??))
}

/// The breaker.
#[utoipa::path(
    get, path = "/api/health/circuit-breaker", tag = "object-store", params(Pick),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = BreakerAnswer))
)]
async fn circuit_breaker(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiQuery(wanted): ApiQuery<Pick>,
) -> Result<Json<BreakerAnswer>, Problem> {
    let section = pick(&app, &wanted)?;
    let view = breaker::view(&app, section.name.as_str())?;
    Ok(Json(BreakerAnswer { target: section.name.to_string(), breaker: Breaker::of(&view) }))
}

/// Closes the breaker, with nothing counted.
#[utoipa::path(
    post, path = "/api/health/circuit-breaker/reset", tag = "object-store", params(Pick),
    security(("token" = ["targets:write"]), ("key" = ["targets:write"])),
    responses((status = 200, body = BreakerAnswer))
)]
async fn reset(
    access: Access<TargetsWrite>,
    State(app): State<AppState>,
    ApiQuery(wanted): ApiQuery<Pick>,
) -> Result<Json<BreakerAnswer>, Problem> {
    let section = pick(&app, &wanted)?;
    let view = breaker::tell(&app, &access, section.name.as_str(), BreakerCommand::Reset).await?;
    Ok(Json(BreakerAnswer { target: section.name.to_string(), breaker: Breaker::of(&view) }))
}

/// How the store is probed.
#[utoipa::path(
    get, path = "/api/health/config", tag = "object-store", params(Pick),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = MonitorConfig))
)]
async fn show_config(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiQuery(wanted): ApiQuery<Pick>,
) -> Result<Json<MonitorConfig>, Problem> {
    Ok(Json(MonitorConfig::of(&pick(&app, &wanted)?)))
}

/// Changes how the store is probed; what the body leaves out stays. The probes start
/// again with it, and it survives a restart.
#[utoipa::path(
    put, path = "/api/health/config", tag = "object-store", params(Pick),
    request_body = config::MonitorPatch,
    security(("token" = ["targets:write"]), ("key" = ["targets:write"])),
    responses((status = 200, body = MonitorConfig))
)]
async fn put_config(
    access: Access<TargetsWrite>,
    State(app): State<AppState>,
    ApiQuery(wanted): ApiQuery<Pick>,
    ApiJson(patch): ApiJson<config::MonitorPatch>,
) -> Result<Json<MonitorConfig>, Problem> {
    let section = pick(&app, &wanted)?;
    config::apply(&app, &access, &section, &patch).await?;
    Ok(Json(MonitorConfig::of(&pick(&app, &Pick::named(&section.name))?)))
}

/// Starts probing.
#[utoipa::path(
    post, path = "/api/health/monitoring/start", tag = "object-store", params(Pick),
    security(("token" = ["targets:write"]), ("key" = ["targets:write"])),
    responses((status = 200, body = Monitoring))
)]
async fn start(
    access: Access<TargetsWrite>,
    State(app): State<AppState>,
    ApiQuery(wanted): ApiQuery<Pick>,
) -> Result<Json<Monitoring>, Problem> {
    switch(&app, &access, &wanted, true).await
}

/// Stops probing, also after a restart.
#[utoipa::path(
    post, path = "/api/health/monitoring/stop", tag = "object-store", params(Pick),
    security(("token" = ["targets:write"]), ("key" = ["targets:write"])),
    responses((status = 200, body = Monitoring))
)]
async fn stop(
    access: Access<TargetsWrite>,
    State(app): State<AppState>,
    ApiQuery(wanted): ApiQuery<Pick>,
) -> Result<Json<Monitoring>, Problem> {
    switch(&app, &access, &wanted, false).await
}

async fn switch(
    app: &App,
    access: &Access<TargetsWrite>,
    wanted: &Pick,
    enabled: bool,
) -> Result<Json<Monitoring>, Problem> {
    let section = pick(app, wanted)?;
    let patch = config::MonitorPatch { enabled: Some(enabled), ..config::MonitorPatch::default() };
    config::apply(app, access, &section, &patch).await?;
    Ok(Json(Monitoring { target: section.name.to_string(), running: enabled }))
}
