//! A backup is one moment of a store that goes on; damage is found; putting it back loses
//! nothing that the world knows, wherever it is cut off.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::full::mount;
use super::*;
use crate::base::id::Name;
use crate::base::time::Clock as _;
use crate::model::access::{AuditEntry, Scope, Token};
use crate::model::alert::{Alert, AlertState};
use crate::model::backup::{MANIFEST, Manifest};
use crate::model::failover::durable::Durable;
use crate::model::notice::{Notice, NoticeState, Telling};
use crate::store::backup::restore::{self, Present};
use crate::store::backup::{BackupError, Shelf, look};
use crate::store::{Beside, Change, Write};

const ON: &dyn Fn() -> bool = &|| true;

fn alert(id: &str, state: AlertState) -> Write {
    let key = format!("key of {}", id.trim_end_matches(char::is_numeric));
    Write::PutAlert(Box::new(Alert {
        id: id.to_owned(),
        key,
        state,
        updated_at: Timestamp(START),
        ..Alert::default()
    }))
}

fn notice(id: &str, alert: &str) -> Notice {
    let mut made = super::notices::notice(id, None);
    made.alerts.truncate(1);
    made.alerts.iter_mut().for_each(|about| about.id = alert.to_owned());
    made
}

fn token(id: &str) -> Token {
    Token {
        id: id.to_owned(),
        name: format!("name of {id}"),
        digest: [7; 32],
        scopes: vec![Scope::Admin],
        created_at: Timestamp(START),
        expires_at: None,
    }
}

fn put(store: &Store, writes: Vec<Write>) {
    block(store.commit(Change { writes, audit: Some(audit("test")) })).unwrap();
}

fn audit(action: &str) -> AuditEntry {
    AuditEntry {
        at: Timestamp(START),
        who: String::from("test"),
        action: action.to_owned(),
        object: String::new(),
        detail: String::new(),
    }
}

fn manifest(shelf: &Shelf, store: &Store) -> Manifest {
    let draft = shelf.begin(Timestamp(START)).unwrap();
    let snapshot = store.copy_to(&draft.path, ON).unwrap();
    let (bytes, sha256) = draft.digest(ON).unwrap();
    let manifest = Manifest {
        format: MANIFEST,
        id: draft.id.clone(),
        file: draft.file_name(),
        created_at: Timestamp(START),
        bytes,
        sha256,
        version: String::from("0"),
        schema: snapshot.schema,
        store_id: format!("{:016x}", snapshot.store_id),
        rows: snapshot.rows,
        sealed: false,
        seal: None,
        keys: Vec::new(),
        duration_ms: 0,
        by: String::from("test"),
    };
    draft.publish(&manifest).unwrap();
    manifest
}

/// Everything that a user would compare.
fn contents(store: &Store) -> impl PartialEq + std::fmt::Debug + use<> {
    let answer = query(store, START, START + 2 * HOUR, SECOND).unwrap();
    let series: Vec<_> =
        answer.series.iter().map(|one| (one.key.clone(), format!("{:?}", one.points))).collect();
    (store.alerts().unwrap(), store.tokens(), store.overlay(), store.outbox().unwrap(), series)
}

/// A store with some of everything: two hours of samples, an alert, a token.
fn filled(folder: &Path) -> (Store, Arc<ManualClock>, StoreOptions) {
    let (options, clock) = (options(&folder.join("holdfast.redb")), clock());
    let (store, _) = open(&options, &clock);
    for tick in 1..=5400 {
        clock.advance(Duration::from_secs(1));
        append(&store, START + tick * SECOND, 3, tick as f64);
        if tick % 600 == 0 {
            block(store.flush(9)).unwrap();
        }
    }
    let overlay = serde_json::json!({"values": {"rule": [{"name": "pool_full"}]}});
    put(
        &store,
        vec![
            Write::PutToken(token("a")),
            Write::PutOverlay(overlay),
            alert("a1", AlertState::Firing),
            Write::PutNotice(Box::new(notice("n1", "a1"))),
        ],
    );
    (store, clock, options)
}

