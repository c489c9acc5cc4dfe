//! An operation, step by step: from J1 to the new route, or back.
//!
//! ```text
//! switchover: holding -> drain the head -> the candidate replayed all -> begin
//! begin (J1): no route; cut every standby that answers
//! choose, see `decide`; intent (J4): promote the candidate and no other in this epoch
//! verify: writable, same cluster, timeline that left the old one at the right place
//! route (J6): the new head
//! ```
//! After a crash the step that was durable says how far outside effects may have got;
//! [`Core::operate`] goes on from the looks, not from memory. Giving up only takes the
//! operation away: what was cut or fenced is remembered per member and put back by
//! `reconcile`, for as long as that takes.

use std::time::Duration;

use super::core::{AGAIN, Core};
use super::event::{Action, Answer, CallError, Effect, Happening, Sealed};
use super::watch::Watch;
use crate::base::id::Name;
use crate::base::time::{Monotonic, Timestamp};
use crate::model::failover::durable::{
    CutMemory, CutStandby, Durable, FenceMemory, JournalEntry, Operation, OperationKind, Step,
};
use crate::model::failover::group::RefusalCode;
use crate::model::failover::lsn::Lsn;
use crate::model::failover::sighting::Facts;

/// Deadlines of calls.
const CUT: Duration = Duration::from_secs(2);
const FENCE: Duration = Duration::from_secs(2);
const PROMOTE: Duration = Duration::from_secs(15);
const VERIFY: Duration = Duration::from_secs(3);
/// The cause of a failover away from a primary that answers.
pub(super) const CANNOT_COMMIT: &str = "it cannot commit";
/// Transactions that run when a switchover begins have so long.
const DRAIN: Duration = Duration::from_secs(2);

/// What runs now. Not durable: after a crash it begins as `Idle`.
#[derive(Clone, PartialEq, Debug, Default)]
pub enum Work {
    #[default]
    Idle,
    Draining,
    Replaying,
    Cutting {
        cut: Vec<CutStandby>,
        /// So many of those that were asked did not say that they are cut.
        missed: u32,
    },
    /// The fence hook runs, and `chosen` takes over once it has proved the old primary off.
    Proving {
        chosen: CutStandby,
        proved: bool,
    },
    Promoting,
    Verifying,
    /// Something did not work; again then.
    Waiting {
        until: Monotonic,
    },
}

/// What a call is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    Cut,
    Fence,
    Hook,
    Drain,
    Replay,
    Promote,
    Verify,
    Restore,
    Repoint,
    Unfence,
    SyncNames,
    Rejoin,
}

/// What follows a commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum After {
    Nothing,
    /// Switchover: drain the head.
    Hold,
    /// J1: cut.
    Cut,
    /// J3: the fence hook, for this one to take over.
    Prove(CutStandby),
    /// J4: promote.
    Promote,
    /// J6 and adoption: another head.
    Routed,
    /// An operation was given up.
    GivenUp,
    /// An operator takes a member back.
    Unfence {
        member: Name,
        sync_names: String,
    },
}

/// How an operation begins.
#[derive(Clone, Debug)]
pub struct Begin {
    pub kind: OperationKind,
    pub cause: String,
    pub to: Option<Name>,
    pub forced: bool,
}

impl Begin {
    pub const fn by_evidence(cause: String) -> Self {
        Self { kind: OperationKind::Failover, cause, to: None, forced: false }
    }
}

impl Core {
    pub(super) fn entry(epoch: u64, step: &str, detail: String, at: Timestamp) -> JournalEntry {
        JournalEntry { epoch, step: step.to_owned(), detail, at }
    }

    /// J1; for independent databases J1 and J4 in one, since nothing is cut.
    pub(super) fn begin(&mut self, begin: Begin, now: Monotonic, wall: Timestamp, out: &mut Vec<Effect>) {
        let mut durable = self.durable.clone();
        durable.epoch += 1;
        durable.down = self.down;
        let mut operation = self.operation(begin, Step::Begun, durable.epoch, now, wall);
        let from = operation.from.as_ref().map_or("nobody", |head| head.member.as_str());
        let begun = format!("away from {from}: {}", operation.cause);
        let mut entries = vec![Self::entry(durable.epoch, "begin", begun, wall)];
        if self.is_switch() {
            let chosen = operation.to.clone().or_else(|| Some(self.would_promote().ok()?.0));
            let Some(candidate) = chosen else { return };
            entries.push(Self::entry(durable.epoch, "intent", format!("switch to {candidate}"), wall));
            operation.candidate = Some(candidate);
            operation.step = Step::Intent;
            durable.operation = Some(operation);
            self.stage(durable, entries, After::Promote, out);
            return;
        }
        self.remember_cuts(&mut durable);
        if fences_first(&operation) {
            self.remember_fence(&mut durable);
        }
        durable.operation = Some(operation);
        self.stage(durable, entries, After::Cut, out);
    }

