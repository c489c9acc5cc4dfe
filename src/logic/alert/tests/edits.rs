//! Restarts and edits of rules.

use super::*;

use AlertState::{Firing, Pending, Recovering, Resolved};
use Severity::{Critical, High, Low, Medium};

#[test]
fn a_restart_keeps_what_fires_and_tells_nothing() {
    for (rule, back) in [(level_rule(|_| {}), 85.0), (prometheus_rule(Duration::ZERO), 1.0)] {
        let mut table = Table::new(rule);
        table.one(back);
        let before = table.wait(100).alert().clone();
        assert_eq!(table.restart(60), []);
        // Its series need a while to come back.
        assert_eq!(table.wait(100).step(&[]), []);
        assert_eq!(table.alert(), &before);
        assert_eq!(table.wait(100).one(back), []);
        assert_eq!((table.alert().since, table.alert().fired_at), (before.since, before.fired_at));
    }
}

#[test]
fn what_does_not_come_back_after_a_start_is_over_or_missing() {
    let mut table = Table::new(prometheus_rule(Duration::ZERO));
    table.one(1.0);
    table.restart(60);
    assert_eq!(table.wait(299).step(&[]), []);
    assert_eq!(table.wait(1).step(&[]), steps(&[Happening::Resolved]));

    let mut table = Table::new(level_rule(|_| {}));
    table.one(85.0);
    table.restart(60);
    assert_eq!(table.wait(300).step(&[]), []);
    assert_eq!(table.wait(60).step(&[]), steps(&[Happening::Nodata]));

    let mut table = Table::new(level_rule(|levels| levels.absent = Absent::Ok));
    table.one(85.0);
    table.restart(60);
    assert_eq!(table.wait(299).one(f64::NAN), [], "a rate has no answer right after a start");
    assert_eq!(table.wait(1).one(f64::NAN), steps(&[Happening::Resolved]));
}

#[test]
fn pending_counts_while_the_process_lives() {
    let mut rule = level_rule(|_| {});
    rule.hold = seconds(300);
    let mut table = Table::new(rule);
    table.one(85.0);
    let since = table.now.wall;
    // Twice, and the time between does not count.
    assert_eq!(news(&table.wait(40).restart(10_000)), [News::Touched]);
    table.wait(60).restart(10_000);
    assert_eq!(table.wait(199).one(85.0), []);
    assert_eq!((table.alert().state, table.alert().since), (Pending, since));
    assert_eq!(table.wait(1).one(85.0), steps(&[Happening::Fired]));

    table.one(10.0);
    table.one(85.0);
    table.wait(299).restart(10_000);
    assert_eq!(table.wait(1).one(10.0), [News::Dropped]);
}

#[test]
fn recovering_acknowledgements_and_holds_outlive_a_restart() {
    let mut rule = level_rule(|levels| levels.clear_for = seconds(60));
    rule.re_raise_after = Some(seconds(600));
    let mut table = Table::new(rule);
    table.one(85.0);
    let until = table.now.wall.plus(seconds(1000));
    table.command(acknowledge(Some(until))).unwrap();
    table.one(10.0);
    table.wait(50).restart(500);
    assert_eq!(table.wait(9).one(10.0), []);
    assert_eq!(table.alert().state, Recovering);
    assert_eq!(table.one(85.0), steps(&[Happening::Relapsed]));
    assert_eq!(table.wait(440).one(85.0), []);
    assert_eq!(table.wait(1).one(85.0), steps(&[Happening::Rearmed]), "a wall time that people meant");

    table.command(resolve()).unwrap();
    table.wait(300).one(85.0);
    table.restart(10_000);
    assert_eq!(table.wait(299).one(85.0), []);
    assert_eq!(table.wait(1).one(85.0), [News::Touched, News::Step(Happening::Fired)]);
}

#[test]
fn a_wrong_clock_at_the_start_lengthens_an_acknowledgement_by_its_own_length_at_most() {
    let mut table = Table::new(level_rule(|_| {}));
    table.one(85.0);
    let until = table.now.wall.plus(seconds(600));
    table.command(acknowledge(Some(until))).unwrap();
    table.restart(0);
    let stored = vec![table.alert().clone()];
    let wrong = Now { wall: Timestamp(0), mono: Monotonic(seconds(1)) };
    table.state = RuleState::new(Arc::clone(table.state.rule()), Settings::default());
    table.state.restore(stored, wrong, None);
    table.now = wrong;
    assert_eq!(table.wait(599).one(85.0), []);
    assert_eq!(table.wait(1).one(85.0), steps(&[Happening::Rearmed]));
}

#[test]
fn flapping_outlives_a_restart() {
    let mut rule = level_rule(|_| {});
    rule.flap = Some(Flap { changes: 2, window: seconds(600), hold: seconds(900) });
    let mut table = Table::new(rule);
    table.one(85.0);
    assert_eq!(table.one(10.0), steps(&[Happening::Resolved, Happening::FlappingStarted]));
    table.restart(60);
    assert_eq!(table.wait(899).one(10.0), []);
    assert_eq!(table.wait(1).one(10.0), steps(&[Happening::FlappingEnded]));
}

