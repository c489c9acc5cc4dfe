//! The nouns of the store's interface: options, errors, reports, changes.
//!
//! Plain data that callers build or read; nothing here touches the file. One
//! would get it wrong by leaking a redb type through an error: callers could then
//! not be compiled without knowing the database.

use std::path::PathBuf;
use std::time::Duration;

use crate::base::id::Name;
use crate::base::secret::Secret;
use crate::base::time::Timestamp;
use crate::model::access::{AuditEntry, Session, Token, User};
use crate::model::alert::Alert;
use crate::model::breaker::SavedBreaker;
use crate::model::check::{Ping, SavedCheck};
use crate::model::failover::durable::{Durable, JournalEntry};
use crate::model::notice::{Notice, NoticeState, Telling};
use crate::model::report::FailureEvent;
use crate::model::series::Kind;
use crate::model::silence::Silence;
use crate::model::task::Task;

/// Where and how large. All limits come from `[storage]`.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The redb file; its directory exists.
    pub path: PathBuf,
    /// Largest length of the file, bytes; less than 4 MiB counts as 4 MiB.
    pub cap: u64,
    pub raw_retention: Duration,
    pub minute_retention: Duration,
    pub hour_retention: Duration,
    /// Series active in the last hour; the next is refused.
    pub max_series: usize,
    /// redb's page cache, bytes.
    pub cache: usize,
    /// `None`: look for memory-backed storage; `Some(None)`: off; `Some(Some(dir))`: there.
    pub tail: Option<Option<PathBuf>>,
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the store {path} is in use by another process")]
    InUse { path: PathBuf },
    #[error("the store {path} was written by a newer holdfast (schema {found}, this one knows {supported})")]
    TooNew { path: PathBuf, found: u64, supported: u64 },
    #[error("cannot open the store {path}: {reason}")]
    Open { path: PathBuf, reason: String },
    #[error("the store is unavailable: {reason}")]
    Unavailable { reason: String },
    #[error("no space left for the store")]
    DiskFull,
    #[error("the query matches {found} series, more than the limit of {limit}")]
    TooManySeries { found: usize, limit: usize },
    #[error("the query asks for {found} points, more than the limit of {limit}")]
    TooManyPoints { found: usize, limit: usize },
    #[error("the query holds more samples than the limit of {limit}")]
    TooManySamples { limit: usize },
    #[error("the matcher {matcher} is not valid: {reason}")]
    BadMatcher { matcher: String, reason: String },
}

/// What opening found.
#[derive(Clone, Debug, Default)]
pub struct OpenReport {
    pub created: bool,
    /// The last run closed the store; also true for a new one.
    pub clean: bool,
    /// A damaged file was put here.
    pub moved_aside: Option<PathBuf>,
    pub repaired_in: Duration,
    /// Samples brought back from the tail.
    pub recovered_samples: u64,
    /// Directory of the tail; absent when there is none.
    pub tail: Option<PathBuf>,
    /// First event sequence number this run may use.
    pub first_event: u64,
    /// Names this store among all others; drawn when the file was made.
    pub store_id: u64,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AppendReport {
    pub accepted: usize,
    /// Refused because the cap on active series was reached.
    pub refused: usize,
}

/// One sample of a backfill.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportSample {
    pub key: String,
    pub family: String,
    pub kind: Kind,
    pub help: String,
    pub at: Timestamp,
    pub value: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    pub accepted: u64,
    /// Older than the raw retention or newer than now.
    pub out_of_range: u64,
    /// The series cap was reached.
    pub refused: u64,
    /// A sample of that series at that time was already there.
    pub duplicate: u64,
}

