//! The store: one redb file, a head in memory, one thread that writes.
//!
//! ```text
//! append --> front: head + tail (memory, tmpfs)      query --> head plan, then blobs of a snapshot
//!                |
//! flush ---------+--> writer thread --> redb: block -> hour blobs (raw, 1m, 1h) -> retention
//! commit, import ---> writer thread --> redb: rows with their audit row
//! ```
//! The pattern: callers never touch the file but for reading snapshots; all
//! writing is one thread's, group by group. The head holds everything that no hour
//! in the file holds, so the file may be shut and opened again while memory serves.
//! One would get it wrong by answering a change before its commit, or by letting
//! an append wait for the disk.
//!
//! **Invariant:** no module outside this one names redb or postcard.
//! **Invariant:** the file is never longer than the cap, and a damaged file is
//! never deleted.

mod accounts;
mod alerts;
mod api;
pub mod backup;
pub mod beside;
mod blobs;
mod breakers;
mod change;
mod checks;
mod failover;
mod fault;
mod file;
mod flush;
mod import;
mod jobs;
mod ledger;
mod migrations;
mod notices;
mod open;
mod probes;
mod real_time;
mod record;
mod records;
pub mod ring;
mod room;
mod shared;
mod silences;
mod source;
mod tables;
mod tail_file;
mod upkeep;
mod writer;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub use accounts::{Accounts, Held};
pub use api::{
    AppendReport, Change, DeliveryFilter, ImportReport, ImportSample, LatestSample, NewestSample, OpenReport,
    StoreCondition, StoreError, StoreOptions, StoreStats, Write,
};

pub use beside::{Beside, newer};
pub use open::KEPT_FRAMES;
pub use source::StoreSource;
pub use upkeep::{Cleaned, Compacted, StoreFile};

use crate::base::id::Name;
use crate::base::secret::Secret;
use crate::base::time::{Clock, Timestamp};
use crate::model::access::{AuditEntry, Token};
use crate::model::alert::Alert;
use crate::model::breaker::SavedBreaker;
use crate::model::check::{Ping, SavedCheck};
use crate::model::failover::durable::{Durable, JournalEntry};
use crate::model::frame::Frame;
use crate::model::notice::{Notice, Telling};
use crate::model::probe::ProbeRecord;
use crate::model::query::{LOOKBACK, RangeAnswer, RangeQuery, SamplesAnswer, SamplesQuery, SeriesInfo};
use crate::model::report::FailureEvent;
use crate::model::selector::Selector;
use crate::model::silence::Silence;
use crate::model::task::Task;
use blobs::{FileBlobs, NoBlobs};
use fault::Fault;
use file::{Backing, Disk};
use ring::{Blobs, Search};
use shared::{Shared, lock, read};
use tables::{CLASS_HOUR, CLASS_MINUTE, CLASS_RAW};
use writer::{Job, WriterHandle};

struct Inner {
    // Dropped first: the thread ends before what it shares.
    writer: WriterHandle,
    shared: Arc<Shared>,
}

/// The handle; cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

impl Store {
    /// Opens or creates the store. Blocking; `progress` hears the share of a
    /// repair that is done, 0..=1.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::TooNew`], or [`StoreError::Open`].
    pub fn open(
        options: StoreOptions,
        clock: Arc<dyn Clock>,
        progress: &mut dyn FnMut(f64),
    ) -> Result<(Self, OpenReport), StoreError> {
        Self::open_on(options, clock, Arc::new(Disk), open::HEAD_BYTES, progress)
    }

    /// The same on another kind of disk, with `head_bytes` of samples in memory
    /// before the oldest are shed.
    fn open_on(
        options: StoreOptions,
        clock: Arc<dyn Clock>,
        backing: Arc<dyn Backing>,
        head_bytes: usize,
        progress: &mut dyn FnMut(f64),
    ) -> Result<(Self, OpenReport), StoreError> {
        let opened = open::open(options, clock, backing, head_bytes, progress)?;
        let report = opened.report.clone();
        let (writer, shared) = WriterHandle::start(opened)?;
        Ok((Self { inner: Arc::new(Inner { writer, shared }) }, report))
    }

    /// Takes one frame into the head (memory and tail). `stream` names the
    /// source whose samples share timestamps: `host`, `postgres/pg1`, ...
    /// Never waits for the disk.
    pub fn append(&self, stream: &str, at: Timestamp, frame: &Frame) -> AppendReport {
        let mut front = lock(&self.inner.shared.front);
        let front = &mut *front;
        front.scratch.clear();
        let records = front.tail.is_some().then_some(&mut front.scratch);
        let appended = front.head.append(stream, at, frame, records);
        if let Some(tail) = &mut front.tail {
            tail.append(&front.scratch);
        }
        AppendReport { accepted: appended.accepted, refused: appended.refused }
    }

