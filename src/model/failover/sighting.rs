//! What one look at a member of a failover group showed.
//!
//! A look ends in facts or in a failure with a class; the classes are those that
//! the protocol tells apart (`logic/failover/evidence.rs`), which is not how
//! probes of targets count (`model/probe.rs`): a refused login is an answer here.

use serde::{Deserialize, Serialize};

use super::lsn::{Fork, Lsn};

/// How long a look's answer took and what it was.
#[derive(Clone, PartialEq, Debug)]
pub enum Sighting {
    Answered(Facts),
    Failed(Failure),
}

/// Why a member did not answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    pub class: FailureClass,
    /// For people; without secrets.
    pub detail: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The host answered: nobody listens on the port.
    Refused,
    /// An established connection ended without a word.
    Reset,
    /// Nothing came back at the level of TCP, or there is no way to the host.
    Unreachable,
    /// TCP connected or was connected, and the server said nothing in time.
    Silent,
    /// The server said that it is being stopped (57P01, 57P02).
    Stopping,
    /// The server said that it is starting up or recovering (57P03).
    Recovering,
    /// The server answers and does not want us: login, limits, a missing database, a
    /// name that no longer resolves. An alert, and no evidence.
    Configuration,
}

/// What a member said of itself.
#[derive(Clone, PartialEq, Debug)]
pub struct Facts {
    /// Of the cluster, made by initdb.
    pub system_id: u64,
    /// Major version times 10,000.
    pub version: u32,
    /// The timeline its log is on now, from the name of the segment being written or received.
    pub timeline: u32,
    /// How it came to that timeline, oldest first; `None` while not read.
    pub ancestry: Option<Vec<Fork>>,
    pub standing: Standing,
    /// `default_transaction_read_only`.
    pub read_only: bool,
    /// `synchronous_standby_names` as set.
    pub sync_names: String,
    /// Another session holds the lock of agents on this server.
    pub other_agent: bool,
    /// Who else decides over this cluster, e.g. `patroni`.
    pub manager: Option<String>,
    /// Whether the write canary committed; `None` when it was not due.
    pub canary: Option<bool>,
    /// Client sessions that did not come through this agent; 0 where unknown.
    pub bypass: u32,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Standing {
    Primary {
        /// Flushed to disk.
        lsn: Lsn,
        /// What follows it.
        followers: Vec<Follower>,
    },
    Standby {
        /// The greatest position received, kept after the receiver is gone.
        received: Lsn,
        replayed: Lsn,
        /// The receiver runs and its status is `streaming`.
        streaming: bool,
        /// The receiver exists in any status.
        receiver: bool,
        /// Whom it follows by its settings; `None` when `primary_conninfo` is empty.
        upstream: Option<Upstream>,
        /// Replay is paused, or delayed by `recovery_min_apply_delay`.
        delayed: bool,
    },
}

/// A row of `pg_stat_replication`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Follower {
    pub application_name: String,
    pub slot: Option<String>,
    pub streaming: bool,
    /// It counts for synchronous commits now.
    pub sync: bool,
    pub flushed: Lsn,
    pub replayed: Lsn,
}

/// The parts of `primary_conninfo` that decide, without the secret ones.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Upstream {
    pub host: String,
    pub port: u16,
    /// As the primary shows it, `walreceiver` when nothing names it.
    pub application_name: String,
    /// `primary_slot_name`.
    pub slot: Option<String>,
}

impl Facts {
    pub const fn is_primary(&self) -> bool {
        matches!(self.standing, Standing::Primary { .. })
    }

    /// The furthest position of the log that this member has.
    pub fn lsn(&self) -> Lsn {
        match self.standing {
            Standing::Primary { lsn, .. } => lsn,
            Standing::Standby { received, replayed, .. } => received.max(replayed),
        }
    }

    /// Whether our fence is on it, and holds.
    pub fn is_fenced(&self) -> bool {
        self.read_only && self.fence().is_some()
    }

    /// The epoch of our fence on it, see [`fence_name`].
    pub fn fence(&self) -> Option<u64> {
        fence_epoch(self.sync_names.trim().trim_matches('"'))
    }
}

const FENCE: &str = "holdfast_fence_e";

/// The name that a fenced server waits for in vain, in `synchronous_standby_names`.
pub fn fence_name(epoch: u64) -> String {
    format!("{FENCE}{epoch}")
}

/// The epoch in a name that [`fence_name`] made.
pub fn fence_epoch(name: &str) -> Option<u64> {
    name.strip_prefix(FENCE)?.parse().ok()
}
