//! What the handle and the writer thread share.
//!
//! Three locks, never held together except `front` around nothing else: the head
//! with its tail, the database, and the small caches. No file is touched under
//! `front`, so an append never waits for the disk. One would get it wrong by
//! reading blobs under it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use redb::{Database, ReadTransaction, ReadableDatabase};

use super::accounts::Accounts;
use super::api::{StoreCondition, StoreError, StoreOptions};
use super::file::{Backing, FileFigures};
use super::ledger::Ledger;
use super::probes::ProbeMemory;
use super::ring::Head;
use super::tail_file::TailFile;
use crate::base::time::Clock;

/// The head and the tail, which must see the same frames in the same order.
#[derive(Debug)]
pub struct Front {
    pub head: Head,
    pub tail: Option<TailFile>,
    /// Records of one append on their way to the tail.
    pub scratch: Vec<u8>,
}

/// Rows that are read on every request.
#[derive(Debug, Default)]
pub struct Cached {
    pub accounts: Accounts,
    pub overlay: serde_json::Value,
}

/// Counters since the start of the process.
#[derive(Debug, Default)]
pub struct Counters {
    pub commits: AtomicU64,
    pub flushes: AtomicU64,
    pub compactions: AtomicU64,
    pub reopens: AtomicU64,
    /// Samples in a block whose commit failed so far.
    pub held: AtomicU64,
}

/// See the module.
pub struct Shared {
    pub options: StoreOptions,
    /// Length the file never exceeds.
    pub limit: u64,
    pub store_id: u64,
    pub clock: Arc<dyn Clock>,
    pub backing: Arc<dyn Backing>,
    pub figures: Arc<FileFigures>,
    pub front: Mutex<Front>,
    pub db: RwLock<Option<Database>>,
    pub condition: Mutex<StoreCondition>,
    pub cached: RwLock<Cached>,
    pub probes: Mutex<ProbeMemory>,
    pub ledger: Mutex<Ledger>,
    pub counters: Counters,
}

/// The value behind a lock whose holder panicked is still whole: every change
/// below a lock of this module is a single assignment or an insert.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

pub fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// A snapshot of the file, `None` while it is being opened again.
    pub fn snapshot(&self) -> Result<Option<ReadTransaction>, StoreError> {
        let db = read(&self.db);
        let begin = |db: &Database| db.begin_read().map_err(|error| super::fault::Fault::from(error).error());
        db.as_ref().map(begin).transpose()
    }

    pub fn file_len(&self) -> u64 {
        self.figures.length.load(Ordering::Relaxed)
    }

    pub fn set_condition(&self, condition: StoreCondition) {
        let mut current = lock(&self.condition);
        if *current != condition {
            match &condition {
                StoreCondition::Ok => tracing::info!("the store can be written again"),
                StoreCondition::DiskFull => {
                    tracing::error!(
                        "no space left for the store: samples stay in memory, the oldest are shed"
                    );
                }
                StoreCondition::Reopening(reason) => {
                    tracing::error!(reason, "the store is opened again, memory serves meanwhile");
                }
            }
            *current = condition;
        }
    }
}
