//! A circuit breaker as a pure state machine.
//!
//! ```text
//!            trip                    waited | own probe answered
//!   closed --------> open{until} --------------------------------> half_open{ok, deadline}
//!     ^               ^   ^                                          |   |
//!     |               |   '---- failure, slow call or deadline ------'   |
//!     |               |         (waits twice as long)                    |
//!     '---------------+----------------- enough successes in a row ------'
//!
//!   any --operator--> forced_open | disabled | metrics_only --release--> closed
//!   any --reset-----> closed, nothing counted
//! ```
//! The pattern: one [`Core::step`] takes an event and the time and says what came of
//! it; it reads no clock, holds no lock and starts nothing. Who holds the mutex is
//! `runtime/breaker.rs`.
//!
//! Three things the usual breakers get wrong, and how they are met here. While half
//! open they let every concurrent call through: here the transition itself hands out
//! the first permit, and a permit that nobody reports on is returned by its drop. A
//! call admitted earlier decides a later state: here every permit carries the
//! generation it was issued in, and a result of another generation is counted as
//! stale and decides nothing. Half open lasts for ever when nothing is reported: here
//! it has a deadline.
//!
//! The supervisor's own probe is one light operation. Where that serves and the calls
//! still fail (a store that refuses only writes), it would open half again and again:
//! once it has misled the breaker it is not believed before it has failed itself.
//!
//! | class | closed | half open |
//! |---|---|---|
//! | ok | ends a row of failures | one success |
//! | hard | one of a row, counts in the share | opens again |
//! | soft | counts in the share | opens again |
//! | recovering | not counted | not counted |
//! | alive | not counted | one success: whoever answers 403 answers |

mod event;
mod window;

use std::time::Duration;

pub use self::event::{Call, Change, Effects, Event, Resumed, Settings};
use self::window::{Tally, Window};
use crate::base::backoff::Backoff;
use crate::base::time::Monotonic;
use crate::model::breaker::{BreakerCalls, BreakerCommand, BreakerReason, BreakerState, Rejected};
use crate::model::probe::OutcomeClass;

/// Closed for this long, a breaker forgets how often it opened before.
const FORGETS_AFTER: Duration = Duration::from_secs(600);
/// Weight of the newest call in the moving average.
const NEWEST: f64 = 0.2;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum State {
    Closed,
    Open { until: Monotonic },
    HalfOpen { ok: u32, deadline: Monotonic, by_probe: bool },
    ForcedOpen,
    Disabled,
    MetricsOnly,
}

