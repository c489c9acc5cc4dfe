//! The invariants B1 to B12, each by its number.

mod oracle;
mod search;

use super::*;

pub const SETTINGS: Settings = Settings {
    failure_threshold: 3,
    window: Duration::from_secs(300),
    minimum_calls: 10,
    failure_share: 0.5,
    slow_call: Duration::from_secs(2),
    slow_share: 0.8,
    open_for: Duration::from_secs(60),
    max_open_for: Duration::from_secs(600),
    half_open_calls: 2,
    close_after: 2,
    call_timeout: Duration::from_secs(5),
};

pub fn at(seconds: u64) -> Monotonic {
    Monotonic(Duration::from_secs(seconds))
}

pub fn call(class: OutcomeClass) -> Call {
    Call { class, took: Duration::from_millis(20) }
}

/// One call from the question to its end; what the last step came to.
fn guarded(core: &mut Core, class: OutcomeClass, now: Monotonic) -> Effects {
    match core.step(Event::Acquire, now, || 1.0).admission {
        Some(Ok(generation)) => core.step(Event::Report { generation, call: call(class) }, now, || 1.0),
        _ => Effects::default(),
    }
}

fn opened() -> Core {
    let mut core = Core::new(SETTINGS, at(0));
    for _ in 0..3 {
        guarded(&mut core, OutcomeClass::Hard, at(1));
    }
    assert_eq!(core.state(), BreakerState::Open);
    core
}

#[test]
fn the_life_of_a_breaker() {
    let mut core = opened();
    let rejected = core.step(Event::Acquire, at(60), || 1.0).admission.unwrap().unwrap_err();
    assert_eq!(rejected, Rejected { state: BreakerState::Open, retry_in: Some(Duration::from_secs(1)) });

    assert_eq!(guarded(&mut core, OutcomeClass::Ok, at(61)).change, None);
    assert_eq!(core.state(), BreakerState::HalfOpen);
    let closed = guarded(&mut core, OutcomeClass::Ok, at(63)).change.unwrap();
    assert_eq!(
        (closed.from, closed.to, closed.reason),
        (BreakerState::HalfOpen, BreakerState::Closed, BreakerReason::Recovered)
    );
    assert_eq!(core.open_for(at(100)), Duration::from_secs(60));

    // Soon after, it waits twice as long; much later it has forgotten.
    for (now, wait) in [(70, 120), (2000, 60)] {
        for _ in 0..3 {
            guarded(&mut core, OutcomeClass::Hard, at(now));
        }
        assert_eq!(core.until(), Some(at(now + wait)));
        core.step(Event::Probe(call(OutcomeClass::Ok)), at(now + 1), || 1.0);
        guarded(&mut core, OutcomeClass::Ok, at(now + 1));
        guarded(&mut core, OutcomeClass::Ok, at(now + 1));
        assert_eq!(core.state(), BreakerState::Closed);
    }
}

#[test]
fn one_bad_call_and_a_refusal_by_configuration_do_not_trip() {
    let mut core = Core::new(SETTINGS, at(0));
    for second in 0..1000 {
        let class = match second % 3 {
            0 => OutcomeClass::Hard,
            1 => OutcomeClass::Ok,
            _ => OutcomeClass::Ok,
        };
        assert_eq!(guarded(&mut core, class, at(second)).change, None);
    }
    let mut core = Core::new(SETTINGS, at(0));
    for second in 0..1000 {
        assert_eq!(guarded(&mut core, OutcomeClass::Alive, at(second)).change, None);
    }
}

#[test]
fn soft_failures_trip_by_their_share_and_never_in_a_row() {
    let mut core = Core::new(SETTINGS, at(0));
    for second in 0..9 {
        assert_eq!(guarded(&mut core, OutcomeClass::Soft, at(second)).change, None);
    }
    let change = guarded(&mut core, OutcomeClass::Soft, at(9)).change.unwrap();
    assert_eq!(change.reason, BreakerReason::FailureShare);
}

#[test]
fn slow_calls_trip_and_slow_answers_do_not_close() {
    let mut core = Core::new(SETTINGS, at(0));
    let slow = Call { class: OutcomeClass::Ok, took: Duration::from_millis(2001) };
    let mut report = |now| {
        let generation = core.step(Event::Acquire, at(now), || 1.0).admission.unwrap().unwrap();
        core.step(Event::Report { generation, call: slow }, at(now), || 1.0).change
    };
    for second in 0..9 {
        assert_eq!(report(second), None);
    }
    assert_eq!(report(9).unwrap().reason, BreakerReason::SlowShare);
    assert_eq!(report(69).unwrap().reason, BreakerReason::FailedAgain);
}

