//! Alerts, the outbox and what belongs to them: there after a reopen, and bounded.

use std::collections::BTreeMap;

use super::*;
use crate::model::alert::{Alert, AlertState, Happening};
use crate::model::notice::{Attempt, Notice, NoticeAlert, NoticeKind, NoticeState, Telling, Told};
use crate::model::selector::{MatchOp, Matcher};
use crate::model::severity::Severity;
use crate::model::silence::Silence;
use crate::store::{Change, DeliveryFilter, Write};

fn alert(id: &str, state: AlertState, at: i64) -> Alert {
    let over = state == AlertState::Resolved;
    let mut alert = Alert {
        id: id.to_owned(),
        key: String::from("/data"),
        rule: String::from("low_disk"),
        expr: String::from("a > 1"),
        labels: BTreeMap::from([(String::from("mount"), String::from("/data"))]),
        annotations: BTreeMap::new(),
        source: String::from("storage"),
        resource_type: Some(String::from("filesystem")),
        resource_id: None,
        title: String::from("The disk is full"),
        message: String::from("97 % of /data"),
        state,
        severity: Severity::Critical,
        peak: Severity::Emergency,
        value: Some(97.0),
        threshold: Some(90.0),
        since: Timestamp(at),
        uncounted_ms: 5,
        started_at: Timestamp(at),
        fired_at: Some(Timestamp(at)),
        resolved_at: over.then_some(Timestamp(at)),
        updated_at: Timestamp(at),
        acknowledged: None,
        manual: None,
        flapping: false,
        expires_at: None,
        error: None,
        last_step: 0,
        steps: Vec::new(),
    };
    alert.note(Timestamp(at), Happening::Fired, None, None);
    alert
}

pub fn notice(id: &str, finished: Option<i64>) -> Notice {
    Notice {
        id: id.to_owned(),
        channel: String::from("ops"),
        kind: NoticeKind::Repeat,
        group: String::from("1 alertname=x"),
        alerts: vec![NoticeAlert {
            id: format!("of-{id}"),
            step: 3,
            rule: String::from("low_disk"),
            labels: BTreeMap::new(),
            annotations: BTreeMap::from([(String::from("runbook"), String::from("/docs/disk"))]),
            severity: Severity::High,
            title: String::from("t"),
            message: String::new(),
            value: None,
            threshold: None,
            fired_at: Timestamp(START),
            resolved_at: None,
        }],
        created_at: Timestamp(START),
        due_at: Timestamp(START + SECOND),
        expires_at: Timestamp(START + HOUR),
        state: if finished.is_some() { NoticeState::Refused } else { NoticeState::Queued },
        tries: 1,
        attempts: vec![Attempt {
            at: Timestamp(START),
            latency_ms: 4,
            answer: String::from("410 Gone"),
            delivered: false,
        }],
        finished_at: finished.map(Timestamp),
    }
}

fn silence(id: &str, ends_at: i64) -> Silence {
    Silence {
        id: id.to_owned(),
        matchers: vec![Matcher { label: "mount".into(), op: MatchOp::Regex, value: "/d.*".into() }],
        starts_at: Timestamp(START),
        ends_at: Timestamp(ends_at),
        created_by: String::from("token:ops"),
        comment: String::from("resilvering"),
        maintenance: true,
        updated_at: Timestamp(START),
    }
}

fn telling(alert: &str) -> Telling {
    let told = Told {
        channel: String::from("ops"),
        fired: true,
        over: false,
        flapping: false,
        step: 3,
        severity: Severity::High,
        repeats: 2,
        at: Timestamp(START),
    };
    Telling { alert: alert.to_owned(), explained: true, channels: vec![told], ..Telling::default() }
}

fn commit(store: &Store, writes: Vec<Write>) {
    block(store.commit(Change { writes, audit: None })).unwrap();
}