#[test]
fn an_edit_of_levels_or_for_keeps_since_and_counts_from_the_next_step() {
    let mut rule = level_rule(|_| {});
    rule.hold = seconds(60);
    let mut table = Table::new(rule);
    table.one(85.0);
    table.wait(60).one(85.0);
    let since = table.alert().since;
    assert_eq!(table.change(|rule| rule.hold = seconds(3600)), []);
    assert_eq!(table.wait(1).one(85.0), [News::Touched], "its texts are written anew");
    assert_eq!((table.alert().since, table.alert().state), (since, Firing));

    // The level it had is gone, and the value is beyond the one that is left.
    let limits = |limits: &[(Severity, f64)]| {
        let levels = Levels { limits: limits.iter().copied().collect(), ..levels() };
        Judgement::Levels(levels)
    };
    table.change(|rule| rule.judgement = limits(&[(Critical, 84.0)]));
    table.wait(1).one(85.0);
    assert_eq!(table.shown(), (Firing, Medium), "a rise must hold");
    assert_eq!(table.wait(3600).one(85.0), steps(&[Happening::Worsened]));
    table.change(|rule| rule.judgement = limits(&[(Low, 50.0)]));
    assert_eq!(table.wait(1).one(85.0), steps(&[Happening::Eased]));
    assert_eq!((table.shown(), table.alert().since), ((Firing, Low), since));
    table.change(|rule| rule.judgement = limits(&[(Low, 90.0)]));
    assert_eq!(table.wait(1).one(85.0), steps(&[Happening::Resolved]));
}

#[test]
fn another_expression_makes_it_pending_again_with_its_acknowledgement() {
    let mut rule = level_rule(|_| {});
    rule.hold = seconds(60);
    let mut table = Table::new(rule);
    table.step(&[("a", 85.0), ("b", 85.0)]);
    table.wait(60).step(&[("a", 85.0), ("b", 85.0), ("c", 85.0)]);
    for id in ["a0001", "a0002"] {
        table.state.command(id, acknowledge(None), table.now).unwrap();
    }
    let mut news = news(&table.change(|rule| rule.expr = String::from("other")));
    news.sort_by_key(|news| *news == News::Touched);
    assert_eq!(news, [News::Step(Happening::RuleChanged), News::Step(Happening::RuleChanged), News::Touched]);
    assert!(table.state.alerts().all(|alert| alert.state == Pending && alert.expr == "other"));

    // What the new expression does not answer is over, and its end is told if it was told.
    let mut news = table.wait(1).step(&[("a", 85.0)]);
    news.retain(|news| *news != News::Touched);
    news.sort_by_key(|news| *news == News::Dropped);
    assert_eq!(news, [News::Step(Happening::RuleChanged), News::Dropped]);
    assert_eq!(table.alert().key, "a");
    assert_eq!(table.wait(59).one(85.0), []);
    assert_eq!(table.wait(1).one(85.0), steps(&[Happening::Relapsed]));
    assert!(table.alert().acknowledged.is_some());
}

#[test]
fn what_was_told_and_is_pending_again_is_resolved_not_dropped() {
    let mut rule = level_rule(|_| {});
    rule.hold = seconds(60);
    let mut table = Table::new(rule);
    table.one(85.0);
    table.wait(60).one(85.0);
    table.change(|rule| rule.expr = String::from("other"));
    assert_eq!(table.wait(1).one(10.0), steps(&[Happening::Resolved]));
}

#[test]
fn an_expression_edited_while_the_process_was_down_is_an_edit() {
    let mut table = Table::new(level_rule(|_| {}));
    table.one(85.0);
    let stored = vec![table.alert().clone()];
    let mut rule = level_rule(|_| {});
    rule.expr = String::from("other");
    table.state = RuleState::new(Arc::new(rule), Settings::default());
    let changes = table.state.restore(stored, table.now, None);
    assert_eq!(news(&changes), steps(&[Happening::RuleChanged]));
    assert_eq!(table.step(&[]), steps(&[Happening::RuleChanged]));
    assert_eq!(table.last.changes[0].alert.state, Resolved);
}

#[test]
fn a_disabled_rule_resolves_what_was_told() {
    let mut rule = prometheus_rule(Duration::ZERO);
    let mut table = Table::new(rule.clone());
    table.one(1.0);
    let changes = table.change(|rule| rule.enabled = false);
    assert_eq!(news(&changes), steps(&[Happening::RuleChanged]));
    assert_eq!((changes[0].alert.state, changes[0].alert.severity), (Resolved, High));
    assert_eq!(table.one(1.0), []);
    // Disabled while the process was down.
    let mut other = Table::new(rule.clone());
    other.one(1.0);
    let stored = vec![other.alert().clone()];
    rule.enabled = false;
    table.state = RuleState::new(Arc::new(rule), Settings::default());
    table.state.restore(stored, table.now, None);
    assert_eq!(table.one(1.0), steps(&[Happening::RuleChanged]));
    assert_eq!(table.state.alerts().count(), 0);
}

#[test]
fn of_two_alerts_of_one_label_set_the_newest_goes_on() {
    let mut table = Table::new(level_rule(|_| {}));
    table.one(85.0);
    let older = table.alert().clone();
    let newer = Alert { id: String::from("a0009"), ..older.clone() };
    let ended = Alert { id: String::from("a0010"), state: Resolved, flapping: true, ..older.clone() };
    table.state = RuleState::new(Arc::clone(table.state.rule()), Settings::default());
    let changes = table.state.restore(vec![newer, ended, older], table.now, None);
    assert_eq!(news(&changes), [News::Touched, News::Step(Happening::RuleChanged)]);
    assert_eq!((table.state.alerts().count(), table.alert().id.as_str()), (1, "a0009"));
    assert_eq!(table.one(85.0), []);
}
