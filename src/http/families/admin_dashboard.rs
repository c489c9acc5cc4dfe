//! The gateway family: `/admin/dashboard/summary`, one look at everything: values of now,
//! how the last 24 hours went, jobs, sessions of the databases, caches, alerts.
//!
//! A day is evaluated over rows of a minute, so a trend is kept for a minute for whoever
//! looks next. One would get it wrong by evaluating it for every browser that shows it.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use super::admin_services::counts;
use super::gateway_stats::{by_severity, cache_stats};
use crate::base::time::Timestamp;
use crate::engine::trends::{Steps, Trends};
use crate::http::auth::{Access, Admin};
use crate::http::cache::{Asked, CacheStats};
use crate::http::counters::ApiFigures;
use crate::http::error::Problem;
use crate::http::registry::{Registry, routes};
use crate::http::routes::health::look;
use crate::http::routes::query::json;
use crate::http::state::{App, AppState};
use crate::logic::tasks::Filter;
use crate::model::alert_view::{AlertView, MutedBy};
use crate::model::health::Health;
use crate::model::host::HostSummary;
use crate::model::memory::MemoryView;
use crate::model::query::LOOKBACK;
use crate::model::series::labels_of;
use crate::model::task::TaskState;
use crate::promql::eval::RangeSeries;
use crate::runtime::supervisor::Supervisor;
use crate::store::Store;

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(summary))
}

const DAY: Duration = Duration::from_secs(86_400);
/// Between two points of a trend.
const STEP: Duration = Duration::from_secs(1800);
/// For how long an answer is the same.
const FRESH: Duration = Duration::from_secs(60);
/// Alerts that are shown; all of them are counted.
const SHOWN: usize = 10;
const MOST_TASKS: usize = 1000;

/// A point of a trend, about the half hour up to it.
#[derive(Clone, Serialize, utoipa::ToSchema)]
struct TrendPoint {
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    value: f64,
}

type Trend = Vec<TrendPoint>;

/// How the last 24 hours went, every half hour. What was not collected has no points.
#[derive(Clone, Default, Serialize, utoipa::ToSchema)]
struct DashboardTrends {
    /// Means, 0..=100.
    cpu_percent: Vec<TrendPoint>,
    memory_percent: Vec<TrendPoint>,
    disk_percent: Vec<TrendPoint>,
    /// Highest of the half hour.
    cpu_percent_max: Vec<TrendPoint>,
    /// Mean time of a probe, s, by target.
    response_time_seconds: BTreeMap<String, Vec<TrendPoint>>,
    /// Share of probes that failed, 0..=1, by target.
    probe_error_rate: BTreeMap<String, Vec<TrendPoint>>,
    /// Mean number of sessions, by Postgres target.
    sessions: BTreeMap<String, Vec<TrendPoint>>,
}

