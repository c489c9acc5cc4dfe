//! The life of a check by examples, and what holds for every one by chance.

use proptest::prelude::*;

use super::*;

const HOUR: u64 = 3600;
const PACE: Pace = Pace {
    period: Duration::from_secs(24 * HOUR),
    grace: Duration::from_secs(2 * HOUR),
    run: Duration::from_secs(HOUR),
};
/// The wall clock when the monotonic one says 0.
const EPOCH: i64 = 1_795_166_565_000;

fn at(seconds: u64) -> Moment {
    Moment { wall: Timestamp(EPOCH + seconds as i64 * 1000), mono: Monotonic(Duration::from_secs(seconds)) }
}

fn check() -> Check {
    Check::new(PingId([7; 16]), at(0))
}

fn ping(kind: PingKind) -> Event<'static> {
    Event::Ping { kind, rid: None, task: "t" }
}

fn of_run(kind: PingKind, rid: &'static str, task: &'static str) -> Event<'static> {
    Event::Ping { kind, rid: Some(rid), task }
}

fn step(check: &mut Check, event: Event<'_>, seconds: u64) -> Option<(CheckStatus, CheckReason)> {
    check.step(event, PACE, at(seconds)).moved.map(|moved| (moved.to, moved.reason))
}

#[test]
fn it_is_up_then_late_then_down_and_up_again() {
    let mut check = check();
    assert_eq!(step(&mut check, Event::Tick, 400 * 24 * HOUR), None, "nothing is expected of a new one");
    let mut check = self::check();
    let up = step(&mut check, ping(PingKind::Success), 10);
    assert_eq!(up, Some((CheckStatus::Up, CheckReason::Succeeded)));
    assert_eq!(check.due(PACE, at(99)), Some((at(10 + 24 * HOUR).wall, at(10 + 26 * HOUR).wall)));
    assert_eq!(step(&mut check, Event::Tick, 9 + 24 * HOUR), None);
    let late = step(&mut check, Event::Tick, 10 + 24 * HOUR);
    assert_eq!(late, Some((CheckStatus::Late, CheckReason::Overdue)));
    assert_eq!(step(&mut check, Event::Tick, 9 + 26 * HOUR), None);
    let down = step(&mut check, Event::Tick, 10 + 26 * HOUR);
    assert_eq!(down, Some((CheckStatus::Down, CheckReason::Missed)));
    let up = step(&mut check, ping(PingKind::Success), 30 * HOUR);
    assert_eq!(up, Some((CheckStatus::Up, CheckReason::Succeeded)));
    let failed = step(&mut check, ping(PingKind::Fail), 30 * HOUR);
    assert_eq!(failed, Some((CheckStatus::Down, CheckReason::Failed)));
}

#[test]
fn a_start_is_owed_its_end_and_gives_the_duration() {
    let mut check = check();
    let started = check.step(ping(PingKind::Start), PACE, at(10));
    assert_eq!(started, Effects { moved: None, runs: vec![RunChange::Started { task: "t".into() }] });
    let ended = check.step(Event::Ping { kind: PingKind::Success, rid: None, task: "other" }, PACE, at(70));
    let took = Some(Duration::from_secs(60));
    assert_eq!(ended.runs, [RunChange::Ended { task: "t".into(), success: true, took }]);

    check.step(ping(PingKind::Start), PACE, at(100));
    assert_eq!(step(&mut check, Event::Tick, 99 + HOUR), None);
    let effects = check.step(Event::Tick, PACE, at(100 + HOUR));
    assert_eq!(effects.moved.map(|moved| moved.reason), Some(CheckReason::Overran));
    assert_eq!(effects.runs, [RunChange::Lost { task: "t".into() }]);
    assert!(check.step(Event::Tick, PACE, at(101 + HOUR)).is_empty());
}

