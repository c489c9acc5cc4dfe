//! The host in a few figures, as overview pages and summaries show it.
//!
//! A subsystem that the host does not have is `None`, never zero.

use serde::Serialize;

use super::durations::Durations;
use crate::base::time::Timestamp;

/// What does not change while the agent runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct HostIdentity {
    pub hostname: String,
    /// `PRETTY_NAME` of os-release.
    pub os: String,
    pub kernel: String,
    pub arch: String,
    pub cpus: u32,
    pub boot_time_seconds: Option<f64>,
}

/// The latest figures; rates are over the last tick. Shares are 0..=100.
#[derive(Clone, Debug, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct HostSummary {
    pub collected_at_ms: i64,
    pub cpu_usage_percent: Option<f64>,
    pub memory_total_bytes: Option<u64>,
    /// Total less available.
    pub memory_used_bytes: Option<u64>,
    pub memory_usage_percent: Option<f64>,
    pub swap_total_bytes: Option<u64>,
    pub swap_used_bytes: Option<u64>,
    /// Real filesystems, each device once.
    pub disk_total_bytes: Option<u64>,
    pub disk_used_bytes: Option<u64>,
    /// Free for everybody: without what is kept for root.
    pub disk_available_bytes: Option<u64>,
    pub disk_usage_percent: Option<f64>,
    pub disk_read_bytes_per_second: Option<f64>,
    pub disk_written_bytes_per_second: Option<f64>,
    pub network_receive_bytes_per_second: Option<f64>,
    pub network_transmit_bytes_per_second: Option<f64>,
    pub load1: Option<f64>,
    pub load5: Option<f64>,
    pub load15: Option<f64>,
    /// Share of the last tick in which some task waited, 0..=100.
    pub pressure_cpu_percent: Option<f64>,
    pub pressure_io_percent: Option<f64>,
    pub pressure_memory_percent: Option<f64>,
    pub temperature_celsius_max: Option<f64>,
    /// Uptime of the host.
    pub uptime_seconds: Option<f64>,
}

/// One process of the top lists.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Process {
    pub pid: u32,
    pub name: String,
    /// Share of one core since the last look, may exceed 100.
    pub cpu_percent: f64,
    pub rss_bytes: u64,
}

/// Top processes, looked at once a minute.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct TopProcesses {
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    pub by_cpu: Vec<Process>,
    pub by_memory: Vec<Process>,
}

/// How one collector is doing.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct CollectorStatus {
    pub name: &'static str,
    /// `ok`, `absent`, `failed`, `stuck`, `pending`
    pub state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    pub last_duration_ms: f64,
    #[serde(with = "crate::model::event::rfc3339::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_success: Option<Timestamp>,
    pub samples: usize,
    /// Of all its runs.
    #[serde(skip)]
    pub durations: Durations,
    /// Processor time of all its runs.
    #[serde(skip)]
    pub cpu: std::time::Duration,
}

/// Everything the sampler last saw, shared as one value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostView {
    pub identity: HostIdentity,
    pub summary: HostSummary,
    pub processes: Option<TopProcesses>,
    pub collectors: Vec<CollectorStatus>,
    /// Ticks since the start.
    pub ticks: u64,
}
