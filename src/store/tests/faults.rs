//! The disk breaks: at every call in turn, at every sync, for good and for once.

use std::io::ErrorKind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use super::memory::MemoryDisk;
use super::*;
use crate::store::{Change, StoreCondition, Write};

/// Writes one number durably, as a configuration would be.
fn put(store: &Store, number: i64) -> Result<(), StoreError> {
    let overlay = serde_json::json!({ "number": number });
    block(store.commit(Change { writes: vec![Write::PutOverlay(overlay)], audit: None }))
}

fn number(store: &Store) -> i64 {
    store.overlay()["number"].as_i64().unwrap_or(0)
}

/// How many ticks of one second the store has, from the start on, without a gap.
fn ticks(store: &Store) -> i64 {
    let answer = query(store, START + SECOND, START + 50 * SECOND, SECOND).unwrap();
    let Some(series) = answer.series.first() else { return 0 };
    (1i64..).zip(&series.points).take_while(|(tick, value)| **value == *tick as f64).count() as i64
}

struct Acknowledged {
    number: AtomicI64,
    ticks: AtomicI64,
}

/// Ticks, flushes and changes in turn; what was acknowledged is noted.
fn work(store: &Store, clock: &ManualClock, acknowledged: &Acknowledged) {
    for step in 1..=5 {
        for tick in 1..=2 {
            clock.advance(Duration::from_secs(1));
            append(store, START + ((step - 1) * 2 + tick) * SECOND, 2, ((step - 1) * 2 + tick) as f64);
        }
        if block(store.flush(0)).is_ok() {
            acknowledged.ticks.store(step * 2, Ordering::SeqCst);
        }
        if put(store, step).is_ok() {
            acknowledged.number.store(step, Ordering::SeqCst);
        }
    }
}

fn fail_at_every_call(sticky: bool, kind: ErrorKind) {
    let options = options(Path::new("memory"));
    for call in (0..).step_by(if sticky { 3 } else { 1 }) {
        let (disk, clock) = (MemoryDisk::default(), clock());
        let (store, _) = open_on(&options, &clock, Arc::new(disk.clone())).unwrap();
        disk.fail_after(call, sticky, kind);
        let acknowledged = Acknowledged { number: AtomicI64::new(0), ticks: AtomicI64::new(0) };
        work(&store, &clock, &acknowledged);
        assert_eq!(ticks(&store), 10, "memory serves whatever the file does, call {call}");
        drop(store);
        let met = disk.heal();
        let (store, report) = open_on(&options, &clock, Arc::new(disk.clone())).unwrap();
        assert_eq!(report.moved_aside, None, "call {call}");
        let (kept_ticks, kept) = (ticks(&store), number(&store));
        let (flushed, put) =
            (acknowledged.ticks.load(Ordering::SeqCst), acknowledged.number.load(Ordering::SeqCst));
        assert!(kept_ticks >= flushed && kept >= put, "call {call}: {kept_ticks}/{flushed} {kept}/{put}");
        if !sticky && met && kind != ErrorKind::StorageFull {
            assert_eq!((flushed, put), (10, 5), "one failure costs nothing, call {call}");
        }
        if !met {
            assert!(call > 30, "the scenario has {call} calls only");
            return;
        }
    }
}

#[test]
fn one_failure_at_any_call_loses_nothing() {
    fail_at_every_call(false, ErrorKind::Other);
}

#[test]
fn a_disk_that_dies_at_any_call_keeps_what_was_acknowledged() {
    fail_at_every_call(true, ErrorKind::Other);
}

#[test]
fn a_disk_that_fills_at_any_call_keeps_what_was_acknowledged() {
    fail_at_every_call(false, ErrorKind::StorageFull);
    fail_at_every_call(true, ErrorKind::StorageFull);
}

#[test]
fn a_dead_disk_is_opened_again_when_it_comes_back() {
    let (disk, clock) = (MemoryDisk::default(), clock());
    let (store, _) = open_on(&options(Path::new("memory")), &clock, Arc::new(disk.clone())).unwrap();
    append(&store, START + SECOND, 1, 1.0);
    disk.fail_after(0, true, ErrorKind::Other);
    assert!(block(store.flush(0)).is_err());
    assert!(matches!(store.condition(), StoreCondition::Reopening(_)));
    append(&store, START + 2 * SECOND, 1, 2.0);
    assert_eq!(ticks(&store), 2, "memory serves meanwhile");
    assert!(put(&store, 1).is_err());
    assert_eq!(store.stats().samples_pending, 2);
    disk.heal();
    clock.advance(Duration::from_secs(31));
    block(store.flush(0)).unwrap();
    assert_eq!(store.condition(), StoreCondition::Ok);
    assert!(store.stats().reopens_total > 0);
    assert_eq!(store.stats().samples_pending, 0);
    put(&store, 2).unwrap();
    drop(store);
    let (store, _) = open_on(&options(Path::new("memory")), &clock, Arc::new(disk)).unwrap();
    assert_eq!((ticks(&store), number(&store)), (2, 2));
}