#[test]
fn what_is_restored_elsewhere_is_the_same() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (store, clock, _) = filled(here.path());
    block(store.flush(9)).unwrap();
    let shelf = Shelf::new(here.path().join("backups"));
    let manifest = manifest(&shelf, &store);
    assert_eq!(shelf.list().unwrap(), std::slice::from_ref(&manifest));
    let before = contents(&store);
    let looked = look(&shelf.file(&manifest.id), Some(&manifest), ON).unwrap();
    assert_eq!(looked.verdict.problems, Vec::<String>::new());
    assert_eq!(&looked.verdict.rows, store.present().unwrap().rows());
    assert_eq!(looked.alerts.len(), 1);

    let other = options(&there.path().join("holdfast.redb"));
    let plan = restore::plan(&looked, Present::at(&other.path).unwrap().as_ref(), &Default::default());
    assert!(plan.tables.iter().all(|table| table.now.is_none()));
    restore::stage(&shelf.file(&manifest.id), &manifest.sha256, &other.path, &audit("backup.restore"))
        .unwrap();
    let finished = restore::finish(&other.path, clock.now()).unwrap().unwrap();
    assert_eq!((finished.kept, finished.carried), (None, Default::default()));
    let (restored, report) = open(&other, &clock);
    assert!(report.clean && !report.created && report.moved_aside.is_none());
    assert_eq!(contents(&restored), before);
    assert_eq!(restored.audit(1, 0).unwrap().0[0].action, "backup.restore");
    assert_ne!(report.store_id, u64::from_str_radix(&manifest.store_id, 16).unwrap());
    // The backup is as it was.
    assert!(look(&shelf.file(&manifest.id), Some(&manifest), ON).unwrap().verdict.valid);
}

#[test]
fn every_table_is_in_the_one_list() {
    let source = include_str!("../tables.rs");
    let defined = source.matches("= TableDefinition::new(").count();
    assert_eq!(defined, source.matches("visitor.table(").count());
    assert!(defined >= 20);
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(&options(&folder.path().join("holdfast.redb")), &clock());
    assert_eq!(store.present().unwrap().rows().len(), defined);
}

#[test]
fn a_backup_under_load_is_one_moment() {
    let folder = tempfile::tempdir().unwrap();
    let (options, clock) = (options(&folder.path().join("holdfast.redb")), clock());
    let (store, _) = open(&options, &clock);
    let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let (stop, written) = (&stop, &written);
        // Every change writes a token, the overlay and an alert of one number.
        let (writer, reader) = (store.clone(), store.clone());
        scope.spawn(move || {
            for number in 1.. {
                let id = format!("a{number:06}");
                put(
                    &writer,
                    vec![
                        Write::PutToken(token(&id)),
                        Write::PutOverlay(serde_json::json!({ "number": number })),
                        alert(&id, AlertState::Firing),
                    ],
                );
                append(&writer, START + number * SECOND, 20, number as f64);
                if number % 10 == 0 {
                    block(writer.flush(0)).unwrap();
                }
                written.store(number as u64, Ordering::SeqCst);
                if stop.load(Ordering::SeqCst) {
                    return;
                }
            }
        });
        let shelf = Shelf::new(folder.path().join("backups"));
        let mut last = 0;
        for round in 1..=5u64 {
            while written.load(Ordering::SeqCst) < round * 20 {
                std::thread::yield_now();
            }
            let acknowledged = written.load(Ordering::SeqCst);
            let made = manifest(&shelf, &reader);
            let looked = look(&shelf.file(&made.id), Some(&made), ON).unwrap();
            assert_eq!(looked.verdict.problems, Vec::<String>::new());
            let rows = &looked.verdict.rows;
            let number = looked.overlay["number"].as_u64().unwrap();
            assert_eq!((rows["tokens-1"], rows["alerts-1"], rows["audit-1"]), (number, number, number));
            assert!(number >= acknowledged && number > last, "{number} {acknowledged} {last}");
            last = number;
        }
        assert_eq!(shelf.list().unwrap().len(), 5);
        assert_eq!(shelf.prune(2).unwrap().len(), 3);
        assert_eq!(shelf.list().unwrap().len(), 2);
        stop.store(true, Ordering::SeqCst);
    });
}

