//! Open, append, flush, reopen, query; and what rides along.

use super::*;
use crate::base::id::Name;
use crate::model::access::{AuditEntry, Scope, Token};
use crate::model::probe::{OperationOutcome, OutcomeClass, ProbeRecord};
use crate::model::query::Resolution;
use crate::store::{Change, Write};

fn entry(object: &str) -> AuditEntry {
    AuditEntry {
        at: Timestamp(START),
        who: String::from("token:test"),
        action: String::from("test"),
        object: object.to_owned(),
        detail: String::new(),
    }
}

fn token(id: &str) -> Token {
    Token {
        id: id.to_owned(),
        name: String::from("one"),
        digest: [7; 32],
        scopes: vec![Scope::MonitoringRead, Scope::Admin],
        created_at: Timestamp(START),
        expires_at: None,
    }
}

fn probe(at: i64) -> ProbeRecord {
    ProbeRecord {
        target: Name::new("pg1").unwrap(),
        kind: String::from("postgres"),
        at: Timestamp(at),
        class: OutcomeClass::Hard,
        latency_ms: 1.5,
        operations: vec![OperationOutcome {
            operation: String::from("connect"),
            class: OutcomeClass::Hard,
            code: String::from("refused"),
            detail: String::from("connection refused"),
            latency_ms: 1.5,
        }],
    }
}

#[test]
fn samples_are_there_after_a_flush_and_a_reopen() {
    let dir = tempfile::tempdir().unwrap();
    let (options, clock) = (options(&dir.path().join("holdfast.redb")), clock());
    let (store, report) = open(&options, &clock);
    assert!(report.created && report.clean && report.first_event == 1);
    for tick in 1..=60 {
        clock.advance(Duration::from_secs(1));
        assert_eq!(append(&store, START + tick * SECOND, 3, tick as f64).accepted, 3);
    }
    block(store.flush(5)).unwrap();
    assert_eq!(store.stats().samples_pending, 0);
    drop(store);
    let (store, report) = open(&options, &clock);
    assert!(!report.created && !report.clean && report.moved_aside.is_none());
    assert!(report.first_event > 5);
    let answer = query(&store, START + SECOND, START + 60 * SECOND, SECOND).unwrap();
    assert_eq!(answer.series.len(), 3);
    let expected: Vec<f64> = (1..=60).map(f64::from).collect();
    assert_eq!(answer.series[0].points, expected);
    assert_eq!(store.latest("test_value{n=\"2\"}"), Some((Timestamp(START + 60 * SECOND), 62.0)));
}

#[test]
fn hours_are_compacted_and_answer_from_every_tier() {
    let dir = tempfile::tempdir().unwrap();
    let (options, clock) = (options(&dir.path().join("holdfast.redb")), clock());
    let (store, _) = open(&options, &clock);
    for tick in 1..=(3 * 360) {
        clock.advance(Duration::from_secs(10));
        append(&store, START + tick * 10 * SECOND, 2, tick as f64);
        if tick % 6 == 0 {
            block(store.flush(0)).unwrap();
        }
    }
    clock.advance(Duration::from_secs(30));
    block(store.flush(0)).unwrap();
    let stats = store.stats();
    assert_eq!(stats.compactions_total, 3);
    assert_eq!(stats.raw_since_ms, Some(START));
    block(store.close(9)).unwrap();
    drop(store);
    let (store, report) = open(&options, &clock);
    assert!(report.clean);
    assert_eq!(report.first_event, 10, "after a clean stop the sequence goes on exactly");
    let answer = query(&store, START + 600 * SECOND, START + 3 * HOUR, 10 * SECOND).unwrap();
    let expected: Vec<f64> = (60..=1080).map(f64::from).collect();
    assert_eq!(answer.series[0].points, expected);
    // Raw is gone, the minutes answer.
    clock.advance(Duration::from_secs(25 * 3600));
    append(&store, START + 29 * HOUR, 2, 0.0);
    block(store.flush(9)).unwrap();
    clock.advance(Duration::from_secs(3600 * 2));
    append(&store, START + 31 * HOUR, 2, 0.0);
    block(store.flush(9)).unwrap();
    assert!(store.stats().raw_since_ms > Some(START + 2 * HOUR), "{:?}", store.stats());
    assert_eq!(store.stats().minute_since_ms, Some(START));
    let answer = query(&store, START + 600 * SECOND, START + HOUR, 60 * SECOND).unwrap();
    assert_eq!(answer.resolutions, [Resolution::Minute]);
    assert_eq!(answer.series[0].points[0], 60.0);
}

#[test]
fn changes_are_durable_with_their_audit_row() {
    let dir = tempfile::tempdir().unwrap();
    let (options, clock) = (options(&dir.path().join("holdfast.redb")), clock());
    let (store, _) = open(&options, &clock);
    assert_eq!(store.overlay(), serde_json::json!({}));
    let overlay = serde_json::json!({"storage.cap": "1GiB"});
    let first = Change {
        writes: vec![Write::PutToken(token("a")), Write::PutToken(token("b"))],
        audit: Some(entry("one")),
    };
    let second = Change {
        writes: vec![Write::DeleteToken { id: String::from("a") }, Write::PutOverlay(overlay.clone())],
        audit: Some(entry("two")),
    };
    block(store.commit(first)).unwrap();
    block(store.commit(second)).unwrap();
    for _ in 0..2 {
        assert_eq!(store.tokens(), [token("b")]);
        assert_eq!(store.overlay(), overlay);
    }
    drop(store);
    let (store, _) = open(&options, &clock);
    assert_eq!(store.tokens(), [token("b")]);
    assert_eq!(store.overlay(), overlay);
    assert_eq!(store.audit(1, 0).unwrap(), (vec![entry("two")], 2));
    assert_eq!(store.audit(10, 1).unwrap(), (vec![entry("one")], 2));
}

