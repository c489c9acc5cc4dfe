//! What goes into the protocol and what comes out of it.

use std::time::Duration;

use crate::base::id::Name;
use crate::base::time::{Monotonic, Timestamp};
use crate::model::failover::durable::{Durable, JournalEntry};
use crate::model::failover::group::{LastFailover, Mode, Refusal};
use crate::model::failover::lsn::{Fork, Lsn};
use crate::model::failover::sighting::{Failure, Sighting};

/// What the group is configured to do. Members in the order of their priority.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    pub members: Vec<Name>,
    /// Supervised; when not, the route stays where it is and nothing is changed.
    pub enabled: bool,
    pub mode: Mode,
    /// Independent databases (T0), whatever their system ids.
    pub switch: bool,
    /// Only promote once the fence hook has proved the old primary off (T3).
    pub fenced: bool,
    /// Refuse what only an asynchronous standby would guarantee (T2 or nothing).
    pub sync: bool,
    pub fence_hook: bool,
    pub rejoin_hook: bool,
    /// Bytes.
    pub max_lag: u64,
    pub cooldown: Duration,
    pub max_per_day: u32,
    pub restart_grace: Duration,
    pub path_hold: Duration,
    pub allow_path_failover: bool,
    pub fence_on_return: bool,
    /// Opt-in: fail over when the primary cannot write for so long.
    pub failover_on_read_only: bool,
    /// Between two looks at a member.
    pub interval: Duration,
    /// Deadline of a look.
    pub timeout: Duration,
    /// How long new connections wait for a route.
    pub hold_max: Duration,
}

/// Number of a call; an answer to an older one is ignored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct CallId(pub u64);

#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// Time passed: [`super::Core::wake_at`] was reached.
    Tick,
    /// A look that began at `asked` ended.
    Seen {
        member: Name,
        asked: Monotonic,
        sighting: Sighting,
        conninfo: Option<Sealed>,
    },
    /// The kept connection to the member ended; a fresh look is on its way.
    Lost {
        member: Name,
        why: Failure,
    },
    /// What became of [`Effect::Commit`].
    Committed {
        ok: bool,
    },
    /// What became of [`Effect::Call`].
    Done {
        call: CallId,
        result: Result<Answer, CallError>,
    },
    Command {
        id: u64,
        command: Command,
    },
    Settings(Settings),
}

/// A text that holds a secret and was sealed by the engine. Here it is only carried.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sealed(pub String);

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    Pause {
        until: Option<Timestamp>,
    },
    Resume,
    Enable,
    Disable,
    Switchover {
        to: Option<Name>,
    },
    Failover {
        to: Option<Name>,
        force: bool,
        accept_data_loss: bool,
    },
    /// Takes the agent's fence off a member.
    Unfence {
        member: Name,
    },
}

#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    /// Make this durable. Effects after it in the list wait until it is; when it fails, calls
    /// among them fail too. Either way the protocol is told.
    Commit { durable: Box<Durable>, entries: Vec<JournalEntry> },
    /// Do this on a member and tell what came of it.
    Call { call: CallId, member: Name, action: Action, within: Duration },
    /// Look at a member: now, or after a while. A look that runs already counts.
    Look { member: Name, after: Duration, fresh: bool, canary: bool },
    /// What became of an operator's command.
    Reply { id: u64, result: Result<(), Refusal> },
    /// For the event stream and the alerts.
    Tell(Happening),
}

/// What can be done to a member.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// Empties `primary_conninfo` and waits until its receiver is gone. Answers [`Answer::Cut`].
    Cut,
    /// Puts back `primary_conninfo` after a cut.
    Restore { conninfo: Sealed },
    /// Read-only by default, waits for a synchronous standby nobody is, sessions ended.
    /// Answers [`Answer::Fenced`].
    Fence { epoch: u64 },
    /// The configured hook. Answers [`Answer::Done`] when it proved the member off.
    FenceHook,
    /// Takes the fence off: read-write by default, `sync_names` put back.
    Unfence { sync_names: String },
    /// Clears `synchronous_standby_names` and promotes.
    Promote,
    /// Answers [`Answer::Verified`] of a server that is no standby and commits a canary.
    Verify,
    /// Follow `to` from now on, with what `conninfo` says of user, secrets and name.
    Repoint { to: Name, conninfo: Sealed },
    /// Sets `synchronous_standby_names`.
    SyncNames { names: String },
    /// Switchover: read-only by default for new transactions; idle sessions are ended, and
    /// those in a transaction after `drain`. Answers [`Answer::Drained`].
    Drain { epoch: u64, drain: Duration },
    /// Waits until the member has replayed `lsn`.
    Replay { lsn: Lsn },
    /// The configured hook that makes the member a standby of `primary`.
    RejoinHook { primary: Name },
}

#[derive(Clone, PartialEq, Debug)]
pub enum Answer {
    Done,
    Cut {
        timeline: u32,
        received: Lsn,
        replayed: Lsn,
    },
    /// Sessions of superusers that could not be ended.
    Fenced {
        left: u32,
    },
    /// The end of the log after the last session.
    Drained {
        left: u32,
        lsn: Lsn,
    },
    Verified {
        system_id: u64,
        timeline: u32,
        ancestry: Vec<Fork>,
        lsn: Lsn,
    },
}

#[derive(Clone, PartialEq, Debug)]
pub struct CallError {
    /// For people; without secrets.
    pub detail: String,
    /// It may have happened all the same: no answer came.
    pub unknown: bool,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Happening {
    /// Another state of the group; `detail` says why.
    State {
        from: &'static str,
        to: &'static str,
        detail: String,
    },
    Switched(LastFailover),
    Refused(Refusal),
    Superseded {
        member: Name,
        detail: String,
    },
    Rejoined {
        member: Name,
    },
    /// Something did not work and is tried again.
    Trouble {
        detail: String,
    },
}
