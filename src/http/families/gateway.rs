//! The gateway family: `/health/comprehensive`, every part with what is known of it, and
//! `/monitoring/alerts`.
//!
//! It answers from the last outcomes and asks nobody, so a target that hangs does not
//! delay it. One would get it wrong by probing when asked: whoever watches the health
//! of the health would then hang with the target.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use super::facility::{FacilityAlerts, active};
use crate::base::time::Timestamp;
use crate::http::auth::{Access, MonitoringRead};
use crate::http::error::Problem;
use crate::http::registry::{Registry, routes};
use crate::http::routes::failover::groups;
use crate::http::routes::health::{code_of, look};
use crate::http::state::{App, AppState};
use crate::logic::health::{RollUp, of_group, of_kind, of_target};
use crate::model::breaker::{BreakerState, BreakerView};
use crate::model::failover::view::GroupView;
use crate::model::health::{Component, Health};
use crate::model::host::HostSummary;
use crate::model::target::TargetStatus;
use crate::store::StoreStats;

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(comprehensive)).routes(routes!(alerts))
}

/// What one kind of target is together, with the latencies of its operations.
#[derive(Serialize, utoipa::ToSchema)]
struct KindPart {
    #[serde(flatten)]
    component: Component,
    /// Slowest of the last probes, ms, by operation: `connect`, `query`, `ping`, ...
    operations: BTreeMap<String, f64>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct StorePart {
    #[serde(flatten)]
    component: Component,
    stats: StoreStats,
}

#[derive(Serialize, utoipa::ToSchema)]
struct HostPart {
    #[serde(flatten)]
    component: Component,
    resources: HostSummary,
}

/// One target with its last operations and its breaker.
#[derive(Serialize, utoipa::ToSchema)]
struct TargetPart {
    #[serde(flatten)]
    component: Component,
    kind: String,
    address: String,
    /// Share of the probes of the last hour that failed, 0 to 1.
    error_rate: f64,
    p50_ms: Option<f64>,
    p95_ms: Option<f64>,
    /// Latency of each operation of the last probe, ms.
    operations: BTreeMap<String, f64>,
    breaker: Option<BreakerView>,
}

/// One failover group with its members.
#[derive(Serialize, utoipa::ToSchema)]
struct GroupPart {
    #[serde(flatten)]
    component: Component,
    group: GroupView,
}

/// Everything at once; what the host or the configuration does not have is null.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Comprehensive {
    status: Health,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    version: &'static str,
    uptime_seconds: f64,
    /// All Postgres targets together.
    database: Option<KindPart>,
    redis: Option<KindPart>,
    grpc: Option<KindPart>,
    nostr: Option<KindPart>,
    /// The agent's own store.
    store: StorePart,
    /// The host's resources.
    host: HostPart,
    targets: Vec<TargetPart>,
    failover: Vec<GroupPart>,
    /// How many breakers are in which state.
    breakers: BTreeMap<&'static str, usize>,
}

/// Every part with latency and detail, from the last outcomes.
#[utoipa::path(
    get, path = "/health/comprehensive", tag = "health",
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = Comprehensive), (status = 503, body = Comprehensive))
)]
async fn comprehensive(_: Access<MonitoringRead>, State(app): State<AppState>) -> Result<Response, Problem> {
    comprehensive_of(&app)
}

/// Every part with latency and detail, from the last outcomes; 503 where the whole is unhealthy.
///
/// # Errors
/// 503 while the store opens.
pub fn comprehensive_of(app: &App) -> Result<Response, Problem> {
    let RollUp { status, components } = look(app)?;
    let now = app.now();
    let targets = app.targets();
    let parts: Vec<Component> = targets.iter().map(|target| of_target(target, now)).collect();
    let kind = |kind: &str, name: &str| {
        let component = of_kind(&targets, &parts, kind, name)?;
        let of_kind = targets.iter().filter(|target| target.kind == kind && target.enabled);
        Some(KindPart { component, operations: latencies(of_kind) })
    };
    let named = |name: &str| {
        let found = components.iter().find(|part| part.name == name);
        found.cloned().ok_or_else(Problem::internal)
    };
    let body = Comprehensive {
        status,
        timestamp: now,
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: app.uptime_seconds(),
        database: kind("postgres", "database"),
        redis: kind("redis", "redis"),
        grpc: kind("grpc", "grpc"),
        nostr: kind("nostr", "nostr"),
        store: StorePart { component: named("store")?, stats: app.store()?.stats() },
        host: HostPart { component: named("storage")?, resources: app.host().summary.clone() },
        failover: groups(app)
            .into_iter()
            .map(|group| GroupPart { component: of_group(&group), group })
            .collect(),
        breakers: count(&targets),
        targets: targets.iter().zip(parts).map(|(target, part)| of(app, target, part)).collect(),
    };
    Ok((code_of(status), Json(body)).into_response())
}

fn of(app: &App, target: &TargetStatus, component: Component) -> TargetPart {
    TargetPart {
        component,
        kind: target.kind.clone(),
        address: target.address.clone(),
        error_rate: target.error_share,
        p50_ms: target.p50_ms,
        p95_ms: target.p95_ms,
        operations: latencies(std::iter::once(target)),
        breaker: app.breakers().ok().and_then(|breakers| breakers.view(&target.name)),
    }
}

/// The slowest last latency of each operation, ms.
fn latencies<'a>(targets: impl Iterator<Item = &'a TargetStatus>) -> BTreeMap<String, f64> {
    let mut slowest = BTreeMap::new();
    for done in targets.filter_map(|target| target.last.as_ref()).flat_map(|last| &last.operations) {
        let latency = slowest.entry(done.operation.clone()).or_insert(done.latency_ms);
        *latency = latency.max(done.latency_ms);
    }
    slowest
}

fn count(targets: &[TargetStatus]) -> BTreeMap<&'static str, usize> {
    let in_state = |state| targets.iter().filter(|target| target.breaker == state).count();
    BreakerState::ALL.into_iter().map(|state| (state.word(), in_state(state))).collect()
}

/// The active alerts, newest first.
#[utoipa::path(
    get, path = "/monitoring/alerts", tag = "alerts",
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = FacilityAlerts))
)]
async fn alerts(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
) -> Result<Json<FacilityAlerts>, Problem> {
    active(&app).map(Json)
}
