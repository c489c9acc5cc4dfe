//! Whether an instance comes and goes too often.
//!
//! What is counted are changes between firing and not firing, over episodes: the count
//! outlives the alert. One would get it wrong by counting within one alert, which ends with
//! the very change that is to be counted.

use std::collections::VecDeque;

use crate::base::time::Monotonic;
use crate::model::rule::Flap;

/// Changes that are remembered at most, whatever the rule asks for.
const MOST: usize = 64;

/// The newest changes of one instance.
#[derive(Clone, Debug, Default)]
pub(super) struct Flaps {
    changes: VecDeque<Monotonic>,
    pub flapping: bool,
    /// Steady since then, after a restart, while no change is known.
    steady: Monotonic,
}

impl Flaps {
    /// One that was flapping before a restart.
    pub fn resumed(now: Monotonic) -> Self {
        Self { changes: VecDeque::new(), flapping: true, steady: now }
    }

    /// Counts a change; whether flapping begins with it.
    pub fn count(&mut self, rule: &Flap, now: Monotonic) -> bool {
        let wanted = (rule.changes as usize).clamp(1, MOST);
        while self.changes.len() >= wanted {
            self.changes.pop_front();
        }
        self.changes.push_back(now);
        self.steady = now;
        let within = self.changes.iter().filter(|at| now.since(**at) <= rule.window).count();
        let begins = !self.flapping && within >= wanted;
        self.flapping |= begins;
        begins
    }

    /// Steady for as long as the rule asks; a rule that asks no more ends it at once.
    pub fn is_over(&self, rule: Option<&Flap>, now: Monotonic) -> bool {
        rule.is_none_or(|rule| {
            let wait = if self.flapping { rule.hold } else { rule.window };
            now.since(self.steady) > wait || (self.flapping && now.since(self.steady) == wait)
        })
    }
}
