//! Checks, pings, tasks and failures: there after a reopen, bounded, gone when removed.

use super::*;
use crate::base::secret::Secret;
use crate::model::check::{CheckReason, CheckStatus, Ping, PingId, PingKind, SavedCheck};
use crate::model::report::FailureEvent;
use crate::model::task::{Task, TaskState};
use crate::store::{Change, Write};

fn saved(pings: u64) -> SavedCheck {
    SavedCheck {
        id: PingId([5; 16]),
        status: CheckStatus::Up,
        reason: CheckReason::Succeeded,
        since: Timestamp(START),
        last_ping: Some(Timestamp(START)),
        last_duration_ms: Some(7),
        pings,
        runs: Vec::new(),
    }
}

fn ping(number: u64, body: &str) -> Ping {
    Ping {
        number,
        at: Timestamp(START + number as i64),
        kind: PingKind::Success,
        exit: None,
        rid: None,
        duration_seconds: None,
        body: body.to_owned(),
    }
}

fn commit(store: &Store, writes: Vec<Write>) {
    block(store.commit(Change { writes, audit: None })).unwrap();
}

fn put(store: &Store, check: &str, number: u64, body: &str) {
    let put = Write::PutCheck { name: check.to_owned(), saved: saved(number) };
    commit(store, vec![put, Write::PutPing { check: check.to_owned(), ping: ping(number, body) }]);
}

#[test]
fn what_was_committed_is_there_after_a_reopen() {
    let dir = tempfile::tempdir().unwrap();
    let (options, clock) = (options(&dir.path().join("holdfast.redb")), clock());
    let (store, _) = open(&options, &clock);
    assert!(store.ping_key().unwrap().is_none());
    put(&store, "nightly", 1, "log");
    let task = Task {
        number: 3,
        id: String::from("t"),
        name: String::from("nightly"),
        kind: None,
        check: Some(String::from("nightly")),
        state: TaskState::Completed,
        created_at: Timestamp(START),
        started_at: None,
        finished_at: Some(Timestamp(START)),
        duration_seconds: None,
        message: None,
    };
    let failure = |number| FailureEvent {
        number,
        at: Timestamp(START),
        source: String::from("shop"),
        kind: String::from("timeout"),
        message: String::new(),
    };
    let mut writes = vec![Write::PutTask(task.clone()), Write::PutPingKey(Secret::new("k\"ey"))];
    writes.extend((1..=5).map(|number| Write::PutFailure(failure(number))));
    writes.push(Write::DeleteFailuresBelow { number: 4 });
    commit(&store, writes);
    drop(store);
    let (store, _) = open(&options, &clock);
    assert_eq!(
        store.checks().unwrap().into_iter().collect::<Vec<_>>(),
        [(String::from("nightly"), saved(1))]
    );
    assert_eq!(store.pings("nightly", 10, 0).unwrap(), (vec![ping(1, "log")], 1));
    assert_eq!(store.tasks().unwrap(), [task]);
    assert_eq!(store.failures().unwrap(), [failure(4), failure(5)]);
    assert!(store.ping_key().unwrap().unwrap().matches("k\"ey"));
    assert_eq!(store.overlay(), serde_json::json!({}), "another document");
    commit(
        &store,
        vec![Write::DeleteTask { number: 3 }, Write::DeleteCheck { name: String::from("nightly") }],
    );
    assert!(store.tasks().unwrap().is_empty() && store.checks().unwrap().is_empty());
    assert_eq!(store.pings("nightly", 10, 0).unwrap().1, 0);
}

#[test]
fn pings_are_bounded_in_number_and_in_bytes_per_check() {
    let dir = tempfile::tempdir().unwrap();
    let (options, clock) = (options(&dir.path().join("holdfast.redb")), clock());
    let (store, _) = open(&options, &clock);
    let used = || store.stats().used_bytes;
    let empty = used();
    put(&store, "other", 1, "");
    for number in 1..=130 {
        put(&store, "short", number, "");
    }
    let (newest, total) = store.pings("short", 2, 1).unwrap();
    assert_eq!((newest.iter().map(|ping| ping.number).collect::<Vec<_>>(), total), (vec![129, 128], 100));
    let log = "x".repeat(10_000);
    for number in 1..=60 {
        put(&store, "long", number, &log);
    }
    let (newest, total) = store.pings("long", 1, 0).unwrap();
    assert_eq!((newest[0].number, total), (60, (256 << 10) / 10_010));
    assert_eq!(store.pings("other", 9, 0).unwrap().1, 1, "each check has its own");
    assert!(used() - empty > 250_000, "long pings count by their bytes: {}", used() - empty);
    commit(&store, vec![Write::DeleteCheck { name: String::from("long") }]);
    assert!(used() - empty < 100_000, "{}", used() - empty);
}