    pub(super) fn operation(
        &self,
        begin: Begin,
        step: Step,
        epoch: u64,
        now: Monotonic,
        wall: Timestamp,
    ) -> Operation {
        let (last_lsn, reach) = self.reach(now);
        Operation {
            kind: begin.kind,
            epoch,
            step,
            from: self.durable.head.clone(),
            to: begin.to,
            cause: begin.cause,
            forced: begin.forced,
            last_lsn,
            reach,
            cut: Vec::new(),
            candidate: None,
            intent: Lsn(0),
            started: wall,
            noticed_ms: self.down.map_or(0, |since| wall.since(since).as_millis() as u64),
        }
    }

    /// Before anything is cut, what it takes to undo it.
    fn remember_cuts(&self, durable: &mut Durable) {
        let epoch = durable.epoch;
        for (member, watch) in self.standbys() {
            let Some(Sealed(conninfo)) = &watch.conninfo else { continue };
            let memory = durable.members.entry(member.clone()).or_default();
            match &mut memory.cut {
                // Cut before and not put back yet: that is the one to put back.
                Some(cut) => cut.epoch = epoch,
                None => memory.cut = Some(CutMemory { epoch, conninfo: conninfo.clone() }),
            }
        }
    }

    fn remember_fence(&self, durable: &mut Durable) {
        let Some(head) = self.durable.head.as_ref().map(|head| head.member.clone()) else { return };
        let sync_names =
            self.watches.get(&head).and_then(Watch::last_facts).map(|facts| facts.sync_names.clone());
        let memory = durable.members.entry(head).or_default();
        let epoch = durable.epoch;
        if memory.fence.is_none() {
            memory.fence = Some(FenceMemory { epoch, sync_names: sync_names.unwrap_or_default() });
        }
    }

    /// Switchover: first the head is made read-only. The epoch stays.
    pub(super) fn hold(&mut self, begin: Begin, now: Monotonic, wall: Timestamp, out: &mut Vec<Effect>) {
        let mut durable = self.durable.clone();
        let operation = self.operation(begin, Step::Holding, durable.epoch, now, wall);
        let to = operation.to.as_ref().map_or("", Name::as_str).to_owned();
        durable.epoch += 1;
        self.remember_fence(&mut durable);
        durable.epoch -= 1;
        durable.operation = Some(operation);
        let entry = Self::entry(durable.epoch, "hold", format!("switching over to {to}"), wall);
        self.stage(durable, vec![entry], After::Hold, out);
    }

    pub(super) fn after_commit(
        &mut self,
        after: After,
        now: Monotonic,
        wall: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        match after {
            After::Nothing => {}
            After::Unfence { member, sync_names } => {
                let within = self.settings.timeout * 3;
                self.call(&member, Purpose::Unfence, Action::Unfence { sync_names }, within, out);
            }
            After::Hold => self.drain(out),
            After::Cut => {
                self.reach_further(now);
                // Written so late that nobody was looked at since: as after a crash.
                if self.all_looked() { self.cut(out) } else { self.work = Work::Idle }
            }
            After::Prove(chosen) => self.prove(chosen, out),
            After::Promote => self.promote(now, wall, out),
            After::Routed => self.routed(now, out),
            After::GivenUp => {
                self.work = Work::Idle;
                self.changed = now;
                self.look_at_all(out);
            }
        }
    }

    fn drain(&mut self, out: &mut Vec<Effect>) {
        let Some(head) = self.durable.head.as_ref().map(|head| head.member.clone()) else { return };
        self.work = Work::Draining;
        if let Some(watch) = self.watches.get_mut(&head) {
            watch.unfenced = None;
        }
        // The fence of before may be coming off: it is needed again, and so is its memory.
        self.calls.clear();
        let within = self.settings.hold_max.max(DRAIN);
        let action = Action::Drain { epoch: self.durable.epoch + 1, drain: DRAIN };
        self.call(&head, Purpose::Drain, action, within, out);
    }

