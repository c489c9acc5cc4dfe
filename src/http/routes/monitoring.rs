//! `/api/v1/monitoring/metrics`: the host and the agent in one object.
//!
//! A subsystem that this host, or this agent, does not have is `null`: a zero
//! would be a claim.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::base::time::Timestamp;
use crate::engine::sampler::is_own_disk;
use crate::http::auth::{Access, MonitoringRead};
use crate::http::counters::ApiFigures;
use crate::http::error::Problem;
use crate::http::registry::{Registry, routes};
use crate::http::state::{App, AppState};
use crate::model::host::HostSummary;
use crate::model::query::LOOKBACK;
use crate::model::series::{labels_of, name_of};
use crate::model::task::TaskFigures;

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(metrics))
}

/// The host. Shares are 0..=100.
#[derive(Serialize, utoipa::ToSchema)]
pub struct SystemMetrics {
    cpu_usage_percent: Option<f64>,
    memory_used_bytes: Option<u64>,
    memory_total_bytes: Option<u64>,
    memory_usage_percent: Option<f64>,
    disk_used_bytes: Option<u64>,
    disk_total_bytes: Option<u64>,
    disk_usage_percent: Option<f64>,
    /// Of the host.
    uptime_seconds: Option<f64>,
}

/// All real filesystems, each device once.
#[derive(Serialize, utoipa::ToSchema)]
pub struct StorageMetrics {
    /// Without layers over others, and without disks in memory.
    total_disks: u64,
    /// Object stores that are watched.
    total_repositories: u64,
    total_capacity_bytes: Option<u64>,
    used_capacity_bytes: Option<u64>,
    /// Free for everybody: without what is kept for root.
    available_bytes: Option<u64>,
    usage_percent: Option<f64>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct ScstMetrics {
    total_targets: u64,
    total_luns: u64,
    total_initiators: u64,
    active_targets: u64,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct TapeMetrics {
    total_libraries: u64,
    total_drives: u64,
    total_slots: u64,
    occupied_slots: u64,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct VtlMetrics {
    total_libraries: u64,
    total_drives: u64,
    total_tapes: u64,
    active_drives: u64,
    loaded_tapes: u64,
}

/// See the module.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Metrics {
    system: SystemMetrics,
    storage: Option<StorageMetrics>,
    scst: Option<ScstMetrics>,
    tape: Option<TapeMetrics>,
    vtl: Option<VtlMetrics>,
    tasks: Option<TaskFigures>,
    api: ApiFigures,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    collected_at: Timestamp,
}

/// The host and the agent in one object; what does not exist here is null.
#[utoipa::path(
    get, path = "/api/v1/monitoring/metrics", tag = "monitoring",
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = Metrics))
)]
async fn metrics(_: Access<MonitoringRead>, State(app): State<AppState>) -> Result<Json<Metrics>, Problem> {
    collect(&app).map(Json)
}

/// The figures of this moment.
///
/// # Errors
/// 503 while the store opens.
pub fn collect(app: &App) -> Result<Metrics, Problem> {
    let host = app.host();
    let summary = &host.summary;
    let storage = match summary.disk_total_bytes {
        Some(_) => Some(storage(app, summary)?),
        None => None,
    };
    Ok(Metrics {
        system: SystemMetrics {
            cpu_usage_percent: summary.cpu_usage_percent,
            memory_used_bytes: summary.memory_used_bytes,
            memory_total_bytes: summary.memory_total_bytes,
            memory_usage_percent: summary.memory_usage_percent,
            disk_used_bytes: summary.disk_used_bytes,
            disk_total_bytes: summary.disk_total_bytes,
            disk_usage_percent: summary.disk_usage_percent,
            uptime_seconds: summary.uptime_seconds,
        },
        storage,
        scst: None,
        tape: None,
        vtl: None,
        // Nothing reported yet is a count, and zero.
        tasks: app.services.tasks.get().map(|keeper| keeper.figures().unwrap_or_default()),
        api: app.counters.figures(app.running()),
        collected_at: if host.ticks > 0 { Timestamp(summary.collected_at_ms) } else { app.now() },
    })
}

fn storage(app: &App, summary: &HostSummary) -> Result<StorageMetrics, Problem> {
    // Those of now: the index also knows disks that were removed long ago.
    let mut disks = 0;
    app.store()?.visit_latest(LOOKBACK, &mut |sample| {
        if name_of(sample.key) == "node_disk_read_bytes_total" {
            let labels = labels_of(sample.key);
            let device = labels.iter().find(|(label, _)| label == "device");
            disks += u64::from(device.is_some_and(|(_, device)| is_own_disk(device)));
        }
    });
    let targets = app.targets();
    Ok(StorageMetrics {
        total_disks: disks,
        total_repositories: targets.iter().filter(|target| target.kind == "object_store").count() as u64,
        total_capacity_bytes: summary.disk_total_bytes,
        used_capacity_bytes: summary.disk_used_bytes,
        available_bytes: summary.disk_available_bytes,
        usage_percent: summary.disk_usage_percent,
    })
}