#[test]
fn a_flipped_byte_and_a_cut_file_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _, _) = filled(folder.path());
    block(store.flush(9)).unwrap();
    let shelf = Shelf::new(folder.path().join("backups"));
    let made = manifest(&shelf, &store);
    let whole = std::fs::read(shelf.file(&made.id)).unwrap();
    let copy = folder.path().join("copy.redb");
    let (mut found_alone, mut tried) = (0, 0);
    for turn in 0..40 {
        let at = (noise(turn, 1) as usize) % whole.len();
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (turn % 8);
        std::fs::write(&copy, &bytes).unwrap();
        let looked = look(&copy, Some(&made), ON).unwrap();
        assert!(!looked.verdict.valid, "byte {at}");
        assert!(looked.verdict.problems[0].contains("sha256"), "{:?}", looked.verdict.problems);
        assert_eq!(std::fs::read(&copy).unwrap(), bytes, "looking changes nothing");
        tried += 1;
        found_alone += u32::from(!look(&copy, None, ON).unwrap().verdict.valid);
    }
    println!(
        "without a manifest {found_alone} of {tried} flips were found in {} bytes, the others are in free space",
        whole.len()
    );
    assert!(found_alone > 0, "{found_alone} of {}", whole.len());
    // What a row holds is never free space.
    let name = whole.windows(9).position(|window| window == b"name of a").unwrap();
    let mut bytes = whole.clone();
    bytes[name] ^= 1;
    std::fs::write(&copy, &bytes).unwrap();
    let alone = look(&copy, None, ON).unwrap().verdict;
    assert!(!alone.valid && alone.problems[0].contains("does not open"), "{:?}", alone.problems);
    for length in [0, 1, 511, 4096, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&copy, &whole[..length]).unwrap();
        for manifest in [Some(&made), None] {
            let verdict = look(&copy, manifest, ON).unwrap().verdict;
            assert!(!verdict.valid, "{length} bytes");
        }
    }
    std::fs::write(&copy, "not a store at all").unwrap();
    assert!(!look(&copy, None, ON).unwrap().verdict.valid);
    // What was changed after the look is not put back.
    let mut bytes = whole;
    bytes[9000] ^= 1;
    std::fs::write(&copy, &bytes).unwrap();
    let store = folder.path().join("other.redb");
    let refused = restore::stage(&copy, &made.sha256, &store, &audit("x")).unwrap_err();
    assert!(matches!(refused, BackupError::Damaged { .. }), "{refused}");
    assert!(!restore::staged(&store).exists() && !folder.path().join("other.redb.restore.partial").exists());
}

#[test]
fn a_full_disk_leaves_nothing_behind() {
    let Some(small) = mount("tmpfs", 6) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (options, clock) = (options(&folder.path().join("holdfast.redb")), clock());
    let (store, _) = open(&options, &clock);
    for tick in 1..=3600 {
        clock.advance(Duration::from_secs(1));
        store.append("host", Timestamp(START + tick * SECOND), &noisy_frame(tick, 200));
        if tick % 60 == 0 {
            block(store.flush(0)).unwrap();
        }
    }
    let shelf = Shelf::new(small.dir.join("backups"));
    let left = || std::fs::read_dir(shelf.folder()).unwrap().count();
    let make = || {
        let draft = shelf.begin(clock.now()).unwrap();
        store.copy_to(&draft.path, ON)
    };
    // Said beforehand.
    assert!(matches!(make(), Err(BackupError::DiskFull { .. })), "{:?}", store.stats());
    assert_eq!(left(), 0);
    // Found on the way: the look beforehand is of a disk that others fill meanwhile.
    let draft = shelf.begin(clock.now()).unwrap();
    let calls = AtomicU64::new(0);
    let hog = small.dir.join("hog");
    let filled = store.copy_whatever_room(&draft.path, &|| {
        if calls.fetch_add(1, Ordering::SeqCst) == 1 {
            let _ = std::fs::write(&hog, vec![1; 5 << 20]);
        }
        true
    });
    assert!(matches!(filled, Err(BackupError::DiskFull { .. })), "{filled:?}");
    drop(draft);
    assert_eq!(left(), 0);
    put(&store, vec![Write::PutToken(token("after"))]);
    // One that is told to stop leaves nothing either.
    let shelf = Shelf::new(folder.path().join("backups"));
    let draft = shelf.begin(clock.now()).unwrap();
    assert_eq!(store.copy_to(&draft.path, &|| false), Err(BackupError::Stopped));
    drop(draft);
    assert_eq!(std::fs::read_dir(shelf.folder()).unwrap().count(), 0);
}

/// A store, a backup of it, and what happened since.
struct Later {
    folder: tempfile::TempDir,
    options: StoreOptions,
    clock: Arc<ManualClock>,
    file: PathBuf,
    sha256: String,
}