    fn cut(&mut self, out: &mut Vec<Effect>) {
        self.work = Work::Cutting { cut: Vec::new(), missed: 0 };
        // Whatever was being put back is cut again, and to be remembered so.
        self.calls.clear();
        let Some(operation) = self.durable.operation.clone() else { return };
        // A look that failed may have been slow: it says enough only where others answer.
        let tries = self.tries_of(operation.epoch);
        let answering: Vec<_> = self.to_cut().filter(|(_, answers)| *answers).map(|(name, _)| name).collect();
        let all = tries > 0 || answering.is_empty();
        let asked = if all { self.to_cut().map(|(name, _)| name).collect() } else { answering };
        for member in asked {
            self.call(&member, Purpose::Cut, Action::Cut, CUT * (tries + 1), out);
        }
        let fences = fences_first(&operation);
        let Some(from) = operation.from.map(|head| head.member) else { return };
        if let Some(watch) = self.watches.get_mut(&from) {
            watch.unfenced = None;
        }
        if fences {
            self.call(&from, Purpose::Fence, Action::Fence { epoch: operation.epoch }, FENCE, out);
        }
    }

    /// The standbys that a cut can be undone of, and whether each answers.
    fn to_cut(&self) -> impl Iterator<Item = (Name, bool)> {
        let fit = |(member, watch): (&Name, &Watch)| {
            let remembered = self.durable.members.get(member).is_some_and(|memory| memory.cut.is_some());
            let standby = watch.last_facts().is_some_and(|facts| !facts.is_primary());
            (remembered && standby).then(|| (member.clone(), watch.current().is_some()))
        };
        self.standbys().filter_map(fit)
    }

    /// So often the cut of this epoch was tried in vain, in this run.
    pub(super) fn tries_of(&self, epoch: u64) -> u32 {
        self.tries.filter(|(of, _)| *of == epoch).map_or(0, |(_, tries)| tries)
    }

    /// The candidate of an intent may have been rebuilt by somebody before it was promoted.
    fn is_still_of_the_lineage(&self, facts: &Facts) -> bool {
        let from = self.durable.operation.as_ref().and_then(|operation| operation.from.as_ref());
        from.is_none_or(|from| facts.system_id == from.system_id && facts.timeline == from.timeline)
    }

    fn promote(&mut self, now: Monotonic, wall: Timestamp, out: &mut Vec<Effect>) {
        let candidate = self.durable.operation.as_ref().and_then(|operation| operation.candidate.clone());
        let Some(candidate) = candidate else { return };
        self.shoot(out);
        if self.is_switch() {
            self.work = Work::Verifying;
            self.call(&candidate, Purpose::Verify, Action::Verify, VERIFY, out);
            return;
        }
        match self.watches.get(&candidate).and_then(Watch::current).cloned() {
            Some(facts) if facts.is_primary() => {
                self.work = Work::Verifying;
                if !facts.sync_names.is_empty() {
                    // Promoted by another hand: the verifying commit would wait for nobody.
                    let names = String::new();
                    self.call(&candidate, Purpose::SyncNames, Action::SyncNames { names }, VERIFY, out);
                }
                self.call(&candidate, Purpose::Verify, Action::Verify, VERIFY, out);
            }
            Some(facts) if !self.is_still_of_the_lineage(&facts) => {
                let text = format!("{candidate} was made a standby of another history meanwhile");
                self.refuse((RefusalCode::Lineage, text), wall, out);
                self.work = Work::Waiting { until: Monotonic(now.0 + AGAIN) };
            }
            Some(_) => {
                self.work = Work::Promoting;
                self.call(&candidate, Purpose::Promote, Action::Promote, PROMOTE, out);
            }
            None if self.has_just_obeyed(&candidate) => {
                self.work = Work::Promoting;
                self.call(&candidate, Purpose::Promote, Action::Promote, PROMOTE, out);
            }
            // Nobody else may be chosen: it may have been promoted already.
            None => self.work = Work::Waiting { until: Monotonic(now.0 + AGAIN) },
        }
    }

    /// Too slow for a look, and it did what the cut asked of it.
    fn has_just_obeyed(&self, candidate: &Name) -> bool {
        let Some(operation) = &self.durable.operation else { return false };
        let Some(watch) = self.watches.get(candidate) else { return false };
        let since = watch.voided.unwrap_or_default();
        self.chosen == Some(operation.epoch)
            && watch
                .facts_since(since)
                .is_some_and(|facts| !facts.is_primary() && self.is_still_of_the_lineage(facts))
    }