    /// Takes samples not older than the raw retention into the ring; durable when it
    /// returns. The audit row is written with the first of them; parts of one import
    /// share one row.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`] or [`StoreError::Unavailable`]; hours that were
    /// merged before stay merged.
    pub async fn import(
        &self,
        samples: Vec<ImportSample>,
        audit: impl Into<Option<AuditEntry>>,
    ) -> Result<ImportReport, StoreError> {
        let audit = audit.into();
        self.inner.writer.ask(|reply| Job::Import(samples, audit, reply)).await
    }

    /// Series that match any of the selectors (all when there are none), in key order.
    ///
    /// # Errors
    /// [`StoreError::TooManySeries`] or [`StoreError::BadMatcher`].
    pub fn series(&self, selectors: &[Selector], limit: usize) -> Result<Vec<SeriesInfo>, StoreError> {
        let oldest = {
            let ledger = lock(&self.inner.shared.ledger);
            [CLASS_RAW, CLASS_MINUTE, CLASS_HOUR].into_iter().filter_map(|class| ledger.since(class)).min()
        };
        let oldest = Timestamp(oldest.unwrap_or(i64::MIN));
        // Expressions may be slow: not under the lock that appends wait for.
        let search = Search::new(selectors)?;
        let keys = lock(&self.inner.shared.front).head.keys();
        let found = search.among(&keys, limit)?;
        Ok(lock(&self.inner.shared.front).head.describe(found, oldest))
    }

    /// Ids and keys of all series at this moment, families together: one pointer, which
    /// is another as soon as a series comes or goes. For those who ask the same again
    /// and again.
    pub fn keys(&self) -> ring::Keys {
        lock(&self.inner.shared.front).head.keys()
    }

    /// Calls `visit` with the last sample of each of `ids` that has one, and its index.
    /// Appends wait meanwhile.
    pub fn newest(&self, ids: &[u32], visit: &mut dyn FnMut(usize, NewestSample)) {
        lock(&self.inner.shared.front).head.newest(ids, visit);
    }

