//! From the cut to the intent: who takes over, and when the fence hook may run.
//!
//! The hook turns the old primary off for good, so it runs only when nothing can lead back to it:
//!
//! | group | the hook runs | waited for |
//! |---|---|---|
//! | `tier = "fenced"` | once the candidate is chosen and that is durable (J3); the operation is given up only when the proof fails | yes, no intent (J4) without it |
//! | any other | beside the promotion, after the intent (J4) | no |
//! | independent databases, switchovers | never: the old primary may be kept, or helps | |
//!
//! Wrong would be to run it beside the cut: too few standbys may be stopped, and the old primary,
//! which then stays the head, would have been shot.

use std::time::Duration;

use super::core::{AGAIN, Core};
use super::event::{Action, Effect, Happening};
use super::judge::{No, at};
use super::work::{After, Purpose, Work};
use crate::base::time::{Monotonic, Timestamp};
use crate::model::failover::durable::{CutStandby, Operation, OperationKind, Step};
use crate::model::failover::group::RefusalCode;

/// For the fence hook: what switches a host off may take as long as its management board.
const HOOK: Duration = Duration::from_secs(20);

/// After a failover that was given up because standbys did not answer, for so many of them.
const SOON: Duration = Duration::from_secs(1);
const PROMPT: u32 = 8;

impl Core {
    /// Every cut is answered: choose, or undo.
    pub(super) fn cut_done(
        &mut self,
        mut operation: Operation,
        cut: Vec<CutStandby>,
        missed: u32,
        now: Monotonic,
        wall: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let asked = |wanted: Purpose| self.calls.values().any(|(_, purpose)| *purpose == wanted);
        if asked(Purpose::Cut) || asked(Purpose::Fence) {
            return;
        }
        operation.cut = cut;
        let chosen = match self.choose(&operation) {
            Ok(chosen) => chosen,
            Err(no) => return self.cut_in_vain(no, &operation, missed, now, wall, out),
        };
        self.chosen = Some(operation.epoch);
        if !self.settings.fenced || operation.kind == OperationKind::Switchover {
            return self.intend(operation, chosen, wall, out);
        }
        operation.step = Step::Cut;
        let entries = vec![
            Self::cut_entry(&operation, wall),
            Self::entry(operation.epoch, "fence", format!("to promote {}", chosen.member), wall),
        ];
        let mut durable = self.durable.clone();
        durable.operation = Some(operation);
        self.stage(durable, entries, After::Prove(chosen), out);
    }

    /// Too few are cut. Servers under load answer late: they are asked once more, and have longer.
    fn cut_in_vain(
        &mut self,
        no: No,
        operation: &Operation,
        missed: u32,
        now: Monotonic,
        wall: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let slow = missed > 0 || operation.cut.is_empty();
        let tries = self.tries_of(operation.epoch);
        if slow && tries == 0 && operation.kind != OperationKind::Switchover {
            self.tries = Some((operation.epoch, 1));
            out.push(Effect::Tell(Happening::Trouble { detail: format!("{}; asked again", no.1) }));
            self.work = Work::Waiting { until: Monotonic(now.0 + AGAIN) };
            return;
        }
        let before = self.refused;
        self.give_up(no, now, wall, out);
        if slow && before < PROMPT {
            // Nothing was decided: it is begun again while the primary is dead.
            self.wait_until = Monotonic(now.0 + SOON);
        }
    }

    /// J3: the old primary is to be turned off.
    pub(super) fn prove(&mut self, chosen: CutStandby, out: &mut Vec<Effect>) {
        self.work = Work::Proving { chosen, proved: false };
        self.call_fence_hook(out);
    }

    /// The hook has answered, or there is none to ask.
    pub(super) fn proof_done(
        &mut self,
        operation: Operation,
        chosen: CutStandby,
        proved: bool,
        now: Monotonic,
        wall: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        if proved {
            self.intend(operation, chosen, wall, out);
        } else if !self.calls.values().any(|(_, purpose)| *purpose == Purpose::Hook) {
            let text = String::from("the fence hook did not prove the old primary off");
            self.give_up((RefusalCode::Failed, text), now, wall, out);
        }
    }

    /// J4.
    fn intend(
        &mut self,
        mut operation: Operation,
        chosen: CutStandby,
        wall: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let text = format!("promote {} at {}", chosen.member, at(&chosen));
        let mut entries = vec![Self::entry(operation.epoch, "intent", text, wall)];
        if operation.step < Step::Cut {
            entries.insert(0, Self::cut_entry(&operation, wall));
        }
        operation.intent = at(&chosen);
        operation.candidate = Some(chosen.member);
        operation.step = Step::Intent;
        let mut durable = self.durable.clone();
        durable.operation = Some(operation);
        self.stage(durable, entries, After::Promote, out);
    }

    fn cut_entry(operation: &Operation, wall: Timestamp) -> crate::model::failover::durable::JournalEntry {
        let positions: Vec<_> =
            operation.cut.iter().map(|cut| format!("{} at {}", cut.member, at(cut))).collect();
        Self::entry(operation.epoch, "cut", positions.join(", "), wall)
    }

    /// After the intent, in groups that do not wait for it: once per operation and run of the agent.
    pub(super) fn shoot(&mut self, out: &mut Vec<Effect>) {
        let Some(operation) = &self.durable.operation else { return };
        let wanted =
            operation.kind != OperationKind::Switchover && !self.is_switch() && !self.settings.fenced;
        let epoch = operation.epoch;
        if wanted && self.shot.replace(epoch) != Some(epoch) {
            self.call_fence_hook(out);
        }
    }

    fn call_fence_hook(&mut self, out: &mut Vec<Effect>) {
        let from = self.durable.operation.as_ref().and_then(|operation| operation.from.as_ref());
        let from = from.map(|head| head.member.clone()).filter(|_| self.settings.fence_hook);
        if let Some(from) = from {
            self.call(&from, Purpose::Hook, Action::FenceHook, HOOK, out);
        }
    }

    /// Before J4 only: nobody was promoted.
    pub(super) fn give_up(&mut self, no: No, now: Monotonic, wall: Timestamp, out: &mut Vec<Effect>) {
        let mut durable = self.durable.clone();
        durable.operation = None;
        durable.down = self.down;
        let text = format!("{}: {}", no.0.word(), no.1);
        let entry = Self::entry(durable.epoch, "aborted", text, wall);
        self.back_off(now);
        self.refuse(no, wall, out);
        // What changes a server may still be carried out: until it is answered it is not forgotten.
        self.calls
            .retain(|_, (_, purpose)| matches!(purpose, Purpose::Cut | Purpose::Fence | Purpose::Drain));
        self.stage(durable, vec![entry], After::GivenUp, out);
    }
}
