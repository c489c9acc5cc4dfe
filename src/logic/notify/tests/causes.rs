//! One cause, one notification.

use super::stage::*;
use crate::logic::notify::Policy;
use crate::model::alert::Happening::{FlappingStarted, Pending, Resolved};
use crate::model::notice::NoticeKind::{Firing, Repeat};
use crate::model::rule::Parent;
use crate::model::severity::Severity::{Critical, High, Medium};

/// A dead bucket: its breaker opens after its error rate and its latency were seen.
fn dead_target() -> Stage {
    let mut stage = Stage::new(settings(&["ops"]));
    stage.policy("error_rate", child_of("circuit_breaker_open", secs(120), minutes(5)));
    stage.policy("service_degraded", child_of("circuit_breaker_open", secs(120), minutes(1)));
    stage
}

#[test]
fn a_dead_target_is_one_message_and_one_resolve() {
    let mut stage = dead_target();
    stage.fire("c1", "error_rate", "target=a", High);
    stage.pass(secs(20));
    stage.fire("c2", "service_degraded", "target=a", High);
    stage.pass(secs(40));
    stage.fire("p", "circuit_breaker_open", "target=a", Critical);
    stage.pass(minutes(60));
    assert_eq!(stage.heard(), ["ops firing p"]);
    assert_eq!(stage.notifier.muted("c1").unwrap().inhibited_by, ["p"]);
    stage.then("p", Resolved);
    stage.pass(minutes(1));
    stage.then("c2", Resolved);
    stage.pass(minutes(4));
    // The window of five minutes held the outage until here.
    stage.then("c1", Resolved);
    stage.pass(minutes(600));
    assert_eq!(stage.heard(), ["ops firing p", "ops resolved p"]);
    assert!(stage.stored.rows.is_empty());
}

#[test]
fn a_child_that_outlives_its_parent_and_its_window_is_told_of() {
    let mut stage = dead_target();
    stage.fire("p", "circuit_breaker_open", "target=a", Critical);
    stage.fire("c", "error_rate", "target=a", High);
    stage.pass(minutes(30));
    stage.then("p", Resolved);
    stage.restart();
    stage.pass(minutes(6) - secs(1));
    assert_eq!(stage.heard(), ["ops firing p", "ops resolved p"]);
    stage.pass(secs(31));
    assert_eq!(stage.heard().last().unwrap(), "ops firing c");
    stage.then("c", Resolved);
    stage.pass(minutes(1));
    assert_eq!(stage.heard().last().unwrap(), "ops resolved c");
}

#[test]
fn a_child_that_fires_into_the_window_of_a_parent_that_is_over_is_muted_too() {
    let mut stage = dead_target();
    stage.fire("p", "circuit_breaker_open", "target=a", Critical);
    stage.pass(minutes(2));
    stage.then("p", Resolved);
    stage.pass(minutes(1));
    stage.fire("c", "error_rate", "target=a", High);
    stage.pass(minutes(4));
    stage.then("c", Resolved);
    stage.pass(minutes(60));
    assert_eq!(stage.heard(), ["ops firing p", "ops resolved p"]);
}

#[test]
fn a_full_disk_is_one_message_of_the_worst_rule() {
    let mut stage = Stage::new(settings(&["ops"]));
    for rule in ["low_disk", "resource_usage", "disk_full_soon"] {
        stage.policy(rule, child_of("storage_capacity", secs(60), minutes(1)));
    }
    stage.fire("p", "storage_capacity", "mount=/data", Critical);
    for (id, rule) in [("c1", "low_disk"), ("c2", "resource_usage"), ("c3", "disk_full_soon")] {
        stage.fire(id, rule, "mount=/data", Critical);
    }
    stage.fire("other", "low_disk", "mount=/home", Critical);
    stage.pass(minutes(3));
    assert_eq!(stage.heard(), ["ops firing p", "ops firing other"]);
    for id in ["c1", "c2", "p", "c3", "other"] {
        stage.then(id, Resolved);
        stage.pass(secs(5));
    }
    stage.pass(minutes(30));
    assert_eq!(stage.heard().len(), 4, "{:?}", stage.heard());
}