#[test]
fn half_open_that_is_never_reported_on_ends() {
    let mut core = opened();
    assert!(core.step(Event::Acquire, at(61), || 1.0).admission.unwrap().is_ok());
    assert_eq!(core.step(Event::Tick, at(70), || 1.0), Effects::default());
    let overdue = core.step(Event::Tick, at(71), || 1.0).overdue.unwrap();
    assert_eq!((overdue.to, overdue.reason), (BreakerState::Open, BreakerReason::Undecided));
    assert_eq!(core.until(), Some(at(71 + 120)));
}

#[test]
fn an_overdue_half_open_and_an_answer_at_once_are_two_changes() {
    let mut core = opened();
    core.step(Event::Probe(call(OutcomeClass::Ok)), at(2), || 1.0);
    let effects = core.step(Event::Probe(call(OutcomeClass::Ok)), at(20), || 1.0);
    let changes: Vec<_> = effects.changes().map(|change| (change.from, change.to)).collect();
    assert_eq!(
        changes,
        [(BreakerState::HalfOpen, BreakerState::Open), (BreakerState::Open, BreakerState::HalfOpen)]
    );
}

#[test]
fn a_probe_that_misled_is_not_believed_until_it_fails() {
    let mut core = opened();
    let probe = |core: &mut Core, class, now| core.step(Event::Probe(call(class)), at(now), || 1.0).change;
    assert!(probe(&mut core, OutcomeClass::Ok, 2).is_some());
    let change = guarded(&mut core, OutcomeClass::Hard, at(3)).change.unwrap();
    assert_eq!((change.to, change.reason), (BreakerState::Open, BreakerReason::FailedAgain));
    for now in 4..120 {
        assert_eq!(probe(&mut core, OutcomeClass::Ok, now), None);
    }
    assert_eq!(probe(&mut core, OutcomeClass::Hard, 120), None);
    assert!(probe(&mut core, OutcomeClass::Ok, 121).is_some());
}

#[test]
fn an_answer_about_configuration_closes_what_an_outage_opened() {
    let mut core = opened();
    core.step(Event::Probe(call(OutcomeClass::Alive)), at(2), || 1.0);
    guarded(&mut core, OutcomeClass::Alive, at(3));
    guarded(&mut core, OutcomeClass::Alive, at(4));
    assert_eq!((core.state(), core.failed_in_row()), (BreakerState::Closed, 0));
}

#[test]
fn an_operator_overrules_until_release() {
    let mut core = Core::new(SETTINGS, at(0));
    let tell = |core: &mut Core, command| core.step(Event::Command(command), at(1), || 1.0).change.is_some();
    assert!(!tell(&mut core, BreakerCommand::Release));
    assert!(tell(&mut core, BreakerCommand::ForceOpen) && !tell(&mut core, BreakerCommand::ForceOpen));
    assert!(core.step(Event::Acquire, at(10_000), || 1.0).admission.unwrap().is_err());
    core.step(Event::Probe(call(OutcomeClass::Ok)), at(10_000), || 1.0);
    assert_eq!(core.state(), BreakerState::ForcedOpen);
    assert!(tell(&mut core, BreakerCommand::MetricsOnly));
    for second in 0..100 {
        guarded(&mut core, OutcomeClass::Hard, at(second));
    }
    assert_eq!((core.state(), core.calls().hard), (BreakerState::MetricsOnly, 100));
    assert!(tell(&mut core, BreakerCommand::Disable));
    guarded(&mut core, OutcomeClass::Hard, at(200));
    assert_eq!(core.calls().hard, 100);
    assert!(tell(&mut core, BreakerCommand::Release));
    assert_eq!((core.state(), core.failed_in_row()), (BreakerState::Closed, 0));
    assert!(tell(&mut core, BreakerCommand::Reset));
}

#[test]
fn no_clock_makes_it_stay_open_longer_than_configured() {
    let saved =
        |remaining| Resumed { generation: 7, state: BreakerState::Open, attempt: 1, failures: 3, remaining };
    let core = Core::resume(SETTINGS, saved(Duration::from_secs(86_400)), at(5));
    assert_eq!((core.until(), core.generation()), (Some(at(5 + 120)), 7));
    assert_eq!(core.failed_in_row(), 3);
    let core = Core::resume(SETTINGS, saved(Duration::from_secs(3)), at(5));
    assert_eq!(core.until(), Some(at(8)));
}

#[test]
fn other_settings_leave_the_state() {
    let mut core = opened();
    core.configure(Settings { window: Duration::from_secs(60), ..SETTINGS });
    assert_eq!((core.state(), core.until()), (BreakerState::Open, Some(at(61))));
}