#[test]
fn a_power_cut_at_any_sync_keeps_what_was_acknowledged() {
    let options = options(Path::new("memory"));
    let (disk, clock) = (MemoryDisk::default(), clock());
    let (store, _) = open_on(&options, &clock, Arc::new(disk.clone())).unwrap();
    let acknowledged = Arc::new(Acknowledged { number: AtomicI64::new(0), ticks: AtomicI64::new(0) });
    let failures = Arc::new(Mutex::new(Vec::new()));
    let syncs = Arc::new(AtomicI64::new(0));
    let check = {
        let (acknowledged, failures, syncs) =
            (Arc::clone(&acknowledged), Arc::clone(&failures), Arc::clone(&syncs));
        move |disk: &MemoryDisk| {
            let sync = syncs.fetch_add(1, Ordering::SeqCst);
            for seed in 0..8 {
                let image = MemoryDisk::holding(disk.crash_image(seed));
                let opened = open_on(&options, &super::clock(), Arc::new(image.clone()));
                let (flushed, put) =
                    (acknowledged.ticks.load(Ordering::SeqCst), acknowledged.number.load(Ordering::SeqCst));
                let verdict = match opened {
                    Ok((store, report)) if report.moved_aside.is_none() => {
                        let (kept_ticks, kept) = (ticks(&store), number(&store));
                        (kept_ticks < flushed || kept < put)
                            .then(|| format!("{kept_ticks}/{flushed} ticks, number {kept}/{put}"))
                    }
                    Ok(_) => Some(String::from("taken for damaged")),
                    Err(error) => Some(error.to_string()),
                };
                if let Some(verdict) = verdict {
                    failures.lock().unwrap().push(format!("sync {sync}, seed {seed}: {verdict}"));
                }
            }
        }
    };
    disk.before_sync(check);
    work(&store, &clock, &acknowledged);
    drop(store);
    assert!(syncs.load(Ordering::SeqCst) > 10);
    assert_eq!(*failures.lock().unwrap(), Vec::<String>::new());
}

#[test]
fn a_panic_while_writing_costs_only_its_job() {
    let (disk, clock) = (MemoryDisk::default(), clock());
    let (store, _) = open_on(&options(Path::new("memory")), &clock, Arc::new(disk)).unwrap();
    append(&store, START + SECOND, 1, 1.0);
    put(&store, 1).unwrap();
    assert!(block(store.inner.writer.ask(crate::store::Job::Panic)).is_err());
    assert!(put(&store, 7).is_err(), "the file is read whole first");
    assert!(matches!(store.condition(), StoreCondition::Reopening(_)));
    assert_eq!(ticks(&store), 1, "memory serves meanwhile");
    clock.advance(Duration::from_secs(31));
    block(store.flush(0)).unwrap();
    put(&store, 2).unwrap();
    assert_eq!(store.condition(), StoreCondition::Ok);
    assert_eq!((ticks(&store), number(&store)), (1, 2));
}

#[test]
fn what_a_failed_commit_left_is_in_memory_too() {
    let options = options(Path::new("memory"));
    for call in 0..40 {
        let (disk, clock) = (MemoryDisk::default(), clock());
        let (store, _) = open_on(&options, &clock, Arc::new(disk.clone())).unwrap();
        put(&store, 1).unwrap();
        append(&store, START + SECOND, 1, 1.0);
        disk.fail_after(call, true, ErrorKind::Other);
        let _ = put(&store, 2);
        let _ = block(store.flush(0));
        disk.heal();
        clock.advance(Duration::from_secs(31));
        // Opens the file; writes nothing else.
        append(&store, START + 2 * SECOND, 1, 2.0);
        block(store.flush(0)).unwrap();
        let (memory, pending) = (number(&store), store.stats().samples_pending);
        assert_eq!(pending, 0);
        drop(store);
        let (store, _) = open_on(&options, &clock, Arc::new(disk)).unwrap();
        assert_eq!(number(&store), memory, "call {call}");
        assert_eq!(ticks(&store), 2, "call {call}");
    }
}
