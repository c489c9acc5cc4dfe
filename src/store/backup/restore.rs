//! Putting a backup back: staged beside the store, put in its place when nobody has it open.
//!
//! ```text
//! backup --copy, sha256--> .restore.partial --new id, audit row, synced--> .restore
//! at a start: .restore takes along what the world knows, store --> .replaced-<time>, .restore --> store
//! ```
//! Each arrow is one rename, so a crash leaves the old store, or the new one waiting, or
//! the new one in place; a start goes on from any of these. The old file is kept. What
//! others know cannot be taken back: event numbers go on, what channels were told and are
//! owed is the present store's, alerts that are active now stay, and failover groups keep
//! their state; where there is no store, the file beside it has the epochs (`beside.rs`). The copy
//! gets an id of its own, because the tail of the store that it replaces is not its tail.
//! One would get it wrong by renaming over the store: a backup of the wrong day would then
//! be the only one left.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use redb::{Database, ReadTransaction, ReadableDatabase as _, ReadableTable as _, WriteTransaction};
use sha2::{Digest as _, Sha256};

use super::look::Looked;
use super::read_through::ReadThrough;
use super::walk::count;
use super::{BackupError, guarded, has_room, hex};
use crate::base::id::Name;
use crate::base::time::Timestamp;
use crate::model::access::AuditEntry;
use crate::model::alert::Alert;
use crate::model::backup::{Carried, GroupChange, Plan, TableChange};
use crate::model::failover::durable::Durable;
use crate::model::notice::{Notice, Telling};
use crate::store::alerts::AlertRecord;
use crate::store::beside::reached;
use crate::store::change::put_audit;
use crate::store::fault::Fault;
use crate::store::file::{sync_directory, timed_name};
use crate::store::notices::{NoticeRecord, TellingRecord};
use crate::store::record::Raw;
use crate::store::tables::{
    self, ALERTS, AUDIT, META, META_CLEAN, META_EVENT_CEILING, META_STORE_ID, OUTBOX, TELLINGS,
};
use crate::store::{DeliveryFilter, Store, alerts, failover, newer, notices};

const CACHE: usize = 4 << 20;
const CHUNK: usize = 256 << 10;

/// What the store holds now that a restore has to do with.
#[derive(Debug, Default)]
pub struct Present {
    rows: BTreeMap<String, u64>,
    alerts: Vec<Alert>,
    outbox: Vec<Notice>,
    /// Ids of messages that left the outbox.
    done: BTreeSet<String>,
    tellings: Vec<Telling>,
    /// Epochs of failover groups; that of one that cannot be read is not known.
    groups: BTreeMap<Name, Option<u64>>,
    ceiling: u64,
}

impl Present {
    /// Rows of each table.
    pub const fn rows(&self) -> &BTreeMap<String, u64> {
        &self.rows
    }

    fn of(tx: &ReadTransaction) -> Result<Self, Fault> {
        let meta = tx.open_table(META)?;
        let number =
            |name: &str| -> Result<u64, Fault> { Ok(meta.get(name)?.map_or(0, |value| value.value())) };
        let (logged, _) = notices::deliveries(tx, &DeliveryFilter::default(), usize::MAX, 0)?;
        Ok(Self {
            rows: count(tx)?,
            alerts: alerts::read(tx)?,
            outbox: notices::outbox(tx)?,
            done: logged.into_iter().map(|notice| notice.id).collect(),
            tellings: notices::tellings(tx)?,
            groups: failover::read(tx)?
                .into_iter()
                .map(|(name, stored)| (name, stored.ok().as_ref().map(reached)))
                .collect(),
            ceiling: number(META_EVENT_CEILING)?,
        })
    }

    /// Of a store that nobody has open; `None` where there is none. Nothing is written.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn at(path: &Path) -> Result<Option<Self>, BackupError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(BackupError::io(path, &error)),
        };
        let read = || {
            let backend = ReadThrough::new(file).map_err(|error| Fault::io(&error))?;
            let db = Database::builder().set_cache_size(CACHE).create_with_backend(backend)?;
            Self::of(&db.begin_read()?)
        };
        guarded(read).map(Some).map_err(|fault| BackupError::of(path, fault))
    }
}

impl Store {
    /// What of the running store a restore has to do with. Reads the file.
    ///
    /// # Errors
    /// It is shut or cannot be read.
    pub fn present(&self) -> Result<Present, BackupError> {
        let unreadable = |reason: String| BackupError::Store { reason };
        let tx = self.open_snapshot().map_err(|error| unreadable(error.to_string()))?;
        guarded(|| Present::of(&tx)).map_err(|fault| unreadable(fault.to_string()))
    }
}

