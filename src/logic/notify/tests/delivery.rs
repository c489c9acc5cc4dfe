//! Failing channels, restarts, jumps of the clock: what is owed arrives once, or an alert
//! says that it did not.

use std::time::Duration;

use super::stage::*;
use crate::base::time::Timestamp;
use crate::logic::notify::{Outcome, UNDELIVERABLE, Use};
use crate::model::alert::Happening::{Expired, Resolved, Worsened};
use crate::model::notice::NoticeKind::{Firing, Repeat};
use crate::model::notice::{NoticeKind, NoticeState};
use crate::model::severity::Severity::{Critical, High, Medium};

fn one_channel() -> Stage {
    Stage::new(settings(&["ops"]))
}

fn down() -> Stage {
    let mut stage = one_channel();
    stage.down.insert(String::from("ops"));
    stage
}

/// Seconds after the start at which the only row was tried.
fn tries(stage: &Stage) -> Vec<u64> {
    let row = stage.stored.rows.values().next().unwrap();
    row.attempts.iter().map(|attempt| attempt.at.since(START).as_secs()).collect()
}

#[test]
fn it_is_tried_again_at_growing_intervals() {
    let mut stage = down();
    stage.fire("1", "a", "", High);
    stage.pass(minutes(10));
    assert_eq!(tries(&stage), [30, 35, 45, 65, 105, 185, 345]);
    stage.pass(minutes(24 * 60 - 11));
    let row = stage.stored.rows["ops.1.1"].clone();
    assert_eq!(row.attempts.len(), 8);
    let waits: Vec<Duration> = row.attempts.windows(2).map(|pair| pair[1].at.since(pair[0].at)).collect();
    assert_eq!(waits, [minutes(15); 7]);
    // The row of the repeat that fell due meanwhile is the same row.
    assert_eq!(stage.stored.rows.len(), 1);
}

#[test]
fn what_nobody_took_is_given_up_and_said() {
    let mut stage = down();
    stage.fire("1", "a", "x=1", High);
    stage.pass(minutes(24 * 60 + 1));
    assert!(stage.stored.rows.is_empty());
    assert_eq!(stage.stored.log[0].state, NoticeState::Expired);
    assert_eq!(stage.stored.log[0].finished_at, Some(START.plus(minutes(24 * 60))));
    let said = &stage.undeliverable[0];
    assert_eq!((said.channel.as_str(), said.titles.as_slice()), ("ops", &[String::from("a x=1")][..]));
    // It still fires: once the channel works, people hear of it after all.
    stage.down.clear();
    stage.pass(minutes(4 * 60 + 1));
    assert_eq!(stage.kinds(), [Repeat]);
    stage.then("1", Resolved);
    stage.pass(minutes(1));
    assert_eq!(stage.kinds(), [Repeat, NoticeKind::Resolved]);
}

#[test]
fn the_end_of_a_message_about_lost_messages_raises_nothing() {
    let mut stage = down();
    stage.fire("1", UNDELIVERABLE, "channel=ops", High);
    stage.pass(minutes(24 * 60 + 1));
    assert_eq!(stage.stored.log[0].state, NoticeState::Expired);
    assert!(stage.undeliverable.is_empty());
}

#[test]
fn what_began_and_ended_untold_is_one_message_under_its_first_id() {
    let mut stage = one_channel();
    stage.fire("1", "a", "", High);
    stage.pass(secs(10));
    stage.then("1", Resolved);
    stage.pass(minutes(10));
    assert_eq!(stage.kinds(), [NoticeKind::Resolved]);
    let sent = stage.last_sent();
    assert_eq!((sent.id.as_str(), sent.alerts[0].fired_at), ("ops.1.1", START));
    assert_eq!(sent.alerts[0].resolved_at, Some(START.plus(secs(10))));
    assert!(stage.stored.rows.is_empty());
}

#[test]
fn a_row_that_was_tried_gets_another_id_when_it_changes() {
    // The channel may have taken it: it would drop the end as a duplicate.
    let mut stage = down();
    stage.fire("1", "a", "", High);
    stage.pass(minutes(1));
    stage.then("1", Resolved);
    stage.down.clear();
    stage.pass(minutes(10));
    assert_eq!(stage.kinds(), [NoticeKind::Resolved]);
    assert_eq!(stage.last_sent().id, "ops.1.2");
    assert!(stage.stored.rows.is_empty());
}

#[test]
fn a_row_of_several_is_one_of_resolved_when_the_last_is_over() {
    let mut stage = one_channel();
    stage.fire("1", "a", "n=1", High);
    stage.fire("2", "a", "n=2", High);
    stage.then("1", Resolved);
    stage.pass(minutes(1));
    let over: Vec<bool> = stage.last_sent().alerts.iter().map(|alert| alert.resolved_at.is_some()).collect();
    assert_eq!((stage.kinds(), over), (vec![Firing], vec![true, false]));
    stage.then("2", Resolved);
    stage.pass(minutes(1));
    assert_eq!(stage.heard(), ["ops firing 1,2", "ops resolved 2"]);
}

