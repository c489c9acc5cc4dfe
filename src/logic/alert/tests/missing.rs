//! Missing data, data that is no number, and expressions that fail.

use super::*;

use AlertState::{Error, Firing, Nodata, Pending, Recovering};
use Severity::{Critical, Medium};

fn with(absent: Absent) -> Table {
    Table::new(level_rule(|levels| levels.absent = absent))
}

#[test]
fn missing_is_kept_for_the_grace_and_then_no_data() {
    let mut table = with(Absent::Keep);
    table.one(96.0);
    // No sample, one that is no number, and one of too few.
    assert_eq!(table.wait(1).step(&[]), []);
    assert_eq!(table.wait(30).one(f64::NAN), []);
    let few = [Sample { key: "a", value: 10.0, enough: false }];
    assert_eq!(table.wait(29).input(Input::Samples(&few)), []);
    assert_eq!(table.shown(), (Firing, Critical));
    assert_eq!(table.wait(1).step(&[]), steps(&[Happening::Nodata]));
    assert_eq!(table.shown(), (Nodata, Critical));
    assert_eq!(table.alert().steps.last().unwrap().note.as_deref(), Some("no data for 1m"));
    // Back, and still beyond its clear point: the same episode.
    assert_eq!(table.wait(600).one(94.0), steps(&[Happening::Relapsed]));
    assert_eq!((table.shown(), table.alert().id.as_str()), ((Firing, Critical), "a0001"));
    table.wait(1).step(&[]);
    assert_eq!(table.wait(60).step(&[]), steps(&[Happening::Nodata]));
    assert_eq!(table.wait(1).one(10.0), steps(&[Happening::Resolved]));
}

#[test]
fn a_healthy_label_set_that_disappears_is_no_data_too() {
    let mut table = with(Absent::Keep);
    table.step(&[("a", 10.0), ("b", 10.0)]);
    assert_eq!(table.wait(15).step(&[("b", 10.0)]), []);
    assert_eq!(table.wait(60).step(&[("b", 10.0)]), steps(&[Happening::Nodata]));
    assert_eq!((table.shown(), table.alert().fired_at), ((Nodata, Medium), None));
    // It comes back beyond a level: no data is over, and another episode begins.
    assert_eq!(
        table.wait(15).step(&[("a", 85.0), ("b", 10.0)]),
        steps(&[Happening::Resolved, Happening::Fired])
    );
    assert_eq!(table.alert().id, "a0002");
}

#[test]
fn a_grace_begins_anew_with_every_value() {
    let mut table = with(Absent::Keep);
    for _ in 0..20 {
        assert_eq!(table.wait(59).one(10.0), []);
        assert_eq!(table.wait(1).step(&[]), []);
        assert_eq!(table.wait(59).step(&[]), []);
    }
}

#[test]
fn missing_may_be_fine() {
    let mut table = with(Absent::Ok);
    table.one(85.0);
    assert_eq!(table.step(&[]), steps(&[Happening::Resolved]));
    assert_eq!(table.state.instances(), 0);
    table.one(85.0);
    assert_eq!(table.one(f64::NAN), steps(&[Happening::Resolved]));
}

#[test]
fn missing_may_be_the_alert_itself() {
    let mut table = with(Absent::Alert);
    table.one(10.0);
    assert_eq!(table.wait(1).step(&[]), []);
    assert_eq!(table.wait(60).step(&[]), steps(&[Happening::Fired]));
    assert_eq!((table.shown(), table.alert().value), ((Firing, Medium), None));
    // The clear point of a level says nothing to a value that was never beyond it.
    assert_eq!(table.wait(1).one(79.0), steps(&[Happening::Resolved]));

    table.one(96.0);
    table.wait(1).step(&[]);
    assert_eq!(table.wait(60).step(&[]), [], "it keeps the level that it had");
    assert_eq!(table.shown(), (Firing, Critical));
}

#[test]
fn missing_may_be_an_error() {
    let mut table = with(Absent::Error);
    table.one(10.0);
    table.wait(1).step(&[]);
    assert_eq!(table.wait(60).step(&[]), steps(&[Happening::Error]));
    assert_eq!((table.alert().state, table.alert().error.as_deref()), (Error, Some("no data for 1m")));
    assert_eq!(table.alert().message, "no data for 1m");
    assert_eq!(table.wait(1).one(10.0), steps(&[Happening::Resolved]));
    assert_eq!(table.last.changes[0].alert.error, None);
}

