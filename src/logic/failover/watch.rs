//! What the looks at one member showed, as far as decisions need it.
//!
//! A look counts by the time at which it was asked, not at which it was answered:
//! an answer that was on its way while the world changed tells of the world
//! before. Looks that were asked before a mark (a change of the active member, a
//! late tick of our own) are void.

use crate::base::time::Monotonic;
use crate::model::failover::lsn::{Fork, Lsn};
use crate::model::failover::sighting::{Facts, Failure, FailureClass, Sighting, Standing};

use super::event::Sealed;
use super::work::Purpose;

/// Failures kept: the first, which says since when, and the newest.
const KEPT: usize = 8;
/// What is left of the greatest pace after one look more.
const FORGET: f64 = 0.995;

#[derive(Clone, PartialEq, Debug)]
pub struct Failed {
    pub asked: Monotonic,
    pub at: Monotonic,
    pub failure: Failure,
    /// It was the end of an established connection.
    pub witnessed: bool,
}

/// See the module.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Watch {
    /// The newest facts, and when they were asked for.
    pub facts: Option<(Monotonic, Facts)>,
    /// Since the newest facts.
    pub failures: Vec<Failed>,
    /// All failures since the newest facts.
    pub failed: u32,
    /// When it first said, since the newest facts, that it stops or starts, and how. Not to be
    /// read from the failures, which are forgotten while that goes on.
    pub told_at: Option<(Monotonic, String)>,
    /// When the newest look was asked.
    pub asked: Option<Monotonic>,
    /// Two looks between which its received position moved: when the earlier was asked.
    pub advanced: Option<Monotonic>,
    /// The newest position of a primary that moved, and when it was asked.
    pub moved: Option<Monotonic>,
    /// The greatest pace of its log in the last looks, bytes per second.
    pub pace: f64,
    /// Two looks gave a pace.
    pub paced: bool,
    /// How the primary calls it; kept while it follows nobody.
    pub application_name: Option<String>,
    pub slot: Option<String>,
    pub conninfo: Option<Sealed>,
    /// The position of the head when it was first seen to stream from it.
    pub mark: Option<Lsn>,
    /// Since when its canary has failed.
    pub canary_failed: Option<Monotonic>,
    /// When a canary last committed.
    pub canary_ok: Option<Monotonic>,
    /// Since when it has not streamed while it should.
    pub idle_since: Option<Monotonic>,
    /// What the agent last told it on its own account, and when.
    pub told: Option<(Purpose, Monotonic)>,
    /// When the rejoin hook was last begun for it: what it is told since takes nothing from the
    /// wait for the next one.
    pub hooked: Option<Monotonic>,
    /// Facts that were asked for before say nothing of now.
    pub voided: Option<Monotonic>,
    /// Since when it has been a primary without the agent's fence in every look that said something.
    pub writable_since: Option<Monotonic>,
    /// When a call last took the agent's fence off.
    pub unfenced: Option<Monotonic>,
    /// When a fresh connection, and when a canary was last asked for.
    pub fresh: Option<Monotonic>,
    pub canary_asked: Option<Monotonic>,
}

impl Watch {
    /// Takes in a look, unless it is older than what is known or void.
    pub fn take(&mut self, asked: Monotonic, now: Monotonic, void: Monotonic, sighting: Sighting) {
        if asked < void || self.asked.is_some_and(|newest| asked < newest) {
            return;
        }
        self.asked = Some(asked);
        match sighting {
            Sighting::Answered(facts) => self.answered(asked, now, facts),
            Sighting::Failed(failure) => self.fail(Failed { asked, at: now, failure, witnessed: false }),
        }
    }

    /// The kept connection ended.
    pub fn lose(&mut self, now: Monotonic, failure: Failure) {
        self.fail(Failed { asked: now, at: now, failure, witnessed: true });
    }

