//! The clock leaps and the file grows old: history stays as long as it should, and
//! not longer.

use super::*;

#[test]
fn a_leap_of_a_month_and_back_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (options, clock) = (options(&dir.path().join("holdfast.redb")), clock());
    let (store, _) = open(&options, &clock);
    let mut now = START;
    let mut run = |minutes: i64| {
        for _ in 0..minutes {
            clock.advance(Duration::from_secs(60));
            now += 60 * SECOND;
            append(&store, now, 1, 1.0);
            if now % (10 * 60 * SECOND) == 0 {
                block(store.flush(0)).unwrap();
            }
        }
        now
    };
    let before = run(3 * 60 + 30);
    let stats = store.stats();
    assert_eq!(stats.compactions_total, 3);
    clock.jump_to(Timestamp(before + 31 * 24 * HOUR));
    for _ in 0..3 {
        block(store.flush(0)).unwrap();
    }
    clock.jump_to(Timestamp(before));
    block(store.flush(0)).unwrap();
    assert_eq!(store.stats().raw_since_ms, Some(START));
    assert_eq!(store.stats().minute_since_ms, Some(START));
    let answer = query(&store, START + 60 * SECOND, before, 60 * SECOND).unwrap();
    assert!(answer.series[0].points.iter().all(|value| *value == 1.0));
    let accepted = append(&store, before + 60 * SECOND, 1, 2.0).accepted;
    assert_eq!(accepted, 1);
}

#[test]
fn history_expires_without_new_samples() {
    let dir = tempfile::tempdir().unwrap();
    let (options, clock) = (options(&dir.path().join("holdfast.redb")), clock());
    let (store, _) = open(&options, &clock);
    for tick in 1..=120 {
        clock.advance(Duration::from_secs(60));
        append(&store, START + tick * 60 * SECOND, 1, 1.0);
    }
    clock.advance(Duration::from_secs(60));
    block(store.flush(0)).unwrap();
    assert_eq!(store.stats().raw_since_ms, Some(START));
    clock.advance(Duration::from_secs(25 * 3600));
    block(store.flush(0)).unwrap();
    assert_eq!(store.stats().raw_since_ms, None);
    assert_eq!(store.stats().minute_since_ms, Some(START));
}

#[test]
fn rows_of_every_day_that_is_over_are_joined() {
    let dir = tempfile::tempdir().unwrap();
    let (options, clock) = (options(&dir.path().join("holdfast.redb")), clock());
    let (store, _) = open(&options, &clock);
    // The first day has no hours before nine.
    for tick in 1..=72 * 4 {
        clock.advance(Duration::from_secs(900));
        append(&store, START + tick * 900 * SECOND, 1, 1.0);
        block(store.flush(0)).unwrap();
    }
    let hours: Vec<u32> = {
        let ledger = crate::store::shared::lock(&store.inner.shared.ledger);
        ledger.hour.values().map(|holding| holding.end - holding.start).collect()
    };
    assert_eq!(hours[..3], [15, 24, 24], "{hours:?}");
    let answer = query(&store, START + HOUR, START + 72 * HOUR, HOUR).unwrap();
    assert!(answer.series[0].points.iter().all(|value| *value == 1.0));
}
