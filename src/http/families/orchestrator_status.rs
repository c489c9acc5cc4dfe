//! The orchestrator family: `/status` and `/performance`, the whole in counts and how
//! operations went.
//!
//! An operation here is one that an application reported or one of a probe; the agent's
//! own answers stand beside them, because to serve a page is not what is watched. One
//! would get it wrong by adding those in: a hundred quick answers would hide a slow job.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::base::time::Timestamp;
use crate::engine::performance::{OperationPerformance, read};
use crate::engine::task_keeper::TaskKeeper;
use crate::http::auth::{Access, MonitoringRead};
use crate::http::counters::ApiFigures;
use crate::http::error::Problem;
use crate::http::registry::{Registry, routes};
use crate::http::routes::health::look;
use crate::http::state::{App, AppState};
use crate::logic::latencies::LatencyFigures;
use crate::model::health::Health;
use crate::model::probe::OutcomeClass;
use crate::model::severity::Severity;
use crate::runtime::supervisor::Supervisor;

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(status)).routes(routes!(performance))
}

/// The stretch of time that performance is about.
const WINDOW: Duration = Duration::from_secs(300);

/// How many there are of what is watched and held.
#[derive(Serialize, utoipa::ToSchema)]
struct StatusCounts {
    /// Active series.
    series: u64,
    /// Samples since the agent started.
    samples: u64,
    targets: usize,
    /// Targets whose last probe failed.
    targets_failing: usize,
    failover_groups: usize,
    rules: usize,
    checks: usize,
    /// Tasks that are remembered.
    tasks: u64,
    /// Failures that applications reported and that are remembered.
    failure_events: u64,
    /// The agent's own background tasks.
    workers: usize,
    /// Number of the last event.
    events: u64,
}

/// Active alerts by the words of this family.
#[derive(Serialize, utoipa::ToSchema)]
struct AlertCounts {
    total: usize,
    #[serde(flatten)]
    by_severity: BTreeMap<&'static str, usize>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct OrchestratorStatus {
    /// `running`, or `stopped` where collecting is switched off.
    status: &'static str,
    monitoring_active: bool,
    health: Health,
    version: &'static str,
    /// Of the agent.
    uptime_seconds: f64,
    #[serde(with = "crate::model::event::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    last_collection: Option<Timestamp>,
    counts: StatusCounts,
    active_alerts: AlertCounts,
}

/// Whether monitoring runs, since when, how much is watched, and what is wrong.
#[utoipa::path(
    get, path = "/status", tag = "monitoring",
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = OrchestratorStatus))
)]
async fn status(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
) -> Result<Json<OrchestratorStatus>, Problem> {
    let host = app.host();
    let active = app.config.borrow().collect.enabled;
    Ok(Json(OrchestratorStatus {
        status: if active { "running" } else { "stopped" },
        monitoring_active: active,
        health: look(&app)?.status,
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: app.uptime_seconds(),
        last_collection: (host.ticks > 0).then_some(Timestamp(host.summary.collected_at_ms)),
        counts: counts(&app).await?,
        active_alerts: alerts(&app)?,
    }))
}

async fn counts(app: &App) -> Result<StatusCounts, Problem> {
    let stats = app.store()?.stats();
    let targets = app.targets();
    let failing = |class: Option<OutcomeClass>| class.is_some_and(|class| class != OutcomeClass::Ok);
    let config = app.config.borrow().clone();
    Ok(StatusCounts {
        series: stats.series,
        samples: stats.samples_appended_total,
        targets: targets.len(),
        targets_failing: targets.iter().filter(|target| failing(target.class)).count(),
        failover_groups: config.failover.group.len(),
        rules: app.alerting()?.rules().await.len(),
        checks: config.check.len(),
        tasks: app.services.tasks.get().and_then(TaskKeeper::figures).map_or(0, |tasks| tasks.total),
        failure_events: app.reports()?.failures(|_| true, 0, 0).1,
        workers: app.services.supervisor.statuses().len(),
        events: app.services.bus.last(),
    })
}

fn alerts(app: &App) -> Result<AlertCounts, Problem> {
    let shown = app.alerting()?.alerts();
    let mut counts = AlertCounts {
        total: 0,
        by_severity: Severity::ALL.into_iter().map(|severity| (severity.orchestrator_word(), 0)).collect(),
    };
    for shown in shown.iter().filter(|shown| shown.alert.state.is_active()) {
        counts.total += 1;
        *counts.by_severity.entry(shown.alert.severity.orchestrator_word()).or_default() += 1;
    }
    Ok(counts)
}

/// How much is done in a second.
#[derive(Serialize, utoipa::ToSchema)]
struct Throughput {
    /// Operations that applications reported, and those of probes.
    operations_per_second: f64,
    /// Answers of this agent.
    requests_per_second: f64,
}

/// How much of the host is in use. Shares are 0..=100.
#[derive(Serialize, utoipa::ToSchema)]
struct ResourceUsage {
    cpu_percent: Option<f64>,
    memory_percent: Option<f64>,
    disk_percent: Option<f64>,
    load1: Option<f64>,
    disk_read_bytes_per_second: Option<f64>,
    disk_written_bytes_per_second: Option<f64>,
    network_receive_bytes_per_second: Option<f64>,
    network_transmit_bytes_per_second: Option<f64>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct PerformanceAnswer {
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    /// What all but `resource_usage` and `api` are about ends now and is so long.
    window_seconds: u64,
    /// Of all operations.
    response_times: LatencyFigures,
    /// Failed operations of all, 0 to 1; null when there were none.
    error_rate: Option<f64>,
    throughput: Throughput,
    resource_usage: ResourceUsage,
    operations: Vec<OperationPerformance>,
    /// Answers of this agent since it started.
    api: ApiFigures,
}

/// Response times with percentiles, error rate and throughput of the last five minutes,
/// and how much of the host is in use.
#[utoipa::path(
    get, path = "/performance", tag = "monitoring",
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = PerformanceAnswer))
)]
async fn performance(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
) -> Result<Json<PerformanceAnswer>, Problem> {
    let (store, now) = (app.store()?.clone(), app.now());
    let work = move || read(&store, now.minus(WINDOW), now);
    let found = Supervisor::blocking(work).await.ok_or_else(Problem::internal)??;
    let api = app.counters.figures(app.running());
    let since_start = app.uptime_seconds().clamp(1.0, WINDOW.as_secs_f64());
    let host = app.host();
    let summary = &host.summary;
    Ok(Json(PerformanceAnswer {
        timestamp: now,
        window_seconds: WINDOW.as_secs(),
        error_rate: found.all.error_rate,
        throughput: Throughput {
            operations_per_second: found.all.count as f64 / since_start,
            requests_per_second: api.requests_per_second,
        },
        response_times: found.all,
        resource_usage: ResourceUsage {
            cpu_percent: summary.cpu_usage_percent,
            memory_percent: summary.memory_usage_percent,
            disk_percent: summary.disk_usage_percent,
            load1: summary.load1,
            disk_read_bytes_per_second: summary.disk_read_bytes_per_second,
            disk_written_bytes_per_second: summary.disk_written_bytes_per_second,
            network_receive_bytes_per_second: summary.network_receive_bytes_per_second,
            network_transmit_bytes_per_second: summary.network_transmit_bytes_per_second,
        },
        operations: found.operations,
        api,
    }))
}