#[test]
fn backfills_do_not_push_changes_out_of_the_audit_log() {
    let dir = tempfile::tempdir().unwrap();
    let (options, clock) = (options(&dir.path().join("holdfast.redb")), clock());
    let (store, _) = open(&options, &clock);
    let audited = |entry: AuditEntry| Change { writes: Vec::new(), audit: Some(entry) };
    block(store.commit(audited(entry("mine")))).unwrap();
    let imports = (0..1100).map(|_| AuditEntry { action: String::from("import"), ..entry("openmetrics") });
    for import in imports {
        block(store.commit(audited(import))).unwrap();
    }
    let (rows, total) = store.audit(2000, 0).unwrap();
    assert_eq!((rows.len(), total), (1001, 1001));
    assert_eq!(rows[1000], entry("mine"));
}

#[test]
fn probes_ride_with_the_flush_and_stay_through_everything() {
    let dir = tempfile::tempdir().unwrap();
    let (options, clock) = (options(&dir.path().join("holdfast.redb")), clock());
    let (mut store, _) = open(&options, &clock);
    let times: Vec<i64> = (1..=150).map(|number| START + number * 60 * SECOND).collect();
    for (index, at) in times.iter().enumerate() {
        clock.advance(Duration::from_secs(60));
        append(&store, *at, 1, 1.0);
        store.record_probe(&probe(*at));
        if index % 7 == 0 {
            block(store.flush(0)).unwrap();
        }
        if index == 80 {
            block(store.flush(0)).unwrap();
            drop(store);
            store = open(&options, &clock).0;
        }
    }
    let (newest, total) = store.probe_history("pg1", 3, 1).unwrap();
    assert_eq!(total, 150);
    assert_eq!(newest, [probe(times[148]), probe(times[147]), probe(times[146])]);
    assert_eq!(store.probe_history("other", 3, 0).unwrap(), (vec![], 0));
    block(store.close(0)).unwrap();
    drop(store);
    assert_eq!(open(&options, &clock).0.probe_history("pg1", 1, 149).unwrap(), (vec![probe(times[0])], 150));
}

#[test]
fn a_second_open_is_refused_and_the_file_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let (options, clock) = (options(&dir.path().join("holdfast.redb")), clock());
    let (store, _) = open(&options, &clock);
    assert!(matches!(try_open(&options, &clock), Err(StoreError::InUse { .. })));
    let mode = std::fs::metadata(&options.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    drop(store);
    assert!(try_open(&options, &clock).is_ok());
}

#[test]
fn a_killed_run_gets_its_last_ticks_back_from_the_tail() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut options = options(&dir.path().join("holdfast.redb"));
    options.tail = Some(Some(dir.path().join("tail")));
    let clock = clock();
    for round in 0..3i64 {
        let (store, report) = open(&options, &clock);
        assert_eq!(report.tail, Some(dir.path().join("tail")));
        assert_eq!(report.recovered_samples, if round == 0 { 0 } else { 2 * 10 });
        for tick in 1..=15 {
            clock.advance(Duration::from_secs(1));
            append(&store, START + (round * 15 + tick) * SECOND, 2, (round * 15 + tick) as f64);
            if tick == 5 {
                block(store.flush(0)).unwrap();
            }
        }
    }
    let (store, _) = open(&options, &clock);
    let answer = query(&store, START + SECOND, START + 45 * SECOND, SECOND).unwrap();
    let expected: Vec<f64> = (1..=45).map(f64::from).collect();
    assert_eq!(answer.series[0].points, expected);
    block(store.close(0)).unwrap();
    assert_eq!(std::fs::read_dir(dir.path().join("tail")).unwrap().count(), 0);
}

#[test]
fn a_series_that_fell_silent_keeps_what_no_hour_holds_yet() {
    let dir = tempfile::tempdir().unwrap();
    let (options, clock) = (options(&dir.path().join("holdfast.redb")), clock());
    let (store, _) = open(&options, &clock);
    append(&store, START + SECOND, 2, 1.0);
    // Nothing is flushed for hours, as when the disk is full.
    for minute in 1..=150 {
        clock.advance(Duration::from_secs(60));
        append(&store, START + minute * 60 * SECOND, 1, 1.0);
    }
    for _ in 0..2 {
        block(store.flush(0)).unwrap();
    }
    let answer = query(&store, START + SECOND, START + SECOND, 60 * SECOND).unwrap();
    assert_eq!(answer.series.len(), 2);
    block(store.close(0)).unwrap();
    let (store, _) = open(&options, &clock);
    let answer = query(&store, START + SECOND, START + SECOND, 60 * SECOND).unwrap();
    assert_eq!(answer.series.len(), 2);
}