/// Jobs that ended in the last 24 hours.
#[derive(Serialize, utoipa::ToSchema)]
struct JobSummary {
    completed: u64,
    failed: u64,
    running: u64,
    pending: u64,
    /// Completed of all that ended, 0 to 1; null when none did.
    success_rate: Option<f64>,
    /// Jobs that ended, by the hour they ended in.
    by_hour: Vec<JobHour>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct JobHour {
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    hour: Timestamp,
    completed: u64,
    failed: u64,
}

/// Sessions of one Postgres target as they were last read.
#[derive(Default, Serialize, utoipa::ToSchema)]
struct Sessions {
    total: u64,
    /// By what they do: `active`, `idle`, `idle in transaction`, ...
    by_state: BTreeMap<String, u64>,
    max_connections: Option<u64>,
}

/// What one Redis target says of its cache.
#[derive(Default, Serialize, utoipa::ToSchema)]
struct RedisCache {
    hits: Option<f64>,
    misses: Option<f64>,
    /// Hits of all, 0 to 1, since the server started.
    hit_rate: Option<f64>,
    memory_bytes: Option<f64>,
    keys: Option<f64>,
    evicted_keys: Option<f64>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct DashboardCaches {
    own: CacheStats,
    /// By target.
    redis: BTreeMap<String, RedisCache>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct DashboardAlerts {
    active: usize,
    by_severity: BTreeMap<&'static str, usize>,
    /// Begun in the last 24 hours, those that are over included.
    last_24h: usize,
    /// The newest of the active ones.
    newest: Vec<AlertView>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct DashboardSummary {
    status: Health,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    uptime_seconds: f64,
    /// The host as it is now.
    realtime: HostSummary,
    api: ApiFigures,
    #[schema(value_type = DashboardTrends)]
    trends: serde_json::Value,
    jobs: JobSummary,
    /// By Postgres target.
    sessions: BTreeMap<String, Sessions>,
    cache: DashboardCaches,
    /// What the agent may have of memory, and what it gives back.
    memory: MemoryView,
    alerts: DashboardAlerts,
    /// How many targets are in which state.
    services: BTreeMap<&'static str, usize>,
}

/// Values of now, trends of 24 hours, jobs, sessions, caches and alerts at once.
#[utoipa::path(
    get, path = "/admin/dashboard/summary", tag = "admin",
    security(("token" = ["admin"]), ("key" = ["admin"])),
    responses((status = 200, body = DashboardSummary))
)]
async fn summary(_: Access<Admin>, State(app): State<AppState>) -> Result<Response, Problem> {
    let latest = Latest::read(&app)?;
    let body = DashboardSummary {
        status: look(&app)?.status,
        timestamp: app.now(),
        uptime_seconds: app.uptime_seconds(),
        realtime: app.host().summary.clone(),
        api: app.counters.figures(app.running()),
        trends: trends(&app).await?,
        jobs: jobs(&app)?,
        sessions: latest.sessions,
        cache: DashboardCaches { own: cache_stats(&app), redis: latest.redis },
        memory: MemoryView::clone(&app.memory()),
        alerts: alerts(&app).await?,
        services: counts(&app),
    };
    let text = serde_json::to_vec(&body).map_err(|_| Problem::internal())?;
    Ok(json(Bytes::from(text)))
}

async fn trends(app: &App) -> Result<serde_json::Value, Problem> {
    let now = app.now();
    let minute = i64::try_from(FRESH.as_millis()).unwrap_or(i64::MAX);
    let end = Timestamp(now.millis() - now.millis().rem_euclid(minute));
    let start = end.minus(DAY);
    let asked = Asked { start, end, step: FRESH };
    let settings = app.config.borrow().cache.clone();
    let key = format!("dashboard {}", end.millis());
    if let Some(kept) = app.answers.get(&key, asked, app.times(), &settings)
        && let Ok(value) = serde_json::from_slice(&kept)
    {
        return Ok(value);
    }
    let (store, clock) = (app.store()?.clone(), app.services.clock.clone());
    let turn = app.evaluations.clone().acquire_owned().await.map_err(|_| Problem::internal())?;
    let work = move || {
        let _turn = turn;
        read_trends(&Trends::new(store, &*clock, Steps { start, end, step: STEP }))
    };
    let found = Supervisor::blocking(work).await.ok_or_else(Problem::internal)?;
    let value = serde_json::to_value(found).map_err(|_| Problem::internal())?;
    let text = Bytes::from(value.to_string());
    app.answers.put(key, String::from("dashboard"), &text, asked, app.times(), &settings);
    Ok(value)
}

fn read_trends(trends: &Trends<'_>) -> DashboardTrends {
    let one = |expr: &str| trends.read(expr).first().map(points).unwrap_or_default();
    let by_target = |expr: &str| -> BTreeMap<String, Trend> {
        let found = trends.read(expr);
        found.iter().map(|series| (series.labels.value("target").to_owned(), points(series))).collect()
    };
    let usage =
        |what: &str, over: &str| one(&format!("{over}_over_time(holdfast_host_{what}_usage_percent[30m])"));
    DashboardTrends {
        cpu_percent: usage("cpu", "avg"),
        memory_percent: usage("memory", "avg"),
        disk_percent: usage("disk", "avg"),
        cpu_percent_max: usage("cpu", "max"),
        response_time_seconds: by_target("avg by (target) (avg_over_time(probe_duration_seconds[30m]))"),
        probe_error_rate: by_target("1 - avg by (target) (avg_over_time(probe_success[30m]))"),
        sessions: by_target("sum by (target) (avg_over_time(pg_stat_activity_count[30m]))"),
    }
}

fn points(series: &RangeSeries) -> Trend {
    let finite = series.points.iter().filter(|(_, value)| value.is_finite());
    finite.map(|(at, value)| TrendPoint { at: Timestamp(*at), value: *value }).collect()
}

fn jobs(app: &App) -> Result<JobSummary, Problem> {
    const HOUR: i64 = 3_600_000;
    let keeper = app.tasks()?;
    let since = app.now().minus(DAY);
    let (tasks, _) = keeper.tasks(&Filter::default(), MOST_TASKS, 0);
    let figures = keeper.figures().unwrap_or_default();
    let mut summary = JobSummary {
        completed: 0,
        failed: 0,
        running: figures.running,
        pending: figures.pending,
        success_rate: None,
        by_hour: Vec::new(),
    };
    let mut by_hour: BTreeMap<i64, (u64, u64)> = BTreeMap::new();
    for task in tasks.iter().filter(|task| task.state.is_over()) {
        let Some(ended) = task.finished_at.filter(|ended| *ended >= since) else { continue };
        let hour = by_hour.entry(ended.millis() - ended.millis().rem_euclid(HOUR)).or_default();
        if task.state == TaskState::Completed {
            (summary.completed, hour.0) = (summary.completed + 1, hour.0 + 1);
        } else {
            (summary.failed, hour.1) = (summary.failed + 1, hour.1 + 1);
        }
    }
    let ended = summary.completed + summary.failed;
    summary.success_rate = (ended > 0).then(|| summary.completed as f64 / ended as f64);
    let hours = by_hour.into_iter();
    summary.by_hour = hours
        .map(|(hour, (completed, failed))| JobHour { hour: Timestamp(hour), completed, failed })
        .collect();
    Ok(summary)
}

async fn alerts(app: &App) -> Result<DashboardAlerts, Problem> {
    let shown = app.alerting()?.alerts();
    let since = app.now().minus(DAY);
    let mut active: Vec<_> = shown.iter().filter(|shown| shown.alert.state.is_active()).collect();
    active.sort_by_key(|shown| std::cmp::Reverse(shown.alert.started_at));
    let newest = active.iter().take(SHOWN).map(|shown| AlertView::of(&shown.alert, MutedBy::default()));
    let store: Store = app.store()?.clone();
    let stored = Supervisor::blocking(move || store.alerts()).await.ok_or_else(Problem::internal)??;
    Ok(DashboardAlerts {
        active: active.len(),
        by_severity: by_severity(app)?,
        last_24h: stored.iter().filter(|alert| alert.started_at >= since).count(),
        newest: newest.collect(),
    })
}

/// What the last values of series say of sessions and caches.
#[derive(Default)]
struct Latest {
    sessions: BTreeMap<String, Sessions>,
    redis: BTreeMap<String, RedisCache>,
}

impl Latest {
    fn read(app: &App) -> Result<Self, Problem> {
        let mut latest = Self::default();
        app.store()?.visit_latest(LOOKBACK, &mut |sample| {
            if sample.family.starts_with("pg_") || sample.family.starts_with("redis_") {
                latest.take(sample.family, sample.key, sample.value);
            }
        });
        for cache in latest.redis.values_mut() {
            let all = cache.hits.zip(cache.misses).filter(|(hits, misses)| hits + misses > 0.0);
            cache.hit_rate = all.map(|(hits, misses)| hits / (hits + misses));
        }
        Ok(latest)
    }

    fn take(&mut self, family: &str, key: &str, value: f64) {
        let labels: BTreeMap<String, String> = labels_of(key).into_iter().collect();
        let Some(target) = labels.get("target").cloned() else { return };
        let count = value.max(0.0) as u64;
        match family {
            "pg_stat_activity_count" => {
                let sessions = self.sessions.entry(target).or_default();
                sessions.total += count;
                let state = labels.get("state").cloned().unwrap_or_default();
                *sessions.by_state.entry(state).or_default() += count;
            }
            "pg_settings_max_connections" => {
                self.sessions.entry(target).or_default().max_connections = Some(count);
            }
            "redis_keyspace_hits_total" => self.redis.entry(target).or_default().hits = Some(value),
            "redis_keyspace_misses_total" => self.redis.entry(target).or_default().misses = Some(value),
            "redis_memory_used_bytes" => self.redis.entry(target).or_default().memory_bytes = Some(value),
            "redis_evicted_keys_total" => self.redis.entry(target).or_default().evicted_keys = Some(value),
            "redis_db_keys" => {
                let cache = self.redis.entry(target).or_default();
                cache.keys = Some(cache.keys.unwrap_or_default() + value);
            }
            _ => {}
        }
    }
}