/// What putting the backup back would change. `beside` are the files of failover groups.
pub fn plan(looked: &Looked, present: Option<&Present>, beside: &BTreeMap<Name, Durable>) -> Plan {
    let now = present.map(|present| &present.rows);
    let names: BTreeSet<&String> =
        looked.verdict.rows.keys().chain(now.into_iter().flat_map(BTreeMap::keys)).collect();
    let tables = names.into_iter().map(|name| TableChange {
        table: name.clone(),
        now: now.map(|rows| rows.get(name).copied().unwrap_or(0)),
        backup: looked.verdict.rows.get(name).copied().unwrap_or(0),
    });
    let known = present.into_iter().flat_map(|present| present.groups.keys());
    let groups: BTreeSet<&Name> = looked.groups.keys().chain(beside.keys()).chain(known).collect();
    let groups = groups.into_iter().map(|name| {
        let stored = looked.groups.get(name).and_then(|stored| stored.as_ref().ok());
        let beside = beside.get(name);
        let now = present.and_then(|present| present.groups.get(name).copied().flatten());
        GroupChange {
            group: name.to_string(),
            now,
            backup: stored.map(reached),
            beside: beside.map(|durable| durable.epoch),
            after: reached(&newer(stored.cloned(), beside.cloned())).max(now.unwrap_or(0)),
        }
    });
    let carried = present.map(|present| carried(present, &looked.alerts));
    Plan {
        created_at: None,
        schema: looked.verdict.schema.unwrap_or(0),
        tables: tables.collect(),
        groups: groups.collect(),
        carried: carried.map(|taken| taken.counted()).unwrap_or_default(),
        keys: Vec::new(),
        keys_missing: Vec::new(),
    }
}

/// What is taken along.
struct Taken<'a> {
    alerts: Vec<&'a Alert>,
    outbox: &'a [Notice],
    tellings: Vec<&'a Telling>,
}

impl Taken<'_> {
    fn counted(&self) -> Carried {
        Carried {
            alerts: self.alerts.len() as u64,
            outbox: self.outbox.len() as u64,
            tellings: self.tellings.len() as u64,
        }
    }
}

/// Active alerts whose key the backup has no active alert of, and those that a message which
/// is owed tells of; what channels were told of any alert that will be there.
fn carried<'a>(present: &'a Present, backup: &[Alert]) -> Taken<'a> {
    let there: BTreeSet<&str> = backup.iter().map(|alert| alert.id.as_str()).collect();
    let active: BTreeSet<&str> =
        backup.iter().filter(|alert| alert.state.is_active()).map(|alert| alert.key.as_str()).collect();
    let owed: BTreeSet<&str> =
        present.outbox.iter().flat_map(|notice| &notice.alerts).map(|alert| alert.id.as_str()).collect();
    let wanted = |alert: &&Alert| {
        let running = alert.state.is_active();
        let again = running && active.contains(alert.key.as_str());
        !(again || there.contains(alert.id.as_str())) && (running || owed.contains(alert.id.as_str()))
    };
    let alerts: Vec<&Alert> = present.alerts.iter().filter(wanted).collect();
    let known = |id: &str| there.contains(id) || alerts.iter().any(|alert| alert.id == id);
    let tellings = present.tellings.iter().filter(|telling| known(&telling.alert)).collect();
    Taken { tellings, alerts, outbox: &present.outbox }
}

fn beside(store: &Path, ending: &str) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Where a staged backup waits.
pub fn staged(store: &Path) -> PathBuf {
    beside(store, ".restore")
}

/// Copies the backup `file`, whose digest is `sha256`, beside the store at `store`: from here
/// on the next start puts it in place. `audit` is the newest row of its log. Blocking.
///
/// # Errors
/// It cannot be copied, or is no longer what was looked at; the store is as it was.
pub fn stage(file: &Path, sha256: &str, store: &Path, audit: &AuditEntry) -> Result<(), BackupError> {
    let partial = beside(store, ".restore.partial");
    let done = copy(file, sha256, &partial).and_then(|()| {
        let changed = guarded(|| prepare(&partial, audit));
        changed.map_err(|fault| BackupError::of(&partial, fault))?;
        let put = || -> std::io::Result<()> {
            File::open(&partial)?.sync_all()?;
            std::fs::rename(&partial, staged(store))?;
            sync_directory(store)
        };
        put().map_err(|error| BackupError::io(&partial, &error))
    });
    if done.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    done
}

fn copy(file: &Path, sha256: &str, to: &Path) -> Result<(), BackupError> {
    let mut from = File::open(file).map_err(|error| BackupError::io(file, &error))?;
    let failed = |error: std::io::Error| BackupError::io(to, &error);
    match std::fs::remove_file(to) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let length = from.metadata().map_err(|error| BackupError::io(file, &error))?.len();
    if !has_room(to, length) {
        return Err(BackupError::DiskFull { path: to.to_owned() });
    }
    let mut target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(failed)?;
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = match from.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(BackupError::io(file, &error)),
        };
        hasher.update(&chunk[..read]);
        target.write_all(&chunk[..read]).map_err(failed)?;
    }
    let found = hex(&hasher.finalize());
    if found != sha256 {
        let reason = format!("its sha256 is {found}, it was {sha256} when it was looked at");
        return Err(BackupError::Damaged { path: file.to_owned(), reason });
    }
    Ok(())
}

