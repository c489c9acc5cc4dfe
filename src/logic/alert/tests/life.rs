//! From pending to resolved, with levels, hysteresis, flapping and operators.

use super::*;

use AlertState::{Firing, Pending, Recovering, Resolved};
use Severity::{Critical, High, Medium};

#[test]
fn a_level_rises_and_falls_inside_one_alert() {
    let mut table = Table::new(level_rule(|_| {}));
    assert_eq!(table.one(79.9), []);
    assert_eq!(table.wait(15).one(80.0), steps(&[Happening::Fired]));
    let id = table.alert().id.clone();
    assert_eq!((table.alert().threshold, table.alert().value), (Some(80.0), Some(80.0)));

    assert_eq!(table.wait(15).one(96.0), steps(&[Happening::Worsened]));
    assert_eq!((table.shown(), table.alert().threshold), ((Firing, Critical), Some(95.0)));
    // Each level is left at its own clear point.
    assert_eq!(table.wait(15).one(93.0), []);
    assert_eq!(table.wait(15).one(92.9), steps(&[Happening::Eased]));
    assert_eq!((table.shown(), table.alert().peak), ((Firing, Medium), Critical));
    assert_eq!(table.wait(15).one(78.0), []);
    assert_eq!(table.wait(15).one(77.9), steps(&[Happening::Resolved]));

    let ended = &table.last.changes[0].alert;
    assert_eq!((&ended.id, ended.last_step), (&id, 4));
    assert_eq!(ended.resolved_at, Some(table.now.wall));
    assert_eq!(ended.title, "a medium Some(92.9)", "the text is that of the last level");
    assert_eq!(table.state.alerts().count(), 0);
    // Not beyond again before the level itself.
    assert_eq!(table.wait(15).one(79.0), []);
}

#[test]
fn a_rule_may_look_downwards_and_clear_at_given_points() {
    let mut table = Table::new(level_rule(|levels| {
        levels.op = Compare::Below;
        levels.limits = BTreeMap::from([(Severity::Medium, 20.0), (Severity::Critical, 5.0)]);
        levels.clear = Clear::At(BTreeMap::from([(Severity::Medium, 25.0)]));
    }));
    assert_eq!(table.one(20.0), []);
    assert_eq!(table.one(4.0), steps(&[Happening::Fired]));
    assert_eq!(table.shown(), (Firing, Critical));
    // Critical has no clear point of its own and is left at its limit.
    assert_eq!(table.one(5.0), steps(&[Happening::Eased]));
    assert_eq!(table.one(24.9), []);
    assert_eq!(table.one(25.0), steps(&[Happening::Resolved]));
}

#[test]
fn a_condition_must_hold_and_a_rise_must_hold_too() {
    let mut rule = level_rule(|_| {});
    rule.hold = seconds(60);
    let mut table = Table::new(rule);
    assert_eq!(table.one(85.0), steps(&[Happening::Pending]));
    assert!(table.last.changes[0].can_wait());
    assert_eq!(table.wait(59).one(99.0), []);
    assert_eq!(table.shown(), (Pending, Medium));
    assert_eq!(table.wait(1).one(99.0), steps(&[Happening::Fired]));
    assert_eq!(table.shown(), (Firing, Medium), "critical for a second only");
    assert_eq!(table.wait(58).one(99.0), []);
    assert_eq!(table.wait(1).one(99.0), steps(&[Happening::Worsened]));
    // One dip, and the minute begins anew; an ease is at once.
    assert_eq!(table.wait(1).one(85.0), steps(&[Happening::Eased]));
    assert_eq!(table.wait(59).one(99.0), []);
    assert_eq!(table.wait(30).one(90.0), []);
    assert_eq!(table.wait(1).one(99.0), []);
    assert_eq!(table.wait(59).one(99.0), []);

    // A pending one whose condition goes away leaves nothing behind.
    assert_eq!(table.one(10.0), steps(&[Happening::Resolved]));
    assert_eq!(table.one(99.0), steps(&[Happening::Pending]));
    assert_eq!(table.shown(), (Pending, Critical));
    assert_eq!(table.wait(30).one(10.0), [News::Dropped]);
    assert!(table.last.changes[0].can_wait());
    assert_eq!(table.state.alerts().count(), 0);
}

#[test]
fn clear_for_is_recovering_and_a_relapse_is_the_same_episode() {
    let mut table = Table::new(level_rule(|levels| levels.clear_for = seconds(60)));
    table.one(96.0);
    let started = table.now.wall;
    assert_eq!(table.wait(10).one(50.0), steps(&[Happening::Recovering]));
    assert_eq!(table.shown(), (Recovering, Critical));
    // Beyond the clear point again, but not beyond the level: still recovering.
    assert_eq!(table.wait(30).one(79.0), []);
    assert_eq!(table.wait(10).one(81.0), steps(&[Happening::Relapsed]));
    assert_eq!(table.shown(), (Firing, Medium));
    assert_eq!((table.alert().id.as_str(), table.alert().started_at), ("a0001", started));
    assert_eq!(table.alert().fired_at, Some(started));
    assert_eq!(table.wait(10).one(50.0), steps(&[Happening::Recovering]));
    assert_eq!(table.wait(59).one(50.0), []);
    assert_eq!(table.wait(1).one(50.0), steps(&[Happening::Resolved]));
}

