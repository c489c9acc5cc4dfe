//! Opening: from a path to a store that serves, whatever is found there.
//!
//! ```text
//! absent ----------> create (0600, directory synced) --.
//! in use ----------> error                              |
//! newer schema ----> error, nothing touched             v
//! damaged ---------> moved aside, never deleted ----> create
//! killed ----------> redb repairs, with progress --.
//! clean -------------------------------------------+--> migrate -> mark open -> load -> tail
//! ```
//! Damaged is what redb calls so, what makes redb panic, and a `meta` that is not
//! ours; an I/O error is not damage, because a disk that comes back must find its
//! file. One would get it wrong by repairing in the thread of the caller: a panic
//! on garbage would take the agent down.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, RwLock};

use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata};

use super::accounts;
use super::api::{OpenReport, StoreCondition, StoreError, StoreOptions};
use super::blobs;
use super::fault::Fault;
use super::file::{Backing, FileFigures, Guarded, damaged_name};
use super::ledger::{Block, Ledger, ROW};
use super::migrations;
use super::probes::ProbeMemory;
use super::record;
use super::records::FlushRecord;
use super::ring::{Head, HeadOptions, Hour, SeriesRecord};
use super::shared::{Cached, Counters, Front, Shared};
use super::tables::{
    self, ALERTS, AUDIT, CLASS_BLOCK, CLASS_RAW, CONFIG, DELIVERIES, FAILURES, HOLDINGS, META, META_CLEAN,
    META_EVENT_CEILING, META_PING_BYTES, META_SCHEMA, META_STORE_ID, OUTBOX, PINGS, PROBES, RING, SERIES,
    SESSIONS, TASKS, TOKENS, USERS, USES,
};
use super::tail_file::{self, TailFile};
use crate::base::time::{Clock, Timestamp};

/// A file below this cannot hold the tables and one hour.
const SMALLEST_CAP: u64 = 4 << 20;
/// Event numbers taken ahead; an unclean stop skips at most so many.
pub const EVENT_RESERVE: u64 = 1_000_000;
/// Values of each series that memory holds at least, unless memory is short.
pub const KEPT_FRAMES: usize = 1000;
/// Bytes of samples in memory before the oldest are shed: an hour of 5,000 series,
/// half a day of 500.
pub const HEAD_BYTES: usize = 32 << 20;

/// What the writer thread starts from.
pub struct Opened {
    pub shared: Shared,
    pub report: OpenReport,
    pub next_block: u32,
    pub next_audit: u64,
    pub event_ceiling: u64,
}

/// What the file says about itself.
struct Meta {
    clean: bool,
    created: bool,
    store_id: u64,
    first_event: u64,
}

/// What the tables hold.
struct Loaded {
    head: Head,
    cached: Cached,
    probes: ProbeMemory,
    ledger: Ledger,
    next_block: u32,
    next_audit: u64,
}

/// Opens, whatever is there.
pub fn open(
    options: StoreOptions,
    clock: Arc<dyn Clock>,
    backing: Arc<dyn Backing>,
    head_bytes: usize,
    progress: &mut dyn FnMut(f64),
) -> Result<Opened, StoreError> {
    let figures = Arc::new(FileFigures::default());
    let limit = options.cap.max(SMALLEST_CAP);
    let started = clock.monotonic();
    let mut moved_aside = None;
    let (db, meta, mut loaded) = loop {
        let attempt = isolated(progress, |steps| {
            let db = open_database(&*backing, &options, limit, &figures, true, steps)?;
            let meta = begin(&db)?;
            let loaded = load(&db, &options, head_bytes)?;
            Ok((db, meta, loaded))
        });
        match attempt {
            Ok(opened) => break opened,
            Err(Fault::Damaged(reason)) if moved_aside.is_none() => {
                tracing::error!(path = %options.path.display(), reason, "the store is damaged: it is moved aside");
                moved_aside = Some(move_aside(&*backing, &options.path, clock.now())?);
            }
            Err(fault) => return Err(open_error(&options.path, fault)),
        }
    };
    let repaired_in = clock.monotonic().since(started);
    let (tail, recovered_samples) = recover_tail(&options, meta.store_id, &mut loaded.head);
    let report = OpenReport {
        created: meta.created,
        clean: meta.clean,
        moved_aside,
        repaired_in,
        recovered_samples,
        tail: tail.as_ref().map(|tail| tail.dir().to_owned()),
        first_event: meta.first_event,
        store_id: meta.store_id,
    };
    let shared = Shared {
        limit,
        store_id: meta.store_id,
        clock,
        backing,
        figures,
        front: Mutex::new(Front { head: loaded.head, tail, scratch: Vec::new() }),
        db: RwLock::new(Some(db)),
        condition: Mutex::new(StoreCondition::Ok),
        cached: RwLock::new(loaded.cached),
        probes: Mutex::new(loaded.probes),
        ledger: Mutex::new(loaded.ledger),
        counters: Counters::default(),
        options,
    };
    let event_ceiling = meta.first_event.saturating_add(EVENT_RESERVE);
    Ok(Opened { shared, report, next_block: loaded.next_block, next_audit: loaded.next_audit, event_ceiling })
}