/// Gives the copy an id of its own and says in its log where it comes from.
fn prepare(path: &Path, audit: &AuditEntry) -> Result<(), Fault> {
    let db = open(path)?;
    let tx = db.begin_write()?;
    tables::create_all(&tx)?;
    let id = getrandom::u64().map_err(|error| Fault::Broken(error.to_string()))?;
    {
        let mut meta = tx.open_table(META)?;
        meta.insert(META_STORE_ID, id)?;
        meta.insert(META_CLEAN, 1)?;
    }
    let last = tx.open_table(AUDIT)?.last()?.map_or(0, |(number, _)| number.value());
    put_audit(&tx, last.saturating_add(1), audit)?;
    tx.commit()?;
    Ok(())
}

fn open(path: &Path) -> Result<Database, Fault> {
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(|error| Fault::io(&error))?;
    Ok(Database::builder().set_cache_size(CACHE).create_file(file)?)
}

/// What became of a staged backup.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finished {
    pub carried: Carried,
    /// Where the store that was replaced is kept.
    pub kept: Option<PathBuf>,
}

/// Puts a staged backup in the place of the store, which nobody has open; `None` where
/// none is staged. Goes on where a crash cut it off. Blocking.
///
/// # Errors
/// A file cannot be renamed, or another process has the store.
pub fn finish(store: &Path, now: Timestamp) -> Result<Option<Finished>, BackupError> {
    let staged = staged(store);
    if !staged.exists() {
        return Ok(None);
    }
    let mut finished = Finished { carried: Carried::default(), kept: None };
    if store.exists() {
        // The copy of the store is as it was even if it is too damaged to be read.
        match guarded(|| carry(store, &staged)) {
            Ok(carried) => finished.carried = carried,
            Err(Fault::InUse) => return Err(BackupError::InUse { path: store.to_owned() }),
            Err(fault) => {
                tracing::error!(%fault, "nothing is taken along from the store that is replaced");
            }
        }
        finished.kept = Some(keep(store, now)?);
    }
    let put = || -> std::io::Result<()> {
        std::fs::rename(&staged, store)?;
        sync_directory(store)
    };
    put().map_err(|error| BackupError::io(store, &error))?;
    Ok(Some(finished))
}

fn keep(store: &Path, now: Timestamp) -> Result<PathBuf, BackupError> {
    let mut names = (0..100).map(|attempt| timed_name(store, "replaced", now, attempt));
    let Some(name) = names.find(|name| !name.exists()) else {
        let reason = String::from("no name is free to keep it under");
        return Err(BackupError::File { path: store.to_owned(), reason });
    };
    let kept = std::fs::rename(store, &name).and_then(|()| sync_directory(store));
    kept.map(|()| name).map_err(|error| BackupError::io(store, &error))
}

/// Takes along what the world knows; doing it twice is the same.
fn carry(store: &Path, staged: &Path) -> Result<Carried, Fault> {
    let old = open(store)?;
    let old = old.begin_read()?;
    let present = Present::of(&old)?;
    let db = open(staged)?;
    let backup = alerts::read(&db.begin_read()?)?;
    let taken = carried(&present, &backup);
    let tx = db.begin_write()?;
    put(&tx, &taken)?;
    failover::carry(&old, &tx)?;
    // What was delivered since the backup is not sent again.
    tx.open_table(OUTBOX)?.retain(|id, _| !present.done.contains(id))?;
    let mut meta = tx.open_table(META)?;
    let ceiling = meta.get(META_EVENT_CEILING)?.map_or(0, |value| value.value());
    meta.insert(META_EVENT_CEILING, ceiling.max(present.ceiling))?;
    drop(meta);
    tx.commit()?;
    Ok(taken.counted())
}

fn put(tx: &WriteTransaction, taken: &Taken<'_>) -> Result<(), Fault> {
    let mut table = tx.open_table(ALERTS)?;
    for alert in &taken.alerts {
        table.insert(alert.id.as_str(), Raw::encode(&AlertRecord::of(alert)))?;
    }
    let mut table = tx.open_table(OUTBOX)?;
    for notice in taken.outbox {
        table.insert(notice.id.as_str(), Raw::encode(&NoticeRecord::of(notice)))?;
    }
    let mut table = tx.open_table(TELLINGS)?;
    for telling in &taken.tellings {
        table.insert(telling.alert.as_str(), Raw::encode(&TellingRecord::of(telling)))?;
    }
    Ok(())
}
