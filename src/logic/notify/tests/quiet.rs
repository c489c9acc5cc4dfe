//! Quiet hours, in nights in which the clocks change too.

use jiff::civil::{Weekday, time};
use jiff::tz::TimeZone;

use super::stage::*;
use crate::base::time::Timestamp;
use crate::logic::notify::{Settings, quiet_ends};
use crate::model::alert::Happening::{Resolved, Worsened};
use crate::model::notice::NoticeKind::{self, Digest, Firing};
use crate::model::route::QuietHours;
use crate::model::severity::Severity::{Critical, Emergency, High, Medium};

/// Central Europe: +1, in summer +2; changes on 2026-03-29 and 2026-10-25 at 01:00 UTC.
fn hours(from: (i8, i8), to: (i8, i8)) -> QuietHours {
    QuietHours {
        from: time(from.0, from.1, 0, 0),
        to: time(to.0, to.1, 0, 0),
        days: Vec::new(),
        zone: TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap(),
    }
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(&format!("{text}:00Z")).unwrap()
}

fn quiet(hours: &QuietHours, now: &str) -> Option<String> {
    quiet_ends(hours, at(now)).map(|end| end.rfc3339()[..16].to_owned())
}

#[test]
fn a_night_ends_in_the_morning_of_the_wall_clock() {
    let night = hours((22, 0), (7, 0));
    for (now, end) in [
        ("2026-01-14T20:59", None),
        ("2026-01-14T21:00", Some("2026-01-15T06:00")),
        ("2026-01-15T05:59", Some("2026-01-15T06:00")),
        ("2026-01-15T06:00", None),
        ("2026-07-14T20:00", Some("2026-07-15T05:00")),
        // Into summer time: an hour shorter.
        ("2026-03-28T21:00", Some("2026-03-29T05:00")),
        ("2026-03-29T05:00", None),
        // And back: an hour longer.
        ("2026-10-24T20:00", Some("2026-10-25T06:00")),
        ("2026-10-25T05:59", Some("2026-10-25T06:00")),
    ] {
        assert_eq!(quiet(&night, now).as_deref(), end, "{now}");
    }
    let noon = hours((12, 0), (13, 30));
    assert_eq!(quiet(&noon, "2026-01-14T11:30").as_deref(), Some("2026-01-14T12:30"));
    assert_eq!(quiet(&noon, "2026-01-14T12:30"), None);
}

#[test]
fn ends_that_the_change_leaves_out_or_repeats() {
    // 02:00 to 03:00 does not exist on that day: the window ends with the change.
    let gap = hours((22, 0), (2, 30));
    assert_eq!(quiet(&gap, "2026-03-29T00:59").as_deref(), Some("2026-03-29T01:00"));
    assert_eq!(quiet(&gap, "2026-03-29T01:00"), None);
    let from_gap = hours((2, 30), (7, 0));
    assert_eq!(quiet(&from_gap, "2026-03-29T00:59"), None);
    assert_eq!(quiet(&from_gap, "2026-03-29T01:00").as_deref(), Some("2026-03-29T05:00"));
    let inside = hours((2, 10), (2, 50));
    for now in ["2026-03-29T00:59", "2026-03-29T01:00", "2026-03-29T01:30"] {
        assert_eq!(quiet(&inside, now), None, "{now}");
    }
    // 02:00 to 03:00 comes twice on that day: quiet from the first to the second.
    let twice = hours((2, 10), (2, 50));
    assert_eq!(quiet(&twice, "2026-10-25T00:09"), None);
    for now in ["2026-10-25T00:10", "2026-10-25T00:55", "2026-10-25T01:49"] {
        assert_eq!(quiet(&twice, now).as_deref(), Some("2026-10-25T01:50"), "{now}");
    }
    assert_eq!(quiet(&twice, "2026-10-25T01:50"), None);
}

#[test]
fn days_are_those_on_which_it_begins() {
    let weekend = QuietHours { days: vec![Weekday::Friday, Weekday::Saturday], ..hours((22, 0), (7, 0)) };
    // 2026-01-16 is a Friday.
    for (now, expected) in [
        ("2026-01-15T23:00", false),
        ("2026-01-16T04:00", false),
        ("2026-01-16T23:00", true),
        ("2026-01-17T04:00", true),
        ("2026-01-18T04:00", true),
        ("2026-01-18T23:00", false),
    ] {
        assert_eq!(quiet(&weekend, now).is_some(), expected, "{now}");
    }
}

