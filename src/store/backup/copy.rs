//! From a snapshot to a file: every table, row by row, in one transaction.
//!
//! Rows come in the order of their keys, so the new tree is filled page after page and
//! takes less than the one it was copied from. One would get it wrong by holding on to the
//! snapshot when the store shuts its file: opening it again would have to wait.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use redb::{
    Database, Key, ReadTransaction, ReadableTable as _, TableDefinition, TableError, TableHandle as _,
    WriteTransaction,
};

use super::{BackupError, DISK_RESERVE, guarded};
use crate::store::Store;
use crate::store::fault::Fault;
use crate::store::shared::{lock, read};
use crate::store::tables::{self, CONFIG, Checked, META, META_CLEAN, META_SCHEMA, META_STORE_ID, Visitor};

/// redb's page cache for the new file, bytes.
const CACHE: usize = 4 << 20;
/// Rows between two looks whether to go on.
const LOOK_EVERY: u64 = 64;

/// What was copied.
#[derive(Clone, PartialEq, Debug)]
pub struct Snapshot {
    pub schema: u64,
    pub store_id: u64,
    /// Rows of each table.
    pub rows: BTreeMap<String, u64>,
    /// The configuration at run time as it was at that moment, its secrets sealed.
    pub overlay: serde_json::Value,
}

struct Copy<'a> {
    from: &'a ReadTransaction,
    to: &'a WriteTransaction,
    rows: BTreeMap<String, u64>,
    go_on: &'a dyn Fn() -> bool,
}

impl Visitor for Copy<'_> {
    fn table<K: Key + 'static, V: Checked + 'static>(
        &mut self,
        table: TableDefinition<'static, K, V>,
    ) -> Result<(), Fault> {
        let from = match self.from.open_table(table) {
            Ok(from) => from,
            Err(TableError::TableDoesNotExist(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let mut to = self.to.open_table(table)?;
        let mut rows = 0u64;
        for row in from.iter()? {
            if rows.is_multiple_of(LOOK_EVERY) && !(self.go_on)() {
                return Err(stopped());
            }
            let (key, value) = row?;
            to.insert(key.value(), value.value())?;
            rows += 1;
        }
        self.rows.insert(table.name().to_owned(), rows);
        Ok(())
    }
}

const STOPPED: &str = "stopped";

fn stopped() -> Fault {
    Fault::Broken(String::from(STOPPED))
}

impl Store {
    /// Copies the store as it is at this moment into a new file at `path`, which must not
    /// be there; writers go on meanwhile. What memory holds beyond the last flush is not
    /// in it. Blocking; `go_on` is asked now and then. The file is whole and synced when
    /// this returns, and may be left half written by an error.
    ///
    /// # Errors
    /// [`BackupError`]; the store is as it was.
    pub fn copy_to(&self, path: &Path, go_on: &dyn Fn() -> bool) -> Result<Snapshot, BackupError> {
        let shared = &self.inner.shared;
        // Said before anything is written.
        let used = lock(&shared.ledger).used().min(shared.file_len());
        if shared.backing.available(path).is_some_and(|free| free < used + DISK_RESERVE) {
            return Err(BackupError::DiskFull { path: path.to_owned() });
        }
        self.copy_whatever_room(path, go_on)
    }

    /// The same without asking for room beforehand.
    pub(in crate::store) fn copy_whatever_room(
        &self,
        path: &Path,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Snapshot, BackupError> {
        let shared = &self.inner.shared;
        let unreadable = |reason: String| BackupError::Store { reason };
        let tx = shared.snapshot().map_err(|error| unreadable(error.to_string()))?;
        let tx = tx.ok_or_else(|| unreadable(String::from("it is being opened again")))?;
        let failed = |fault: Fault| match fault {
            Fault::Broken(reason) if reason == STOPPED => BackupError::Stopped,
            fault => BackupError::of(path, fault),
        };
        // A store that shuts its file must not wait for this.
        let go_on = || go_on() && read(&shared.db).is_some();
        let foreign = guarded(|| unknown(&tx)).map_err(failed)?;
        if let Some(name) = foreign.first() {
            return Err(unreadable(format!("it has the table `{name}`, which this holdfast does not know")));
        }
        guarded(|| copy(&tx, path, &go_on)).map_err(failed)
    }
}

/// Tables of the file that are not in the list.
pub fn unknown(tx: &ReadTransaction) -> Result<BTreeSet<String>, Fault> {
    struct Names(BTreeSet<String>);
    impl Visitor for Names {
        fn table<K: Key + 'static, V: Checked + 'static>(
            &mut self,
            table: TableDefinition<'static, K, V>,
        ) -> Result<(), Fault> {
            self.0.insert(table.name().to_owned());
            Ok(())
        }
    }
    let mut names = Names(BTreeSet::new());
    tables::visit(&mut names)?;
    let mut all: BTreeSet<String> = tx.list_tables()?.map(|table| table.name().to_owned()).collect();
    all.extend(tx.list_multimap_tables()?.map(|table| redb::MultimapTableHandle::name(&table).to_owned()));
    all.retain(|name| !names.0.contains(name));
    Ok(all)
}

fn copy(from: &ReadTransaction, path: &Path, go_on: &dyn Fn() -> bool) -> Result<Snapshot, Fault> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path);
    let file = file.map_err(|error| Fault::io(&error))?;
    let mut db = Database::builder().set_cache_size(CACHE).create_file(file)?;
    let tx = db.begin_write()?;
    let mut copy = Copy { from, to: &tx, rows: BTreeMap::new(), go_on };
    tables::visit(&mut copy)?;
    let rows = copy.rows;
    // As after a close: nothing is missing.
    tx.open_table(META)?.insert(META_CLEAN, 1)?;
    tx.commit()?;
    if !go_on() {
        return Err(stopped());
    }
    // The file was doubled on the way: what is free at its end is cut.
    db.compact()?;
    drop(db);
    File::open(path).and_then(|file| file.sync_all()).map_err(|error| Fault::io(&error))?;
    let number = |name: &str| -> Result<u64, Fault> {
        Ok(from.open_table(META)?.get(name)?.map_or(0, |value| value.value()))
    };
    Ok(Snapshot {
        schema: number(META_SCHEMA)?,
        store_id: number(META_STORE_ID)?,
        rows,
        overlay: overlay(from)?,
    })
}

/// The configuration at run time; null where there is none or it cannot be read.
pub fn overlay(tx: &ReadTransaction) -> Result<serde_json::Value, Fault> {
    let Some(value) = tx.open_table(CONFIG)?.get("overlay")? else { return Ok(serde_json::Value::Null) };
    let record = value.value().decode().ok();
    Ok(record.and_then(|record| serde_json::from_str(&record.json).ok()).unwrap_or_default())
}