#[test]
fn everything_about_notifications_is_there_after_a_reopen() {
    let dir = tempfile::tempdir().unwrap();
    let (options, clock) = (options(&dir.path().join("holdfast.redb")), clock());
    let (store, _) = open(&options, &clock);
    let finished = notice("b", Some(START));
    commit(
        &store,
        vec![
            Write::PutAlert(Box::new(alert("1", AlertState::Firing, START))),
            Write::PutAlert(Box::new(alert("2", AlertState::Firing, START))),
            Write::PutNotice(Box::new(notice("a", None))),
            Write::PutNotice(Box::new(notice("b", None))),
            Write::PutTelling(telling("1")),
            Write::PutTelling(telling("2")),
            Write::PutSilence(silence("s", START + HOUR)),
            Write::PutSilence(silence("t", START + HOUR)),
        ],
    );
    commit(
        &store,
        vec![
            Write::DeleteAlert { id: String::from("2") },
            Write::DeleteNotice { id: String::from("b") },
            Write::LogNotice(Box::new(finished.clone())),
            Write::DeleteTelling { alert: String::from("2") },
            Write::DeleteSilence { id: String::from("t") },
        ],
    );
    drop(store);
    let (store, _) = open(&options, &clock);
    assert_eq!(store.alerts().unwrap(), [alert("1", AlertState::Firing, START)]);
    assert_eq!(store.outbox().unwrap(), [notice("a", None)]);
    assert_eq!(store.tellings().unwrap(), [telling("1")]);
    assert_eq!(store.silences().unwrap(), [silence("s", START + HOUR)]);
    assert_eq!(store.deliveries(&DeliveryFilter::default(), 10, 0).unwrap(), (vec![finished], 1));
}

#[test]
fn the_delivery_log_is_bounded_filtered_and_newest_first() {
    let dir = tempfile::tempdir().unwrap();
    let (options, clock) = (options(&dir.path().join("holdfast.redb")), clock());
    let (store, _) = open(&options, &clock);
    let rows = (0..2050).map(|n| {
        let mut row = notice(&format!("{n:04}"), Some(START + n));
        row.channel = String::from(if n % 10 == 0 { "mail" } else { "ops" });
        Write::LogNotice(Box::new(row))
    });
    commit(&store, rows.collect());
    let all = DeliveryFilter::default();
    let (newest, total) = store.deliveries(&all, 2, 1).unwrap();
    let ids: Vec<&str> = newest.iter().map(|row| row.id.as_str()).collect();
    assert_eq!((ids, total), (vec!["2048", "2047"], 2000));
    let mail = DeliveryFilter { channel: Some(String::from("mail")), ..all.clone() };
    assert_eq!(store.deliveries(&mail, 1, 0).unwrap().1, 200);
    let one = DeliveryFilter { alert: Some(String::from("of-0777")), ..all.clone() };
    assert_eq!(store.deliveries(&one, 9, 0).unwrap().0[0].id, "0777");
    let none = DeliveryFilter { state: Some(NoticeState::Expired), ..all };
    assert_eq!(store.deliveries(&none, 9, 0).unwrap(), (vec![], 0));
}

#[test]
fn what_is_over_leaves_in_its_time_and_what_fires_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (options, clock) = (options(&dir.path().join("holdfast.redb")), clock());
    let (store, _) = open(&options, &clock);
    commit(
        &store,
        vec![
            Write::PutAlert(Box::new(alert("fires", AlertState::Firing, START))),
            Write::PutAlert(Box::new(alert("over", AlertState::Resolved, START))),
            Write::PutSilence(silence("s", START + HOUR)),
            Write::LogNotice(Box::new(notice("a", Some(START)))),
        ],
    );
    let counts = |store: &Store| {
        let logged = store.deliveries(&DeliveryFilter::default(), 9, 0).unwrap().1;
        (store.alerts().unwrap().len(), store.silences().unwrap().len(), logged)
    };
    for (days, expected) in [(6, (2, 1, 1)), (2, (1, 0, 1)), (23, (1, 0, 0))] {
        for _ in 0..days * 24 {
            clock.advance(Duration::from_secs(3600));
            block(store.flush(0)).unwrap();
        }
        assert_eq!(counts(&store), expected, "after {days} more days");
    }
    assert_eq!(store.alerts().unwrap()[0].id, "fires");
}

#[test]
fn of_too_many_alerts_those_that_were_over_first_go() {
    let dir = tempfile::tempdir().unwrap();
    let (options, clock) = (options(&dir.path().join("holdfast.redb")), clock());
    let (store, _) = open(&options, &clock);
    let rows = (0..10_000).map(|n| {
        // The later its id, the earlier it was over; every other one fires.
        let state = if n % 2 == 0 { AlertState::Firing } else { AlertState::Resolved };
        Write::PutAlert(Box::new(alert(&format!("{n:05}"), state, START - n)))
    });
    commit(&store, rows.collect());
    assert_eq!(store.alerts().unwrap().len(), 10_000);
    commit(&store, vec![Write::PutAlert(Box::new(alert("x", AlertState::Resolved, START - HOUR)))]);
    let left = store.alerts().unwrap();
    assert_eq!(left.iter().filter(|alert| alert.state == AlertState::Firing).count(), 5000);
    assert_eq!(left.len(), 9500);
    let newest = |alert: &Alert| alert.id == "x" || alert.resolved_at > Some(Timestamp(START - 9000));
    assert!(left.iter().filter(|alert| alert.state == AlertState::Resolved).all(newest));
}