#[test]
fn a_parent_that_is_less_severe_or_cannot_be_told_of_mutes_nobody() {
    let mut stage = dead_target();
    stage.fire("p", "circuit_breaker_open", "target=a", Medium);
    stage.fire("c", "error_rate", "target=a", High);
    stage.pass(minutes(3));
    assert_eq!(stage.heard(), ["ops firing p", "ops firing c"]);

    let mut stage = dead_target();
    // Below medium no route takes it.
    stage.fire("p", "circuit_breaker_open", "target=a", crate::model::severity::Severity::Info);
    stage.fire("c", "error_rate", "target=a", crate::model::severity::Severity::Info);
    stage.policy(
        "error_rate",
        Policy { notify: vec!["ops".into()], ..child_of("circuit_breaker_open", secs(60), minutes(1)) },
    );
    stage.then("c", crate::model::alert::Happening::Eased);
    stage.pass(minutes(3));
    assert_eq!(stage.heard(), ["ops firing c"]);
}

#[test]
fn a_child_waits_for_a_parent_that_is_pending_but_not_for_ever() {
    let mut stage = dead_target();
    stage.happen("p", "circuit_breaker_open", "target=a", Critical, Pending);
    stage.fire("c", "error_rate", "target=a", High);
    stage.pass(minutes(10));
    assert!(stage.sent.is_empty());
    stage.pass(minutes(8));
    assert_eq!(stage.heard(), ["ops firing c"]);
}

#[test]
fn two_rules_that_name_each_other_do_not_mute_each_other_for_ever() {
    let mut stage = Stage::new(settings(&["ops"]));
    stage.policy("a", child_of("b", secs(60), minutes(1)));
    stage.policy("b", child_of("a", secs(60), minutes(1)));
    stage.fire("1", "a", "target=x", High);
    stage.fire("2", "b", "target=x", High);
    stage.pass(minutes(60));
    assert_eq!(stage.heard(), ["ops firing 1"]);
}

#[test]
fn a_silenced_parent_explains_its_children_all_the_same() {
    let mut stage = dead_target();
    stage.silence(
        "s",
        ("alertname", crate::model::selector::MatchOp::Equal, "circuit_breaker_open"),
        minutes(60),
    );
    stage.fire("p", "circuit_breaker_open", "target=a", Critical);
    stage.fire("c", "error_rate", "target=a", High);
    stage.pass(minutes(30));
    stage.then("p", Resolved);
    stage.then("c", Resolved);
    stage.pass(minutes(30));
    assert_eq!(stage.heard(), Vec::<String>::new());
}

#[test]
fn a_child_that_was_told_of_before_is_only_kept_from_nagging() {
    let mut stage = dead_target();
    stage.policy(
        "error_rate",
        Policy { repeat: Some(minutes(10)), ..child_of("circuit_breaker_open", secs(0), minutes(1)) },
    );
    stage.fire("c", "error_rate", "target=a", High);
    stage.pass(minutes(15));
    stage.fire("p", "circuit_breaker_open", "target=a", Critical);
    stage.pass(minutes(60));
    assert_eq!(stage.kinds(), [Firing, Repeat, Firing]);
    stage.then("c", Resolved);
    stage.pass(minutes(1));
    assert_eq!(stage.heard().last().unwrap(), "ops resolved c");
}