#[test]
fn overlapping_runs_are_told_apart_and_a_repeated_start_is_the_same_task() {
    let mut check = check();
    check.step(of_run(PingKind::Start, "a", "1"), PACE, at(0));
    check.step(of_run(PingKind::Start, "b", "2"), PACE, at(10));
    let again = check.step(of_run(PingKind::Start, "a", "3"), PACE, at(20));
    assert!(again.is_empty());
    let ended = check.step(of_run(PingKind::Fail, "b", "4"), PACE, at(40));
    let took = Some(Duration::from_secs(30));
    assert_eq!(ended.runs, [RunChange::Ended { task: "2".into(), success: false, took }]);
    let ended = check.step(of_run(PingKind::Success, "a", "5"), PACE, at(50));
    assert_eq!(ended.runs, [RunChange::Ended { task: "1".into(), success: true, took }]);
    assert_eq!(check.runs(), (None, 0));
}

#[test]
fn an_older_run_that_never_ends_does_not_take_the_check_down() {
    let mut check = check();
    check.step(of_run(PingKind::Start, "a", "1"), PACE, at(0));
    check.step(of_run(PingKind::Start, "b", "2"), PACE, at(10));
    check.step(of_run(PingKind::Success, "b", "3"), PACE, at(20));
    check.step(of_run(PingKind::Start, "c", "4"), PACE, at(HOUR - 5));
    let effects = check.step(Event::Tick, PACE, at(HOUR));
    assert_eq!(effects, Effects { moved: None, runs: vec![RunChange::Lost { task: "1".into() }] });
}

#[test]
fn a_paused_check_waits_for_nothing_until_it_is_resumed_or_reports() {
    let mut check = check();
    step(&mut check, ping(PingKind::Success), 0);
    assert_eq!(step(&mut check, Event::Pause, 1), Some((CheckStatus::Paused, CheckReason::Paused)));
    assert_eq!(step(&mut check, Event::Tick, 900 * HOUR), None);
    assert_eq!(step(&mut check, ping(PingKind::Log), 900 * HOUR), None);
    assert_eq!(step(&mut check, Event::Resume, 900 * HOUR), Some((CheckStatus::New, CheckReason::Resumed)));
    assert_eq!(step(&mut check, Event::Tick, 990 * HOUR), None);
    step(&mut check, Event::Pause, 990 * HOUR);
    let up = step(&mut check, ping(PingKind::Success), 991 * HOUR);
    assert_eq!(up, Some((CheckStatus::Up, CheckReason::Succeeded)));
    assert_eq!(step(&mut check, Event::Resume, 991 * HOUR), None, "it is not paused");
}

#[test]
fn a_longer_period_brings_a_missed_check_back_and_no_other() {
    let longer = Pace { period: Duration::from_secs(48 * HOUR), ..PACE };
    let mut missed = check();
    step(&mut missed, ping(PingKind::Success), 0);
    step(&mut missed, Event::Tick, 30 * HOUR);
    let moved = missed.step(Event::Paced, longer, at(30 * HOUR)).moved.map(|moved| moved.to);
    assert_eq!(moved, Some(CheckStatus::Up));
    let mut failed = check();
    step(&mut failed, ping(PingKind::Fail), 0);
    assert!(failed.step(Event::Paced, longer, at(30 * HOUR)).is_empty());
}

/// What a chance history consists of.
#[derive(Clone, Copy, Debug)]
enum Act {
    Ping(PingKind, u8),
    Tick,
    Pause,
    Resume,
    /// The wall clock alone is set.
    Jump(i64),
    /// The agent starts again.
    Restart,
}

fn act() -> impl Strategy<Value = Act> {
    let kind = prop::sample::select(PingKind::ALL.to_vec());
    prop_oneof![
        4 => (kind, 0..4_u8).prop_map(|(kind, run)| Act::Ping(kind, run)),
        4 => Just(Act::Tick),
        1 => Just(Act::Pause),
        1 => Just(Act::Resume),
        1 => (-400_000_000..400_000_000_i64).prop_map(Act::Jump),
        1 => Just(Act::Restart),
    ]
}

/// Each act with the seconds before it.
fn history() -> impl Strategy<Value = Vec<(u64, Act)>> {
    prop::collection::vec((0..20 * HOUR, act()), 0..60)
}