#[test]
fn news_while_a_row_is_under_way_waits_for_its_answer() {
    for (answer, expected) in [
        (Outcome::Delivered { answer: String::new(), took: secs(1) }, vec!["ops.1.1", "ops.1.3"]),
        (Outcome::Failed { answer: String::new(), took: secs(1), retry_after: None }, vec!["ops.1.3"]),
        (Outcome::Refused { answer: String::new(), took: secs(1) }, vec![]),
    ] {
        let mut stage = one_channel();
        stage.fire("1", "a", "", Medium);
        stage.wait(secs(30));
        let row = stage.notifier.due("ops", stage.now, 9).remove(0);
        stage.happen("1", "a", "", Critical, Worsened);
        stage.then("1", Resolved);
        assert!(stage.notifier.due("ops", stage.now, 9).is_empty());
        assert_eq!(stage.stored.rows.len(), 1);
        if matches!(answer, Outcome::Delivered { .. }) {
            stage.ledger.heard(&row);
            stage.sent.push((stage.now.wall, row));
        }
        stage.notifier.report("ops.1.1", answer, stage.now, 0.5);
        stage.commit();
        stage.pass(minutes(10));
        let ids: Vec<&str> = stage.sent.iter().map(|(_, notice)| notice.id.as_str()).collect();
        assert_eq!(ids, expected);
        assert!(stage.stored.rows.is_empty());
    }
}

#[test]
fn a_refusal_is_final_and_said() {
    let mut stage = one_channel();
    stage.fire("1", "a", "", High);
    stage.wait(secs(30));
    assert_eq!(stage.notifier.due("ops", stage.now, 9).len(), 1);
    let refused = Outcome::Refused { answer: String::from("410 Gone"), took: secs(1) };
    stage.notifier.report("ops.1.1", refused, stage.now, 0.5);
    stage.commit();
    assert_eq!(stage.stored.log[0].state, NoticeState::Refused);
    assert_eq!(stage.undeliverable[0].reason, "410 Gone");
    stage.pass(minutes(60));
    assert!(stage.sent.is_empty());
}

#[test]
fn the_receiver_may_ask_for_patience_within_reason() {
    for (asked, waited) in [(60, 60), (1, 5), (1_000_000, 3600)] {
        let mut stage = one_channel();
        stage.fire("1", "a", "", High);
        stage.wait(secs(30));
        stage.notifier.due("ops", stage.now, 9);
        let retry_after = Some(secs(asked));
        let failed = Outcome::Failed { answer: String::from("429"), took: secs(0), retry_after };
        stage.notifier.report("ops.1.1", failed, stage.now, 1.0);
        stage.commit();
        assert_eq!(stage.notifier.next_due("ops"), Some(stage.now.wall.plus(secs(waited))));
    }
}

#[test]
fn an_open_breaker_costs_a_row_no_attempt() {
    let mut stage = one_channel();
    stage.fire("1", "a", "", High);
    stage.wait(secs(30));
    stage.notifier.due("ops", stage.now, 9);
    stage.notifier.report("ops.1.1", Outcome::Postponed { retry_in: secs(60) }, stage.now, 1.0);
    assert!(stage.notifier.take().is_empty());
    stage.pass(secs(59));
    assert!(stage.sent.is_empty());
    stage.pass(secs(2));
    assert_eq!(stage.last_sent().tries, 0);
}

#[test]
fn rows_of_a_channel_that_is_gone_are_refused_and_of_one_that_is_off_wait() {
    let mut stage = Stage::new(settings(&["mail", "ops"]));
    stage.down.extend([String::from("mail"), String::from("ops")]);
    stage.fire("1", "a", "", High);
    stage.pass(minutes(1));
    stage.down.clear();
    stage.settings.channels.remove("mail");
    stage.settings.channels.insert(String::from("ops"), Use { enabled: false, resolves: true });
    stage.notifier.configure(stage.settings.clone(), stage.now);
    stage.pass(minutes(30));
    assert_eq!(
        stage.stored.log[0].attempts.last().unwrap().answer,
        "the channel `mail` does not exist any more"
    );
    assert_eq!(stage.undeliverable.len(), 1);
    assert_eq!((stage.stored.rows.len(), stage.sent.len()), (1, 0));
    stage.settings.channels.insert(String::from("ops"), Use { enabled: true, resolves: true });
    stage.notifier.configure(stage.settings.clone(), stage.now);
    stage.pass(minutes(1));
    assert_eq!(stage.heard(), ["ops firing 1"]);
}

#[test]
fn a_channel_may_want_no_ends() {
    let mut stage = one_channel();
    stage.settings.channels.insert(String::from("ops"), Use { enabled: true, resolves: false });
    stage.notifier.configure(stage.settings.clone(), stage.now);
    stage.fire("1", "a", "", High);
    stage.pass(minutes(1));
    stage.then("1", Resolved);
    stage.pass(minutes(60));
    assert_eq!(stage.kinds(), [Firing]);
}

