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
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum NoticeKind {
    Firing,
    /// Told before; the level rose, or an acknowledgement was re-armed.
    Worsened,
    /// Told before, and nobody acknowledged it since.
    Repeat,
    Escalation,
    /// It comes and goes: nothing more is said before it is steady.
    Flapping,
    Resolved,
    /// What quiet hours held back.
    Digest,
    Test,
}

impl NoticeKind {
    /// Stored by its place in here: new ones go to the end.
    pub const ALL: [Self; 8] = [
        Self::Firing,
        Self::Worsened,
        Self::Repeat,
        Self::Escalation,
        Self::Flapping,
        Self::Resolved,
        Self::Digest,
        Self::Test,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Worsened => "worsened",
            Self::Repeat => "repeat",
            Self::Escalation => "escalation",
            Self::Flapping => "flapping",
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
    /// What it said stands in another row, which is named in its last attempt.
    Collapsed,
}

impl NoticeState {
    pub const ALL: [Self; 5] = [Self::Queued, Self::Delivered, Self::Refused, Self::Expired, Self::Collapsed];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Delivered => "delivered",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Collapsed => "collapsed",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
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
    /// At most [`MOST_ATTEMPTS`], oldest first.
    pub attempts: Vec<Attempt>,
    /// When it left the outbox.
    pub finished_at: Option<Timestamp>,
}

impl Notice {
    /// The worst severity in it.
    pub fn severity(&self) -> Severity {
        self.alerts.iter().map(|alert| alert.severity).max().unwrap_or_default()
    }
}

/// What one channel knows of one alert. There is one as soon as a row was made.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Told {
    pub channel: String,
    /// It was told that the alert fires.
    pub fired: bool,
    /// It was told that the alert ended, or that was given up.
    pub over: bool,
    /// It was told that the alert flaps, and not yet how that ended.
    pub flapping: bool,
    /// The newest step that was put into a row for it.
    pub step: u32,
    /// The level that was put into a row for it.
    pub severity: Severity,
    /// Messages without a step of their own, so far; part of their ids.
    pub repeats: u32,
    /// When the last row was made or left the outbox: repeats count from here.
    pub at: Timestamp,
}

/// What all channels know of one alert; stored beside it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Telling {
    /// Id of the alert.
    pub alert: String,
    /// The step at which an acknowledgement ended: who was told before is told anew.
    pub rearmed: u32,
    /// Escalations count from here rather than from when it fired.
    pub counted_from: Option<Timestamp>,
    /// Escalations that are done.
    pub escalated: u32,
    /// It is over, and was known well enough to mute its children.
    pub explained: bool,
    /// At most one of each channel.
    pub channels: Vec<Told>,
}
