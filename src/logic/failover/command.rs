//! What operators ask for.
//!
//! The answer comes once the beginning is durable; what becomes of it is in the state
//! and the journal.

use super::core::Core;
use super::event::{Command, Effect};
use super::evidence::Verdict;
use super::judge::{No, SWITCHOVER_LAG};
use super::watch::Watch;
use super::work::{After, Begin};
use crate::base::id::Name;
use crate::base::time::{Monotonic, Timestamp};
use crate::model::failover::durable::{Durable, OperationKind, Pause, Step};
use crate::model::failover::group::{Mode, RefusalCode};
use crate::model::failover::sighting::Facts;

impl Core {
    pub(super) fn command(
        &mut self,
        id: u64,
        command: Command,
        now: Monotonic,
        wall: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let busy = match &self.durable.operation {
            _ if self.staged.is_some() => Some(String::from("another change is being written, try again")),
            Some(operation) => {
                let stuck = operation.step == Step::Intent && is_forced(&command);
                (!stuck).then(|| format!("an operation of epoch {} runs", operation.epoch))
            }
            None => None,
        };
        let done = match busy {
            Some(text) => Err((RefusalCode::Busy, text)),
            None => self.obey(command, now, wall, out),
        };
        match done {
            Ok(()) if self.staged.is_some() => self.replying = Some(id),
            Ok(()) => out.push(Effect::Reply { id, result: Ok(()) }),
            Err(no) => out.push(Effect::Reply { id, result: Err(Self::refusal(no, wall)) }),
        }
    }

    fn obey(
        &mut self,
        command: Command,
        now: Monotonic,
        wall: Timestamp,
        out: &mut Vec<Effect>,
    ) -> Result<(), No> {
        let mut durable = self.durable.clone();
        let (step, detail) = match command {
            Command::Pause { until } => {
                durable.paused = Some(Pause { until });
                let text = until.map_or_else(String::new, |until| format!("until {}", until.rfc3339()));
                ("paused", text)
            }
            Command::Resume => {
                self.accepted = true;
                self.refusal = None;
                self.wait_until = now;
                durable.paused = None;
                ("resumed", String::new())
            }
            Command::Enable | Command::Disable => {
                durable.disabled = command == Command::Disable;
                self.look_at_all(out);
                (if durable.disabled { "disabled" } else { "enabled" }, String::new())
            }
            Command::Switchover { to } => return self.switch_over(to, now, wall, out),
            Command::Failover { to, force, accept_data_loss } => {
                return self.force(to, force && accept_data_loss, now, wall, out);
            }
            Command::Unfence { member } => return self.take_back(&member, durable, wall, out),
        };
        let entry = Self::entry(durable.epoch, step, detail, wall);
        self.stage(durable, vec![entry], After::Nothing, out);
        Ok(())
    }

    fn switch_over(
        &mut self,
        to: Option<Name>,
        now: Monotonic,
        wall: Timestamp,
        out: &mut Vec<Effect>,
    ) -> Result<(), No> {
        let to = self.checked(to)?;
        self.judge_before(true, now, wall)?;
        if !self.verified || self.verdict(now) != Verdict::Healthy {
            let text = format!("{}; a switchover needs a healthy primary", self.explain(now));
            return Err((RefusalCode::Failed, text));
        }
        let to = match to {
            Some(to) => to,
            None => self.would_promote()?.0,
        };
        let candidate = self.watches.get(&to).and_then(Watch::current).map(Facts::lsn);
        let head = self.head_watch().and_then(Watch::current).map(Facts::lsn);
        let lag = head.zip(candidate).map_or(0, |(head, candidate)| head.since(candidate));
        let cause = String::from("switchover by an operator");
        let begin = Begin { kind: OperationKind::Switchover, cause, to: Some(to.clone()), forced: false };
        if self.is_switch() {
            self.begin(begin, now, wall, out);
            return Ok(());
        }
        if lag > SWITCHOVER_LAG {
            return Err((RefusalCode::LagExceeded, format!("{to} is {lag} bytes behind")));
        }
        if !self.watches.get(&to).is_some_and(Watch::streams) {
            return Err((RefusalCode::NotAttached, format!("{to} does not stream from the primary")));
        }
        self.hold(begin, now, wall, out);
        Ok(())
    }

    fn force(
        &mut self,
        to: Option<Name>,
        forced: bool,
        now: Monotonic,
        wall: Timestamp,
        out: &mut Vec<Effect>,
    ) -> Result<(), No> {
        let to = self.checked(to)?;
        self.judge_before(true, now, wall)?;
        let cause = String::from("failover by an operator");
        self.work = super::work::Work::Idle;
        self.calls.clear();
        self.begin(Begin { kind: OperationKind::Forced, cause, to, forced }, now, wall, out);
        Ok(())
    }

    /// A member that may be asked to take over.
    fn checked(&self, to: Option<Name>) -> Result<Option<Name>, No> {
        let Some(member) = to else { return Ok(None) };
        if !self.settings.members.contains(&member) {
            let known: Vec<_> = self.settings.members.iter().map(Name::as_str).collect();
            let text = format!("{member} is no member of the group, expected one of {}", known.join(", "));
            return Err((RefusalCode::NoCandidate, text));
        }
        if self.durable.head.as_ref().is_some_and(|head| head.member == member) {
            return Err((RefusalCode::NoCandidate, format!("{member} is active already")));
        }
        let candidates = self.candidates();
        match candidates.into_iter().find(|(name, _)| *name == member) {
            Some((_, Err(no))) => Err(no),
            _ => Ok(Some(member)),
        }
    }

    /// Takes the fence off a member and trusts it again: only what is no rival of the head.
    fn take_back(
        &mut self,
        member: &Name,
        mut durable: Durable,
        wall: Timestamp,
        out: &mut Vec<Effect>,
    ) -> Result<(), No> {
        let Some(watch) = self.watches.get(member) else {
            return Err((RefusalCode::NoCandidate, format!("{member} is no member of the group")));
        };
        if self.durable.disabled || self.is_paused(wall) {
            return Err((RefusalCode::Paused, String::from("the group is paused")));
        }
        if self.settings.mode == Mode::Router {
            let text = String::from("the group only follows the primary and changes no server");
            return Err((RefusalCode::Manual, text));
        }
        if let Some(text) = self.other_hand() {
            return Err((RefusalCode::AnotherAgent, text));
        }
        let rival = watch.last_facts().is_some_and(|facts| facts.is_primary());
        let head = self.durable.head.as_ref().is_some_and(|head| head.member == *member);
        // Without a head nobody is its rival, and one that is fenced is never made one.
        if rival && !head && self.durable.head.is_some() && !self.is_switch() {
            let text = format!("{member} is a primary beside the head: it must follow the head first");
            return Err((RefusalCode::Lineage, text));
        }
        let memory = durable.members.entry(member.clone()).or_default();
        memory.superseded = None;
        // That of the head is forgotten once it is seen to be gone: nobody else would take it off.
        let fence = if head { memory.fence.clone() } else { memory.fence.take() };
        let sync_names = fence.map(|fence| fence.sync_names).unwrap_or_default();
        let entry = Self::entry(durable.epoch, "unfenced", format!("{member}, by an operator"), wall);
        self.stage(durable, vec![entry], After::Unfence { member: member.clone(), sync_names }, out);
        Ok(())
    }
}

const fn is_forced(command: &Command) -> bool {
    matches!(command, Command::Failover { force: true, accept_data_loss: true, .. })
}
