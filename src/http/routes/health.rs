//! `/livez`, `/readyz`, `/health`, `/api/v1/health`.
//!
//! Alive means the process answers. Ready means it does its own work: store,
//! collectors, listeners; a dead target is never a reason to restart the agent.
//! Healthy is about what it watches.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use crate::base::time::Timestamp;
use crate::http::auth::{Access, MonitoringRead};
use crate::http::error::Problem;
use crate::http::registry::{Registry, routes};
use crate::http::routes::failover::groups;
use crate::http::state::{App, AppState};
use crate::logic::health::{Facts, RollUp, StoreFact, roll_up};
use crate::model::health::{Component, Health};
use crate::store::StoreCondition;

/// Collectors are late after this many intervals, and this much besides.
const LATE_INTERVALS: u32 = 3;
const LATE_GRACE: Duration = Duration::from_secs(5);

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(livez)).routes(routes!(readyz)).routes(routes!(brief)).routes(routes!(full))
}

/// `{"status":"alive"}`
#[derive(Serialize, utoipa::ToSchema)]
struct Alive {
    status: &'static str,
}

/// Whether the process answers; open to everyone.
#[utoipa::path(get, path = "/livez", tag = "health", responses((status = 200, body = Alive)))]
async fn livez() -> Json<Alive> {
    Json(Alive { status: "alive" })
}

#[derive(Serialize, utoipa::ToSchema)]
struct Readiness {
    /// `ready` or `not_ready`.
    status: &'static str,
    /// What is missing; empty when ready.
    reasons: Vec<String>,
}

/// Whether the agent does its own work: store, collectors, listeners.
#[utoipa::path(
    get, path = "/readyz", tag = "health",
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = Readiness), (status = 503, body = Readiness))
)]
async fn readyz(_: Access<MonitoringRead>, State(app): State<AppState>) -> Response {
    let reasons = not_ready(&app);
    let (status, word) = if reasons.is_empty() {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not_ready")
    };
    (status, Json(Readiness { status: word, reasons })).into_response()
}

fn not_ready(app: &App) -> Vec<String> {
    let mut reasons = Vec::new();
    match app.store() {
        Err(problem) => reasons.push(format!("store: {}", problem.detail)),
        Ok(store) => match store.condition() {
            StoreCondition::Ok => {}
            StoreCondition::Reopening(why) => reasons.push(format!("store: serving from memory: {why}")),
            StoreCondition::DiskFull => reasons.push(String::from("store: disk full")),
        },
    }
    let config = app.config.borrow();
    if config.collect.enabled {
        let view = app.services.host.borrow();
        let age = app.now().since(Timestamp(view.summary.collected_at_ms));
        let limit = config.collect.interval.0.saturating_mul(LATE_INTERVALS) + LATE_GRACE;
        if view.ticks == 0 {
            reasons.push(String::from("collectors: no tick yet"));
        } else if age > limit {
            reasons.push(format!("collectors: the last tick was {} s ago", age.as_secs()));
        }
    }
    let (started, alive) =
        (app.listeners.started.load(Ordering::Relaxed), app.listeners.alive.load(Ordering::Relaxed));
    if alive == 0 || alive < started {
        reasons.push(format!("listeners: {alive} of {started} accept connections"));
    }
    reasons
}

/// The whole in one word.
#[derive(Serialize, utoipa::ToSchema)]
struct Brief {
    status: Health,
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    version: &'static str,
    uptime_seconds: f64,
}

/// Health in one word, looked up at most once a second; made to be asked often.
#[utoipa::path(
    get, path = "/health", tag = "health",
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = Brief), (status = 503, body = Brief))
)]
async fn brief(_: Access<MonitoringRead>, State(app): State<AppState>) -> Result<Response, Problem> {
    let status = status_of_this_second(&app)?;
    let mut text = String::with_capacity(160);
    let _ = write!(
        text,
        "{{\"status\":\"{}\",\"timestamp\":\"{}\",\"version\":\"{}\",\"uptime_seconds\":{:.3}}}",
        status.word(),
        app.now().rfc3339(),
        env!("CARGO_PKG_VERSION"),
        app.uptime_seconds()
    );
    let mut response = (code_of(status), text).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

fn status_of_this_second(app: &App) -> Result<Health, Problem> {
    const WORDS: [Health; 4] = [Health::Healthy, Health::Unknown, Health::Degraded, Health::Unhealthy];
    // The second in the upper bits and one more than the place in WORDS below;
    // zero before the first look.
    let second = app.services.clock.monotonic().0.as_secs() << 8;
    let held = app.health.load(Ordering::Relaxed);
    if held & !0xff == second
        && let Some(status) = usize::try_from(held & 0xff).ok().and_then(|at| WORDS.get(at.wrapping_sub(1)))
    {
        return Ok(*status);
    }
    let status = look(app)?.status;
    let at = WORDS.iter().position(|word| *word == status).unwrap_or_default() as u64;
    app.health.store(second | (at + 1), Ordering::Relaxed);
    Ok(status)
}

/// What every part is now, by what was seen last.
pub fn look(app: &App) -> Result<RollUp, Problem> {
    let condition = app.store()?.condition();
    let store = match &condition {
        StoreCondition::Ok => StoreFact::Ok,
        StoreCondition::Reopening(why) => StoreFact::Reopening(why),
        StoreCondition::DiskFull => StoreFact::DiskFull,
    };
    let host = app.host();
    let refused = app.services.settings.refused();
    Ok(roll_up(&Facts {
        now: app.now(),
        store,
        disk_usage_percent: host.summary.disk_usage_percent,
        disk_seen_at: (host.ticks > 0).then_some(Timestamp(host.summary.collected_at_ms)),
        refused: refused.as_deref(),
        memory: &app.memory(),
        targets: &app.targets(),
        groups: &groups(app),
    }))
}

/// 503 for unhealthy, 200 for everything else.
pub fn code_of(status: Health) -> StatusCode {
    if status == Health::Unhealthy { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
}

#[derive(Serialize, utoipa::ToSchema)]
struct Full {
    status: Health,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    components: Vec<Component>,
}

/// The whole and each part: `store`, `storage`, `database`, each target by its name, each
/// failover group as `failover:<name>`, `configuration` while the last reload is refused,
/// and `memory` while it is short.
#[utoipa::path(
    get, path = "/api/v1/health", tag = "health",
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = Full), (status = 503, body = Full))
)]
async fn full(_: Access<MonitoringRead>, State(app): State<AppState>) -> Result<Response, Problem> {
    let RollUp { status, components } = look(&app)?;
    let body = Full { status, timestamp: app.now(), components };
    Ok((code_of(status), Json(body)).into_response())
}
