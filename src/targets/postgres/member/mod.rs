//! One member of a failover group: what asks it and what commands it.
//!
//! The pattern: a [`MemberLink`] keeps one session on which it looks ([`MemberLink::look`])
//! and whose end it notices at once ([`MemberLink::lost`]); whatever may hang in the server
//! or in a lock (a canary, an action, a check) goes over a session of its own. What was
//! learned of a server is forgotten with the session on which it was learned, because
//! the next one may lead to a server that was restored or promoted meanwhile.
//! Wrong would be to ask again on a session whose answer was given up: the late answer would be
//! taken for that of the next question.

mod act;
mod canary;
mod check;
mod conninfo;
mod effects;
mod failure;
mod fence;
mod history;
mod look;
mod question;
mod replication;
mod standby;

use std::collections::VecDeque;
use std::fmt;
use std::future::pending;

use tokio::time::Instant;

pub use self::act::MemberAction;
use self::canary::Canary;
pub use self::check::{Finding, Peer, Place};
pub use self::conninfo::source;
pub use self::standby::undo_cut;
use super::Surroundings;
use super::access::Access;
use super::session::Session;
use crate::base::secret::Secret;
use crate::config::target::postgres::Postgres;
use crate::model::failover::lsn::Fork;
use crate::model::failover::sighting::{Failure, Sighting};

/// Kept sessions whose backends are remembered.
const MAX_EARLIER: usize = 8;

/// What is wanted of a look besides the facts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Look {
    /// Also a new connection with its login: a hung postmaster answers old ones.
    pub fresh: bool,
    /// Also a commit, when the member is a primary.
    pub canary: bool,
}

/// What a look showed.
#[derive(Debug)]
pub struct Seen {
    pub sighting: Sighting,
    /// `primary_conninfo`, when it is not empty and another than was told before.
    pub conninfo: Option<Secret>,
    /// What does not hinder the member and wants an alert: its name no longer resolves
    /// and the last known address was used.
    pub problem: Option<String>,
}

/// See the module.
pub struct MemberLink {
    access: Access,
    kept: Option<Kept>,
    /// Backends of the kept sessions so far: one given up may hold the lock for a moment more.
    earlier: VecDeque<i32>,
    canary: Canary,
    /// The `primary_conninfo` that was told last.
    told: Option<Secret>,
    problem: Option<String>,
    /// See [`MemberLink::restores`].
    restores: Option<bool>,
}

/// The kept session and what was learned on it.
struct Kept {
    session: Session,
    memory: Memory,
}

/// See [`Kept`].
#[derive(Default)]
struct Memory {
    /// Its backend; 0 before the first look.
    pid: i32,
    locked: bool,
    in_recovery: Option<bool>,
    /// Of a standby: the newest it received.
    timeline: Option<u32>,
    system_id: u64,
    bypass: u32,
    manager: Option<String>,
    /// When to ask aside again; `None`: now.
    aside: Option<Instant>,
    /// Of which timeline, and the forks.
    ancestry: Option<(u32, Vec<Fork>)>,
    /// When to try again to read it; `None`: now.
    ancestry_due: Option<Instant>,
}

impl fmt::Debug for MemberLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemberLink").field("place", &self.access.place).finish_non_exhaustive()
    }
}

impl MemberLink {
    /// A link without a connection; the first look makes one.
    pub fn new(section: &Postgres, surroundings: &Surroundings) -> Self {
        Self {
            access: Access::new(section, &surroundings.environment),
            kept: None,
            earlier: VecDeque::new(),
            canary: Canary::default(),
            told: None,
            problem: None,
            restores: None,
        }
    }

    /// Whether the server has a `restore_command`, as the last check saw it; `None` where it
    /// saw nothing.
    pub const fn restores(&self) -> Option<bool> {
        self.restores
    }

    /// Whether a session is kept.
    pub const fn is_ready(&self) -> bool {
        self.kept.is_some()
    }

    /// Keeps a session for the day on which the server has no room for another, if none is kept
    /// yet. A failure is left to whoever looks; it may be given up at any point.
    pub async fn stand_by(&mut self, deadline: Instant) {
        if self.kept.is_none()
            && let Ok(opened) = self.access.open(deadline).await
        {
            self.kept = Some(Kept { session: opened.session, memory: Memory::default() });
        }
    }

    /// Waits until the kept connection ends while nobody asks on it, and returns why; for
    /// ever while there is none. It may be given up and awaited again.
    pub async fn lost(&mut self) -> Failure {
        let Some(kept) = &mut self.kept else { return pending().await };
        let ended = kept.session.ended().await;
        let failure = failure::of_end(&ended, kept.session.farewell());
        self.kept = None;
        self.retire();
        failure
    }

    /// The kept session is given up.
    fn retire(&mut self) {
        self.canary.forget();
    }

    /// Remembers the backend of a kept session, also beyond its end.
    fn remember(&mut self, pid: i32) {
        if self.earlier.back() != Some(&pid) {
            if self.earlier.len() == MAX_EARLIER {
                self.earlier.pop_front();
            }
            self.earlier.push_back(pid);
        }
    }
}
