//! The gateway family: `/monitoring/stats`, the agent in figures, and the cache of answers:
//! `/monitoring/cache/stats`, `/admin/cache/clear`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use crate::base::time::Timestamp;
use crate::http::auth::{Access, Admin, MonitoringRead};
use crate::http::cache::CacheStats;
use crate::http::counters::ApiFigures;
use crate::http::error::Problem;
use crate::http::extract::ApiOptional;
use crate::http::registry::{Registry, routes};
use crate::http::state::{App, AppState};
use crate::model::access::AuditEntry;
use crate::model::memory::MemoryView;
use crate::model::severity::Severity;
use crate::model::worker::{WorkerState, WorkerStatus};
use crate::store::{Change, StoreStats};

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(stats)).routes(routes!(cache)).routes(routes!(clear))
}

/// How collecting goes.
#[derive(Serialize, utoipa::ToSchema)]
struct CollectionStats {
    enabled: bool,
    interval_ms: u64,
    /// Since the agent started.
    ticks: u64,
    #[serde(with = "crate::model::event::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    last_collection: Option<Timestamp>,
    /// How many collectors are in which state.
    collectors: BTreeMap<&'static str, usize>,
}

/// Probes of the last hour, of all targets.
#[derive(Serialize, utoipa::ToSchema)]
struct ProbeStats {
    targets: usize,
    probes: u64,
    failed: u64,
    error_rate: Option<f64>,
}

/// How the evaluation of rules goes, since the agent started.
#[derive(Serialize, utoipa::ToSchema)]
struct AlertingStats {
    enabled: bool,
    rules: usize,
    rounds: u64,
    rounds_missed: u64,
    last_round_seconds: f64,
    active_alerts: usize,
    by_severity: BTreeMap<&'static str, usize>,
    /// Notifications that are not delivered yet.
    outbox: usize,
}

/// The agent's own background tasks.
#[derive(Serialize, utoipa::ToSchema)]
struct WorkerStats {
    total: usize,
    running: usize,
    /// Failed, and will be started again or not.
    failing: usize,
    restarts: u64,
}

/// The agent in figures.
#[derive(Serialize, utoipa::ToSchema)]
struct MonitoringStats {
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    version: &'static str,
    uptime_seconds: f64,
    collection: CollectionStats,
    probes: ProbeStats,
    alerting: AlertingStats,
    store: StoreStats,
    /// Number of the last event, and who listens.
    events: u64,
    event_listeners: usize,
    workers: WorkerStats,
    api: ApiFigures,
    cache: CacheStats,
    memory: MemoryView,
}

/// The agent in figures: collecting, probes, alerting, store, workers, API, cache.
#[utoipa::path(
    get, path = "/monitoring/stats", tag = "monitoring",
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = MonitoringStats))
)]
async fn stats(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
) -> Result<Json<MonitoringStats>, Problem> {
    Ok(Json(MonitoringStats {
        timestamp: app.now(),
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: app.uptime_seconds(),
        collection: collection(&app),
        probes: probes(&app),
        alerting: alerting(&app).await?,
        store: app.store()?.stats(),
        events: app.services.bus.last(),
        event_listeners: app.services.bus.listeners(),
        workers: workers(&app.services.supervisor.statuses()),
        api: app.counters.figures(app.running()),
        cache: cache_stats(&app),
        memory: MemoryView::clone(&app.memory()),
    }))
}

fn collection(app: &App) -> CollectionStats {
    let (host, config) = (app.host(), app.config.borrow().collect.clone());
    let mut collectors = BTreeMap::new();
    for collector in &host.collectors {
        *collectors.entry(collector.state).or_default() += 1;
    }
    CollectionStats {
        enabled: config.enabled,
        interval_ms: u64::try_from(config.interval.0.as_millis()).unwrap_or(u64::MAX),
        ticks: host.ticks,
        last_collection: (host.ticks > 0).then_some(Timestamp(host.summary.collected_at_ms)),
        collectors,
    }
}

