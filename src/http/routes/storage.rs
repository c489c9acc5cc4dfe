//! `/api/v1/storage/...`: filesystems, disks, arrays, SCST, tape, virtual tape and UPS, one
//! object each, from the last values of their series.
//!
//! A subsystem that this host does not have is not an empty one: `present` says which. One
//! would get it wrong by remembering devices here: one that was pulled is gone when its
//! values are older than the look-back, as for every query.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;

use crate::base::time::Timestamp;
use crate::http::auth::{Access, MonitoringRead};
use crate::http::error::Problem;
use crate::http::extract::ApiQuery;
use crate::http::page::{List, Paging};
use crate::http::registry::{Registry, routes};
use crate::http::state::{App, AppState};
use crate::model::query::LOOKBACK;
use crate::model::series::{labels_of, name_of};

pub fn routes<R: Registry>(registry: R) -> R {
    registry
        .routes(routes!(filesystems))
        .routes(routes!(disks))
        .routes(routes!(arrays))
        .routes(routes!(scst))
        .routes(routes!(tape))
        .routes(routes!(vtl))
        .routes(routes!(ups))
}

/// A list of what a subsystem has.
#[derive(Serialize, utoipa::ToSchema)]
struct StorageList<T> {
    /// Whether this host has the subsystem at all, as far as the collectors know.
    present: bool,
    items: Vec<T>,
    /// Items of the whole list.
    total: u64,
    /// Cursor of the next page; null on the last.
    next: Option<String>,
}

impl<T> StorageList<T> {
    fn of(all: Vec<T>, paging: &Paging) -> Result<Self, Problem> {
        let present = !all.is_empty();
        let List { items, total, next } = List::of(all, paging.window()?);
        Ok(Self { present, items, total, next })
    }
}

/// The last values of one device.
struct Device {
    labels: BTreeMap<String, String>,
    /// By name of the series, and by the label that `grouped` was told of.
    values: BTreeMap<(String, String), f64>,
    at: Timestamp,
}

impl Device {
    fn value(&self, name: &str) -> Option<f64> {
        self.state(name, "")
    }

    fn state(&self, name: &str, state: &str) -> Option<f64> {
        self.values.get(&(name.to_owned(), state.to_owned())).copied()
    }

    fn label(&self, name: &str) -> Option<String> {
        self.labels.get(name).cloned()
    }

    fn count(&self, name: &str) -> Option<u64> {
        self.value(name).filter(|value| *value >= 0.0).map(|value| value as u64)
    }
}

/// The last values of series whose names begin with `prefix`, by what `id` says of their
/// labels. The label `split` tells several values of a device apart.
fn grouped(
    app: &App,
    prefix: &str,
    split: &str,
    id: impl Fn(&BTreeMap<String, String>) -> Option<String>,
) -> Result<BTreeMap<String, Device>, Problem> {
    let mut found: BTreeMap<String, Device> = BTreeMap::new();
    app.store()?.visit_latest(LOOKBACK, &mut |sample| {
        let name = name_of(sample.key);
        let Some(name) = name.strip_prefix(prefix) else { return };
        let mut labels: BTreeMap<String, String> = labels_of(sample.key).into_iter().collect();
        let part = labels.remove(split).unwrap_or_default();
        let Some(id) = id(&labels) else { return };
        let device = found.entry(id).or_insert_with(|| Device {
            labels: BTreeMap::new(),
            values: BTreeMap::new(),
            at: sample.at,
        });
        device.at = device.at.max(sample.at);
        device.labels.extend(labels);
        device.values.insert((name.to_owned(), part), sample.value);
    });
    Ok(found)
}

/// One mounted filesystem. Sizes are absent where it did not answer.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Filesystem {
    device: Option<String>,
    mountpoint: Option<String>,
    fstype: Option<String>,
    size_bytes: Option<u64>,
    used_bytes: Option<u64>,
    /// Free for everybody; `free` has what is kept for root, too.
    available_bytes: Option<u64>,
    free_bytes: Option<u64>,
    /// Of what everybody may use, 0..=100.
    usage_percent: Option<f64>,
    files: Option<u64>,
    files_free: Option<u64>,
    readonly: Option<bool>,
    /// It did not answer, or hangs.
    error: bool,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    seen_at: Timestamp,
}