#[test]
fn a_restart_sends_the_same_again_only_where_the_answer_was_lost() {
    let mut stage = one_channel();
    stage.fire("1", "a", "", High);
    stage.restart();
    stage.pass(minutes(1));
    assert_eq!(stage.heard(), ["ops firing 1"]);
    stage.restart();
    stage.pass(minutes(60));
    assert_eq!(stage.sent.len(), 1);
    // Cut off between the delivery and its commit.
    stage.fire("2", "a", "", High);
    stage.wait(secs(30));
    let first = stage.notifier.due("ops", stage.now, 9).remove(0);
    stage.restart();
    stage.pass(secs(5));
    assert_eq!(stage.last_sent(), &first);
    stage.restart();
    stage.pass(minutes(60));
    assert_eq!(stage.sent.len(), 2);
}

#[test]
fn a_host_that_was_off_for_days_still_says_what_it_owed() {
    let mut stage = one_channel();
    stage.fire("1", "a", "", High);
    stage.wait(minutes(3 * 24 * 60));
    stage.restart();
    stage.pass(secs(5));
    assert_eq!(stage.heard(), ["ops firing 1"]);
}

#[test]
fn a_jump_of_the_clock_neither_drops_nor_hurries_anything() {
    for days in [-4000i64, -1, 1, 4000] {
        let mut stage = down();
        stage.fire("1", "a", "", High);
        stage.pass(minutes(2));
        let wait = stage.notifier.next_due("ops").unwrap().since(stage.now.wall);
        stage.jump(days * 86_400_000);
        stage.turn();
        assert_eq!(stage.notifier.next_due("ops").unwrap().since(stage.now.wall), wait, "{days} days");
        stage.down.clear();
        stage.pass(minutes(5));
        stage.jump(days * 86_400_000);
        stage.pass(minutes(3 * 60 + 50));
        assert_eq!(stage.kinds(), [Firing], "{days} days");
        stage.pass(minutes(20));
        assert_eq!(stage.kinds(), [Firing, Repeat], "{days} days");
        assert!(stage.undeliverable.is_empty());
    }
}

#[test]
fn a_board_without_a_battery_sends_once_the_clock_is_right() {
    let mut stage = one_channel();
    stage.fire("1", "a", "", High);
    // It starts in 1970, and some seconds later hears of the time.
    stage.now.wall = Timestamp(5000);
    stage.restart();
    stage.pass(secs(10));
    stage.jump(START.millis());
    stage.pass(minutes(61));
    assert_eq!(stage.heard(), ["ops firing 1"]);
    assert!(stage.undeliverable.is_empty());
}

#[test]
fn a_plan_that_was_not_committed_comes_again() {
    let mut stage = one_channel();
    stage.down.insert(String::from("ops"));
    stage.fire("1", "a", "", High);
    stage.pass(minutes(1));
    stage.settings.channels.clear();
    stage.notifier.configure(stage.settings.clone(), stage.now);
    let plan = stage.notifier.take();
    assert!(stage.notifier.take().is_empty());
    stage.notifier.not_committed(plan.clone());
    let again = stage.notifier.take();
    assert_eq!((again.writes, again.undeliverable), (plan.writes, plan.undeliverable));
}

#[test]
fn nothing_is_sent_before_it_is_stored() {
    let mut stage = one_channel();
    stage.fire("1", "a", "", High);
    stage.wait(secs(30));
    assert!(stage.notifier.retry_now("ops.1.1", stage.now));
    assert!(stage.notifier.due("ops", stage.now, 9).is_empty());
    stage.commit();
    assert_eq!(stage.notifier.due("ops", stage.now, 9).len(), 1);
    assert!(!stage.notifier.retry_now("ops.1.1", stage.now), "it is under way");
    stage.notifier.release("ops");
    assert_eq!(stage.notifier.due("ops", stage.now, 9).len(), 1);
}

#[test]
fn a_person_may_have_a_row_tried_now() {
    let mut stage = down();
    stage.fire("1", "a", "", High);
    stage.pass(minutes(60));
    stage.down.clear();
    assert!(stage.notifier.retry_now("ops.1.1", stage.now));
    assert!(!stage.notifier.retry_now("ops.2.1", stage.now));
    stage.pass(secs(1));
    assert_eq!(stage.heard(), ["ops firing 1"]);
}

#[test]
fn nobody_is_told_of_the_end_of_an_event() {
    let mut stage = one_channel();
    stage.fire("1", "service_recovered", "", High);
    stage.pass(minutes(1));
    stage.then("1", Expired);
    stage.restart();
    stage.pass(minutes(60));
    assert_eq!(stage.heard(), ["ops firing 1"]);
}

#[test]
fn more_rows_than_fit_are_merged_and_none_is_dropped() {
    let mut stage = down();
    stage.at_once(|stage| {
        for n in 0..10_060 {
            // Every rule is a group of its own.
            stage.fire(&format!("{n:05}"), &format!("r{n:05}"), "", High);
        }
    });
    assert_eq!(stage.stored.rows.len(), 10_000);
    stage.down.clear();
    stage.turn();
    stage.wait(secs(40));
    stage.turn();
    let told: usize = stage.sent.iter().map(|(_, notice)| notice.alerts.len()).sum();
    assert_eq!((stage.stored.rows.len(), told), (0, 10_060));
}