#[test]
fn the_prometheus_form_lives_by_samples() {
    let mut rule = prometheus_rule(seconds(30));
    rule.hold = seconds(60);
    let mut table = Table::new(rule);
    assert_eq!(table.step(&[]), []);
    assert_eq!(table.step(&[("a", 0.0), ("b", f64::NAN)]), steps(&[Happening::Pending, Happening::Pending]));
    assert_eq!(table.wait(30).step(&[("b", 1.0)]), [News::Dropped], "pending ends at once");
    assert_eq!(table.wait(30).step(&[("b", 1.0)]), steps(&[Happening::Fired]));
    assert_eq!((table.shown(), table.alert().threshold), ((Firing, High), None));
    assert_eq!(table.wait(15).step(&[]), steps(&[Happening::Recovering]));
    assert_eq!(table.wait(15).step(&[("b", 1.0)]), steps(&[Happening::Relapsed]));
    assert_eq!(table.wait(15).step(&[]), steps(&[Happening::Recovering]));
    assert_eq!(table.wait(30).step(&[]), steps(&[Happening::Resolved]));
    assert_eq!(table.state.instances(), 0, "nothing is kept of what is not answered");
}

#[test]
fn flapping_is_counted_over_episodes_and_ends_when_it_was_steady() {
    let mut rule = level_rule(|_| {});
    rule.flap = Some(Flap { changes: 5, window: seconds(600), hold: seconds(900) });
    let mut table = Table::new(rule);
    for _ in 0..2 {
        assert_eq!(table.wait(30).one(85.0), steps(&[Happening::Fired]));
        assert_eq!(table.wait(30).one(10.0), steps(&[Happening::Resolved]));
    }
    assert_eq!(table.wait(30).one(85.0), steps(&[Happening::Fired, Happening::FlappingStarted]));
    assert!(!table.last.changes[0].alert.flapping, "the change that makes it so is still told");
    assert!(table.alert().flapping);
    // It goes through its states as ever, and each new episode is flapping from the start.
    assert_eq!(table.wait(30).one(10.0), steps(&[Happening::Resolved]));
    assert_eq!(table.alert().state, Resolved);
    let fired = table.wait(30).one(85.0);
    assert_eq!(fired, [News::Touched, News::Step(Happening::Fired)]);
    assert!(!table.last.changes[0].alert.flapping && table.last.changes[1].alert.flapping);
    assert_eq!(table.wait(30).one(10.0), steps(&[Happening::Resolved]));
    // An end that was not told is told when it lasted.
    assert_eq!(table.wait(899).one(10.0), []);
    assert_eq!(table.wait(1).one(10.0), steps(&[Happening::FlappingEnded]));
    assert_eq!(table.last.changes[0].alert.state, Resolved);
    assert_eq!(table.state.alerts().count(), 0);
}

#[test]
fn an_alert_that_changes_slowly_does_not_flap() {
    let mut rule = level_rule(|_| {});
    rule.flap = Some(Flap { changes: 5, window: seconds(600), hold: seconds(900) });
    let mut table = Table::new(rule);
    for _ in 0..20 {
        assert_eq!(table.wait(151).one(85.0), steps(&[Happening::Fired]));
        assert_eq!(table.wait(151).one(10.0), steps(&[Happening::Resolved]));
    }
}

#[test]
fn an_acknowledgement_ends_by_its_time_by_a_rise_and_by_hand() {
    let mut table = Table::new(level_rule(|_| {}));
    table.one(85.0);
    let until = table.now.wall.plus(seconds(600));
    assert_eq!(table.command(acknowledge(Some(until))), Ok(steps(&[Happening::Acknowledged])));
    assert_eq!(table.command(acknowledge(Some(until))), Ok(vec![]), "the same again is no step");
    assert_eq!(table.wait(599).one(85.0), []);
    assert_eq!(table.wait(1).one(85.0), steps(&[Happening::Rearmed]));
    assert_eq!(table.command(acknowledge(Some(until))), Err(Refused::UntilOver));

    table.command(acknowledge(None)).unwrap();
    assert_eq!(table.wait(1).one(96.0), steps(&[Happening::Worsened, Happening::Rearmed]));
    assert!(table.last.changes[0].alert.acknowledged.is_some(), "one of the two is told, not both");
    assert_eq!(table.wait(1).one(85.0), steps(&[Happening::Eased]));

    table.command(acknowledge(None)).unwrap();
    let revoke = Command::Unacknowledge { by: String::from("bob") };
    assert_eq!(table.command(revoke.clone()), Ok(steps(&[Happening::Rearmed])));
    assert_eq!(table.command(revoke), Ok(vec![]));
    assert_eq!(table.alert().steps.last().unwrap().by.as_deref(), Some("bob"));
}

