//! The facility family: `/api/monitoring/health` and `/api/facility/status/enhanced`.
//!
//! Both are made of what was seen last and ask nobody, so they answer while a server
//! hangs. One would get it wrong by listing what a server had before it was lost: sizes
//! older than the look-back are left out.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use super::facility_failover::{FailoverStatus, Which, status_of};
use super::facility_metrics::{Metrics, Pick, collect};
use crate::base::time::Timestamp;
use crate::engine::last_values::Figures;
use crate::http::auth::{Access, MonitoringRead};
use crate::http::error::Problem;
use crate::http::extract::ApiQuery;
use crate::http::registry::{Registry, routes};
use crate::http::routes::health::{code_of, look};
use crate::http::state::{App, AppState};
use crate::logic::health::RollUp;
use crate::model::breaker::BreakerState;
use crate::model::health::{Component, Health};
use crate::model::query::LOOKBACK;
use crate::model::series::labels_of;

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(health)).routes(routes!(enhanced))
}

/// How collecting goes.
#[derive(Serialize, utoipa::ToSchema)]
struct FacilityMonitoring {
    running: bool,
    /// Of the agent.
    uptime_seconds: f64,
    #[serde(with = "crate::model::event::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    last_collection: Option<Timestamp>,
    /// Since the agent started.
    samples_stored: u64,
}

impl FacilityMonitoring {
    fn of(app: &App) -> Result<Self, Problem> {
        let host = app.host();
        Ok(Self {
            running: app.config.borrow().collect.enabled,
            uptime_seconds: app.uptime_seconds(),
            last_collection: (host.ticks > 0).then_some(Timestamp(host.summary.collected_at_ms)),
            samples_stored: app.store()?.stats().samples_appended_total,
        })
    }
}

/// One part as these clients are told of it; its name is the key.
#[derive(Serialize, utoipa::ToSchema)]
struct FacilityCheck {
    status: Health,
    message: String,
    latency_ms: Option<f64>,
    #[serde(with = "crate::model::event::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    checked_at: Option<Timestamp>,
}

impl From<Component> for FacilityCheck {
    fn from(part: Component) -> Self {
        let Component { status, message, latency_ms, checked_at, .. } = part;
        Self { status, message, latency_ms, checked_at }
    }
}

fn checks(components: Vec<Component>) -> BTreeMap<String, FacilityCheck> {
    components.into_iter().map(|part| (part.name.clone(), part.into())).collect()
}

#[derive(Serialize, utoipa::ToSchema)]
struct FacilityHealth {
    status: Health,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    /// By the name of the part.
    checks: BTreeMap<String, FacilityCheck>,
    monitoring: FacilityMonitoring,
    /// As at `/api/monitoring/metrics`.
    #[schema(value_type = BTreeMap<String, Figures>)]
    metrics: Metrics,
    active_alerts: usize,
}

/// Every part, how collecting goes, and the figures of `/api/monitoring/metrics`.
#[utoipa::path(
    get, path = "/api/monitoring/health", tag = "health", params(Pick),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = FacilityHealth), (status = 503, body = FacilityHealth))
)]
async fn health(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiQuery(pick): ApiQuery<Pick>,
) -> Result<Response, Problem> {
    let RollUp { status, components } = look(&app)?;
    let body = FacilityHealth {
        status,
        timestamp: app.now(),
        checks: checks(components),
        monitoring: FacilityMonitoring::of(&app)?,
        metrics: collect(&app, pick.section(&app)?).await?,
        active_alerts: active_alerts(&app)?,
    };
    Ok((code_of(status), Json(body)).into_response())
}

fn active_alerts(app: &App) -> Result<usize, Problem> {
    let shown = app.alerting()?.alerts();
    Ok(shown.iter().filter(|shown| shown.alert.state.is_active()).count())
}

/// One schema of a database.
#[derive(Default, Serialize, utoipa::ToSchema)]
struct FacilitySchema {
    name: String,
    size_bytes: Option<u64>,
    /// As the planner last estimated.
    rows: Option<u64>,
    tables: Option<u64>,
}

/// One database with its schemas, as they were last read.
#[derive(Serialize, utoipa::ToSchema)]
struct FacilityTarget {
    name: String,
    address: String,
    database: String,
    status: Health,
    message: String,
    /// Whether it is the one that `/api/monitoring/metrics` is about.
    active: bool,
    breaker: Option<BreakerState>,
    latency_ms: Option<f64>,
    size_bytes: Option<u64>,
    /// Of all schemas; null where they could not be read.
    rows: Option<u64>,
    schemas: Vec<FacilitySchema>,
}

