//! What an operator asks for says what it did, and a dry run says the same.

use super::*;
use crate::store::Cleaned;

#[test]
fn a_cleanup_counts_what_goes_and_a_dry_run_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (options, clock) = (
        StoreOptions {
            raw_retention: Duration::from_secs(2 * 3600),
            ..options(&folder.path().join("holdfast.redb"))
        },
        clock(),
    );
    let (store, _) = open(&options, &clock);
    for tick in 1..=6 * 60 {
        clock.advance(Duration::from_secs(60));
        append(&store, START + tick * 60 * SECOND, 5, tick as f64);
        if tick % 30 == 0 {
            block(store.flush(0)).unwrap();
        }
    }
    // Retention went with every flush: nothing is left for it.
    let nothing = block(store.cleanup(true)).unwrap();
    assert_eq!(nothing, Cleaned { dry_run: true, ..Cleaned::default() });
    // Three hours later the last hour that was closed is too old, too.
    clock.advance(Duration::from_secs(3 * 3600));
    let before = store.stats();
    let said = block(store.cleanup(true)).unwrap();
    assert!(said.raw == 1 && said.minute == 0 && said.bytes > 0, "{said:?}");
    assert_eq!(store.stats().raw_since_ms, before.raw_since_ms, "nothing was removed");
    let done = block(store.cleanup(false)).unwrap();
    assert_eq!(done, Cleaned { dry_run: false, ..said });
    assert!(store.stats().raw_since_ms != before.raw_since_ms);
    assert_eq!(block(store.cleanup(true)).unwrap().raw, 0);
}

#[test]
fn cutting_the_file_says_what_it_gained_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (options, clock) = (options(&folder.path().join("holdfast.redb")), clock());
    let (store, _) = open(&options, &clock);
    for tick in 1..=3000 {
        clock.advance(Duration::from_secs(1));
        store.append("host", Timestamp(START + tick * SECOND), &noisy_frame(tick, 50));
        if tick % 100 == 0 {
            block(store.flush(0)).unwrap();
        }
    }
    let points =
        |store: &Store| format!("{:?}", query(store, START, START + HOUR, SECOND).unwrap().series.len());
    let (before, file) = (points(&store), store.file().unwrap());
    let ring = file.tables.iter().find(|table| table.table == "ring-1").unwrap();
    assert!(ring.stored_bytes > 500_000 && ring.rows > 10 && ring.pages > 10, "{ring:?}");
    assert!(file.fragmentation > 0.0 && file.fragmentation < 1.0 && file.free_bytes < file.file_bytes);
    assert_eq!(file.file_bytes, store.stats().file_bytes);
    let cut = block(store.compact()).unwrap();
    assert_eq!((cut.before_bytes, cut.after_bytes), (file.file_bytes, store.stats().file_bytes));
    assert!(cut.gained_bytes > 0 && cut.after_bytes >= ring.stored_bytes, "{cut:?}");
    assert_eq!(points(&store), before);
    // It grows again.
    append(&store, START + 3001 * SECOND, 1, 1.0);
    block(store.flush(0)).unwrap();
}
