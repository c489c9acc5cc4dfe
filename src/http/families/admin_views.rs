//! The gateway family: what an administrator is shown of health, host, alerts and build.
//!
//! The same views as elsewhere, for who has the scope `admin` and no other.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::gateway::comprehensive_of;
use super::gateway_stats::by_severity;
use crate::base::time::Timestamp;
use crate::http::auth::{Access, Admin};
use crate::http::counters::ApiFigures;
use crate::http::error::Problem;
use crate::http::extract::ApiQuery;
use crate::http::registry::{Registry, routes};
use crate::http::routes::alerts::{Filter, find, limit_of};
use crate::http::routes::storage::{Disk, Filesystem, all_disks, all_filesystems};
use crate::http::routes::system::{SelfCost, System, cost, describe};
use crate::http::state::AppState;
use crate::model::alert::AlertState;
use crate::model::alert_view::AlertView;
use crate::model::host::{CollectorStatus, HostSummary, TopProcesses};
use crate::model::severity::Severity;
use crate::runtime::supervisor::Supervisor;
use crate::runtime::threads;

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(health)).routes(routes!(metrics)).routes(routes!(alerts)).routes(routes!(info))
}

/// As `/health/comprehensive`.
#[utoipa::path(
    get, path = "/admin/health/comprehensive", tag = "admin",
    security(("token" = ["admin"]), ("key" = ["admin"])),
    responses(
        (status = 200, body = super::gateway::Comprehensive),
        (status = 503, body = super::gateway::Comprehensive)
    )
)]
async fn health(_: Access<Admin>, State(app): State<AppState>) -> Result<Response, Problem> {
    comprehensive_of(&app)
}

/// The host and the agent in detail.
#[derive(Serialize, utoipa::ToSchema)]
struct AdminMetrics {
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    system: HostSummary,
    filesystems: Vec<Filesystem>,
    disks: Vec<Disk>,
    /// Looked at once a minute; null before the first look.
    processes: Option<TopProcesses>,
    collectors: Vec<CollectorStatus>,
    /// What the agent itself costs.
    #[serde(rename = "self")]
    cost: SelfCost,
    api: ApiFigures,
}

/// The host in detail: load, memory, filesystems, disks, processes, and what the agent costs.
#[utoipa::path(
    get, path = "/admin/metrics/system", tag = "admin",
    security(("token" = ["admin"]), ("key" = ["admin"])),
    responses((status = 200, body = AdminMetrics))
)]
async fn metrics(_: Access<Admin>, State(app): State<AppState>) -> Result<Json<AdminMetrics>, Problem> {
    let host = app.host();
    Ok(Json(AdminMetrics {
        timestamp: app.now(),
        system: host.summary.clone(),
        filesystems: all_filesystems(&app)?,
        disks: all_disks(&app)?,
        processes: host.processes.clone(),
        collectors: host.collectors.clone(),
        cost: cost(&app).await?,
        api: app.counters.figures(app.running()),
    }))
}

/// Which alerts are meant; what is left out is any.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AdminWanted {
    /// `LOW`, `MEDIUM`, `HIGH`, `CRITICAL`, or a level.
    #[param(min_length = 1)]
    severity: Option<String>,
    #[param(min_length = 1)]
    source: Option<String>,
    acknowledged: Option<bool>,
    /// `active` (the default), `all`, or a state.
    #[param(min_length = 1)]
    state: Option<String>,
    /// Begun at this time or later: RFC 3339, epoch seconds or milliseconds.
    #[param(min_length = 1)]
    since: Option<String>,
    /// 100 by default.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    offset: Option<usize>,
}

/// One alert with all that an administrator asks of it.
#[derive(Serialize, utoipa::ToSchema)]
struct AdminAlert {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    /// `LOW`, `MEDIUM`, `HIGH` or `CRITICAL`.
    severity: &'static str,
    rule: String,
    source: String,
    title: String,
    message: String,
    state: AlertState,
    labels: BTreeMap<String, String>,
    value: Option<f64>,
    threshold: Option<f64>,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    acknowledged: bool,
    acknowledged_by: Option<String>,
    #[serde(with = "crate::model::event::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    resolved_at: Option<Timestamp>,
}

impl From<AlertView> for AdminAlert {
    fn from(view: AlertView) -> Self {
        Self {
            id: view.id,
            kind: view.kind,
            severity: view.severity_level.facility_word(),
            rule: view.rule,
            source: view.source,
            title: view.title,
            message: view.message,
            state: view.state,
            labels: view.labels,
            value: view.value,
            threshold: view.threshold,
            timestamp: view.created_at,
            acknowledged: view.acknowledged,
            acknowledged_by: view.acknowledged_by,
            resolved_at: view.resolved_at,
        }
    }
}

/// Alerts, newest first.
#[derive(Serialize, utoipa::ToSchema)]
struct AdminAlerts {
    alerts: Vec<AdminAlert>,
    /// Alerts in this answer.
    count: usize,
    /// How many match, whatever the limit.
    total: usize,
    /// Active alerts by severity, whatever was asked for.
    by_severity: BTreeMap<&'static str, usize>,
}

/// Active alerts, or those in another state; newest first.
#[utoipa::path(
    get, path = "/admin/alerts", tag = "admin", params(AdminWanted),
    security(("token" = ["admin"]), ("key" = ["admin"])),
    responses((status = 200, body = AdminAlerts))
)]
async fn alerts(
    _: Access<Admin>,
    State(app): State<AppState>,
    ApiQuery(wanted): ApiQuery<AdminWanted>,
) -> Result<Json<AdminAlerts>, Problem> {
    let limit = limit_of(wanted.limit)?;
    let AdminWanted { severity, source, acknowledged, state, since, offset, .. } = wanted;
    let filter = Filter { severity, source, acknowledged, state, since, ..Filter::default() };
    let found = find(&app, &filter, Severity::facility_word).await?;
    let total = found.len();
    let page = found.into_iter().skip(offset.unwrap_or(0)).take(limit);
    let alerts: Vec<AdminAlert> = page.map(AdminAlert::from).collect();
    Ok(Json(AdminAlerts { count: alerts.len(), total, alerts, by_severity: by_severity(&app)? }))
}

/// The system, and where its parts are.
#[derive(Serialize, utoipa::ToSchema)]
struct AdminInfo {
    #[serde(flatten)]
    system: System,
    listen: Vec<String>,
    data_dir: String,
    /// Null where the agent runs without a file.
    config_file: Option<String>,
    /// Of the agent's process.
    pid: u32,
    /// Threads of the process.
    threads: usize,
}

/// Version, build, host, own cost, store, collectors, and where the agent's parts are.
#[utoipa::path(
    get, path = "/admin/system/info", tag = "admin",
    security(("token" = ["admin"]), ("key" = ["admin"])),
    responses((status = 200, body = AdminInfo))
)]
async fn info(_: Access<Admin>, State(app): State<AppState>) -> Result<Json<AdminInfo>, Problem> {
    let config = app.config.borrow().clone();
    let threads = Supervisor::blocking(threads::all).await;
    Ok(Json(AdminInfo {
        system: describe(&app).await?,
        listen: config.listen.clone(),
        data_dir: config.data_dir.display().to_string(),
        config_file: app
            .services
            .settings
            .loaded()
            .sources
            .file
            .as_ref()
            .map(|path| path.display().to_string()),
        pid: std::process::id(),
        threads: threads.map_or(0, |threads| threads.len()),
    }))
}
