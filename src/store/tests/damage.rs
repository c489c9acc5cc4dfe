//! Files that are not what they should be: moved aside, never deleted, and the
//! agent runs on.

use redb::{ReadableDatabase, ReadableTable};

use super::*;
use crate::model::query::{Resolution, SamplesQuery};
use crate::store::migrations::SCHEMA_VERSION;
use crate::store::tables::{CLASS_RAW, META, META_SCHEMA, RING};

fn filled(options: &StoreOptions, clock: &Arc<ManualClock>) {
    let (store, _) = open(options, clock);
    for tick in 1..=20 {
        append(&store, START + tick * SECOND, 2, tick as f64);
    }
    block(store.close(0)).unwrap();
}

fn is_moved_aside(options: &StoreOptions, clock: &Arc<ManualClock>, what: &str) {
    let before = std::fs::read(&options.path).unwrap();
    let (store, report) = open(options, clock);
    let aside = report.moved_aside.unwrap_or_else(|| panic!("{what} was taken as it is"));
    assert!(std::fs::read(&aside).unwrap() == before, "{what} is kept as it was");
    let name = aside.file_name().unwrap().to_string_lossy().into_owned();
    assert!(name.starts_with("holdfast.redb.damaged-2026"), "{name}");
    assert!(report.created);
    append(&store, START + SECOND, 1, 1.0);
    block(store.flush(0)).unwrap();
}

#[test]
fn damaged_files_are_moved_aside() {
    let dir = tempfile::tempdir().unwrap();
    let (options, clock) = (options(&dir.path().join("holdfast.redb")), clock());
    filled(&options, &clock);
    let good = std::fs::read(&options.path).unwrap();
    let garbage: Vec<u8> =
        (0..100_000u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
    let headless = [&[0; 64], &good[64..]].concat();
    let cases: [(&str, Vec<u8>); 7] = [
        ("half the file", good[..good.len() / 2].to_vec()),
        ("the first page", good[..4096].to_vec()),
        ("ten bytes", good[..10].to_vec()),
        ("zeros", vec![0; 1 << 20]),
        ("garbage", garbage),
        ("a file without its start", headless),
        ("a text", b"not a database".to_vec()),
    ];
    for (what, bytes) in cases {
        std::fs::write(&options.path, bytes).unwrap();
        is_moved_aside(&options, &clock, what);
    }
    let aside = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(aside, 8, "every damaged file is still there");
}

#[test]
fn a_database_of_someone_else_is_moved_aside() {
    let dir = tempfile::tempdir().unwrap();
    let (options, clock) = (options(&dir.path().join("holdfast.redb")), clock());
    let db = redb::Database::create(&options.path).unwrap();
    let tx = db.begin_write().unwrap();
    tx.open_table(redb::TableDefinition::<u64, u64>::new("theirs")).unwrap();
    tx.commit().unwrap();
    drop(db);
    let (_, report) = open(&options, &clock);
    let theirs = redb::Database::open(report.moved_aside.unwrap()).unwrap();
    let tx = theirs.begin_read().unwrap();
    assert_eq!(tx.list_tables().unwrap().count(), 1);
}

#[test]
fn flipped_bytes_never_take_the_agent_down() {
    let dir = tempfile::tempdir().unwrap();
    let (options, clock) = (options(&dir.path().join("holdfast.redb")), clock());
    filled(&options, &clock);
    let good = std::fs::read(&options.path).unwrap();
    for round in 0..60u64 {
        let mut bytes = good.clone();
        for flip in 0..40u64 {
            let mixed = (round * 100 + flip + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let at = (mixed >> 11) as usize % bytes.len();
            bytes[at] ^= (mixed >> 3) as u8 | 1;
        }
        std::fs::write(&options.path, bytes).unwrap();
        let (store, _) = open(&options, &clock);
        let _ = query(&store, START, START + 20 * SECOND, SECOND);
    }
}

/// Flips a byte in the directory of a raw hour.
fn break_hour(options: &StoreOptions, hour: i64) {
    let db = redb::Database::open(&options.path).unwrap();
    let tx = db.begin_write().unwrap();
    let mut ring = tx.open_table(RING).unwrap();
    let key = (CLASS_RAW, (hour / HOUR) as u32, 0);
    let mut piece = ring.get(key).unwrap().unwrap().value().to_vec();
    piece[11] ^= 1;
    ring.insert(key, piece.as_slice()).unwrap();
    drop(ring);
    tx.commit().unwrap();
}

#[test]
fn a_damaged_hour_is_answered_by_its_minutes_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let (options, clock) = (options(&dir.path().join("holdfast.redb")), clock());
    let (store, _) = open(&options, &clock);
    for tick in 1..=3 * 360 {
        clock.advance(Duration::from_secs(10));
        append(&store, START + tick * 10 * SECOND, 2, tick as f64);
        if tick % 60 == 1 {
            block(store.flush(0)).unwrap();
        }
    }
    block(store.close(0)).unwrap();
    drop(store);
    break_hour(&options, START);
    let (store, _) = open(&options, &clock);
    let answer = query(&store, START + 10 * SECOND, START + 2 * HOUR, 10 * SECOND).unwrap();
    let damage = &answer.damaged[0];
    assert_eq!((answer.damaged.len(), damage.resolution, damage.series), (1, Resolution::Raw, 2));
    assert_eq!(damage.to, Timestamp(START + HOUR));
    assert_eq!(answer.resolutions, [Resolution::Raw, Resolution::Minute]);
    let points = &answer.series[0].points;
    assert_eq!((points[5], points[6], points[360]), (6.0, 6.0, 361.0), "minutes, then samples");
    let samples = store
        .samples(&SamplesQuery {
            selector: Selector::name("test_value"),
            finest: crate::model::query::Resolution::Raw,
            from: Timestamp(START),
            to: Timestamp(START + 2 * HOUR),
            max_series: 2,
            max_samples: 840,
        })
        .unwrap();
    let one = &samples.series[0];
    assert_eq!((one.rows.len(), one.sample_count(), samples.damaged.len()), (60, 360, 1));
    assert_eq!(one.samples().next(), Some((START + HOUR + 10 * SECOND, 361.0)));
}

#[test]
fn an_empty_file_is_a_new_store() {
    let dir = tempfile::tempdir().unwrap();
    let (options, clock) = (options(&dir.path().join("holdfast.redb")), clock());
    std::fs::write(&options.path, b"").unwrap();
    let (_, report) = open(&options, &clock);
    assert!(report.created && report.moved_aside.is_none());
}

#[test]
fn a_newer_schema_is_refused_and_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let (options, clock) = (options(&dir.path().join("holdfast.redb")), clock());
    filled(&options, &clock);
    let db = redb::Database::open(&options.path).unwrap();
    let tx = db.begin_write().unwrap();
    tx.open_table(META).unwrap().insert(META_SCHEMA, SCHEMA_VERSION + 1).unwrap();
    tx.commit().unwrap();
    drop(db);
    match try_open(&options, &clock) {
        Err(StoreError::TooNew { found, supported, .. }) => assert_eq!((found, supported), (2, 1)),
        other => panic!("{:?}", other.map(|(_, report)| report)),
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_directory_that_cannot_be_written_is_an_error_not_damage() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("missing").join("holdfast.redb");
    assert!(matches!(try_open(&options(&path), &clock()), Err(StoreError::Open { .. })));
}
