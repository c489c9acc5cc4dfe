//! The status of an internal background task.

use serde::Serialize;

use crate::base::time::Timestamp;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkerState {
    Running,
    /// Failed, waiting to be started again.
    Backoff,
    /// Failed and is not started again.
    Failed,
}

/// See `/api/v1/system/workers`.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct WorkerStatus {
    pub name: String,
    /// `essential` or `restart`.
    pub policy: &'static str,
    pub state: WorkerState,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    pub restarts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}
