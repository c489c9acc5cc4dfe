//! The state of a breaker, in the electrical sense: open = calls are rejected.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::time::Timestamp;

/// What a breaker does with calls.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Calls pass and are counted.
    #[default]
    Closed,
    /// Calls are rejected until a time.
    Open,
    /// A few calls pass, to see whether the target is back.
    HalfOpen,
    /// Calls are rejected until an operator releases it.
    ForcedOpen,
    /// Calls pass and are not counted, until an operator releases it.
    Disabled,
    /// Calls pass and are counted, and nothing ever opens it.
    MetricsOnly,
}

impl BreakerState {
    pub const ALL: [Self; 6] =
        [Self::Closed, Self::Open, Self::HalfOpen, Self::ForcedOpen, Self::Disabled, Self::MetricsOnly];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::ForcedOpen => "forced_open",
            Self::Disabled => "disabled",
            Self::MetricsOnly => "metrics_only",
        }
    }

    /// Whether calls are rejected, but for those that try the target out.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::ForcedOpen)
    }
}

/// Why a breaker changed its state.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BreakerReason {
    /// So many hard failures in a row.
    FailuresInRow,
    /// Too large a share of the calls of the window failed.
    FailureShare,
    /// Too large a share of the calls of the window was slow.
    SlowShare,
    /// The time open is over, a call tries the target.
    Waited,
    /// The supervisor's own probe found the target back before that.
    ProbeAnswered,
    /// Enough successes while half open.
    Recovered,
    /// A call failed, or was slow, while half open.
    FailedAgain,
    /// Nothing came of half open within its time.
    Undecided,
    /// An operator said so.
    Operator,
}

impl BreakerReason {
    pub const ALL: [Self; 9] = [
        Self::FailuresInRow,
        Self::FailureShare,
        Self::SlowShare,
        Self::Waited,
        Self::ProbeAnswered,
        Self::Recovered,
        Self::FailedAgain,
        Self::Undecided,
        Self::Operator,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            Self::FailuresInRow => "failures_in_row",
            Self::FailureShare => "failure_share",
            Self::SlowShare => "slow_share",
            Self::Waited => "waited",
            Self::ProbeAnswered => "probe_answered",
            Self::Recovered => "recovered",
            Self::FailedAgain => "failed_again",
            Self::Undecided => "undecided",
            Self::Operator => "operator",
        }
    }
}

/// What an operator may tell a breaker.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BreakerCommand {
    /// Closed, with nothing counted.
    Reset,
    ForceOpen,
    Disable,
    MetricsOnly,
    /// Ends the three above; does nothing otherwise.
    Release,
}

/// One change of state.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
pub struct BreakerTransition {
    pub from: BreakerState,
    pub to: BreakerState,
    pub reason: BreakerReason,
    /// Who, where an operator did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// Calls since the agent started, by what came of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, utoipa::ToSchema)]
pub struct BreakerCalls {
    pub ok: u64,
    pub hard: u64,
    pub soft: u64,
    /// Of all that were counted, those that took too long.
    pub slow: u64,
    /// Answers about configuration, and of a target that is starting.
    pub ignored: u64,
    pub rejected: u64,
    /// Ended after the breaker had changed its state: they decide nothing.
    pub stale: u64,
    /// Given up by the caller.
    pub cancelled: u64,
}

/// A breaker as it is shown.
#[derive(Clone, PartialEq, Debug, Serialize, utoipa::ToSchema)]
pub struct BreakerView {
    pub state: BreakerState,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// Failures since the last success; keeps its value while open.
    pub failure_count: u32,
    /// Successes since the last failure.
    pub success_count: u32,
    #[serde(with = "crate::model::event::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_failure: Option<Timestamp>,
    /// When a call may try the target again; only while open.
    #[serde(with = "crate::model::event::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_attempt: Option<Timestamp>,
    /// How often it opened in a row.
    pub attempt: u32,
    /// Of the window: calls, and the shares that failed and were slow, 0 to 1.
    pub window_calls: u32,
    pub failure_rate: f64,
    pub slow_rate: f64,
    /// Exponential moving average of counted calls, one fifth the newest, ms.
    pub average_response_ms: Option<f64>,
    pub calls: BreakerCalls,
    /// Time spent open since the agent started, seconds.
    pub open_seconds: f64,
    /// Newest first, at most 32.
    pub transitions: Vec<BreakerTransition>,
}

impl BreakerView {
    /// One that was never asked, as it would be shown at `now`.
    pub fn unused(now: Timestamp) -> Self {
        Self {
            state: BreakerState::Closed,
            since: now,
            failure_count: 0,
            success_count: 0,
            last_failure: None,
            next_attempt: None,
            attempt: 0,
            window_calls: 0,
            failure_rate: 0.0,
            slow_rate: 0.0,
            average_response_ms: None,
            calls: BreakerCalls::default(),
            open_seconds: 0.0,
            transitions: Vec::new(),
        }
    }
}

/// What of a breaker survives a restart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SavedBreaker {
    pub generation: u64,
    pub state: BreakerState,
    pub attempt: u32,
    /// Failures since the last success.
    pub failures: u32,
    pub entered: Timestamp,
    /// Only while open.
    pub until: Option<Timestamp>,
    pub last_failure: Option<Timestamp>,
    /// Newest first.
    pub transitions: Vec<BreakerTransition>,
}

/// A call was rejected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the breaker is {}", state.word())]
pub struct Rejected {
    pub state: BreakerState,
    /// When another try may pass; absent where only an operator can tell.
    pub retry_in: Option<Duration>,
}