    /// Calls `visit` for every series with a value not older than `lookback`, in key
    /// order: families are together. For exposition: no copying. Appends wait
    /// meanwhile, so `visit` only formats.
    pub fn visit_latest(&self, lookback: Duration, visit: &mut dyn FnMut(LatestSample<'_>)) {
        let since = self.inner.shared.clock.now().minus(lookback);
        lock(&self.inner.shared.front).head.visit_latest(since, visit);
    }

    /// Blocking (reads the file); call it from a blocking thread. While the file
    /// is being opened again, memory answers alone.
    ///
    /// # Errors
    /// [`StoreError::TooManySeries`], [`StoreError::TooManyPoints`],
    /// [`StoreError::BadMatcher`], or [`StoreError::Unavailable`] when the file cannot be
    /// read at all. A blob that is damaged is left out, and the answer says so.
    pub fn query_range(&self, query: &RangeQuery) -> Result<RangeAnswer, StoreError> {
        let found = self.find(&query.selector, query.max_series)?;
        let plan = lock(&self.inner.shared.front).head.plan(query, &found)?;
        self.with_blobs(|blobs| plan.evaluate(blobs))
    }

    /// Every sample of the series in a window, and rows of the tiers where raw is gone.
    /// Blocking, as [`Store::query_range`].
    ///
    /// # Errors
    /// [`StoreError::TooManySeries`], [`StoreError::TooManySamples`],
    /// [`StoreError::BadMatcher`], or [`StoreError::Unavailable`] when the file cannot be
    /// read at all. A blob that is damaged is left out, and the answer says so.
    pub fn samples(&self, query: &SamplesQuery) -> Result<SamplesAnswer, StoreError> {
        let found = self.find(&query.selector, query.max_series)?;
        let plan = lock(&self.inner.shared.front).head.plan_samples(query, &found);
        self.with_blobs(|blobs| plan.evaluate(blobs))
    }

    /// Ids and keys of the series that match.
    fn find(&self, selector: &Selector, limit: usize) -> Result<Vec<(u32, Arc<str>)>, StoreError> {
        let search = Search::new(std::slice::from_ref(selector))?;
        let keys = lock(&self.inner.shared.front).head.keys();
        search.among(&keys, limit)
    }

    /// Called after the plan was made: what left the head in between is in this snapshot.
    fn with_blobs<T>(&self, read: impl FnOnce(&dyn Blobs) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match self.inner.shared.snapshot()? {
            Some(tx) => read(&FileBlobs::new(&tx).map_err(|fault| fault.error())?),
            None => read(&NoBlobs),
        }
    }

    /// The last value of one series, by canonical key, not older than the lookback.
    pub fn latest(&self, key: &str) -> Option<(Timestamp, f64)> {
        let since = self.inner.shared.clock.now().minus(LOOKBACK);
        lock(&self.inner.shared.front).head.latest(key).filter(|(at, _)| *at >= since)
    }

    /// Writes what is pending, compacts a closed hour, enforces retention and the
    /// cap. Called every flush interval and once at shutdown. `last_event` is the
    /// last event number that was used.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`] or [`StoreError::Unavailable`]; nothing is lost, the
    /// next flush tries again.
    pub async fn flush(&self, last_event: u64) -> Result<(), StoreError> {
        self.inner.writer.ask(|reply| Job::Flush(last_event, reply)).await
    }

    /// Keeps a probe for [`Store::probe_history`]; rides along with the next flush.
    pub fn record_probe(&self, probe: &ProbeRecord) {
        lock(&self.inner.shared.probes).push(probe);
    }

    /// Newest first, and how many there are. Reads the file.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the file cannot be read.
    pub fn probe_history(
        &self,
        target: &str,
        limit: usize,
        offset: usize,
    ) -> Result<(Vec<ProbeRecord>, u64), StoreError> {
        let mut probes = lock(&self.inner.shared.probes).of_target(target);
        if let Some(tx) = self.inner.shared.snapshot()? {
            probes::read(&tx, target, &mut probes).map_err(|fault| fault.error())?;
        }
        let total = probes.len().min(probes::PER_TARGET);
        let page = probes.into_values().rev().take(total).skip(offset).take(limit);
        Ok((page.collect(), total as u64))
    }

    /// Durable when it returns.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`] or [`StoreError::Unavailable`]; then nothing changed.
    pub async fn commit(&self, change: Change) -> Result<(), StoreError> {
        self.inner.writer.ask(|reply| Job::Commit(change, reply)).await
    }

    /// The run-time overlay of the configuration; an empty object when there is none.
    pub fn overlay(&self) -> serde_json::Value {
        read(&self.inner.shared.cached).overlay.clone()
    }

    /// All tokens, by id.
    pub fn tokens(&self) -> Vec<Token> {
        self.accounts().tokens.values().map(|held| Token::clone(held)).collect()
    }

    /// Tokens, users and sessions as the last commit left them; cheap.
    pub fn accounts(&self) -> Accounts {
        read(&self.inner.shared.cached).accounts.clone()
    }

    /// Identity and state of every saved breaker, by the name of its target. Reads the
    /// file.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the file is shut or cannot be read.
    pub fn breakers(&self) -> Result<BTreeMap<String, (String, SavedBreaker)>, StoreError> {
        breakers::read(&self.open_snapshot()?).map_err(|fault| fault.error())
    }

    /// What every failover group must never forget, or why that of one cannot be read: such
    /// a group must not route. Reads the file.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the file is shut or cannot be read.
    pub fn failover(&self) -> Result<BTreeMap<Name, Result<Durable, String>>, StoreError> {
        failover::read(&self.open_snapshot()?).map_err(|fault| fault.error())
    }

    /// Rows of a group's journal with their numbers, newest first, those below `before`
    /// only; and how many rows there are. Reads the file.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the file is shut or cannot be read.
    pub fn journal(
        &self,
        group: &Name,
        limit: usize,
        before: Option<u64>,
    ) -> Result<(Vec<(u64, JournalEntry)>, u64), StoreError> {
        failover::read_journal(&self.open_snapshot()?, group, limit, before).map_err(|fault| fault.error())
    }

    /// Every alert that is stored, by id. Reads the file.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the file is shut or cannot be read.
    pub fn alerts(&self) -> Result<Vec<Alert>, StoreError> {
        alerts::read(&self.open_snapshot()?).map_err(|fault| fault.error())
    }

    /// The open rows of the outbox, by id. Reads the file.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the file is shut or cannot be read.
    pub fn outbox(&self) -> Result<Vec<Notice>, StoreError> {
        notices::outbox(&self.open_snapshot()?).map_err(|fault| fault.error())
    }

    /// What channels know of every alert. Reads the file.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the file is shut or cannot be read.
    pub fn tellings(&self) -> Result<Vec<Telling>, StoreError> {
        notices::tellings(&self.open_snapshot()?).map_err(|fault| fault.error())
    }

    /// Finished rows of the outbox that `filter` wants, newest first, and how many there
    /// are. Reads the file.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the file is shut or cannot be read.
    pub fn deliveries(
        &self,
        filter: &DeliveryFilter,
        limit: usize,
        offset: usize,
    ) -> Result<(Vec<Notice>, u64), StoreError> {
        notices::deliveries(&self.open_snapshot()?, filter, limit, offset).map_err(|fault| fault.error())
    }

    /// Every silence that is stored, by id, also those that are over. Reads the file.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the file is shut or cannot be read.
    pub fn silences(&self) -> Result<Vec<Silence>, StoreError> {
        silences::read(&self.open_snapshot()?).map_err(|fault| fault.error())
    }

    /// Every saved check by its name. Reads the file.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the file is shut or cannot be read.
    pub fn checks(&self) -> Result<BTreeMap<String, SavedCheck>, StoreError> {
        checks::read(&self.open_snapshot()?).map_err(|fault| fault.error())
    }

    /// The pings of a check that are kept, newest first, and how many there are. Reads
    /// the file.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the file is shut or cannot be read.
    pub fn pings(&self, check: &str, limit: usize, offset: usize) -> Result<(Vec<Ping>, u64), StoreError> {
        checks::read_pings(&self.open_snapshot()?, check, limit, offset).map_err(|fault| fault.error())
    }

    /// The saved tasks by number. Reads the file.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the file is shut or cannot be read.
    pub fn tasks(&self) -> Result<Vec<Task>, StoreError> {
        jobs::read_tasks(&self.open_snapshot()?).map_err(|fault| fault.error())
    }

    /// The saved failures by number. Reads the file.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the file is shut or cannot be read.
    pub fn failures(&self) -> Result<Vec<FailureEvent>, StoreError> {
        jobs::read_failures(&self.open_snapshot()?).map_err(|fault| fault.error())
    }

    /// What pings by slug carry, once it was drawn. Reads the file.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the file is shut or cannot be read.
    pub fn ping_key(&self) -> Result<Option<Secret>, StoreError> {
        change::read_ping_key(&self.open_snapshot()?).map_err(|fault| fault.error())
    }

    fn open_snapshot(&self) -> Result<redb::ReadTransaction, StoreError> {
        let tx = self.inner.shared.snapshot()?;
        tx.ok_or_else(|| Fault::Broken(String::from("it is being opened again")).error())
    }

    /// Newest first, and how many there are. Reads the file.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the file is shut or cannot be read.
    pub fn audit(&self, limit: usize, offset: usize) -> Result<(Vec<AuditEntry>, u64), StoreError> {
        change::read_audit(&self.open_snapshot()?, limit, offset).map_err(|fault| fault.error())
    }

    /// Figures; cheap.
    /// Holds from now on no more than `keep` frames of each stream that the file has, too:
    /// [`KEPT_FRAMES`], or less while memory is short. What is not in the file stays.
    pub fn keep_frames(&self, keep: usize) {
        lock(&self.inner.shared.front).head.keep_frames(keep);
    }

    /// Samples in memory, bytes.
    pub fn held_bytes(&self) -> u64 {
        lock(&self.inner.shared.front).head.stats().bytes as u64
    }

    pub fn stats(&self) -> StoreStats {
        let shared = &self.inner.shared;
        let (head, tail_bytes) = {
            let front = lock(&shared.front);
            (front.head.stats(), front.tail.as_ref().map_or(0, tail_file::TailFile::bytes))
        };
        let ledger = lock(&shared.ledger);
        let counters = &shared.counters;
        StoreStats {
            file_bytes: shared.file_len(),
            used_bytes: ledger.used().min(shared.file_len()),
            cap_bytes: shared.limit,
            series: head.series as u64,
            max_series: shared.options.max_series as u64,
            series_refused_total: head.refused_total,
            samples_appended_total: head.appended_total,
            samples_shed_total: head.shed_total,
            samples_pending: head.samples_pending + counters.held.load(Ordering::Relaxed),
            commits_total: counters.commits.load(Ordering::Relaxed),
            flushes_total: counters.flushes.load(Ordering::Relaxed),
            compactions_total: counters.compactions.load(Ordering::Relaxed),
            written_bytes_total: shared.figures.written.load(Ordering::Relaxed),
            tail_bytes,
            reopens_total: counters.reopens.load(Ordering::Relaxed),
            raw_since_ms: ledger.since(CLASS_RAW),
            minute_since_ms: ledger.since(CLASS_MINUTE),
            hour_since_ms: ledger.since(CLASS_HOUR),
        }
    }

    pub fn condition(&self) -> StoreCondition {
        lock(&self.inner.shared.condition).clone()
    }

    /// Last flush, marks the file clean, closes it. Memory goes on answering;
    /// further writes are refused.
    ///
    /// # Errors
    /// What the last flush met; the file is closed all the same.
    pub async fn close(&self, last_event: u64) -> Result<(), StoreError> {
        self.inner.writer.close(last_event).await
    }
}
