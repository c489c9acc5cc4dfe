//! A breaker that many callers share: the core of `logic/breaker`, a lock around it,
//! and permits.
//!
//! The pattern: [`Breaker::acquire`] hands out a [`Permit`]; whoever holds it makes one
//! call and reports how it ended. A permit that is dropped without a report is given
//! back, so a caller that is cancelled or panics holds nobody up. Nothing is awaited
//! and nobody is called under the lock. Wrong would be to ask whether a call may pass
//! and to count it later: between the two a whole stampede would pass.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::sync::Mutex;
use crate::base::time::{Clock, Monotonic, Timestamp};
use crate::logic::breaker::{Call, Core, Effects, Event, Resumed, Settings};
use crate::model::breaker::{
    BreakerCommand, BreakerState, BreakerTransition, BreakerView, Rejected, SavedBreaker,
};
use crate::model::probe::OutcomeClass;

/// Transitions that are remembered.
const TRANSITIONS: usize = 32;

struct Inner {
    core: Core,
    /// Wall time of the last change.
    since: Timestamp,
    last_failure: Option<Timestamp>,
    /// Newest first.
    transitions: VecDeque<BreakerTransition>,
    /// How many of them nobody has saved yet, at most all.
    unsaved: usize,
}

/// See the module. Share it through an `Arc`.
pub struct Breaker {
    inner: Mutex<Inner>,
    clock: Arc<dyn Clock>,
    /// Spreads the waits.
    seed: u64,
    /// Called after every change, outside the lock.
    changed: Box<dyn Fn() + Send + Sync>,
}

/// What is to be saved, and what changed since the last saving.
#[derive(Clone, Debug, PartialEq)]
pub struct Unsaved {
    pub saved: SavedBreaker,
    /// Oldest first.
    pub transitions: Vec<BreakerTransition>,
}

impl Breaker {
    /// One that goes on from `saved`. `seed` is any number that differs between
    /// breakers; `changed` is called after every change of state.
    pub fn new(
        settings: Settings,
        saved: Option<SavedBreaker>,
        clock: Arc<dyn Clock>,
        seed: u64,
        changed: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let (now, wall) = (clock.monotonic(), clock.now());
        let inner = match saved {
            None => Inner {
                core: Core::new(settings, now),
                since: wall,
                last_failure: None,
                transitions: VecDeque::new(),
                unsaved: 0,
            },
            Some(saved) => Inner {
                core: Core::resume(settings, resumed(&saved, wall), now),
                since: saved.entered,
                last_failure: saved.last_failure,
                transitions: saved.transitions.into_iter().take(TRANSITIONS).collect(),
                unsaved: 0,
            },
        };
        Self { inner: Mutex::new(inner), clock, seed, changed: Box::new(changed) }
    }

