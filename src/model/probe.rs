//! What came of probing a target.
//!
//! A failed probe is data, not an `Err`: the target's file decides the class by
//! its own table, and everything later reads the class.

use serde::{Deserialize, Serialize};

use crate::base::id::Name;
use crate::base::time::Timestamp;

/// How an operation ended, by what it says about the target. The order is from
/// best to worst; a probe has the class of its worst operation.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeClass {
    Ok,
    /// The target answers, but something in its or our configuration is wrong:
    /// credentials, a missing bucket or database. Never a reason to trip.
    Alive,
    /// The target says it is starting or stopping.
    Recovering,
    /// The target asks for less load: 429, 503 SlowDown, too many connections.
    Soft,
    /// Refused, reset, timed out, TLS failure, server error.
    Hard,
}

impl OutcomeClass {
    pub const ALL: [Self; 5] = [Self::Ok, Self::Alive, Self::Recovering, Self::Soft, Self::Hard];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Alive => "alive",
            Self::Recovering => "recovering",
            Self::Soft => "soft",
            Self::Hard => "hard",
        }
    }
}

/// One step of a probe.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OperationOutcome {
    /// `connect`, `query`, `put`, `get`, ...
    pub operation: String,
    pub class: OutcomeClass,
    /// A stable word for the reason, e.g. `refused`, `timeout`, `28P01`,
    /// `NoSuchBucket`; empty when all went well.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub code: String,
    /// What happened, for a person; never holds a secret.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    pub latency_ms: f64,
}

/// One finished probe.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ProbeRecord {
    #[schema(value_type = String)]
    pub target: Name,
    /// `postgres`, `object_store`, ...
    pub kind: String,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    pub class: OutcomeClass,
    pub latency_ms: f64,
    pub operations: Vec<OperationOutcome>,
}

impl ProbeRecord {
    /// The worst operation that did not end well.
    pub fn problem(&self) -> Option<&OperationOutcome> {
        self.operations.iter().filter(|o| o.class != OutcomeClass::Ok).max_by_key(|o| o.class)
    }
}