    fn routed(&mut self, now: Monotonic, out: &mut Vec<Effect>) {
        self.work = Work::Idle;
        // A fence hook that still runs: nobody is brought back meanwhile.
        self.calls.retain(|_, (_, purpose)| *purpose == Purpose::Hook);
        self.changed = now;
        self.settled = now;
        self.verified = true;
        self.suspect = None;
        self.down = None;
        self.refusal = None;
        self.void = now;
        for watch in self.watches.values_mut() {
            watch.void(now);
            watch.mark = None;
            watch.idle_since = None;
            watch.told = None;
            watch.hooked = None;
            watch.writable_since = None;
        }
        if let Some(last) = &self.durable.last {
            out.push(Effect::Tell(Happening::Switched(last.clone())));
        }
        self.look_at_all(out);
    }

    /// Goes on with the operation; also the resume table after a crash.
    pub(super) fn operate(&mut self, now: Monotonic, wall: Timestamp, out: &mut Vec<Effect>) {
        let Some(operation) = self.durable.operation.clone() else { return };
        if let Work::Waiting { until } = self.work {
            if now < until {
                return;
            }
            self.work = Work::Idle;
        }
        // While the fence hook runs it may be turned off at any moment.
        let undecided = operation.step < Step::Intent && !matches!(self.work, Work::Proving { .. });
        if undecided && operation.kind == OperationKind::Failover && self.head_is_back() {
            let text = String::from("the old primary serves again");
            self.give_up((RefusalCode::Failed, text), now, wall, out);
            return;
        }
        match (&self.work, operation.step) {
            (Work::Idle, Step::Holding) => {
                let text = String::from("the agent was restarted in the middle of it");
                self.give_up((RefusalCode::RolledBack, text), now, wall, out);
            }
            (Work::Idle, Step::Begun | Step::Cut) if self.all_looked() => {
                self.resume_cut(&operation, now, wall, out)
            }
            (Work::Idle, Step::Intent) => self.promote(now, wall, out),
            (Work::Cutting { cut, missed }, _) => {
                let (cut, missed) = (cut.clone(), *missed);
                self.cut_done(operation, cut, missed, now, wall, out);
            }
            (Work::Proving { chosen, proved }, _) => {
                let (chosen, proved) = (chosen.clone(), *proved);
                self.proof_done(operation, chosen, proved, now, wall, out);
            }
            _ => {}
        }
    }

    fn all_looked(&self) -> bool {
        let since = self.started.max(self.void);
        self.watches.values().all(|watch| watch.looked_since(since))
    }

    /// After a crash, a stall or a cut in vain between J1 and J4 nobody was promoted: go on, or give up if the old
    /// primary serves.
    fn resume_cut(&mut self, operation: &Operation, now: Monotonic, wall: Timestamp, out: &mut Vec<Effect>) {
        if operation.kind == OperationKind::Switchover || self.head_is_back() {
            let text = String::from("the agent was held up in the middle of it");
            self.give_up((RefusalCode::RolledBack, text), now, wall, out);
            return;
        }
        self.cut(out);
    }

    /// The head of before serves, in a look that was asked after the trouble.
    fn head_is_back(&self) -> bool {
        let Some(watch) = self.head_watch() else { return false };
        let since = self.suspect.unwrap_or(self.started).max(self.void);
        let cause = self.durable.operation.as_ref().map(|operation| operation.cause.as_str());
        // That one answered all the while.
        let commits = watch.canary_failed.is_none() && watch.canary_ok.is_some_and(|at| at >= since);
        (commits || cause != Some(CANNOT_COMMIT))
            && watch.current().is_some()
            && watch.facts_since(since).is_some_and(|facts| facts.is_primary() && facts.fence().is_none())
            && self.not_head(watch).is_none()
    }

