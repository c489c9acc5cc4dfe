//! `/api/v1/system`: what runs here, since when, and what it costs; its workers.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::base::time::Timestamp;
use crate::http::auth::{Access, MonitoringRead};
use crate::http::error::Problem;
use crate::http::extract::ApiQuery;
use crate::http::page::{List, Paging};
use crate::http::registry::{Registry, routes};
use crate::http::state::{App, AppState, BuildInfo};
use crate::model::host::{CollectorStatus, HostIdentity, TopProcesses};
use crate::model::query::{RangeQuery, is_no_value};
use crate::model::selector::Selector;
use crate::model::worker::WorkerStatus;
use crate::runtime::supervisor::Supervisor;
use crate::store::{Store, StoreStats};

const CPU_SECONDS: &str = "process_cpu_seconds_total";
const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(system)).routes(routes!(workers)).routes(routes!(processes))
}

/// What the agent itself costs; absent figures were not collected yet, or not for a while.
#[derive(Serialize, utoipa::ToSchema)]
pub struct SelfCost {
    cpu_seconds_total: Option<f64>,
    /// Share of one core over the last minute; in the first minute, since the start.
    cpu_percent: Option<f64>,
    rss_bytes: Option<f64>,
    /// Bytes the agent had written to storage devices.
    written_bytes_total: Option<f64>,
    open_files: Option<f64>,
    threads: Option<f64>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct System {
    version: &'static str,
    build: BuildInfo,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    uptime_seconds: f64,
    host: HostIdentity,
    #[serde(rename = "self")]
    cost: SelfCost,
    store: StoreStats,
    collectors: Vec<CollectorStatus>,
}

/// Version, build, host, own cost, store and collectors.
#[utoipa::path(
    get, path = "/api/v1/system", tag = "system",
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = System))
)]
async fn system(_: Access<MonitoringRead>, State(app): State<AppState>) -> Result<Json<System>, Problem> {
    describe(&app).await.map(Json)
}

/// What runs here, since when, and what it costs.
///
/// # Errors
/// 503 while the store opens.
pub async fn describe(app: &App) -> Result<System, Problem> {
    let host = app.host();
    Ok(System {
        version: env!("CARGO_PKG_VERSION"),
        build: app.services.build,
        started_at: app.services.started_at,
        uptime_seconds: app.uptime_seconds(),
        host: host.identity.clone(),
        cost: cost(app).await?,
        store: app.store()?.stats(),
        collectors: host.collectors.clone(),
    })
}

/// What the agent itself costs.
///
/// # Errors
/// 503 while the store opens.
pub async fn cost(app: &App) -> Result<SelfCost, Problem> {
    let store = app.store()?;
    let started = app.services.started_at;
    // What the run before left in the store says nothing about this one.
    let sample = |key: &str| store.latest(key).filter(|(at, value)| *at >= started && value.is_finite());
    let latest = |key: &str| sample(key).map(|(_, value)| value);
    let cpu = sample(CPU_SECONDS);
    let uptime = app.uptime_seconds();
    let since_start = cpu.filter(|_| uptime >= 1.0).map(|(_, seconds)| 100.0 * seconds / uptime);
    let recent = match cpu {
        Some((at, seconds)) => recent_percent(store.clone(), at, seconds, started).await,
        None => None,
    };
    Ok(SelfCost {
        cpu_seconds_total: cpu.map(|(_, seconds)| seconds),
        cpu_percent: recent.or(since_start),
        rss_bytes: latest("process_resident_memory_bytes"),
        written_bytes_total: latest("holdfast_process_written_bytes_total"),
        open_files: latest("process_open_fds"),
        threads: latest("process_threads"),
    })
}

/// The share of one core in the minute before a sample. A value is taken only within
/// the second after its own time, so that time is known to a second.
async fn recent_percent(store: Store, at: Timestamp, seconds: f64, started: Timestamp) -> Option<f64> {
    let start = at.minus(MINUTE);
    if start < started {
        return None;
    }
    let query = RangeQuery {
        selector: Selector::name(CPU_SECONDS),
        start,
        end: at,
        step: SECOND,
        lookback: SECOND,
        max_series: 100,
        max_points: 10_000,
    };
    let answer = Supervisor::blocking(move || store.query_range(&query)).await?.ok()?;
    let points = &answer.series.iter().find(|series| series.key == CPU_SECONDS)?.points;
    let (index, before) = points.iter().enumerate().find(|(_, value)| !is_no_value(**value))?;
    let passed = points.len().checked_sub(index + 1).filter(|passed| *passed >= 10)?;
    Some(100.0 * (seconds - before) / passed as f64).filter(|percent| *percent >= 0.0)
}

/// The agent's own background tasks; those of the user are at `/api/v1/tasks`.
#[utoipa::path(
    get, path = "/api/v1/system/workers", tag = "system", params(Paging),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = List<WorkerStatus>))
)]
async fn workers(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiQuery(paging): ApiQuery<Paging>,
) -> Result<Json<List<WorkerStatus>>, Problem> {
    Ok(Json(List::of(app.services.supervisor.statuses(), paging.window()?)))
}

/// The processes with the most CPU and memory, looked at once a minute.
#[utoipa::path(
    get, path = "/api/v1/system/processes", tag = "system",
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = TopProcesses))
)]
async fn processes(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
) -> Result<Json<TopProcesses>, Problem> {
    let empty = TopProcesses { at: app.now(), by_cpu: Vec::new(), by_memory: Vec::new() };
    Ok(Json(app.host().processes.clone().unwrap_or(empty)))
}