fn probes(app: &App) -> ProbeStats {
    let targets = app.targets();
    let sum = |figure: fn(&crate::model::target::TargetStatus) -> u64| targets.iter().map(figure).sum();
    let (probes, failed): (u64, u64) = (sum(|target| target.probes), sum(|target| target.failed));
    let error_rate = (probes > 0).then(|| failed as f64 / probes as f64);
    ProbeStats { targets: targets.len(), probes, failed, error_rate }
}

async fn alerting(app: &App) -> Result<AlertingStats, Problem> {
    let alerting = app.alerting()?;
    let figures = alerting.figures();
    let enabled = app.config.borrow().alerting.enabled;
    let by_severity = by_severity(app)?;
    Ok(AlertingStats {
        enabled,
        rules: alerting.rules().await.len(),
        rounds: figures.rounds_total,
        rounds_missed: figures.missed_total,
        last_round_seconds: figures.last_seconds,
        active_alerts: by_severity.values().sum(),
        by_severity,
        outbox: alerting.outbox().await.len(),
    })
}

/// Active alerts by the words of this family.
///
/// # Errors
/// 503 while the store opens.
pub fn by_severity(app: &App) -> Result<BTreeMap<&'static str, usize>, Problem> {
    let shown = app.alerting()?.alerts();
    let mut counts: BTreeMap<&'static str, usize> =
        Severity::ALL.into_iter().map(|severity| (severity.facility_word(), 0)).collect();
    for shown in shown.iter().filter(|shown| shown.alert.state.is_active()) {
        *counts.entry(shown.alert.severity.facility_word()).or_default() += 1;
    }
    Ok(counts)
}

fn workers(all: &[WorkerStatus]) -> WorkerStats {
    let running = all.iter().filter(|worker| worker.state == WorkerState::Running).count();
    let restarts = all.iter().map(|worker| u64::from(worker.restarts)).sum();
    WorkerStats { total: all.len(), running, failing: all.len() - running, restarts }
}

/// How the cache of answers does.
pub fn cache_stats(app: &App) -> CacheStats {
    let settings = app.config.borrow().cache.clone();
    app.answers.stats(app.services.clock.monotonic(), &settings)
}

/// How the cache of answers does: hits, misses, entries, bytes, evictions.
#[utoipa::path(
    get, path = "/monitoring/cache/stats", tag = "monitoring",
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = CacheStats))
)]
async fn cache(_: Access<MonitoringRead>, State(app): State<AppState>) -> Json<CacheStats> {
    Json(cache_stats(&app))
}

/// Which answers go.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct ClearCache {
    /// Tried on the text of the queries: `*` is any text, `?` one letter. All by default.
    #[serde(default)]
    pattern: Option<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct CacheCleared {
    pattern: String,
    /// Answers that were dropped.
    cleared: usize,
    cache: CacheStats,
}

/// Drops answers that are kept; the next to ask has them made anew.
#[utoipa::path(
    post, path = "/admin/cache/clear", tag = "admin", request_body(content = ClearCache, description = "May be left out."),
    security(("token" = ["admin"]), ("key" = ["admin"])),
    responses((status = 200, body = CacheCleared))
)]
async fn clear(
    access: Access<Admin>,
    State(app): State<AppState>,
    ApiOptional(ClearCache { pattern }): ApiOptional<ClearCache>,
) -> Result<Json<CacheCleared>, Problem> {
    let pattern = pattern.unwrap_or_else(|| String::from("*"));
    let audit = AuditEntry {
        at: app.now(),
        who: access.principal.who,
        action: String::from("cache.clear"),
        object: pattern.chars().take(200).collect(),
        detail: String::new(),
    };
    app.store()?.commit(Change { writes: Vec::new(), audit: Some(audit) }).await?;
    let cleared = app.answers.clear(&pattern);
    Ok(Json(CacheCleared { pattern, cleared, cache: cache_stats(&app) }))
}