    pub(super) fn done(
        &mut self,
        member: &Name,
        purpose: Purpose,
        result: Result<Answer, CallError>,
        now: Monotonic,
        wall: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        if matches!(purpose, Purpose::Cut | Purpose::Fence | Purpose::Drain)
            && self.durable.operation.is_none()
        {
            // Of an operation that was given up: looks from before do not show it.
            self.changed = now;
        }
        match (purpose, result) {
            (Purpose::Cut, Ok(Answer::Cut { timeline, received, replayed })) => {
                if let Work::Cutting { cut, .. } = &mut self.work {
                    cut.push(CutStandby { member: member.clone(), timeline, received, replayed });
                }
            }
            (Purpose::Cut, _) => {
                if let Work::Cutting { missed, .. } = &mut self.work {
                    *missed += 1;
                }
            }
            (Purpose::Fence, Ok(_)) if self.durable.operation.is_none() => {
                // Whether it holds is to be seen at once.
                out.push(Effect::Look {
                    member: member.clone(),
                    after: Duration::ZERO,
                    fresh: false,
                    canary: false,
                });
            }
            (Purpose::Hook, Ok(_)) => {
                if let Work::Proving { proved, .. } = &mut self.work {
                    *proved = true;
                }
            }
            (Purpose::Fence, _) => {}
            (Purpose::Drain, _) if self.work != Work::Draining => {}
            (Purpose::Drain, result) => self.drained(result, now, wall, out),
            (Purpose::Replay, result) => self.replayed(result, now, wall, out),
            (Purpose::Promote, Ok(_)) => {
                self.work = Work::Verifying;
                self.call(member, Purpose::Verify, Action::Verify, VERIFY, out);
            }
            (Purpose::Verify, Ok(Answer::Verified { system_id, timeline, ancestry, lsn: _ })) => {
                self.verify(member, system_id, timeline, &ancestry, now, wall, out);
            }
            (Purpose::Promote | Purpose::Verify, result) => {
                self.did_not(member, result.err().map(|error| error.detail), now, wall, out);
            }
            (Purpose::Unfence, Ok(_)) => self.unfenced(member, now, wall, out),
            (Purpose::Restore, Ok(_)) => self.restored(member, out),
            (_, Ok(_)) => {}
            (purpose, Err(error)) => {
                let text = format!("{member}: {purpose:?} did not work: {}", error.detail);
                out.push(Effect::Tell(Happening::Trouble { detail: text }));
            }
        }
    }

    fn drained(
        &mut self,
        result: Result<Answer, CallError>,
        now: Monotonic,
        wall: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let to = self.durable.operation.as_ref().and_then(|operation| operation.to.clone());
        match (result, to) {
            (Ok(Answer::Drained { lsn, .. }), Some(to)) => {
                self.work = Work::Replaying;
                if let Some(operation) = &mut self.durable.operation {
                    // The end of its log; written with the next commit.
                    operation.last_lsn = Some(lsn);
                    operation.reach = Some(lsn);
                }
                self.call(&to, Purpose::Replay, Action::Replay { lsn }, self.settings.hold_max, out);
            }
            (result, _) => {
                let text =
                    result.err().map_or_else(|| String::from("it did not drain"), |error| error.detail);
                self.give_up((RefusalCode::RolledBack, text), now, wall, out);
            }
        }
    }

    fn replayed(
        &mut self,
        result: Result<Answer, CallError>,
        now: Monotonic,
        wall: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        if let Err(error) = result {
            let text = format!("the candidate did not catch up: {}", error.detail);
            self.give_up((RefusalCode::RolledBack, text), now, wall, out);
            return;
        }
        let Some(mut operation) = self.durable.operation.clone() else { return };
        let mut durable = self.durable.clone();
        durable.epoch += 1;
        operation.epoch = durable.epoch;
        operation.step = Step::Begun;
        let entry = Self::entry(durable.epoch, "begin", operation.cause.clone(), wall);
        self.remember_cuts(&mut durable);
        durable.operation = Some(operation);
        self.stage(durable, vec![entry], After::Cut, out);
    }

    /// The candidate did not do it, or did not say so: again, and the same one.
    fn did_not(
        &mut self,
        member: &Name,
        why: Option<String>,
        now: Monotonic,
        wall: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let why = why.unwrap_or_else(|| String::from("an unexpected answer"));
        if self.is_switch() {
            // Nothing was done to it: another may be tried, in another epoch.
            self.give_up((RefusalCode::Failed, format!("{member}: {why}")), now, wall, out);
            return;
        }
        // From now on only a look says that it may still be promoted.
        self.chosen = None;
        out.push(Effect::Tell(Happening::Trouble { detail: format!("{member} is not promoted yet: {why}") }));
        self.work = Work::Waiting { until: Monotonic(now.0 + AGAIN) };
        out.push(Effect::Look { member: member.clone(), after: Duration::ZERO, fresh: true, canary: false });
    }
}

/// The old primary may answer and take writes: it is fenced with the cut, as far as that works.
fn fences_first(operation: &Operation) -> bool {
    operation.kind == OperationKind::Forced || operation.cause == CANNOT_COMMIT
}
