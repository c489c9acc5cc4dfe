//! What the operations of a target came to over a window of time.

use serde::Serialize;

use super::query::Resolution;
use crate::base::time::Timestamp;

/// One operation (`put`, `connect`, ...). Latencies are of those that went well: a
/// refusal is fast, and a timeout says only what the deadline is.
#[derive(Clone, PartialEq, Debug, Default, Serialize, utoipa::ToSchema)]
pub struct OperationMetrics {
    pub operation: String,
    pub total: u64,
    pub success: u64,
    pub failed: u64,
    /// Failed of all, 0 to 1.
    pub error_rate: f64,
    /// Mean, ms; absent without a success.
    pub avg: Option<f64>,
    /// Exponential moving average, one fifth the newest, ms.
    pub ema: Option<f64>,
    pub p50: Option<f64>,
    pub p95: Option<f64>,
    pub p99: Option<f64>,
    /// Operations slower than the breaker's `slow_call`.
    pub slow: u64,
}

/// All operations of one target over `(from, to]`.
#[derive(Clone, PartialEq, Debug, Serialize, utoipa::ToSchema)]
pub struct TargetOperations {
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub to: Timestamp,
    /// What was held of the window, finest first. Below `raw`, latencies go by the
    /// smallest, the largest and the mean of each minute or hour.
    pub resolutions: Vec<Resolution>,
    pub operations: Vec<OperationMetrics>,
}