    fn answered(&mut self, asked: Monotonic, now: Monotonic, mut facts: Facts) {
        if let Some((before, old)) = &self.facts {
            let seconds = asked.since(*before).as_secs_f64();
            if seconds > 0.0 && facts.timeline == old.timeline {
                let pace = facts.lsn().since(old.lsn()) as f64 / seconds;
                // Forgotten slowly, so that a burst is remembered for a while.
                self.pace = pace.max(self.pace * FORGET);
                self.paced = true;
            }
            if facts.lsn() > old.lsn() && facts.timeline == old.timeline {
                self.advanced = Some(*before);
                self.moved = Some(asked);
            }
            if facts.ancestry.is_none() && facts.timeline == old.timeline && facts.system_id == old.system_id
            {
                facts.ancestry.clone_from(&old.ancestry);
            }
        } else {
            self.moved = Some(asked);
        }
        if let Standing::Standby { upstream, streaming, .. } = &facts.standing {
            if let Some(upstream) = upstream {
                self.application_name = Some(upstream.application_name.clone());
                self.slot.clone_from(&upstream.slot);
            }
            if *streaming {
                self.idle_since = None;
            } else {
                self.idle_since.get_or_insert(asked);
            }
        } else {
            self.idle_since = None;
        }
        match facts.canary {
            Some(true) => {
                self.canary_failed = None;
                self.canary_ok = Some(asked);
            }
            Some(false) => drop(self.canary_failed.get_or_insert(asked)),
            None => {}
        }
        if facts.is_primary() && !facts.is_fenced() {
            // A server that hung answers late what it was asked long ago.
            self.writable_since.get_or_insert(now);
        } else {
            self.writable_since = None;
        }
        self.failures.clear();
        self.failed = 0;
        self.told_at = None;
        self.facts = Some((asked, facts));
    }

    fn fail(&mut self, failed: Failed) {
        self.failed = self.failed.saturating_add(1);
        if !matches!(failed.failure.class, FailureClass::Silent | FailureClass::Unreachable) {
            // Not even those who reach it can write.
            self.writable_since = None;
        }
        if matches!(failed.failure.class, FailureClass::Stopping | FailureClass::Recovering) {
            self.told_at.get_or_insert_with(|| (failed.at, failed.failure.detail.clone()));
        }
        if self.failures.len() == KEPT {
            // The first says since when.
            self.failures.remove(1);
        }
        self.failures.push(failed);
    }

    /// Forgets what speaks against it: it was not to be trusted. What spoke for it is old.
    pub fn void(&mut self, now: Monotonic) {
        self.voided = Some(now);
        self.failures.clear();
        self.failed = 0;
        self.told_at = None;
        self.canary_failed = None;
        self.advanced = None;
    }

    /// Counts the failures from now: the newest one stays, as the first.
    pub fn begin_again(&mut self, now: Monotonic) {
        let last = self.failures.pop();
        self.failures.clear();
        self.failures.extend(last.map(|last| Failed { asked: now, at: now, witnessed: false, ..last }));
        self.failed = 1;
        if let Some((at, _)) = &mut self.told_at {
            *at = now;
        }
        self.advanced = None;
    }

    /// The newest facts when nothing failed since, and nothing made them void.
    pub fn current(&self) -> Option<&Facts> {
        let (asked, facts) = self.facts.as_ref()?;
        let valid = self.failures.is_empty() && self.voided.is_none_or(|voided| *asked >= voided);
        valid.then_some(facts)
    }

    pub fn last_facts(&self) -> Option<&Facts> {
        self.facts.as_ref().map(|(_, facts)| facts)
    }

    /// Facts that were asked for at or after `since`.
    pub fn facts_since(&self, since: Monotonic) -> Option<&Facts> {
        self.facts.as_ref().filter(|(asked, _)| *asked >= since).map(|(_, facts)| facts)
    }

    /// Whether a look that was asked at or after `since` has ended.
    pub fn looked_since(&self, since: Monotonic) -> bool {
        self.asked.is_some_and(|asked| asked >= since)
    }

    /// A standby that streams now, as far as it can be seen.
    pub fn streams(&self) -> bool {
        matches!(self.current().map(|facts| &facts.standing), Some(Standing::Standby { streaming: true, .. }))
    }

    pub fn first_failure(&self) -> Option<&Failed> {
        self.failures.first()
    }

    pub fn last_class(&self) -> Option<FailureClass> {
        self.failures.last().map(|failed| failed.failure.class)
    }

    /// The line of its history that says how it left `timeline`.
    pub fn left(&self, timeline: u32) -> Option<Fork> {
        let ancestry = self.last_facts()?.ancestry.as_ref()?;
        ancestry.iter().find(|fork| fork.timeline == timeline).copied()
    }
}