fn later() -> Later {
    let folder = tempfile::tempdir().unwrap();
    let (store, clock, options) = filled(folder.path());
    put(
        &store,
        vec![
            alert("both1", AlertState::Firing),
            Write::PutNotice(Box::new(notice("sent", "both1"))),
            Write::PutTelling(Telling { alert: String::from("both1"), escalated: 1, ..Telling::default() }),
        ],
    );
    block(store.flush(9)).unwrap();
    let shelf = Shelf::new(folder.path().join("backups"));
    let made = manifest(&shelf, &store);
    // Since then: one message left, another is owed; an alert came, one came again.
    let sent = Notice {
        state: NoticeState::Delivered,
        finished_at: Some(Timestamp(START)),
        ..notice("sent", "both1")
    };
    put(
        &store,
        vec![
            Write::DeleteToken { id: String::from("a") },
            Write::DeleteNotice { id: String::from("sent") },
            Write::LogNotice(Box::new(sent)),
            alert("new1", AlertState::Firing),
            alert("both2", AlertState::Firing),
            alert("gone1", AlertState::Resolved),
            Write::PutNotice(Box::new(notice("owed", "gone1"))),
            Write::PutTelling(Telling { alert: String::from("both1"), escalated: 5, ..Telling::default() }),
            Write::PutTelling(Telling { alert: String::from("both2"), ..Telling::default() }),
        ],
    );
    block(store.close(77_000)).unwrap();
    Later { file: shelf.file(&made.id), sha256: made.sha256, folder, options, clock }
}

fn assert_later(later: &Later) {
    let (store, report) = open(&later.options, &later.clock);
    assert!(report.moved_aside.is_none());
    let ids = |alerts: Vec<Alert>| alerts.into_iter().map(|alert| alert.id).collect::<Vec<_>>();
    assert_eq!(store.tokens().len(), 1, "as in the backup");
    assert_eq!(ids(store.alerts().unwrap()), ["a1", "both1", "gone1", "new1"]);
    let owed: Vec<String> = store.outbox().unwrap().into_iter().map(|notice| notice.id).collect();
    assert_eq!(owed, ["n1", "owed"]);
    let told: Vec<_> = store.tellings().unwrap().into_iter().map(|one| (one.alert, one.escalated)).collect();
    assert_eq!(told, [(String::from("both1"), 5)]);
    assert!(report.first_event > 77_000, "event numbers go on");
}

#[test]
fn what_the_world_knows_is_taken_along() {
    let later = later();
    let looked = look(&later.file, None, ON).unwrap();
    let present = Present::at(&later.options.path).unwrap();
    let before = std::fs::read(&later.options.path).unwrap();
    let plan = restore::plan(&looked, present.as_ref(), &Default::default());
    let tokens = plan.tables.iter().find(|table| table.table == "tokens-1").unwrap();
    assert_eq!((tokens.now, tokens.backup), (Some(0), 1));
    assert_eq!((plan.carried.alerts, plan.carried.outbox, plan.carried.tellings), (2, 2, 1));
    assert_eq!(std::fs::read(&later.options.path).unwrap(), before, "planning changes nothing");

    restore::stage(&later.file, &later.sha256, &later.options.path, &audit("backup.restore")).unwrap();
    let finished = restore::finish(&later.options.path, later.clock.now()).unwrap().unwrap();
    assert_eq!(finished.carried, plan.carried);
    assert_eq!(restore::finish(&later.options.path, later.clock.now()).unwrap(), None);
    assert_later(&later);
    let kept = options(&finished.kept.unwrap());
    assert!(kept.path.to_str().unwrap().contains("holdfast.redb.replaced-20261120T"), "{:?}", kept.path);
    let (kept, _) = open(&kept, &later.clock);
    assert_eq!(kept.alerts().unwrap().len(), 5);
}