#[test]
fn pending_and_recovering_wait_for_data() {
    let mut rule = level_rule(|levels| levels.clear_for = seconds(60));
    rule.hold = seconds(30);
    let mut table = Table::new(rule);
    table.one(85.0);
    assert_eq!(table.wait(40).step(&[]), []);
    assert_eq!(table.alert().state, Pending);
    assert_eq!(table.wait(1).one(85.0), steps(&[Happening::Fired]));
    table.one(10.0);
    assert_eq!(table.wait(40).step(&[]), []);
    assert_eq!(table.wait(59).step(&[]), []);
    assert_eq!(table.alert().state, Recovering);
    assert_eq!(table.wait(1).step(&[]), steps(&[Happening::Nodata]));
    assert_eq!(table.wait(1).one(10.0), steps(&[Happening::Recovering]));
    assert_eq!(table.wait(60).one(10.0), steps(&[Happening::Resolved]));
}

#[test]
fn what_never_had_a_value_is_not_missed() {
    for rule in [level_rule(|_| {}), prometheus_rule(Duration::ZERO)] {
        let mut table = Table::new(rule);
        for _ in 0..100 {
            assert_eq!(table.wait(60).step(&[]), []);
        }
    }
    let mut table = with(Absent::Keep);
    for _ in 0..100 {
        assert_eq!(table.wait(60).one(f64::NAN), []);
    }
}

#[test]
fn a_rule_of_the_owner_says_that_it_never_had_a_series() {
    let mut rule = level_rule(|_| {});
    rule.origin = Origin::Configured;
    let mut table = Table::new(rule);
    assert_eq!(table.step(&[]), []);
    assert_eq!(table.wait(60).step(&[]), steps(&[Happening::Nodata]));
    assert_eq!((table.state.whole().unwrap().state, table.alert().key.as_str()), (Nodata, WHOLE_RULE));
    assert_eq!(table.wait(60).one(10.0), steps(&[Happening::Resolved]));
    assert_eq!(table.state.alerts().count(), 0);
}

#[test]
fn an_expression_that_fails_is_one_alert_and_the_rest_stands_still() {
    let mut table = with(Absent::Keep);
    table.step(&[("a", 85.0), ("b", 96.0), ("c", 10.0)]);
    assert_eq!(table.wait(15).input(Input::Failed("many-to-many")), []);
    assert_eq!(table.wait(60).input(Input::Failed("many-to-many")), steps(&[Happening::Error]));
    let whole = table.state.whole().unwrap();
    assert_eq!((whole.state, whole.error.as_deref()), (Error, Some("many-to-many")));
    assert_eq!(table.state.alerts().filter(|alert| alert.state == Firing).count(), 2);
    assert_eq!(table.wait(900).input(Input::Failed("many-to-many")), []);
    // It works again: only that is over. The time without answers is nobody's missing data.
    assert_eq!(table.wait(1).step(&[("a", 85.0)]), steps(&[Happening::Resolved]));
    assert_eq!(table.state.alerts().count(), 2);
}

#[test]
fn an_alert_about_the_rule_can_be_resolved_by_hand() {
    let mut table = with(Absent::Keep);
    table.input(Input::Failed("x"));
    table.wait(60).input(Input::Failed("x"));
    table.command(resolve()).unwrap();
    for _ in 0..10 {
        assert_eq!(table.wait(60).input(Input::Failed("x")), []);
    }
    assert_eq!(table.step(&[]), [News::Touched]);
    table.input(Input::Failed("x"));
    assert_eq!(table.wait(60).input(Input::Failed("x")), steps(&[Happening::Error]));
}

#[test]
fn no_data_that_was_resolved_by_hand_is_forgotten_until_there_is_data() {
    let mut table = with(Absent::Keep);
    table.one(10.0);
    table.wait(1).step(&[]);
    table.wait(60).step(&[]);
    assert_eq!(table.command(resolve()), Ok(steps(&[Happening::ResolvedByHand])));
    for _ in 0..10 {
        assert_eq!(table.wait(60).step(&[]), []);
    }
    assert_eq!(table.one(85.0), steps(&[Happening::Fired]));
}
