//! Random sequences against a breaker written as plainly as can be: it keeps every
//! call in a list and counts from scratch at every step.

use proptest::prelude::*;

use super::*;

const RULES: Settings = Settings {
    failure_threshold: 3,
    window: Duration::from_secs(60),
    minimum_calls: 5,
    open_for: Duration::from_secs(10),
    max_open_for: Duration::from_secs(40),
    ..SETTINGS
};

struct Naive {
    word: BreakerState,
    /// Bucket, class, slow.
    list: Vec<(u64, OutcomeClass, bool)>,
    row: Vec<OutcomeClass>,
    until: u64,
    deadline: u64,
    ok: u32,
    attempt: u32,
    closed_at: u64,
    out: u32,
    by_probe: bool,
    misled: bool,
}

impl Naive {
    fn new() -> Self {
        Self {
            word: BreakerState::Closed,
            list: Vec::new(),
            row: Vec::new(),
            until: 0,
            deadline: 0,
            ok: 0,
            attempt: 0,
            closed_at: 0,
            out: 0,
            by_probe: false,
            misled: false,
        }
    }

    fn open(&mut self, now: u64) {
        self.until = now + (10 * 2u64.pow(self.attempt.min(10))).min(40);
        self.attempt += 1;
        self.turn(BreakerState::Open);
    }

    fn turn(&mut self, word: BreakerState) {
        self.word = word;
        self.out = 0;
    }

    fn half(&mut self, now: u64, by_probe: bool) {
        self.by_probe = by_probe;
        (self.ok, self.deadline) = (0, now + 10);
        self.turn(BreakerState::HalfOpen);
    }

    fn fail_again(&mut self, now: u64) {
        self.misled |= self.by_probe;
        self.open(now);
    }

    fn close(&mut self, now: u64) {
        self.list.clear();
        self.row.clear();
        self.closed_at = now;
        self.misled = false;
        self.turn(BreakerState::Closed);
    }

    fn overdue(&mut self, now: u64) {
        if self.word == BreakerState::HalfOpen && now >= self.deadline {
            self.open(now);
        }
    }

    fn acquire(&mut self, now: u64) -> bool {
        self.overdue(now);
        if self.word == BreakerState::Open && now >= self.until {
            self.half(now, false);
        }
        let admitted = match self.word {
            BreakerState::Open => false,
            BreakerState::HalfOpen => self.out < 2,
            _ => true,
        };
        self.out += u32::from(admitted);
        admitted
    }

    /// Of a permit of this generation.
    fn report(&mut self, now: u64, class: OutcomeClass, slow: bool) {
        self.out -= 1;
        let counted = !matches!(class, OutcomeClass::Alive | OutcomeClass::Recovering);
        if counted {
            self.list.push((now / 2, class, slow));
            self.row.push(class);
        }
        if self.word == BreakerState::HalfOpen {
            match class {
                OutcomeClass::Recovering => {}
                OutcomeClass::Hard | OutcomeClass::Soft => self.fail_again(now),
                _ if slow && class == OutcomeClass::Ok => self.fail_again(now),
                _ => {
                    (self.ok, self.deadline) = (self.ok + 1, now + 10);
                    if self.ok == 2 {
                        self.close(now);
                    }
                }
            }
            return;
        }
        let hard = |class: &OutcomeClass| *class == OutcomeClass::Hard;
        let since_ok = self.row.iter().rev().take_while(|class| **class != OutcomeClass::Ok);
        let in_row = since_ok.filter(|class| hard(class)).count();
        let held: Vec<_> = self.list.iter().filter(|(bucket, _, _)| bucket + 30 > now / 2).collect();
        let failed = held.iter().filter(|(_, class, _)| *class != OutcomeClass::Ok).count();
        let slow = held.iter().filter(|(_, _, slow)| *slow).count();
        let share = |part: usize| part as f64 / held.len().max(1) as f64;
        let enough = held.len() >= 5;
        if counted && (in_row >= 3 || enough && (share(failed) >= 0.5 || share(slow) >= 0.8)) {
            if now - self.closed_at >= 600 {
                self.attempt = 0;
            }
            self.open(now);
        }
    }
}

#[derive(Clone, Debug)]
enum Act {
    Wait(u64),
    Acquire,
    Report(usize, OutcomeClass, bool),
    Cancel(usize),
    Probe(OutcomeClass),
    Reset,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let class = proptest::sample::select(OutcomeClass::ALL.to_vec());
    let act = prop_oneof![
        3 => prop_oneof![0u64..4, 9u64..12, 38u64..62, 590u64..610].prop_map(Act::Wait),
        6 => Just(Act::Acquire),
        8 => (0usize..4, class.clone(), proptest::bool::weighted(0.3))
            .prop_map(|(at, class, slow)| Act::Report(at, class, slow)),
        1 => (0usize..4).prop_map(Act::Cancel),
        1 => class.prop_map(Act::Probe),
        1 => Just(Act::Reset),
    ];
    proptest::collection::vec(act, 1..120)
}

