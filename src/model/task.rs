//! A task: one run of a job of the user, as the job reports it.

use serde::{Deserialize, Serialize};

use crate::base::time::Timestamp;

/// How far a task is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// Created, not started.
    Pending,
    Running,
    Completed,
    Failed,
}

impl TaskState {
    pub const ALL: [Self; 4] = [Self::Pending, Self::Running, Self::Completed, Self::Failed];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    pub const fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}

/// See the module.
#[derive(Clone, PartialEq, Debug, Serialize, utoipa::ToSchema)]
pub struct Task {
    /// Counts up with every task; its place in the history.
    #[serde(skip)]
    pub number: u64,
    pub id: String,
    pub name: String,
    pub kind: Option<String>,
    /// The check whose pings reported it.
    pub check: Option<String>,
    pub state: TaskState,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[serde(serialize_with = "crate::model::event::rfc3339::option::serialize")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    #[serde(serialize_with = "crate::model::event::rfc3339::option::serialize")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Timestamp>,
    /// From its start to its end, where both were reported.
    pub duration_seconds: Option<f64>,
    /// What was said of its end: the error of one that failed.
    pub message: Option<String>,
}

/// Jobs of the user that report to the agent, of those it remembers; never its own workers.
#[derive(Clone, PartialEq, Debug, Default, Serialize, utoipa::ToSchema)]
#[schema(as = TaskMetrics)]
pub struct TaskFigures {
    pub total: u64,
    /// Created, not started.
    pub pending: u64,
    pub running: u64,
    pub completed: u64,
    pub failed: u64,
    pub avg_duration_seconds: Option<f64>,
}