impl From<Device> for Filesystem {
    fn from(device: Device) -> Self {
        let (size, free) = (device.value("size_bytes"), device.value("free_bytes"));
        let used = size.zip(free).map(|(size, free)| (size - free).max(0.0));
        let available = device.value("avail_bytes");
        let usable = used.zip(available).map(|(used, available)| used + available);
        let usage = used.zip(usable).filter(|(_, usable)| *usable > 0.0);
        Self {
            device: device.label("device"),
            mountpoint: device.label("mountpoint"),
            fstype: device.label("fstype"),
            size_bytes: device.count("size_bytes"),
            used_bytes: used.map(|used| used as u64),
            available_bytes: device.count("avail_bytes"),
            free_bytes: device.count("free_bytes"),
            usage_percent: usage.map(|(used, usable)| (used / usable * 100.0).clamp(0.0, 100.0)),
            files: device.count("files"),
            files_free: device.count("files_free"),
            readonly: device.value("readonly").map(|value| value > 0.5),
            error: device.value("device_error").is_some_and(|value| value > 0.5),
            seen_at: device.at,
        }
    }
}

/// Every mounted filesystem.
///
/// # Errors
/// 503 while the store opens.
pub fn all_filesystems(app: &App) -> Result<Vec<Filesystem>, Problem> {
    let id = |labels: &BTreeMap<String, String>| labels.get("mountpoint").cloned();
    Ok(grouped(app, "node_filesystem_", "", id)?.into_values().map(Filesystem::from).collect())
}

/// One disk. Counts are since it was attached.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Disk {
    device: Option<String>,
    model: Option<String>,
    serial: Option<String>,
    wwn: Option<String>,
    reads_completed_total: Option<u64>,
    writes_completed_total: Option<u64>,
    read_bytes_total: Option<u64>,
    written_bytes_total: Option<u64>,
    read_time_seconds_total: Option<f64>,
    write_time_seconds_total: Option<f64>,
    io_time_seconds_total: Option<f64>,
    /// Requests under way.
    io_now: Option<u64>,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    seen_at: Timestamp,
}

impl From<Device> for Disk {
    fn from(device: Device) -> Self {
        Self {
            device: device.label("device"),
            model: device.label("model"),
            serial: device.label("serial"),
            wwn: device.label("wwn"),
            reads_completed_total: device.count("reads_completed_total"),
            writes_completed_total: device.count("writes_completed_total"),
            read_bytes_total: device.count("read_bytes_total"),
            written_bytes_total: device.count("written_bytes_total"),
            read_time_seconds_total: device.value("read_time_seconds_total"),
            write_time_seconds_total: device.value("write_time_seconds_total"),
            io_time_seconds_total: device.value("io_time_seconds_total"),
            io_now: device.count("io_now"),
            seen_at: device.at,
        }
    }
}

/// Every disk.
///
/// # Errors
/// 503 while the store opens.
pub fn all_disks(app: &App) -> Result<Vec<Disk>, Problem> {
    let id = |labels: &BTreeMap<String, String>| labels.get("device").cloned();
    Ok(grouped(app, "node_disk_", "", id)?.into_values().map(Disk::from).collect())
}

/// One array of the kernel's RAID driver.
#[derive(Serialize, utoipa::ToSchema)]
struct StorageArray {
    device: Option<String>,
    /// `active`, `inactive`, `recovering`, `resync`, `check`.
    state: Option<String>,
    /// Fewer disks are active than it needs.
    degraded: bool,
    disks_required: Option<u64>,
    disks_active: Option<u64>,
    disks_failed: Option<u64>,
    disks_spare: Option<u64>,
    blocks: Option<u64>,
    blocks_synced: Option<u64>,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    seen_at: Timestamp,
}