proptest! {
    /// B1 to B4, B6, B7, B9, B12: both are in the same state after every step.
    #[test]
    fn it_is_what_counting_from_scratch_makes_it(acts in acts()) {
        let (mut core, mut naive, mut now) = (Core::new(RULES, at(0)), Naive::new(), 0);
        let mut permits: Vec<u64> = Vec::new();
        for act in acts {
            match act {
                Act::Wait(seconds) => now += seconds,
                Act::Acquire => {
                    let admission = core.step(Event::Acquire, at(now), || 1.0).admission.unwrap();
                    prop_assert_eq!(admission.is_ok(), naive.acquire(now));
                    permits.extend(admission);
                }
                Act::Report(place, class, slow) if place < permits.len() => {
                    let generation = permits.remove(place);
                    let took = Duration::from_millis(if slow { 2001 } else { 20 });
                    naive.overdue(now);
                    core.step(Event::Tick, at(now), || 1.0);
                    if generation == core.generation() {
                        naive.report(now, class, slow);
                    }
                    core.step(Event::Report { generation, call: Call { class, took } }, at(now), || 1.0);
                }
                Act::Cancel(place) if place < permits.len() => {
                    let generation = permits.remove(place);
                    naive.overdue(now);
                    core.step(Event::Tick, at(now), || 1.0);
                    naive.out -= u32::from(generation == core.generation());
                    core.step(Event::Cancel { generation }, at(now), || 1.0);
                }
                Act::Report(..) | Act::Cancel(_) => {}
                Act::Probe(class) => {
                    naive.overdue(now);
                    match class {
                        _ if naive.word != BreakerState::Open => {}
                        OutcomeClass::Hard | OutcomeClass::Soft => naive.misled = false,
                        OutcomeClass::Ok | OutcomeClass::Alive if !naive.misled => naive.half(now, true),
                        _ => {}
                    }
                    core.step(Event::Probe(call(class)), at(now), || 1.0);
                }
                Act::Reset => {
                    core.step(Event::Command(BreakerCommand::Reset), at(now), || 1.0);
                    naive.attempt = 0;
                    naive.close(now);
                }
            }
            core.step(Event::Tick, at(now), || 1.0);
            naive.overdue(now);
            prop_assert_eq!(core.state(), naive.word);
            prop_assert_eq!(core.outstanding(), naive.out);
            if naive.word == BreakerState::Open {
                prop_assert_eq!(core.until(), Some(at(naive.until)));
            }
        }
    }

    /// B10: after a restart, wherever the wall clock went, no call passes that would
    /// not have passed before.
    #[test]
    fn a_restart_never_lets_more_through(acts in acts(), clock in 0u64..10_000) {
        let (mut core, mut now) = (Core::new(RULES, at(0)), 0);
        for act in acts {
            match act {
                Act::Wait(seconds) => now += seconds,
                Act::Acquire | Act::Cancel(_) => drop(core.step(Event::Acquire, at(now), || 1.0)),
                Act::Report(_, class, _) => {
                    let generation = core.generation();
                    core.step(Event::Report { generation, call: call(class) }, at(now), || 1.0);
                }
                Act::Probe(class) => drop(core.step(Event::Probe(call(class)), at(now), || 1.0)),
                Act::Reset => drop(core.step(Event::Command(BreakerCommand::ForceOpen), at(now), || 1.0)),
            }
        }
        let left = core.until().map_or(Duration::ZERO, |until| until.since(at(now)));
        let saved = Resumed {
            generation: core.generation(),
            state: core.state(),
            attempt: core.attempt(),
            failures: core.failed_in_row(),
            remaining: left + Duration::from_secs(clock),
        };
        let mut resumed = Core::resume(RULES, saved, at(now));
        let out = core.outstanding();
        let before = core.step(Event::Acquire, at(now), || 1.0).admission.unwrap().is_ok();
        let mut passed = 0;
        while passed < 5 && resumed.step(Event::Acquire, at(now), || 1.0).admission.unwrap().is_ok() {
            passed += 1;
        }
        match saved.state {
            // Those that were out died with the process; whether it was overdue, only a
            // look at the clock before the restart could have told.
            BreakerState::HalfOpen => prop_assert!(passed <= 2),
            _ => prop_assert!(before || passed == 0, "{saved:?} {out} {passed}"),
        }
    }
}