fn open_error(path: &Path, fault: Fault) -> StoreError {
    let path = path.to_owned();
    match fault {
        Fault::InUse => StoreError::InUse { path },
        Fault::TooNew(found) => StoreError::TooNew { path, found, supported: migrations::SCHEMA_VERSION },
        other => StoreError::Open { path, reason: other.to_string() },
    }
}

/// Runs `work` on a thread of its own, so that a panic inside redb is damage and
/// the progress of a repair reaches the caller's thread.
fn isolated<T: Send>(
    progress: &mut dyn FnMut(f64),
    work: impl FnOnce(SyncSender<f64>) -> Result<T, Fault> + Send,
) -> Result<T, Fault> {
    std::thread::scope(|scope| {
        let (steps, heard) = sync_channel(16);
        let worker = scope.spawn(move || work(steps));
        for step in heard {
            progress(step);
        }
        worker.join().unwrap_or_else(|_| Err(Fault::Damaged(String::from("reading it made redb panic"))))
    })
}

/// Opens the database file itself.
pub fn open_database(
    backing: &dyn Backing,
    options: &StoreOptions,
    limit: u64,
    figures: &Arc<FileFigures>,
    create: bool,
    steps: SyncSender<f64>,
) -> Result<Database, Fault> {
    let inner = backing.open(&options.path, create).map_err(|error| Fault::io(&error))?;
    let file = Guarded::new(inner, Arc::clone(figures), limit).map_err(|error| Fault::io(&error))?;
    let mut builder = Database::builder();
    builder.set_cache_size(options.cache);
    builder.set_repair_callback(move |session| {
        // A full queue only means that the listener is slow.
        let _ = steps.try_send(session.progress());
    });
    Ok(builder.create_with_backend(file)?)
}

fn move_aside(backing: &dyn Backing, path: &Path, now: Timestamp) -> Result<std::path::PathBuf, StoreError> {
    let mut failure = String::new();
    for attempt in 0..100 {
        let aside = damaged_name(path, now, attempt);
        match backing.set_aside(path, &aside) {
            Ok(()) => return Ok(aside),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => failure = error.to_string(),
            Err(error) => {
                failure = error.to_string();
                break;
            }
        }
    }
    let reason = format!("it is damaged and cannot be moved aside: {failure}");
    Err(StoreError::Open { path: path.to_owned(), reason })
}