/// One row to write, durable before [`super::Store::commit`] returns.
#[derive(Clone, Debug)]
pub enum Write {
    PutToken(Token),
    DeleteToken {
        id: String,
    },
    PutUser(User),
    DeleteUser {
        name: String,
    },
    PutSession(Session),
    DeleteSession {
        id: String,
    },
    /// The configuration's run-time overlay, a JSON object; replaces the former.
    PutOverlay(serde_json::Value),
    PutBreaker {
        target: String,
        /// Kind and address: the state of another server is not resumed.
        identity: String,
        saved: SavedBreaker,
    },
    DeleteBreaker {
        target: String,
    },
    /// Kept until a week after its end.
    PutAlert(Box<Alert>),
    DeleteAlert {
        id: String,
    },
    PutSilence(Silence),
    DeleteSilence {
        id: String,
    },
    /// A row of the outbox.
    PutNotice(Box<Notice>),
    DeleteNotice {
        id: String,
    },
    /// A row that left the outbox, for the log of deliveries.
    LogNotice(Box<Notice>),
    PutTelling(Telling),
    DeleteTelling {
        alert: String,
    },
    PutCheck {
        name: String,
        saved: SavedCheck,
    },
    /// With its pings.
    DeleteCheck {
        name: String,
    },
    /// Drops the oldest of the check beyond the bound.
    PutPing {
        check: String,
        ping: Ping,
    },
    PutTask(Task),
    DeleteTask {
        number: u64,
    },
    PutFailure(FailureEvent),
    DeleteFailuresBelow {
        number: u64,
    },
    /// What pings by slug carry; replaces the former.
    PutPingKey(Secret),
    /// What a failover group must never forget, and what is new in its journal, whose
    /// oldest rows go beyond the bound.
    PutFailover {
        group: Name,
        durable: Box<Durable>,
        entries: Vec<JournalEntry>,
    },
    /// With its journal. Only of groups that were removed long ago: epochs must not come again.
    DeleteFailover {
        group: Name,
    },
}

/// Which rows of the log of deliveries are meant; what is left out is any.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    pub channel: Option<String>,
    /// Id of an alert that it told of.
    pub alert: Option<String>,
    pub state: Option<NoticeState>,
}

impl DeliveryFilter {
    pub fn wants(&self, notice: &Notice) -> bool {
        self.channel.as_ref().is_none_or(|channel| *channel == notice.channel)
            && self.alert.as_ref().is_none_or(|id| notice.alerts.iter().any(|alert| alert.id == *id))
            && self.state.is_none_or(|state| state == notice.state)
    }
}

/// Writes that succeed or fail together, and the audit row that belongs to them.
#[derive(Clone, Debug, Default)]
pub struct Change {
    pub writes: Vec<Write>,
    pub audit: Option<AuditEntry>,
}

#[derive(Clone, Debug, Default, serde::Serialize, utoipa::ToSchema)]
pub struct StoreStats {
    /// Length of the redb file and the part of it that is in use, bytes.
    pub file_bytes: u64,
    pub used_bytes: u64,
    pub cap_bytes: u64,
    pub series: u64,
    pub max_series: u64,
    pub series_refused_total: u64,
    pub samples_appended_total: u64,
    /// Samples that were dropped because the disk was full.
    pub samples_shed_total: u64,
    /// Samples in memory that no flush has written yet.
    pub samples_pending: u64,
    pub commits_total: u64,
    pub flushes_total: u64,
    pub compactions_total: u64,
    /// What was handed to the file, bytes.
    pub written_bytes_total: u64,
    pub tail_bytes: u64,
    pub reopens_total: u64,
    /// What the raw, 1m and 1h tiers hold, oldest time in ms; absent when empty.
    pub raw_since_ms: Option<i64>,
    pub minute_since_ms: Option<i64>,
    pub hour_since_ms: Option<i64>,
}

/// Whether writes work.
#[derive(Clone, Debug, PartialEq)]
pub enum StoreCondition {
    Ok,
    /// Serving from memory while the file is opened again; why.
    Reopening(String),
    /// Samples are shed, alerts-class writes go on.
    DiskFull,
}

/// See [`super::Store::newest`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NewestSample {
    /// Milliseconds since the epoch.
    pub at: i64,
    pub value: f64,
    /// Samples that the series has had, to within a wrap: one more than last time says
    /// that this is the only new one.
    pub count: u32,
}

/// See [`super::Store::visit_latest`].
#[derive(Clone, Copy, Debug)]
pub struct LatestSample<'a> {
    pub key: &'a str,
    pub family: &'a str,
    pub kind: Kind,
    pub help: &'a str,
    pub at: Timestamp,
    pub value: f64,
}
