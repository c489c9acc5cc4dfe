//! A notice: one message for one channel, from the moment it is owed until it is
//! delivered or its time is over.
//!
//! A row of the outbox holds all that its channel needs, so that a message sent an hour
//! late still says what happened when. Its id is that of every attempt, before and after
//! a crash: receivers recognise duplicates by it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::severity::Severity;
use crate::base::time::Timestamp;

/// Why somebody is told.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NoticeKind {
    Firing,
    /// Told before; the level rose, or an acknowledgement was re-armed.
    Worsened,
    /// Told before, and nobody acknowledged it since.
    Repeat,
    Escalation,
    Resolved,
    /// What quiet hours held back.
    Digest,
    Test,
}

impl NoticeKind {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Worsened => "worsened",
            Self::Repeat => "repeat",
            Self::Escalation => "escalation",
            Self::Resolved => "resolved",
            Self::Digest => "digest",
            Self::Test => "test",
        }
    }
}

/// One alert as a message shows it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct NoticeAlert {
    pub id: String,
    /// Number of the step that this is about.
    pub step: u32,
    pub rule: String,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub severity: Severity,
    pub title: String,
    pub message: String,
    pub value: Option<f64>,
    pub threshold: Option<f64>,
    /// When it fired and, where it is over, when it ended.
    pub fired_at: Timestamp,
    pub resolved_at: Option<Timestamp>,
}

/// What becomes of a row.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NoticeState {
    #[default]
    Queued,
    Delivered,
    /// Its channel said that it will never take it (a 4xx), or the channel is gone.
    Refused,
    /// Not delivered before its time was over.
    Expired,
    /// Everything in it was over before anybody was told, and one message said so.
    Collapsed,
}

/// One attempt to deliver.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Attempt {
    #[serde(with = "super::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    pub latency_ms: u64,
    /// What the other side answered, or why there was no answer; secrets masked.
    pub answer: String,
    pub delivered: bool,
}

/// Attempts that are kept of one row: the newest.
pub const MOST_ATTEMPTS: usize = 8;

/// A row of the outbox, and later of the delivery log.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Notice {
    /// Made of channel, alert and step: the same after a crash.
    pub id: String,
    pub channel: String,
    pub kind: NoticeKind,
    /// What is put together into one message.
    pub group: String,
    /// Not empty, but for tests of a channel.
    pub alerts: Vec<NoticeAlert>,
    pub created_at: Timestamp,
    /// Not sent before: the group's window, quiet hours, the wait after a failure.
    pub due_at: Timestamp,
    /// Given up then.
    pub expires_at: Timestamp,
    pub state: NoticeState,
    /// How often it was tried.
    pub tries: u32,
    pub attempts: Vec<Attempt>,
}

impl Notice {
    /// The worst severity in it.
    pub fn severity(&self) -> Severity {
        self.alerts.iter().map(|alert| alert.severity).max().unwrap_or_default()
    }
}