#[test]
fn extreme_times_are_never_quiet_and_never_panic() {
    for millis in [i64::MIN, i64::MAX, -62_167_219_200_000, 253_402_207_200_000] {
        let _ = quiet_ends(&hours((22, 0), (7, 0)), Timestamp(millis));
    }
}

fn night() -> Settings {
    Settings { quiet_hours: Some(hours((22, 0), (7, 0))), ..settings(&["ops"]) }
}

/// An hour before midnight at home.
fn stage() -> Stage {
    Stage::at(night(), at("2026-01-14T22:00"))
}

#[test]
fn the_night_is_one_message_in_the_morning() {
    let mut stage = stage();
    stage.fire("1", "a", "x=1", High);
    stage.pass(minutes(20));
    stage.fire("2", "b", "x=1", Medium);
    stage.pass(minutes(20));
    stage.then("1", Resolved);
    stage.fire("3", "c", "x=1", Critical);
    stage.pass(minutes(1));
    assert_eq!(stage.heard(), ["ops firing 3"]);
    stage.restart();
    stage.fire("4", "d", "x=1", High);
    stage.pass(minutes(7 * 60 + 30));
    // The repeat of what is critical passes.
    assert_eq!(stage.heard(), ["ops firing 3", "ops repeat 3", "ops digest 1,2,4"]);
    assert_eq!(stage.sent[2].0, at("2026-01-15T06:00"));
    let over: Vec<bool> = stage.last_sent().alerts.iter().map(|alert| alert.resolved_at.is_some()).collect();
    assert_eq!(over, [true, false, false]);
    stage.then("2", Resolved);
    stage.pass(minutes(1));
    assert_eq!(stage.heard().last().unwrap(), "ops resolved 2");
}

#[test]
fn what_gets_critical_at_night_does_not_wait() {
    let mut stage = stage();
    stage.fire("1", "a", "", High);
    stage.fire("2", "b", "", High);
    stage.pass(minutes(10));
    stage.happen("1", "a", "", Critical, Worsened);
    stage.pass(minutes(1));
    assert_eq!(stage.heard(), ["ops firing 1"]);
    stage.then("1", Resolved);
    stage.pass(minutes(1));
    // Its end passes as well: it woke somebody.
    assert_eq!(stage.heard(), ["ops firing 1", "ops resolved 1"]);
    stage.happen("2", "b", "", Emergency, Worsened);
    stage.pass(minutes(12 * 60));
    let kinds: Vec<NoticeKind> = stage.kinds();
    assert!(!kinds.contains(&Digest), "{kinds:?}");
    assert!(stage.stored.log.iter().any(|row| row.attempts.last().unwrap().answer == "told by ops.2.2"));
}

#[test]
fn the_end_of_what_was_told_by_day_waits_for_the_morning() {
    let mut stage = Stage::at(night(), at("2026-01-14T20:00"));
    stage.fire("1", "a", "", High);
    stage.pass(minutes(120));
    stage.then("1", Resolved);
    stage.pass(minutes(12 * 60));
    assert_eq!(stage.heard(), ["ops firing 1", "ops digest 1"]);
    assert!(stage.last_sent().alerts[0].resolved_at.is_some());
}

#[test]
fn other_quiet_hours_count_for_what_waits_already() {
    let mut stage = stage();
    stage.fire("1", "a", "", High);
    stage.settings.quiet_hours = Some(hours((22, 0), (23, 30)));
    stage.notifier.configure(stage.settings.clone(), stage.now);
    stage.pass(minutes(29));
    assert_eq!(stage.kinds(), []);
    stage.pass(minutes(2));
    assert_eq!(stage.kinds(), [Digest]);
}

#[test]
fn a_clock_that_is_set_into_the_day_ends_the_night() {
    let mut stage = stage();
    stage.fire("1", "a", "", High);
    stage.pass(minutes(1));
    stage.jump(12 * 3_600_000);
    stage.pass(secs(2));
    assert_eq!(stage.kinds(), [Digest]);
    stage.fire("2", "a", "", High);
    stage.pass(minutes(1));
    assert_eq!(stage.kinds(), [Digest, Firing]);
}