#[test]
fn a_restore_that_is_cut_off_goes_on() {
    for cut in 0..4 {
        let later = later();
        let store = &later.options.path;
        let staged = restore::staged(store);
        match cut {
            // While copying: nothing is staged, the store is as it was.
            0 => {
                std::fs::write(later.folder.path().join("holdfast.redb.restore.partial"), "torn").unwrap();
                assert_eq!(restore::finish(store, later.clock.now()).unwrap(), None);
                let (old, report) = open(&later.options, &later.clock);
                assert!(report.clean && old.tokens().is_empty());
                block(old.close(77_000)).unwrap();
                drop(old);
                restore::stage(&later.file, &later.sha256, store, &audit("x")).unwrap();
            }
            // After taking along, before the first rename: done twice is the same.
            1 => {
                restore::stage(&later.file, &later.sha256, store, &audit("x")).unwrap();
                let copy = later.folder.path().join("copy");
                std::fs::copy(store, &copy).unwrap();
                restore::finish(store, later.clock.now()).unwrap();
                std::fs::rename(store, &staged).unwrap();
                std::fs::rename(&copy, store).unwrap();
            }
            // Between the renames: the store is aside, the new one waits.
            2 => {
                restore::stage(&later.file, &later.sha256, store, &audit("x")).unwrap();
                restore::finish(store, later.clock.now()).unwrap();
                std::fs::rename(store, &staged).unwrap();
            }
            // The store was killed, not closed.
            _ => restore::stage(&later.file, &later.sha256, store, &audit("x")).unwrap(),
        }
        restore::finish(store, later.clock.now()).unwrap().unwrap();
        assert!(!staged.exists());
        assert_later(&later);
    }
}

#[test]
fn an_epoch_never_goes_back() {
    let folder = tempfile::tempdir().unwrap();
    let (store, clock, options) = filled(folder.path());
    let main = Name::new("main").unwrap();
    let epoch = |epoch: u64| Write::PutFailover {
        group: main.clone(),
        durable: Box::new(Durable { epoch, ..Durable::default() }),
        entries: Vec::new(),
    };
    put(&store, vec![epoch(3)]);
    let shelf = Shelf::new(folder.path().join("backups"));
    let made = manifest(&shelf, &store);
    put(&store, vec![epoch(7)]);
    let files = Beside::new(folder.path());
    files.write(&main, &Durable { epoch: 7, ..Durable::default() }).unwrap();
    block(store.close(9)).unwrap();
    let looked = look(&shelf.file(&made.id), Some(&made), ON).unwrap();
    let beside = [(main.clone(), files.read(&main).unwrap().unwrap())].into();
    let present = Present::at(&options.path).unwrap();
    for (present, now) in [(present.as_ref(), Some(7)), (None, None)] {
        let plan = restore::plan(&looked, present, &beside);
        let group = &plan.groups[0];
        assert_eq!((group.now, group.backup, group.beside, group.after), (now, Some(3), Some(7), 7));
    }
    let after = |clock: &Arc<ManualClock>| {
        restore::stage(&shelf.file(&made.id), &made.sha256, &options.path, &audit("x")).unwrap();
        restore::finish(&options.path, clock.now()).unwrap().unwrap();
        let (restored, _) = open(&options, clock);
        restored.failover().unwrap().remove(&main).unwrap().unwrap()
    };
    assert_eq!(after(&clock).epoch, 7, "the present store's");
    std::fs::remove_file(&options.path).unwrap();
    let stored = after(&clock);
    assert_eq!(stored.epoch, 3);
    assert_eq!(crate::store::newer(Some(stored), files.read(&main).unwrap()).epoch, 7);
}

#[test]
fn leftovers_go_and_backups_stay() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(&options(&folder.path().join("holdfast.redb")), &clock());
    let shelf = Shelf::new(folder.path().join("backups"));
    assert!(shelf.list().unwrap().is_empty() && shelf.tidy().is_ok());
    let made = manifest(&shelf, &store);
    let second = manifest(&shelf, &store);
    assert_eq!(second.id.as_str(), format!("{}-1", made.id));
    let file = |name: &str| shelf.folder().join(name);
    std::fs::write(file("holdfast-20260101T000000Z.redb.partial"), "x").unwrap();
    std::fs::write(file("holdfast-20260101T000000Z.json"), "x").unwrap();
    std::fs::write(file("holdfast-20260102T000000Z.redb"), "without a manifest").unwrap();
    std::fs::write(file("notes.txt"), "x").unwrap();
    shelf.tidy().unwrap();
    assert_eq!(shelf.list().unwrap().len(), 2);
    let mut names: Vec<_> = std::fs::read_dir(shelf.folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.contains(made.id.as_str()))
        .collect();
    names.sort();
    assert_eq!(names, ["holdfast-20260102T000000Z.redb", "notes.txt"]);
    assert!(shelf.delete(&made.id).unwrap() && !shelf.delete(&made.id).unwrap());
    assert_eq!(shelf.get(&made.id).unwrap(), None);
}
