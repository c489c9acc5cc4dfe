//! Every sequence of events up to a depth, states that behave alike visited once.

use std::collections::HashSet;

use super::*;

const SMALL: Settings = Settings {
    failure_threshold: 2,
    window: Duration::from_secs(30),
    minimum_calls: 3,
    failure_share: 0.5,
    slow_call: Duration::from_secs(2),
    slow_share: 0.8,
    open_for: Duration::from_secs(10),
    max_open_for: Duration::from_secs(20),
    half_open_calls: 2,
    close_after: 2,
    call_timeout: Duration::from_secs(3),
};
const DEPTH: usize = 8;
/// Permits of former generations that are still out.
const MOST_STALE: usize = 2;

/// A breaker, the permits its callers hold, and the time.
#[derive(Clone)]
struct World {
    core: Core,
    held: u32,
    stale: Vec<u64>,
    now: u64,
}

/// What decides how a world goes on; numbers that only count up are left out.
type Shape = (State, u32, u32, u32, Window, u32, bool, usize, u64);

impl World {
    fn shape(&self) -> Shape {
        let core = &self.core;
        let hard = core.hard_in_row.min(SMALL.failure_threshold);
        let (attempt, state) = (core.attempt.min(3), core.state);
        let closed = self.now.saturating_sub(core.entered.0.as_secs()).min(600);
        let mut window = core.window.clone();
        window.tally(at(self.now));
        (
            state,
            hard,
            attempt,
            core.outstanding,
            window,
            self.held,
            core.misled,
            self.stale.len(),
            self.now + closed,
        )
    }

    fn step(&mut self, event: Event) -> Effects {
        let before = self.core.generation;
        let effects = self.core.step(event, at(self.now), || 1.0);
        let changes = effects.changes().count() as u64;
        assert_eq!(self.core.generation, before + changes, "B12: {event:?}");
        if changes > 0 {
            let room = MOST_STALE.saturating_sub(self.stale.len()).min(self.held as usize);
            self.stale.extend(std::iter::repeat_n(before, room));
            self.held = 0;
        }
        for change in effects.changes().filter(|change| change.to == BreakerState::Open) {
            let wait = self.core.until().map(|until| until.since(at(self.now)));
            let longest = SMALL.open_for * 2u32.pow(self.core.attempt.min(2) - 1);
            // One that was open only on the way has no wait any more.
            if self.core.state() == BreakerState::Open {
                assert_eq!(wait, Some(longest.min(SMALL.max_open_for)), "B9: {change:?}");
            }
        }
        effects
    }

    fn check(&self) {
        if self.core.state() == BreakerState::HalfOpen {
            assert!(self.core.outstanding <= SMALL.half_open_calls, "B1");
        }
        assert_eq!(self.core.outstanding, self.held, "B4");
    }

    /// Does `event`, judging what must hold of it; false where it cannot happen.
    fn take(&mut self, event: Event) -> bool {
        let before = self.clone();
        match event {
            Event::Acquire => self.acquire(),
            Event::Report { generation, .. } | Event::Cancel { generation } => {
                let own = generation == self.core.generation;
                if own {
                    if self.held == 0 {
                        return false;
                    }
                    self.held -= 1;
                } else if let Some(place) = self.stale.iter().position(|stale| *stale == generation) {
                    self.stale.remove(place);
                } else {
                    return false;
                }
                let effects = self.step(event);
                if !own {
                    assert_eq!(effects.change, None, "B3: {event:?}");
                    assert_eq!(self.core.hard_in_row, before.core.hard_in_row, "B3");
                    assert_eq!(self.core.calls.stale, before.core.calls.stale + 1, "B3");
                }
                if before.core.state() == BreakerState::Disabled {
                    assert_eq!(effects.change, None, "B8");
                }
                let ignored = matches!(
                    event,
                    Event::Cancel { .. }
                        | Event::Report { call: Call { class: OutcomeClass::Recovering, .. }, .. }
                );
                if ignored {
                    assert_eq!(effects.change, None, "B11: {event:?}");
                    assert_eq!(self.core.hard_in_row, before.core.hard_in_row, "B11");
                }
            }
            _ => drop(self.step(event)),
        }
        true
    }

    fn acquire(&mut self) {
        let before = self.core.clone();
        let effects = self.step(Event::Acquire);
        let admitted = effects.admission.expect("an answer").is_ok();
        self.held += u32::from(admitted);
        match before.state {
            State::Open { until } => assert_eq!(admitted, at(self.now) >= until, "B2"),
            State::ForcedOpen => assert!(!admitted, "B8"),
            State::Closed | State::Disabled | State::MetricsOnly => assert!(admitted, "B8"),
            State::HalfOpen { deadline, .. } => {
                assert!(!admitted || at(self.now) < deadline, "B5");
            }
        }
    }
}

fn alphabet(world: &World) -> Vec<Event> {
    let own = world.core.generation;
    let slow = Call { class: OutcomeClass::Ok, took: Duration::from_secs(3) };
    let mut events = vec![
        Event::Acquire,
        Event::Cancel { generation: own },
        Event::Report { generation: own, call: slow },
        Event::Probe(call(OutcomeClass::Ok)),
        Event::Probe(call(OutcomeClass::Hard)),
    ];
    for class in OutcomeClass::ALL {
        events.push(Event::Report { generation: own, call: call(class) });
    }
    for generation in world.stale.iter().copied().take(1) {
        events.push(Event::Report { generation, call: call(OutcomeClass::Ok) });
        events.push(Event::Report { generation, call: call(OutcomeClass::Hard) });
        events.push(Event::Cancel { generation });
    }
    for command in [
        BreakerCommand::Reset,
        BreakerCommand::ForceOpen,
        BreakerCommand::Disable,
        BreakerCommand::MetricsOnly,
        BreakerCommand::Release,
    ] {
        events.push(Event::Command(command));
    }
    events
}

#[test]
fn no_sequence_of_events_breaks_an_invariant() {
    let start = World { core: Core::new(SMALL, at(0)), held: 0, stale: Vec::new(), now: 0 };
    let mut seen = HashSet::from([start.shape()]);
    let mut level = vec![start];
    for _ in 0..DEPTH {
        let mut next = Vec::new();
        for world in &level {
            // Time alone, by less than a deadline, by one, by a wait and a window.
            for wait in [1, 6, 20, 31] {
                let mut later = world.clone();
                later.now += wait;
                later.step(Event::Tick);
                if let State::HalfOpen { deadline, .. } = later.core.state {
                    assert!(at(later.now) < deadline, "B5");
                }
                later.check();
                if seen.insert(later.shape()) {
                    next.push(later);
                }
            }
            for event in alphabet(world) {
                let mut after = world.clone();
                if after.take(event) {
                    after.check();
                    if seen.insert(after.shape()) {
                        next.push(after);
                    }
                }
            }
        }
        level = next;
    }
    assert!(seen.len() > 10_000, "only {} states", seen.len());
}