#[test]
fn what_flaps_is_told_of_once_and_at_its_end() {
    use crate::model::alert::Happening::{FlappingEnded, Recovering, Relapsed};
    for (last, expected) in [(None, "ops firing 1"), (Some(Resolved), "ops resolved 1")] {
        let mut stage = Stage::new(settings(&["ops"]));
        stage.fire("1", "a", "target=x", High);
        stage.pass(minutes(1));
        stage.then("1", FlappingStarted);
        for _ in 0..5 {
            stage.pass(minutes(1));
            stage.then("1", Recovering);
            stage.pass(minutes(1));
            stage.then("1", Relapsed);
        }
        last.into_iter().for_each(|last| stage.then("1", last));
        stage.pass(minutes(10));
        assert_eq!(stage.heard(), ["ops firing 1", "ops flapping 1"]);
        stage.then("1", FlappingEnded);
        stage.pass(minutes(1));
        assert_eq!(stage.heard()[2..], [expected]);
    }
}

#[test]
fn flapping_that_spans_episodes_is_still_one_message_and_one_end() {
    use crate::model::alert::Happening::{Fired, FlappingEnded};
    let next = |stage: &mut Stage, before: &str, id: &str| {
        stage.touch(before, |alert| alert.flapping = false);
        stage.begin(id, "a", "target=x", |alert| alert.flapping = true);
        stage.happen(id, "", "", High, Fired);
    };
    for fires in [false, true] {
        let mut stage = Stage::new(settings(&["ops"]));
        stage.fire("1", "a", "target=x", High);
        stage.pass(minutes(1));
        // The end of the first episode is the change that makes it flap.
        stage.at_once(|stage| {
            stage.then("1", Resolved);
            stage.then("1", FlappingStarted);
        });
        stage.pass(minutes(1));
        for (before, id) in [("1", "2"), ("2", "3"), ("3", "4")] {
            stage.at_once(|stage| next(stage, before, id));
            stage.pass(minutes(2));
            stage.then(id, Resolved);
            stage.pass(minutes(2));
        }
        if fires {
            stage.at_once(|stage| next(stage, "4", "5"));
        }
        stage.pass(minutes(15));
        assert_eq!(stage.heard(), ["ops firing 1", "ops flapping 1"]);
        stage.then(if fires { "5" } else { "4" }, FlappingEnded);
        stage.pass(minutes(1));
        let end = stage.heard()[2..].to_vec();
        assert_eq!(end, [if fires { "ops firing 1,5" } else { "ops resolved 1" }]);
        stage.pass(minutes(60));
        assert_eq!(stage.sent.len(), 3);
    }
}

#[test]
fn labels_that_are_named_are_those_that_count() {
    let mut stage = Stage::new(settings(&["ops"]));
    let parent = Parent { rule: "host_down".into(), on: vec!["host".into()] };
    stage.policy("slow", Policy { depends_on: vec![parent], settle: secs(60), ..Policy::default() });
    stage.fire("p", "host_down", "host=h kind=x", Critical);
    stage.fire("1", "slow", "host=h kind=y", High);
    stage.fire("2", "slow", "host=i kind=x", High);
    stage.pass(minutes(5));
    assert_eq!(stage.heard(), ["ops firing p", "ops firing 2"]);
}

/// A target that is probed seldom is told of as down long before its breaker opens.
fn child_first(channels_of_the_child: &[&str]) -> Stage {
    let mut stage = Stage::new(settings(&["mail", "ops"]));
    let notify = channels_of_the_child.iter().map(|channel| (*channel).to_owned()).collect();
    let child = child_of("circuit_breaker_open", secs(60), minutes(2));
    stage.policy("service_down", Policy { notify, ..child });
    stage.fire("c", "service_down", "target=a", Critical);
    stage.pass(minutes(5));
    stage.fire("p", "circuit_breaker_open", "target=a", Critical);
    stage.pass(minutes(5));
    stage
}

#[test]
fn a_parent_that_fires_after_its_child_was_told_of_is_no_news() {
    let stage = child_first(&[]);
    assert_eq!(stage.heard(), ["mail firing c", "ops firing c"]);
}

#[test]
fn who_was_not_told_of_the_child_is_told_of_the_parent() {
    let stage = child_first(&["ops"]);
    assert!(stage.heard().contains(&String::from("mail firing p")), "{:?}", stage.heard());
}
