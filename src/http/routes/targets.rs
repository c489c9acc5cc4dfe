//! `/api/v1/targets`: what is probed, how it is, and a probe out of turn.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;

use crate::base::id::Name;
use crate::base::time::Timestamp;
use crate::engine::operations;
use crate::engine::prober::ProbeNowError;
use crate::http::auth::{Access, MonitoringRead, TargetsWrite};
use crate::http::error::Problem;
use crate::http::extract::{ApiPath, ApiQuery};
use crate::http::page::{List, Paging};
use crate::http::registry::{Registry, routes};
use crate::http::state::{App, AppState};
use crate::model::operation::TargetOperations;
use crate::model::probe::ProbeRecord;
use crate::model::target::TargetStatus;
use crate::runtime::supervisor::Supervisor;

/// A probe has its own total deadline; this is for a worker that is gone.
const PROBE_DEADLINE: Duration = Duration::from_secs(60);
/// Two years, as far as any tier reaches.
const MOST_HOURS: u64 = 17_520;

pub fn routes<R: Registry>(registry: R) -> R {
    registry
        .routes(routes!(list))
        .routes(routes!(one))
        .routes(routes!(history))
        .routes(routes!(probe))
        .routes(routes!(figures))
}

fn find(app: &App, name: &str) -> Result<TargetStatus, Problem> {
    let targets = app.targets();
    let found = targets.iter().find(|target| target.name == name);
    found.cloned().ok_or_else(|| {
        let known: Vec<&str> = targets.iter().map(|target| target.name.as_str()).take(20).collect();
        let problem = Problem::not_found(format!("there is no target `{}`", name.escape_default()));
        if known.is_empty() {
            problem.hint("no target is configured")
        } else {
            problem.hint(format!("targets are {}", known.join(", ")))
        }
    })
}

/// All targets with their last probe and their figures of the last hour.
#[utoipa::path(
    get, path = "/api/v1/targets", tag = "targets", params(Paging),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = List<TargetStatus>))
)]
async fn list(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiQuery(paging): ApiQuery<Paging>,
) -> Result<Json<List<TargetStatus>>, Problem> {
    Ok(Json(List::of(app.targets().to_vec(), paging.window()?)))
}

/// One target.
#[utoipa::path(
    get, path = "/api/v1/targets/{name}", tag = "targets", params(("name" = String, Path)),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = TargetStatus))
)]
async fn one(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
) -> Result<Json<TargetStatus>, Problem> {
    find(&app, &name).map(Json)
}

/// Its probes, newest first.
#[utoipa::path(
    get, path = "/api/v1/targets/{name}/history", tag = "targets",
    params(("name" = String, Path), Paging),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = List<ProbeRecord>))
)]
async fn history(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
    ApiQuery(paging): ApiQuery<Paging>,
) -> Result<Json<List<ProbeRecord>>, Problem> {
    let window = paging.window()?;
    let name = find(&app, &name)?.name;
    let store = app.store()?.clone();
    let read = move || store.probe_history(&name, window.limit, window.offset);
    let (items, total) = Supervisor::blocking(read).await.ok_or_else(Problem::internal)??;
    Ok(Json(List::cut(items, total, window)))
}

/// Probes the target now and answers what came of it.
#[utoipa::path(
    post, path = "/api/v1/targets/{name}/probe", tag = "targets", params(("name" = String, Path)),
    security(("token" = ["targets:write"]), ("key" = ["targets:write"])),
    responses((status = 200, body = ProbeRecord))
)]
async fn probe(
    _: Access<TargetsWrite>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
) -> Result<Json<ProbeRecord>, Problem> {
    let name = find(&app, &name)?.name;
    let name = Name::new(name).map_err(|_| Problem::internal())?;
    probe_now(&app, name).await.map(Json)
}

/// Probes the target out of turn.
///
/// # Errors
/// 409 where it is switched off, 503 where the probe does not come or does not end.
pub async fn probe_now(app: &App, name: Name) -> Result<ProbeRecord, Problem> {
    let late = ProbeNowError::Late { name: name.to_string(), waited: PROBE_DEADLINE };
    let record = tokio::time::timeout(PROBE_DEADLINE, (app.services.probe)(name)).await;
    Ok(record.unwrap_or(Err(late))?)
}

impl From<ProbeNowError> for Problem {
    fn from(error: ProbeNowError) -> Self {
        let detail = error.to_string();
        match error {
            ProbeNowError::Unknown { .. } => Self::not_found(detail),
            ProbeNowError::Off { .. } | ProbeNowError::AllOff => {
                Self::new(StatusCode::CONFLICT, "switched_off", detail)
            }
            ProbeNowError::Starting | ProbeNowError::Busy { .. } | ProbeNowError::Late { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "prober_unavailable", detail).retry_after(5)
            }
        }
    }
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Window {
    /// How far back, 24 unless said, at most 17520.
    hours: Option<u64>,
}

/// What its operations came to over the last hours.
#[utoipa::path(
    get, path = "/api/v1/targets/{name}/operations", tag = "targets",
    params(("name" = String, Path), Window),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = TargetOperations))
)]
async fn figures(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
    ApiQuery(window): ApiQuery<Window>,
) -> Result<Json<TargetOperations>, Problem> {
    let (from, to) = last_hours(window.hours, app.now())?;
    let TargetStatus { name, kind, .. } = find(&app, &name)?;
    let store = app.store()?.clone();
    let read = move || operations::read(&store, &kind, &name, from, to);
    Ok(Json(Supervisor::blocking(read).await.ok_or_else(Problem::internal)??))
}

/// The window of so many hours, 24 unless said, that ends now.
///
/// # Errors
/// 400 outside of 1 to [`MOST_HOURS`].
pub fn last_hours(hours: Option<u64>, now: Timestamp) -> Result<(Timestamp, Timestamp), Problem> {
    let hours = hours.unwrap_or(24);
    if !(1..=MOST_HOURS).contains(&hours) {
        return Err(Problem::bad_parameter("hours", format!("expected 1 to {MOST_HOURS}")));
    }
    Ok((now.minus(Duration::from_secs(hours * 3600)), now))
}