    /// Lets one call through, or says why not.
    ///
    /// # Errors
    /// [`Rejected`]: open, or half open with all permits out.
    pub fn acquire(&self) -> Result<Permit<'_>, Rejected> {
        let now = self.clock.monotonic();
        if let Some(generation) = self.with(|inner| inner.core.pass()) {
            return Ok(Permit { breaker: self, generation, began: now, open: true });
        }
        let effects = self.step(Event::Acquire, now, None);
        match effects.admission {
            Some(Ok(generation)) => Ok(Permit { breaker: self, generation, began: now, open: true }),
            Some(Err(rejected)) => Err(rejected),
            None => Err(Rejected { state: self.state(), retry_in: None }),
        }
    }

    /// The supervisor's own probe ended so, which had no permit.
    pub fn probed(&self, call: Call) {
        self.note_failure(call.class);
        self.step(Event::Probe(call), self.clock.monotonic(), None);
    }

    /// An operator, `by`, says what it shall do. Returns whether that changed anything.
    pub fn tell(&self, command: BreakerCommand, by: &str) -> bool {
        let effects = self.step(Event::Command(command), self.clock.monotonic(), Some(by));
        effects.change.is_some()
    }

    /// Lets time pass: ends half open when it is overdue.
    pub fn tick(&self) {
        self.step(Event::Tick, self.clock.monotonic(), None);
    }

    pub fn configure(&self, settings: Settings) {
        self.with(|inner| inner.core.configure(settings));
    }

    pub fn state(&self) -> BreakerState {
        self.with(|inner| inner.core.state())
    }

    /// Everything there is to show.
    pub fn view(&self) -> BreakerView {
        self.tick();
        let (now, wall) = (self.clock.monotonic(), self.clock.now());
        self.with(|inner| {
            let (window_calls, failure_rate, slow_rate) = inner.core.window(now);
            BreakerView {
                state: inner.core.state(),
                since: inner.since,
                failure_count: inner.core.failed_in_row(),
                success_count: inner.core.ok_in_row(),
                last_failure: inner.last_failure,
                next_attempt: inner.core.until().map(|until| wall.plus(until.since(now))),
                attempt: inner.core.attempt(),
                window_calls,
                failure_rate,
                slow_rate,
                average_response_ms: inner.core.average_ms(),
                calls: inner.core.calls(),
                open_seconds: inner.core.open_for(now).as_secs_f64(),
                transitions: inner.transitions.iter().cloned().collect(),
            }
        })
    }

    /// What is to be saved, if anything changed since [`Self::saved`].
    pub fn unsaved(&self) -> Option<Unsaved> {
        let (now, wall) = (self.clock.monotonic(), self.clock.now());
        self.with(|inner| {
            (inner.unsaved > 0).then(|| Unsaved {
                saved: SavedBreaker {
                    generation: inner.core.generation(),
                    state: inner.core.state(),
                    attempt: inner.core.attempt(),
                    failures: inner.core.failed_in_row(),
                    entered: inner.since,
                    until: inner.core.until().map(|until| wall.plus(until.since(now))),
                    last_failure: inner.last_failure,
                    transitions: inner.transitions.iter().cloned().collect(),
                },
                transitions: inner.transitions.iter().take(inner.unsaved).rev().cloned().collect(),
            })
        })
    }

    /// `unsaved` is saved; what changed meanwhile is not.
    pub fn saved(&self, unsaved: &Unsaved) {
        self.with(|inner| {
            let since = inner.core.generation().saturating_sub(unsaved.saved.generation);
            inner.unsaved = inner.unsaved.min(usize::try_from(since).unwrap_or(usize::MAX));
        });
    }

    fn step(&self, event: Event, now: Monotonic, by: Option<&str>) -> Effects {
        let effects = self.with(|inner| {
            let effects = {
                let generation = inner.core.generation();
                inner.core.step(event, now, || jitter(self.seed, generation))
            };
            for change in effects.changes() {
                let at = self.clock.now();
                inner.since = at;
                let by = by.map(str::to_owned);
                let transition =
                    BreakerTransition { from: change.from, to: change.to, reason: change.reason, by, at };
                inner.transitions.push_front(transition);
                inner.transitions.truncate(TRANSITIONS);
                inner.unsaved = (inner.unsaved + 1).min(TRANSITIONS);
            }
            effects
        });
        if effects.changes().next().is_some() {
            (self.changed)();
        }
        effects
    }

    fn note_failure(&self, class: OutcomeClass) {
        if matches!(class, OutcomeClass::Hard | OutcomeClass::Soft) {
            let wall = self.clock.now();
            self.with(|inner| inner.last_failure = Some(wall));
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        // Whole after a panic too: the core changes itself in one go.
        work(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl std::fmt::Debug for Breaker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "breaker {}", self.state().word())
    }
}

/// The right to make one call. Dropped without a report it is given back.
#[derive(Debug)]
pub struct Permit<'a> {
    breaker: &'a Breaker,
    generation: u64,
    began: Monotonic,
    open: bool,
}

impl Permit<'_> {
    /// The call ended so; it took as long as the permit was held.
    pub fn report(self, class: OutcomeClass) {
        let now = self.breaker.clock.monotonic();
        let took = now.since(self.began);
        self.end(Call { class, took }, now);
    }

    /// The call ended so, and took a time that the caller measured.
    pub fn report_call(self, call: Call) {
        let now = self.breaker.clock.monotonic();
        self.end(call, now);
    }

    fn end(mut self, call: Call, now: Monotonic) {
        self.open = false;
        self.breaker.note_failure(call.class);
        self.breaker.step(Event::Report { generation: self.generation, call }, now, None);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.open {
            let event = Event::Cancel { generation: self.generation };
            self.breaker.step(event, self.breaker.clock.monotonic(), None);
        }
    }
}

/// A saved breaker in terms of what is left to wait. A wall clock that went back
/// would make that longer; the core bounds it.
fn resumed(saved: &SavedBreaker, wall: Timestamp) -> Resumed {
    let remaining = saved.until.map_or(Duration::ZERO, |until| until.since(wall));
    let SavedBreaker { generation, state, attempt, failures, .. } = *saved;
    Resumed { generation, state, attempt, failures, remaining }
}

/// A number in 0..1 that differs between breakers and between their openings: the
/// finalizer of splitmix64.
fn jitter(seed: u64, generation: u64) -> f64 {
    let value = seed ^ generation.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((value ^ (value >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}