/// Checks whose file it is, brings it up to date and marks it open.
fn begin(db: &Database) -> Result<Meta, Fault> {
    let schema = migrations::schema_of(db)?;
    match schema {
        Some(found) if found > migrations::SCHEMA_VERSION => return Err(Fault::TooNew(found)),
        Some(found) => migrations::run(db, found, migrations::STEPS)?,
        // Created and killed before the first commit, or not ours.
        None if db.begin_read()?.list_tables()?.next().is_some() => {
            return Err(Fault::Damaged(String::from("it has no schema version")));
        }
        None => {}
    }
    let tx = db.begin_write()?;
    tables::create_all(&tx)?;
    let mut table = tx.open_table(META)?;
    let get = |table: &redb::Table<'_, &str, u64>, name: &str| -> Result<Option<u64>, Fault> {
        Ok(table.get(name)?.map(|value| value.value()))
    };
    let ceiling = get(&table, META_EVENT_CEILING)?.unwrap_or(0);
    let meta = Meta {
        clean: schema.is_none() || get(&table, META_CLEAN)? == Some(1),
        created: schema.is_none(),
        store_id: match get(&table, META_STORE_ID)? {
            Some(id) => id,
            None => getrandom::u64().map_err(|error| Fault::Broken(error.to_string()))?,
        },
        first_event: ceiling.saturating_add(1),
    };
    table.insert(META_SCHEMA, migrations::SCHEMA_VERSION)?;
    table.insert(META_STORE_ID, meta.store_id)?;
    table.insert(META_CLEAN, 0)?;
    table.insert(META_EVENT_CEILING, meta.first_event.saturating_add(EVENT_RESERVE))?;
    drop(table);
    tx.commit()?;
    Ok(meta)
}

/// What memory repeats of the file and a commit of unknown outcome may have changed.
pub struct Rows {
    pub cached: Cached,
    /// Without the blocks: their numbers are written again until they are known to be durable.
    pub ledger: Ledger,
    pub next_audit: u64,
}

/// An overlay that does not decode is skipped and logged: it must not cost the history.
fn load_rows(tx: &redb::ReadTransaction) -> Result<Rows, Fault> {
    let mut ledger = Ledger::default();
    let mut cached = Cached { overlay: serde_json::json!({}), accounts: accounts::load(tx)? };
    if let Some(value) = tx.open_table(CONFIG)?.get("overlay")? {
        let text = value.value().decode().map_err(|error| error.to_string());
        match text.and_then(|text| serde_json::from_str(&text.json).map_err(|error| error.to_string())) {
            Ok(overlay) => cached.overlay = overlay,
            Err(error) => tracing::error!(error, "the stored run-time configuration is skipped"),
        }
    }
    for row in tx.open_table(HOLDINGS)?.iter()? {
        let (key, value) = row?;
        let (class, start) = key.value();
        let holding = value.value().decode().map_err(|error| Fault::Damaged(error.to_string()))?;
        ledger.tier_mut(class).insert(start, holding);
    }
    ledger.rows = small_rows(tx)?;
    let last = tx.open_table(AUDIT)?.last()?.map(|(key, _)| key.value());
    Ok(Rows { cached, ledger, next_audit: last.map_or(1, |last| last.saturating_add(1)) })
}

/// Reads everything that is served from memory.
fn load(db: &Database, options: &StoreOptions, head_bytes: usize) -> Result<Loaded, Fault> {
    let tx = db.begin_read()?;
    let Rows { cached, mut ledger, next_audit } = load_rows(&tx)?;
    let mut probes = ProbeMemory::default();
    let bounds = HeadOptions { max_series: options.max_series, keep: KEPT_FRAMES, max_bytes: head_bytes };
    let (head, next_block) = load_ring(&tx, bounds, &mut ledger, &mut probes)?;
    Ok(Loaded { head, cached, probes, ledger, next_block, next_audit })
}

/// Rows of the small tables; the ledger's figure. Each table keeps its own count.
pub fn small_rows(tx: &redb::ReadTransaction) -> Result<u64, Fault> {
    let named = tx.open_table(SERIES)?.len()?
        + tx.open_table(TOKENS)?.len()?
        + tx.open_table(USERS)?.len()?
        + tx.open_table(SESSIONS)?.len()?
        + tx.open_table(USES)?.len()?;
    // These hold texts, and the log whole messages.
    let alerts = tx.open_table(ALERTS)?.len()?;
    let notices = tx.open_table(OUTBOX)?.len()? + tx.open_table(DELIVERIES)?.len()?;
    let large = 8 * (alerts + notices);
    let logs = tx.open_table(TASKS)?.len()? + tx.open_table(FAILURES)?.len()?;
    // Pings may be long: they count by their bytes, as so many rows.
    let ping_bytes = tx.open_table(META)?.get(META_PING_BYTES)?.map_or(0, |value| value.value());
    let pings = tx.open_table(PINGS)?.len()? + ping_bytes / ROW;
    Ok(named + large + logs + pings + tx.open_table(PROBES)?.len()? + tx.open_table(AUDIT)?.len()?)
}