impl From<Device> for StorageArray {
    fn from(device: Device) -> Self {
        let in_state = |((name, _), value): &(&(String, String), &f64)| name == "state" && **value > 0.5;
        let state = device.values.iter().find(in_state).map(|((_, state), _)| state.clone());
        let disks = |state| device.state("disks", state).map(|count| count as u64);
        let required = device.count("disks_required");
        Self {
            device: device.label("device"),
            state,
            degraded: required.zip(disks("active")).is_some_and(|(required, active)| active < required),
            disks_required: required,
            disks_active: disks("active"),
            disks_failed: disks("failed"),
            disks_spare: disks("spare"),
            blocks: device.count("blocks"),
            blocks_synced: device.count("blocks_synced"),
            seen_at: device.at,
        }
    }
}

/// Every mounted filesystem, with its space.
#[utoipa::path(
    get, path = "/api/v1/storage/filesystems", tag = "storage", params(Paging),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = StorageList<Filesystem>))
)]
async fn filesystems(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiQuery(paging): ApiQuery<Paging>,
) -> Result<Json<StorageList<Filesystem>>, Problem> {
    StorageList::of(all_filesystems(&app)?, &paging).map(Json)
}

/// Every disk, with what it did.
#[utoipa::path(
    get, path = "/api/v1/storage/disks", tag = "storage", params(Paging),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = StorageList<Disk>))
)]
async fn disks(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiQuery(paging): ApiQuery<Paging>,
) -> Result<Json<StorageList<Disk>>, Problem> {
    StorageList::of(all_disks(&app)?, &paging).map(Json)
}

/// Every array of the kernel's RAID driver, with its disks.
#[utoipa::path(
    get, path = "/api/v1/storage/arrays", tag = "storage", params(Paging),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = StorageList<StorageArray>))
)]
async fn arrays(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiQuery(paging): ApiQuery<Paging>,
) -> Result<Json<StorageList<StorageArray>>, Problem> {
    let id = |labels: &BTreeMap<String, String>| labels.get("device").cloned();
    let all = grouped(&app, "node_md_", "state", id)?.into_values().map(StorageArray::from);
    StorageList::of(all.collect(), &paging).map(Json)
}

/// What no collector of this host knows: absent, not empty.
fn absent(paging: &Paging) -> Result<Json<StorageList<Value>>, Problem> {
    StorageList::of(Vec::new(), paging).map(Json)
}

/// Targets of SCST; `present` is false on a host without them.
#[utoipa::path(
    get, path = "/api/v1/storage/scst", tag = "storage", params(Paging),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = StorageList<Value>))
)]
async fn scst(
    _: Access<MonitoringRead>,
    ApiQuery(paging): ApiQuery<Paging>,
) -> Result<Json<StorageList<Value>>, Problem> {
    absent(&paging)
}

/// Tape libraries and drives; `present` is false on a host without them.
#[utoipa::path(
    get, path = "/api/v1/storage/tape", tag = "storage", params(Paging),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = StorageList<Value>))
)]
async fn tape(
    _: Access<MonitoringRead>,
    ApiQuery(paging): ApiQuery<Paging>,
) -> Result<Json<StorageList<Value>>, Problem> {
    absent(&paging)
}

/// Virtual tape libraries; `present` is false on a host without them.
#[utoipa::path(
    get, path = "/api/v1/storage/vtl", tag = "storage", params(Paging),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = StorageList<Value>))
)]
async fn vtl(
    _: Access<MonitoringRead>,
    ApiQuery(paging): ApiQuery<Paging>,
) -> Result<Json<StorageList<Value>>, Problem> {
    absent(&paging)
}

/// Power supplies that outlast the mains; `present` is false on a host without them.
#[utoipa::path(
    get, path = "/api/v1/storage/ups", tag = "storage", params(Paging),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = StorageList<Value>))
)]
async fn ups(
    _: Access<MonitoringRead>,
    ApiQuery(paging): ApiQuery<Paging>,
) -> Result<Json<StorageList<Value>>, Problem> {
    absent(&paging)
}