fn event(act: Act, task: &str) -> Option<Event<'_>> {
    const RIDS: [Option<&str>; 4] = [None, Some("a"), Some("b"), Some("c")];
    Some(match act {
        Act::Ping(kind, run) => Event::Ping { kind, rid: RIDS[usize::from(run)], task },
        Act::Tick => Event::Tick,
        Act::Pause => Event::Pause,
        Act::Resume => Event::Resume,
        Act::Jump(_) | Act::Restart => return None,
    })
}

proptest! {
    #[test]
    fn the_wall_clock_decides_nothing_while_the_agent_runs(history in history()) {
        let (mut still, mut jumping) = (check(), check());
        let (mut seconds, mut skew) = (0, 0);
        for (number, (wait, act)) in history.into_iter().enumerate() {
            seconds += wait;
            if let Act::Jump(by) = act {
                skew += by;
            }
            let task = number.to_string();
            let Some(event) = event(act, &task) else { continue };
            let now = at(seconds);
            let skewed = Moment { wall: Timestamp(now.wall.0 + skew), ..now };
            prop_assert_eq!(still.step(event, PACE, now), jumping.step(event, PACE, skewed));
            prop_assert_eq!(still.status(), jumping.status());
        }
    }

    #[test]
    fn it_is_down_only_for_a_reason(history in history()) {
        let mut check = check();
        let (mut seconds, mut last, mut newest_start) = (0, None, None);
        for (number, (wait, act)) in history.into_iter().enumerate() {
            seconds += wait;
            if matches!(act, Act::Restart) {
                check = Check::restored(check.saved(), at(seconds));
            }
            let task = number.to_string();
            let Some(event) = event(act, &task) else { continue };
            let was = check.status();
            let effects = check.step(event, PACE, at(seconds));
            if let Some(Move { to: CheckStatus::Down, reason, .. }) = effects.moved {
                let waited = |since: Option<u64>| since.map_or(0, |since| seconds - since);
                let true_reason = match reason {
                    CheckReason::Failed => matches!(act, Act::Ping(PingKind::Fail, _)),
                    CheckReason::Missed => waited(last) >= 26 * HOUR,
                    CheckReason::Overran => waited(newest_start) >= HOUR,
                    _ => false,
                };
                prop_assert!(true_reason, "{:?}", reason);
                prop_assert!(was != CheckStatus::Paused || reason == CheckReason::Failed);
            }
            match act {
                Act::Ping(PingKind::Success | PingKind::Fail, _) => last = Some(seconds),
                Act::Ping(PingKind::Start, _) => newest_start = Some(seconds),
                _ => {}
            }
            if matches!(act, Act::Ping(PingKind::Success, _)) {
                prop_assert_eq!(check.status(), CheckStatus::Up);
            }
            prop_assert!(check.runs().1 <= MOST_RUNS);
        }
    }

    #[test]
    fn every_run_ends_once_and_only_what_started(history in history()) {
        let mut check = check();
        let mut seconds = 0;
        let (mut open, mut over) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
        for (number, (wait, act)) in history.into_iter().enumerate() {
            seconds += wait;
            let own = number.to_string();
            let Some(event) = event(act, &own) else { continue };
            for run in check.step(event, PACE, at(seconds)).runs {
                match run {
                    RunChange::Started { task } => prop_assert!(open.insert(task)),
                    RunChange::Lost { task } => {
                        prop_assert!(open.remove(&task));
                        prop_assert!(over.insert(task));
                    }
                    RunChange::Ended { task, took, .. } => {
                        prop_assert_eq!(open.remove(&task), took.is_some());
                        prop_assert!(took.is_some() || task == own);
                        prop_assert!(over.insert(task));
                    }
                }
            }
        }
        prop_assert_eq!(open.len(), check.runs().1);
    }

    #[test]
    fn a_clock_set_back_across_a_restart_takes_nothing_down(back in 0..i64::MAX / 2, later in 0..26 * HOUR) {
        let mut check = check();
        check.step(ping(PingKind::Success), PACE, at(100));
        let now = at(0);
        let started = Moment { wall: Timestamp(now.wall.0.saturating_sub(back)), ..now };
        let mut restored = Check::restored(check.saved(), started);
        prop_assert_eq!(restored.saved(), check.saved());
        restored.step(Event::Tick, PACE, at(later));
        prop_assert_ne!(restored.status(), CheckStatus::Down);
    }
}
