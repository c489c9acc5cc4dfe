//! Silences, and what they do not do.

use super::stage::*;
use crate::model::alert::Happening::{Acknowledged, Resolved, Worsened};
use crate::model::notice::NoticeKind::{Firing, Repeat, Resolved as End};
use crate::model::selector::MatchOp::{Equal, NotRegex, Regex};
use crate::model::severity::Severity::{Critical, High};

#[test]
fn a_silence_keeps_quiet_and_what_outlives_it_is_told() {
    let mut stage = Stage::new(settings(&["ops"]));
    stage.silence("s", ("mount", Regex, "/da.a"), minutes(60));
    stage.fire("1", "a", "mount=/data", High);
    stage.fire("2", "b", "mount=/database", High);
    stage.fire("3", "c", "mount=/data", High);
    stage.pass(minutes(30));
    assert_eq!(stage.heard(), ["ops firing 2"]);
    assert_eq!(stage.notifier.muted("1").unwrap().silences, ["s"]);
    stage.then("3", Resolved);
    stage.restart();
    stage.pass(minutes(31));
    assert_eq!(stage.heard(), ["ops firing 2", "ops firing 1"]);
    assert_eq!(stage.sent[1].0, START.plus(minutes(60) + secs(30)));
}

#[test]
fn the_end_of_what_was_told_is_told_in_silence_too() {
    let mut stage = Stage::new(settings(&["ops"]));
    stage.fire("1", "a", "x=1", High);
    stage.pass(minutes(1));
    stage.silence("s", ("x", Equal, "1"), minutes(600));
    stage.happen("1", "a", "", Critical, Worsened);
    stage.pass(minutes(300));
    assert_eq!(stage.kinds(), [Firing]);
    stage.then("1", Resolved);
    stage.pass(minutes(1));
    assert_eq!(stage.kinds(), [Firing, End]);
}

#[test]
fn a_row_that_exists_is_owed_whatever_is_silenced_later() {
    let mut stage = Stage::new(settings(&["ops"]));
    stage.fire("1", "a", "x=1", High);
    stage.silence("s", ("x", Equal, "1"), minutes(600));
    stage.pass(minutes(1));
    assert_eq!(stage.kinds(), [Firing]);
}

#[test]
fn planned_work_mutes_and_is_called_so() {
    let mut stage = Stage::new(settings(&["ops"]));
    stage.silence("s", ("x", NotRegex, "2|3"), minutes(60));
    stage.silences[0].maintenance = true;
    stage.notifier.set_silences(stage.silences.clone(), stage.now);
    stage.fire("1", "a", "x=1", High);
    stage.fire("2", "b", "x=2", High);
    stage.pass(minutes(10));
    assert_eq!(stage.heard(), ["ops firing 2"]);
    let muted = stage.notifier.muted("1").unwrap();
    assert!(muted.maintenance && muted.silences.is_empty());
    // It may be ended early.
    stage.notifier.set_silences(Vec::new(), stage.now);
    stage.pass(minutes(1));
    assert_eq!(stage.heard(), ["ops firing 2", "ops firing 1"]);
}

#[test]
fn a_silence_without_matchers_or_with_a_wrong_one_mutes_nobody() {
    let mut stage = Stage::new(settings(&["ops"]));
    stage.silence("s", ("x", Regex, "("), minutes(60));
    stage.silence("t", ("x", Equal, "1"), minutes(60));
    stage.silences[1].matchers.clear();
    stage.notifier.set_silences(stage.silences.clone(), stage.now);
    stage.fire("1", "a", "x=1", High);
    stage.pass(minutes(1));
    assert_eq!(stage.kinds(), [Firing]);
}

#[test]
fn who_has_seen_it_is_still_told_that_it_is_over() {
    let mut stage = Stage::new(settings(&["ops"]));
    stage.fire("1", "a", "", High);
    stage.pass(minutes(1));
    stage.then("1", Acknowledged);
    stage.pass(minutes(600));
    stage.then("1", Resolved);
    stage.pass(minutes(1));
    assert_eq!(stage.kinds(), [Firing, End]);
}

#[test]
fn a_silence_that_ends_counts_the_repeat_from_the_last_message() {
    let mut stage = Stage::new(settings(&["ops"]));
    stage.fire("1", "a", "x=1", High);
    stage.pass(minutes(1));
    stage.silence("s", ("x", Equal, "1"), minutes(300));
    stage.pass(minutes(302));
    assert_eq!(stage.kinds(), [Firing, Repeat]);
}