/// All databases that are watched.
#[derive(Serialize, utoipa::ToSchema)]
struct Facility {
    /// The one that `/api/monitoring/metrics` is about.
    active: Option<String>,
    targets: Vec<FacilityTarget>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct EnhancedMonitoring {
    #[serde(flatten)]
    monitoring: FacilityMonitoring,
    status: Health,
    checks: BTreeMap<String, FacilityCheck>,
    #[schema(value_type = BTreeMap<String, Figures>)]
    metrics: Metrics,
    active_alerts: usize,
}

/// Databases, monitoring and failover in one.
#[derive(Serialize, utoipa::ToSchema)]
struct EnhancedStatus {
    status: Health,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    facility: Facility,
    monitoring: EnhancedMonitoring,
    failover: FailoverStatus,
}

/// Every database with its schemas and sizes, how monitoring goes, and the failover group.
#[utoipa::path(
    get, path = "/api/facility/status/enhanced", tag = "health", params(Which),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = EnhancedStatus))
)]
async fn enhanced(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiQuery(which): ApiQuery<Which>,
) -> Result<Json<EnhancedStatus>, Problem> {
    let RollUp { status, components } = look(&app)?;
    let active = Pick::default().section(&app)?;
    let active_name = active.as_ref().map(|section| section.name.to_string());
    let facility =
        Facility { targets: targets(&app, &components, active_name.as_deref())?, active: active_name };
    Ok(Json(EnhancedStatus {
        status,
        timestamp: app.now(),
        facility,
        monitoring: EnhancedMonitoring {
            monitoring: FacilityMonitoring::of(&app)?,
            status,
            checks: checks(components),
            metrics: collect(&app, active).await?,
            active_alerts: active_alerts(&app)?,
        },
        failover: status_of(&app, &which).await?,
    }))
}

/// What was last read of one server.
#[derive(Default)]
struct Sizes {
    databases: BTreeMap<String, u64>,
    schemas: BTreeMap<String, FacilitySchema>,
}

fn targets(
    app: &App,
    components: &[Component],
    active: Option<&str>,
) -> Result<Vec<FacilityTarget>, Problem> {
    let mut sizes = sizes(app)?;
    let seen = app.targets();
    let config = app.config.borrow().clone();
    let all = config.target.postgres.iter().map(|section| {
        let name = section.name.as_str();
        let part = components.iter().find(|part| part.name == name);
        let seen = seen.iter().find(|target| target.name == name);
        let Sizes { databases, schemas } = sizes.remove(name).unwrap_or_default();
        let schemas: Vec<FacilitySchema> = schemas.into_values().collect();
        FacilityTarget {
            name: name.to_owned(),
            address: seen.map_or_else(String::new, |target| target.address.clone()),
            database: section.database.clone(),
            status: part.map_or(Health::Unknown, |part| part.status),
            message: part.map_or_else(String::new, |part| part.message.clone()),
            active: active == Some(name),
            breaker: seen.map(|target| target.breaker),
            latency_ms: part.and_then(|part| part.latency_ms),
            size_bytes: databases.get(&section.database).copied(),
            rows: (!schemas.is_empty()).then(|| schemas.iter().filter_map(|schema| schema.rows).sum()),
            schemas,
        }
    });
    Ok(all.collect())
}

/// Sizes by the name of the target, not older than the look-back.
fn sizes(app: &App) -> Result<BTreeMap<String, Sizes>, Problem> {
    let mut found: BTreeMap<String, Sizes> = BTreeMap::new();
    app.store()?.visit_latest(LOOKBACK, &mut |sample| {
        let (database, set): (bool, fn(&mut FacilitySchema, u64)) = match sample.family {
            "pg_database_size_bytes" => (true, |_, _| {}),
            "holdfast_pg_schema_size_bytes" => (false, |schema, value| schema.size_bytes = Some(value)),
            "holdfast_pg_schema_rows" => (false, |schema, value| schema.rows = Some(value)),
            "holdfast_pg_schema_tables" => (false, |schema, value| schema.tables = Some(value)),
            _ => return,
        };
        let labels: BTreeMap<String, String> = labels_of(sample.key).into_iter().collect();
        let Some(target) = labels.get("target") else { return };
        let sizes = found.entry(target.clone()).or_default();
        let whole = sample.value.max(0.0) as u64;
        if let (true, Some(name)) = (database, labels.get("datname")) {
            sizes.databases.insert(name.clone(), whole);
        } else if let Some(name) = labels.get("schema") {
            let schema = sizes.schemas.entry(name.clone()).or_default();
            schema.name.clone_from(name);
            set(schema, whole);
        }
    });
    Ok(found)
}
