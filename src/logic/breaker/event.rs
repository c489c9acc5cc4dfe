//! What a breaker is told, and what it says to that: plain data.

use std::time::Duration;

use crate::model::breaker::{BreakerCommand, BreakerReason, BreakerState, Rejected};
use crate::model::probe::OutcomeClass;

/// When it opens and for how long. All counts are at least 1.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Settings {
    /// Hard failures in a row that open it.
    pub failure_threshold: u32,
    pub window: Duration,
    /// Calls in the window before a share counts.
    pub minimum_calls: u32,
    /// 0 to 1.
    pub failure_share: f64,
    pub slow_call: Duration,
    pub slow_share: f64,
    pub open_for: Duration,
    pub max_open_for: Duration,
    pub half_open_calls: u32,
    pub close_after: u32,
    /// What one call may take; half open lasts twice that without a success.
    pub call_timeout: Duration,
}

/// How a call ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Call {
    pub class: OutcomeClass,
    pub took: Duration,
}

/// What happens to a breaker.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Event {
    /// A call asks to pass.
    Acquire,
    /// The holder of a permit says how its call ended.
    Report {
        generation: u64,
        call: Call,
    },
    /// The holder of a permit gave up.
    Cancel {
        generation: u64,
    },
    /// The supervisor's own probe, which no state holds back.
    Probe(Call),
    /// Time passed.
    Tick,
    Command(BreakerCommand),
}

/// A change of state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    pub from: BreakerState,
    pub to: BreakerState,
    pub reason: BreakerReason,
}

/// What came of an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Effects {
    /// Answers [`Event::Acquire`]: the generation of the permit, or why there is none.
    pub admission: Option<Result<u64, Rejected>>,
    /// Half open was overdue: this came before the event was judged.
    pub overdue: Option<Change>,
    /// What the event itself changed.
    pub change: Option<Change>,
}

impl Effects {
    /// The changes in their order.
    pub fn changes(&self) -> impl Iterator<Item = Change> {
        [self.overdue, self.change].into_iter().flatten()
    }

    pub(super) fn changed(change: Option<Change>) -> Self {
        Self { change, ..Self::default() }
    }
}

/// What a breaker continues from after a restart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resumed {
    pub generation: u64,
    pub state: BreakerState,
    pub attempt: u32,
    /// Failures since the last success.
    pub failures: u32,
    /// What is left of being open.
    pub remaining: Duration,
}
