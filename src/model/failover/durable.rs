//! What a group remembers: committed before the outside effect it allows.
//!
//! One value per group. The epoch in it only ever grows; every epoch has at most
//! one candidate. `operation` is what runs now, with as much as is needed to go on
//! after a crash at any point; see `Core::operate` for how.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::group::LastFailover;
use super::lsn::{Fork, Lsn};
use crate::base::id::Name;
use crate::base::time::Timestamp;

/// See the module.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Durable {
    pub epoch: u64,
    pub head: Option<Head>,
    /// Every head since the epoch in which it became one, the present one last; bounded.
    pub lineage: Vec<LineageEntry>,
    /// No outside change until then, or until resumed.
    pub paused: Option<Pause>,
    /// Supervision was switched off by an operator; the route stays.
    pub disabled: bool,
    /// When failovers nobody asked for began; the newest few.
    pub failovers: Vec<Timestamp>,
    pub members: BTreeMap<Name, MemberMemory>,
    /// Which members a commit waits for, as it was last seen on the head.
    pub quorum: Option<Quorum>,
    pub sync_wish: Option<SyncWish>,
    pub operation: Option<Operation>,
    pub last: Option<LastFailover>,
    /// Since when the head has not served, as it was when an operation began or was given up.
    pub down: Option<Timestamp>,
}

impl Durable {
    /// The sealed texts in it: what a key is still needed for.
    pub fn sealed(&self) -> impl Iterator<Item = &str> {
        self.members.values().filter_map(|memory| Some(memory.cut.as_ref()?.conninfo.as_str()))
    }
}

/// The member that the group's history belongs to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Head {
    pub member: Name,
    pub system_id: u64,
    pub timeline: u32,
    /// Where that timeline began; `None` for the first one, or where it was not read.
    pub forked: Option<Fork>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LineageEntry {
    pub epoch: u64,
    pub head: Head,
    pub at: Timestamp,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pause {
    /// `None`: until an operator resumes.
    pub until: Option<Timestamp>,
}

/// What is remembered of one member.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MemberMemory {
    /// The epoch that superseded it, until it is seen as a standby of the head.
    pub superseded: Option<u64>,
    /// It may carry the agent's fence.
    pub fence: Option<FenceMemory>,
    /// It may follow nobody because the agent emptied its `primary_conninfo`.
    pub cut: Option<CutMemory>,
    /// It was seen to stream from the head and to replay what the head had then.
    pub attached: bool,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FenceMemory {
    pub epoch: u64,
    /// `synchronous_standby_names` before, to be put back.
    pub sync_names: String,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CutMemory {
    /// Of the operation that cut it. Heads since that epoch are to be followed by it;
    /// where the head is older, the operation was given up and the setting is put back.
    pub epoch: u64,
    /// `primary_conninfo` before, sealed.
    pub conninfo: String,
}

/// A synchronous setting whose names are all members'.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Quorum {
    /// The setting, as the head had it.
    pub text: String,
    pub members: Vec<Name>,
    /// So many of them must be cut off to exclude a loss.
    pub must_cut: u32,
}

/// Synchronous replication as it was before a failover, to be built up again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SyncWish {
    /// `ANY`, else `FIRST`.
    pub any: bool,
    pub quorum: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    /// By evidence.
    Failover,
    /// By an operator, without waiting for the old primary.
    Forced,
    /// By an operator, with the old primary's help.
    Switchover,
}

/// How far an operation is. Each is a commit before the effects that follow it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// S1, switchover only: the active member may be made read-only.
    Holding,
    /// J1: no route; standbys may be cut.
    Begun,
    /// J2 and J3, only in groups that wait for the fence hook: the standbys of `cut` follow
    /// nobody, and the old primary may be turned off.
    Cut,
    /// J4: the candidate may be promoted, no other ever in this epoch.
    Intent,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Operation {
    pub kind: OperationKind,
    /// The epoch it will end in; that of the head while `Holding`.
    pub epoch: u64,
    pub step: Step,
    pub from: Option<Head>,
    /// Asked for by the operator.
    pub to: Option<Name>,
    pub cause: String,
    /// Quorum and lag do not hold it up.
    pub forced: bool,
    /// The last position that the old primary was seen to have, by itself or by a standby;
    /// `None` when it was not seen in this run.
    pub last_lsn: Option<Lsn>,
    /// How far it may have come until the route went, by the greatest pace of its last looks.
    pub reach: Option<Lsn>,
    pub cut: Vec<CutStandby>,
    pub candidate: Option<Name>,
    /// Where the candidate was when it was chosen.
    pub intent: Lsn,
    pub started: Timestamp,
    /// From the first sign of trouble to `started`, ms.
    pub noticed_ms: u64,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CutStandby {
    pub member: Name,
    pub timeline: u32,
    pub received: Lsn,
    pub replayed: Lsn,
}

/// A row of the journal, for people.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct JournalEntry {
    pub epoch: u64,
    /// What was made durable: `begin`, `cut`, `intent`, `route`, `aborted`, `paused`...
    pub step: String,
    /// In words, naming members, positions and causes.
    pub detail: String,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}
