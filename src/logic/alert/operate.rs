//! What an operator does to an alert: acknowledge, take that back, resolve by hand.
//!
//! A command that finds its wish fulfilled changes nothing and succeeds, so that a request
//! may be repeated. One would get it wrong by letting a manual resolve change the state
//! alone: the next evaluation finds the condition true and fires again at once.

use super::episode::{Episode, Instance};
use super::instances::RuleState;
use super::{Change, Now, WHOLE_RULE};
use crate::base::time::Timestamp;
use crate::model::alert::{Acknowledgement, Alert, AlertState, Happening, ManualResolve};

/// An operator's wish.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    Acknowledge { by: String, comment: String, until: Option<Timestamp> },
    Unacknowledge { by: String },
    Resolve { by: String, notes: String },
}

/// Why a command is not obeyed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    #[error("no alert with this id is active")]
    Unknown,
    #[error("the alert is {}: expected one that is firing, recovering, nodata or error", .0.word())]
    NotActive(AlertState),
    #[error("`until` is over already: expected a time in the future")]
    UntilOver,
}

impl RuleState {
    /// An alert that is pending or more, or whose end still has a say.
    pub fn find(&self, id: &str) -> Option<&Alert> {
        self.alerts().find(|alert| alert.id == id)
    }

    /// Does what an operator wants with the alert `id`. One that has ended and has no say any
    /// more is [`Refused::Unknown`] here: whether it was resolved already, the store knows.
    ///
    /// # Errors
    /// [`Refused`]; nothing has changed then.
    pub fn command(&mut self, id: &str, command: Command, now: Now) -> Result<Vec<Change>, Refused> {
        let named = |slot: &Instance| slot.live.as_ref().is_some_and(|live| live.alert.id == id);
        if named(&self.whole) {
            let live = self.whole.live.as_mut().ok_or(Refused::Unknown)?;
            return obey(live, command, now, true);
        }
        let found = self.instances.iter_mut().find(|(_, slot)| named(slot));
        let (key, slot) = found.ok_or(Refused::Unknown)?;
        let live = slot.live.as_mut().ok_or(Refused::Unknown)?;
        let resolves = matches!(command, Command::Resolve { .. });
        // Without a value that was beyond a level, what is resolved is that data is missing:
        // its next sample is judged as that of one never seen.
        let beyond = live.alert.value.is_some() && live.has_fired();
        let changes = obey(live, command, now, beyond && live.alert.state != AlertState::Recovering)?;
        if resolves && !live.is_held() && !(beyond && live.alert.flapping) {
            let key = key.clone();
            if beyond {
                slot.live = None;
            } else {
                self.instances.remove(&key);
            }
        }
        Ok(changes)
    }

    /// The alert that is about the rule itself.
    pub fn whole(&self) -> Option<&Alert> {
        self.alerts().find(|alert| alert.key == WHOLE_RULE)
    }
}

/// `holds`: whether a manual resolve keeps the next episode back.
pub(super) fn obey(
    live: &mut Episode,
    command: Command,
    now: Now,
    holds: bool,
) -> Result<Vec<Change>, Refused> {
    let state = live.alert.state;
    let by_hand = state == AlertState::Resolved && live.alert.manual.is_some();
    if by_hand && matches!(command, Command::Resolve { .. }) {
        return Ok(Vec::new());
    }
    // What was told and is pending again after an edit can be operated on too.
    let told = state.is_active() || (state == AlertState::Pending && live.has_fired());
    if !told {
        return Err(Refused::NotActive(state));
    }
    match command {
        Command::Acknowledge { by, comment, until } => acknowledge(live, by, comment, until, now),
        Command::Unacknowledge { by } => {
            let known = live.alert.acknowledged.is_some();
            Ok(known
                .then(|| live.rearm(now, Some(by), "the acknowledgement was taken back"))
                .into_iter()
                .collect())
        }
        Command::Resolve { by, notes } => {
            let manual = ManualResolve { by: by.clone(), at: now.wall, notes: notes.clone(), holds };
            live.alert.manual = Some(manual);
            live.enter(AlertState::Resolved, now);
            let note = (!notes.is_empty()).then_some(notes);
            Ok(vec![live.told(now, Happening::ResolvedByHand, Some(by), note)])
        }
    }
}

fn acknowledge(
    live: &mut Episode,
    by: String,
    comment: String,
    until: Option<Timestamp>,
    now: Now,
) -> Result<Vec<Change>, Refused> {
    let same = |ack: &Acknowledgement| ack.by == by && ack.comment == comment && ack.until == until;
    if live.alert.acknowledged.as_ref().is_some_and(same) {
        return Ok(Vec::new());
    }
    if until.is_some_and(|until| until <= now.wall) {
        return Err(Refused::UntilOver);
    }
    let (value, severity) = (live.alert.value, live.alert.severity);
    let ack = Acknowledgement { by, at: now.wall, comment, until, value, severity };
    Ok(vec![live.acknowledge(ack, now)])
}