fn load_ring(
    tx: &redb::ReadTransaction,
    bounds: HeadOptions,
    ledger: &mut Ledger,
    probes: &mut ProbeMemory,
) -> Result<(Head, u32), Fault> {
    let mut head = Head::new(bounds);
    for row in tx.open_table(SERIES)?.iter()? {
        match SeriesRecord::decode(row?.1.value()) {
            Ok(series) => head.restore_series(&series),
            Err(error) => tracing::error!(%error, "a stored series is skipped"),
        }
    }
    let ring = tx.open_table(RING)?;
    if let Some((start, holding)) = ledger.raw.last_key_value() {
        head.set_compacted_through(Hour(i64::from(holding.end) - 1).end());
        let raw = blobs::read_whole(&ring, CLASS_RAW, *start)?;
        if let Err(error) = head.restore_hour(&raw) {
            tracing::error!(hour = start, %error, "the newest hour is skipped");
        }
    }
    let mut numbers = std::collections::BTreeSet::new();
    for row in ring.range((CLASS_BLOCK, 0, 0)..=(CLASS_BLOCK, u32::MAX, u32::MAX))? {
        numbers.insert(row?.0.value().1);
    }
    for &number in &numbers {
        let bytes = blobs::read_whole(&ring, CLASS_BLOCK, number)?;
        let len = bytes.len() as u64;
        match record::decode::<FlushRecord>(&bytes) {
            Ok(block) => {
                if !block.samples.is_empty()
                    && let Err(error) = head.restore_block(&block.samples)
                {
                    tracing::error!(number, %error, "the samples of a flush are skipped");
                }
                block.probes.iter().for_each(|probe| probes.restore(probe));
                ledger.blocks.insert(number, Block { len, last: block.last });
            }
            Err(error) => {
                tracing::error!(number, %error, "a flush is skipped");
                ledger.blocks.insert(number, Block { len, last: i64::MIN });
            }
        }
    }
    Ok((head, numbers.last().map_or(1, |last| last.saturating_add(1))))
}

fn recover_tail(options: &StoreOptions, store_id: u64, head: &mut Head) -> (Option<TailFile>, u64) {
    let Some(dir) = tail_file::choose(options.tail.as_ref()) else { return (None, 0) };
    let found = tail_file::find(&dir, store_id);
    let recovered = found.iter().map(|tail| head.replay_tail(&tail.bytes, store_id)).sum();
    (Some(TailFile::start(dir, store_id, &found)), recovered)
}

/// Opens the file of a running store again. It must be the same file. A `suspect`
/// one is read whole and its list of free pages made anew. A commit that failed may be
/// durable, so what memory repeats of the file comes with it.
pub fn reopen(shared: &Shared, suspect: bool) -> Result<(Database, Rows), Fault> {
    let (db, rows, found) = isolated(&mut |_| {}, |steps| {
        let length = shared.backing.length(&shared.options.path).map_err(|error| Fault::io(&error))?;
        if length.is_none() {
            return Err(Fault::Broken(String::from("the file is gone")));
        }
        let backing = &*shared.backing;
        let mut db = open_database(backing, &shared.options, shared.limit, &shared.figures, false, steps)?;
        if suspect {
            db.check_integrity()?;
        }
        let tx = db.begin_read()?;
        let found = tx.open_table(META)?.get(META_STORE_ID)?.map(|value| value.value());
        let rows = load_rows(&tx)?;
        drop(tx);
        Ok((db, rows, found))
    })?;
    if found != Some(shared.store_id) {
        return Err(Fault::Broken(String::from("another file took its place")));
    }
    shared.counters.reopens.fetch_add(1, Ordering::Relaxed);
    Ok((db, rows))
}