impl State {
    const fn shown(self) -> BreakerState {
        match self {
            Self::Closed => BreakerState::Closed,
            Self::Open { .. } => BreakerState::Open,
            Self::HalfOpen { .. } => BreakerState::HalfOpen,
            Self::ForcedOpen => BreakerState::ForcedOpen,
            Self::Disabled => BreakerState::Disabled,
            Self::MetricsOnly => BreakerState::MetricsOnly,
        }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Core {
    settings: Settings,
    state: State,
    /// Rises with every change.
    generation: u64,
    entered: Monotonic,
    /// Openings in a row before this one.
    attempt: u32,
    /// The own probe served while the calls failed, and has not failed since.
    misled: bool,
    /// Permits of this generation that are neither reported nor given up.
    outstanding: u32,
    hard_in_row: u32,
    failed_in_row: u32,
    ok_in_row: u32,
    window: Window,
    /// Seconds.
    average: Option<f64>,
    calls: BreakerCalls,
    open: Duration,
}

impl Core {
    /// A closed one that has seen nothing.
    pub fn new(settings: Settings, now: Monotonic) -> Self {
        Self {
            settings,
            state: State::Closed,
            generation: 0,
            entered: now,
            attempt: 0,
            misled: false,
            outstanding: 0,
            hard_in_row: 0,
            failed_in_row: 0,
            ok_in_row: 0,
            window: Window::new(settings.window),
            average: None,
            calls: BreakerCalls::default(),
            open: Duration::ZERO,
        }
    }

    /// One that goes on where it was. It never admits more than the former would
    /// have: half open is open with nothing left to wait for, and no wait is longer
    /// than the settings allow, wherever the wall clock went meanwhile.
    pub fn resume(settings: Settings, saved: Resumed, now: Monotonic) -> Self {
        let mut core = Self::new(settings, now);
        let longest = core.backoff().wait(saved.attempt, 1.0);
        core.generation = saved.generation;
        core.attempt = saved.attempt;
        core.failed_in_row = saved.failures;
        core.state = match saved.state {
            BreakerState::Closed => State::Closed,
            BreakerState::Open => State::Open { until: after(now, saved.remaining.min(longest)) },
            BreakerState::HalfOpen => State::Open { until: now },
            BreakerState::ForcedOpen => State::ForcedOpen,
            BreakerState::Disabled => State::Disabled,
            BreakerState::MetricsOnly => State::MetricsOnly,
        };
        core
    }

    /// Other settings from now on; the state stays, and a window of another length
    /// begins empty.
    pub fn configure(&mut self, settings: Settings) {
        if settings.window != self.settings.window {
            self.window = Window::new(settings.window);
        }
        self.settings = settings;
    }

    /// Takes `event` at `now`. `jitter` gives a random number in 0..=1 that spreads the
    /// wait when this opens it.
    pub fn step(&mut self, event: Event, now: Monotonic, jitter: impl Fn() -> f64) -> Effects {
        let jitter = &jitter;
        let overdue = self.end_half_open(now, jitter);
        let effects = match event {
            Event::Tick => Effects::default(),
            Event::Acquire => self.acquire(now),
            Event::Report { generation, call } => self.report(generation, call, now, jitter),
            Event::Cancel { generation } => self.cancel(generation),
            Event::Probe(call) => self.probe(call, now),
            Event::Command(command) => self.command(command, now),
        };
        Effects { overdue, ..effects }
    }

    fn end_half_open(&mut self, now: Monotonic, jitter: &dyn Fn() -> f64) -> Option<Change> {
        match self.state {
            State::HalfOpen { deadline, .. } if now >= deadline => {
                Some(self.open(BreakerReason::Undecided, now, jitter))
            }
            _ => None,
        }
    }

    /// Lets a call through where every call passes, which takes neither time nor a
    /// change; `None` where [`Event::Acquire`] has to decide.
    #[inline]
    pub fn pass(&mut self) -> Option<u64> {
        if !matches!(self.state, State::Closed | State::Disabled | State::MetricsOnly) {
            return None;
        }
        self.outstanding = self.outstanding.saturating_add(1);
        Some(self.generation)
    }

    fn acquire(&mut self, now: Monotonic) -> Effects {
        if let Some(generation) = self.pass() {
            return Effects { admission: Some(Ok(generation)), ..Effects::default() };
        }
        let state = self.state.shown();
        let reject = |core: &mut Self, retry_in| {
            core.calls.rejected += 1;
            Effects { admission: Some(Err(Rejected { state, retry_in })), ..Effects::default() }
        };
        let change = match self.state {
            State::Open { until } if now >= until => Some(self.half_open(BreakerReason::Waited, now)),
            State::Open { until } => return reject(self, Some(until.since(now))),
            State::HalfOpen { .. } if self.outstanding < self.settings.half_open_calls => None,
            State::HalfOpen { deadline, .. } => return reject(self, Some(deadline.since(now))),
            // Those that let every call pass did so above.
            State::ForcedOpen | State::Closed | State::Disabled | State::MetricsOnly => {
                return reject(self, None);
            }
        };
        self.outstanding = self.outstanding.saturating_add(1);
        Effects { admission: Some(Ok(self.generation)), change, overdue: None }
    }

    fn report(&mut self, generation: u64, call: Call, now: Monotonic, jitter: &dyn Fn() -> f64) -> Effects {
        if !self.give_back(generation) {
            self.calls.stale += 1;
            return Effects::default();
        }
        let change = match self.state {
            State::Closed => {
                let tally = self.count(call, now);
                tally.and_then(|tally| self.tripped(tally)).map(|reason| self.trip(reason, now, jitter))
            }
            State::MetricsOnly => {
                self.count(call, now);
                None
            }
            State::HalfOpen { ok, by_probe, .. } => {
                self.count(call, now);
                self.judge(ok, by_probe, call, now, jitter)
            }
            State::Disabled | State::Open { .. } | State::ForcedOpen => None,
        };
        Effects::changed(change)
    }

    fn cancel(&mut self, generation: u64) -> Effects {
        if self.give_back(generation) {
            self.calls.cancelled += 1;
        } else {
            self.calls.stale += 1;
        }
        Effects::default()
    }

    /// Whether the permit is one of this generation.
    fn give_back(&mut self, generation: u64) -> bool {
        let ours = generation == self.generation && self.outstanding > 0;
        if ours {
            self.outstanding -= 1;
        }
        ours
    }

    fn probe(&mut self, call: Call, now: Monotonic) -> Effects {
        if !matches!(self.state, State::Open { .. }) {
            return Effects::default();
        }
        match call.class {
            OutcomeClass::Ok | OutcomeClass::Alive if self.is_slow(call) || self.misled => Effects::default(),
            OutcomeClass::Ok | OutcomeClass::Alive => {
                Effects::changed(Some(self.half_open(BreakerReason::ProbeAnswered, now)))
            }
            OutcomeClass::Hard | OutcomeClass::Soft => {
                self.misled = false;
                Effects::default()
            }
            OutcomeClass::Recovering => Effects::default(),
        }
    }

    fn command(&mut self, command: BreakerCommand, now: Monotonic) -> Effects {
        let to = match (command, self.state) {
            (BreakerCommand::Reset, _) => State::Closed,
            (BreakerCommand::ForceOpen, _) => State::ForcedOpen,
            (BreakerCommand::Disable, _) => State::Disabled,
            (BreakerCommand::MetricsOnly, _) => State::MetricsOnly,
            (BreakerCommand::Release, State::ForcedOpen | State::Disabled | State::MetricsOnly) => {
                State::Closed
            }
            (BreakerCommand::Release, _) => return Effects::default(),
        };
        if to == self.state && command != BreakerCommand::Reset {
            return Effects::default();
        }
        if to == State::Closed {
            self.forget();
        }
        let change = self.enter(to, BreakerReason::Operator, now);
        Effects::changed(Some(change))
    }

    /// Counts a call, unless it was about configuration; what the window holds then.
    fn count(&mut self, call: Call, now: Monotonic) -> Option<Tally> {
        let failed = match call.class {
            OutcomeClass::Alive | OutcomeClass::Recovering => {
                self.calls.ignored += 1;
                return None;
            }
            OutcomeClass::Ok => {
                self.calls.ok += 1;
                (self.hard_in_row, self.failed_in_row) = (0, 0);
                self.ok_in_row = self.ok_in_row.saturating_add(1);
                false
            }
            OutcomeClass::Soft => {
                self.calls.soft += 1;
                true
            }
            OutcomeClass::Hard => {
                self.calls.hard += 1;
                self.hard_in_row = self.hard_in_row.saturating_add(1);
                true
            }
        };
        if failed {
            self.failed_in_row = self.failed_in_row.saturating_add(1);
            self.ok_in_row = 0;
        }
        let slow = self.is_slow(call);
        self.calls.slow += u64::from(slow);
        let took = call.took.as_secs_f64();
        self.average = Some(self.average.map_or(took, |before| before + NEWEST * (took - before)));
        Some(self.window.add(now, failed, slow))
    }

    fn is_slow(&self, call: Call) -> bool {
        call.took > self.settings.slow_call
    }

    /// Whether what was counted is enough to open.
    fn tripped(&self, tally: Tally) -> Option<BreakerReason> {
        let settings = &self.settings;
        if self.hard_in_row >= settings.failure_threshold {
            return Some(BreakerReason::FailuresInRow);
        }
        if tally.calls < settings.minimum_calls {
            return None;
        }
        if tally.reaches(tally.failed, settings.failure_share) {
            return Some(BreakerReason::FailureShare);
        }
        tally.reaches(tally.slow, settings.slow_share).then_some(BreakerReason::SlowShare)
    }

    fn judge(
        &mut self,
        ok: u32,
        by_probe: bool,
        call: Call,
        now: Monotonic,
        jitter: &dyn Fn() -> f64,
    ) -> Option<Change> {
        let good = match call.class {
            OutcomeClass::Recovering => return None,
            OutcomeClass::Ok => !self.is_slow(call),
            OutcomeClass::Alive => true,
            OutcomeClass::Soft | OutcomeClass::Hard => false,
        };
        if !good {
            self.misled |= by_probe;
            return Some(self.open(BreakerReason::FailedAgain, now, jitter));
        }
        if ok + 1 < self.settings.close_after {
            self.state = State::HalfOpen { ok: ok + 1, deadline: self.deadline(now), by_probe };
            return None;
        }
        self.window.clear();
        (self.hard_in_row, self.failed_in_row) = (0, 0);
        self.misled = false;
        Some(self.enter(State::Closed, BreakerReason::Recovered, now))
    }

    fn deadline(&self, now: Monotonic) -> Monotonic {
        after(now, self.settings.call_timeout.saturating_mul(2))
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(self.settings.open_for, self.settings.max_open_for)
    }

    /// Opens from closed; soon after the last time it waits longer than then.
    fn trip(&mut self, reason: BreakerReason, now: Monotonic, jitter: &dyn Fn() -> f64) -> Change {
        if now.since(self.entered) >= FORGETS_AFTER {
            self.attempt = 0;
        }
        self.open(reason, now, jitter)
    }

    #[cold]
    fn open(&mut self, reason: BreakerReason, now: Monotonic, jitter: &dyn Fn() -> f64) -> Change {
        let until = after(now, self.backoff().wait(self.attempt, jitter()));
        self.attempt = self.attempt.saturating_add(1);
        self.enter(State::Open { until }, reason, now)
    }

    fn half_open(&mut self, reason: BreakerReason, now: Monotonic) -> Change {
        let by_probe = reason == BreakerReason::ProbeAnswered;
        self.enter(State::HalfOpen { ok: 0, deadline: self.deadline(now), by_probe }, reason, now)
    }

    fn forget(&mut self) {
        (self.attempt, self.misled) = (0, false);
        (self.hard_in_row, self.failed_in_row, self.ok_in_row) = (0, 0, 0);
        self.window.clear();
    }

    fn enter(&mut self, to: State, reason: BreakerReason, now: Monotonic) -> Change {
        self.open = self.open_until(now);
        let from = std::mem::replace(&mut self.state, to).shown();
        self.generation += 1;
        self.entered = now;
        self.outstanding = 0;
        Change { from, to: to.shown(), reason }
    }

    fn open_until(&self, now: Monotonic) -> Duration {
        let running = if self.state.shown().is_open() { now.since(self.entered) } else { Duration::ZERO };
        self.open + running
    }

    pub fn state(&self) -> BreakerState {
        self.state.shown()
    }

    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Openings in a row, this one included.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    pub fn entered(&self) -> Monotonic {
        self.entered
    }

    /// Until when it is open by itself.
    pub fn until(&self) -> Option<Monotonic> {
        match self.state {
            State::Open { until } => Some(until),
            _ => None,
        }
    }

    pub fn failed_in_row(&self) -> u32 {
        self.failed_in_row
    }

    pub fn ok_in_row(&self) -> u32 {
        self.ok_in_row
    }

    /// Calls of the window, and the shares that failed and were slow.
    pub fn window(&mut self, now: Monotonic) -> (u32, f64, f64) {
        let tally: Tally = self.window.tally(now);
        (tally.calls, tally.share(tally.failed), tally.share(tally.slow))
    }

    pub fn average_ms(&self) -> Option<f64> {
        self.average.map(|seconds| seconds * 1000.0)
    }

    pub fn calls(&self) -> BreakerCalls {
        self.calls
    }

    /// Time spent open since it was made.
    pub fn open_for(&self, now: Monotonic) -> Duration {
        self.open_until(now)
    }

    /// Permits that are out.
    pub fn outstanding(&self) -> u32 {
        self.outstanding
    }
}

fn after(now: Monotonic, wait: Duration) -> Monotonic {
    Monotonic(now.0.saturating_add(wait))
}

#[cfg(test)]
mod tests;