#[test]
fn nothing_is_done_to_what_is_not_active() {
    let mut rule = level_rule(|_| {});
    rule.hold = seconds(60);
    let mut table = Table::new(rule);
    table.one(85.0);
    for command in [acknowledge(None), resolve(), Command::Unacknowledge { by: String::new() }] {
        assert_eq!(table.command(command.clone()), Err(Refused::NotActive(Pending)));
        assert_eq!(table.state.command("other", command, table.now), Err(Refused::Unknown));
    }
}

#[test]
fn a_manual_resolve_holds_until_the_condition_was_false() {
    let mut rule = level_rule(|_| {});
    rule.re_raise_after = Some(seconds(3600));
    let mut table = Table::new(rule);
    table.one(85.0);
    assert_eq!(table.command(resolve()), Ok(steps(&[Happening::ResolvedByHand])));
    assert_eq!(table.command(resolve()), Ok(vec![]));
    for value in [85.0, 99.0, 79.0] {
        assert_eq!(table.wait(60).one(value), [], "{value}");
    }
    assert_eq!(table.wait(60).one(77.0), [News::Touched]);
    assert!(!goes_on(&table.last.changes[0].alert));
    assert_eq!(table.wait(60).one(85.0), steps(&[Happening::Fired]));
    assert_eq!(table.alert().id, "a0002");

    table.command(resolve()).unwrap();
    assert_eq!(table.wait(3599).one(85.0), []);
    assert_eq!(table.wait(1).one(85.0), [News::Touched, News::Step(Happening::Fired)]);

    // What was recovering already needs no hold.
    table.change(|rule| {
        rule.judgement = Judgement::Levels(Levels { clear_for: seconds(60), ..levels() });
    });
    table.one(10.0);
    assert_eq!(table.command(resolve()), Ok(steps(&[Happening::ResolvedByHand])));
    assert_eq!(table.one(85.0), steps(&[Happening::Fired]));
}

#[test]
fn a_wall_clock_that_jumps_a_day_changes_nothing_but_the_times_shown() {
    let mut rule = level_rule(|levels| levels.clear_for = seconds(60));
    (rule.hold, rule.re_raise_after) = (seconds(60), Some(seconds(600)));
    rule.flap = Some(Flap { changes: 50, window: DAY, hold: DAY });
    for forward in [true, false] {
        let mut table = Table::new(rule.clone());
        let jump = |table: &mut Table| {
            let wall = table.now.wall;
            table.now.wall = if forward { wall.plus(DAY) } else { wall.minus(DAY) };
        };
        table.one(85.0);
        jump(&mut table);
        assert_eq!(table.wait(59).one(85.0), [News::Touched]);
        let day = if forward { 86_400_000 } else { -86_400_000 };
        assert_eq!(table.alert().uncounted_ms, day, "a restart would not count it either");
        assert_eq!(table.wait(1).one(85.0), steps(&[Happening::Fired]));

        let until = table.now.wall.plus(seconds(3600));
        table.command(acknowledge(Some(until))).unwrap();
        jump(&mut table);
        assert_eq!(table.wait(1).one(85.0), [], "neither resolved nor re-armed");
        table.one(10.0);
        jump(&mut table);
        assert_eq!(table.wait(59).one(10.0), [News::Touched]);
        assert_eq!(table.one(85.0), steps(&[Happening::Relapsed]));
        table.command(resolve()).unwrap();
        jump(&mut table);
        assert_eq!(table.wait(599).one(85.0), [News::Touched]);
        assert_eq!(table.wait(1).one(85.0), [News::Touched, News::Step(Happening::Fired)]);
    }
}

#[test]
fn a_full_rule_refuses_the_new_and_keeps_the_old() {
    let mut table = Table::new(level_rule(|_| {}));
    table.state =
        RuleState::new(Arc::clone(table.state.rule()), Settings { most_instances: 2, ..Settings::default() });
    table.step(&[("a", 85.0), ("b", 10.0)]);
    assert_eq!(table.step(&[("c", 99.0), ("a", 85.0), ("b", 85.0)]), steps(&[Happening::Fired]));
    assert_eq!((table.last.refused, table.state.alerts().count()), (1, 2));
}

#[test]
fn the_first_of_two_samples_of_one_label_set_counts() {
    let mut table = Table::new(level_rule(|_| {}));
    assert_eq!(table.step(&[("a", 10.0), ("a", 99.0)]), []);
    assert_eq!(table.last.duplicates, 1);
}

#[test]
fn texts_are_asked_for_only_when_something_changes() {
    let mut table = Table::new(level_rule(|_| {}));
    for value in 0..80 {
        table.wait(15).one(f64::from(value));
    }
    assert_eq!(table.scribe.texts, 0);
    for value in 80..95 {
        table.wait(15).one(f64::from(value));
    }
    assert_eq!((table.scribe.texts, table.alert().value), (1, Some(94.0)));
}
