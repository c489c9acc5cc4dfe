//! The one thread that writes.
//!
//! ```text
//!                 commit                     fault                reopened
//! jobs -> queue ---------> redb     open -----------> shut -----------------> open
//!                                    ^   one try at    |  backoff 0.1 to 30 s
//!                                    |   once, else    |  memory serves,
//!                                    '-----------------'  writes are refused
//! ```
//! A commit costs about the same for one row as for fifty, so changes that wait in
//! the queue while another commit runs become one transaction. There is no timer: a
//! change that comes alone is not kept waiting. After any error of redb nothing can
//! be written until the file is opened again, therefore every fault ends in a
//! reopening and one more try; all work is idempotent. One would get it wrong by
//! answering before the commit.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redb::WriteTransaction;
use tokio::sync::oneshot;

use super::api::{Change, ImportReport, ImportSample, StoreCondition, StoreError};
use super::fault::Fault;
use super::flush::Held;
use super::open::{self, Opened};
use super::real_time::RealTime;
use super::ring::SeriesRecord;
use super::shared::{Shared, lock, write};
use super::upkeep::{Cleaned, Compacted};
use crate::base::backoff::Backoff;
use crate::base::time::{Monotonic, Timestamp};
use crate::model::access::AuditEntry;

/// Jobs that may wait.
const QUEUE: usize = 256;
/// Changes in one transaction at most.
const GROUP: usize = 64;
/// How often a shut file is looked at when nothing else happens.
const RETRY: Duration = Duration::from_millis(500);
/// How long dropping an open store waits for its last jobs.
const FAREWELL: Duration = Duration::from_secs(2);
const REOPEN: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the thread is asked to do.
pub enum Job {
    Commit(Change, Reply<()>),
    Flush(u64, Reply<()>),
    Import(Vec<ImportSample>, Option<AuditEntry>, Reply<ImportReport>),
    /// With `true` only counted.
    Cleanup(bool, Reply<Cleaned>),
    Compact(Reply<Compacted>),
    Close(u64, Reply<()>),
    #[cfg(test)]
    Panic(Reply<()>),
}

/// The sending end, and the thread to wait for.
#[derive(Debug)]
pub struct WriterHandle {
    jobs: Option<SyncSender<Job>>,
    end: Mutex<Receiver<()>>,
    /// A close was asked for.
    closing: AtomicBool,
}

impl WriterHandle {
    /// Starts the thread.
    pub fn start(opened: Opened) -> Result<(Self, Arc<Shared>), StoreError> {
        let shared = Arc::new(opened.shared);
        let real_time = RealTime::new(
            lock(&shared.ledger).newest().map(Timestamp),
            shared.clock.now(),
            shared.clock.monotonic(),
        );
        let writer = Writer {
            shared: Arc::clone(&shared),
            held: None,
            unsaved: Vec::new(),
            next_block: opened.next_block,
            next_audit: opened.next_audit,
            event_ceiling: opened.event_ceiling,
            attempt: 0,
            next_try: Monotonic::default(),
            suspect: false,
            slack: 0,
            real_time,
            looked_through: None,
        };
        let (jobs, queue) = sync_channel(QUEUE);
        // Nothing is ever sent: the end of the thread closes it.
        let (ended, end) = sync_channel(0);
        std::thread::Builder::new()
            .name(String::from("store-writer"))
            .spawn(move || {
                let shared = Arc::clone(&writer.shared);
                let work = std::panic::AssertUnwindSafe(|| writer.run(&queue));
                if std::panic::catch_unwind(work).is_err() {
                    shared.set_condition(StoreCondition::Reopening(String::from("its thread ended")));
                }
                drop(ended);
            })
            .map_err(|error| StoreError::Unavailable {
                reason: format!("cannot start its thread: {error}"),
            })?;
        Ok((Self { jobs: Some(jobs), end: Mutex::new(end), closing: AtomicBool::new(false) }, shared))
    }

    /// See [`super::Store::close`].
    pub async fn close(&self, last_event: u64) -> Result<(), StoreError> {
        self.closing.store(true, Ordering::Relaxed);
        self.ask(|reply| Job::Close(last_event, reply)).await
    }

    /// Hands a job over and waits for its answer.
    pub async fn ask<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, StoreError> {
        let unavailable = |reason: &str| StoreError::Unavailable { reason: reason.to_owned() };
        let (reply, answer) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or_else(|| unavailable("it is closed"))?;
        jobs.try_send(job(reply)).map_err(|error| match error {
            TrySendError::Full(_) => unavailable("too many writes wait"),
            TrySendError::Disconnected(_) => unavailable("it is closed"),
        })?;
        answer.await.unwrap_or_else(|_| Err(unavailable("the writer stopped")))
    }
}

impl Drop for WriterHandle {
    /// Waits for the thread, so that the file can be opened again right away. Not
    /// after a close: it shut the file before it answered, and who did not wait for
    /// the answer has no more time.
    fn drop(&mut self) {
        self.jobs = None;
        if !self.closing.load(Ordering::Relaxed) {
            let _ = lock(&self.end).recv_timeout(FAREWELL);
        }
    }
}

/// The thread's own state.
pub struct Writer {
    pub shared: Arc<Shared>,
    /// A flush whose commit did not succeed yet.
    pub held: Option<Held>,
    /// Index rows that no commit holds yet.
    pub unsaved: Vec<SeriesRecord>,
    pub next_block: u32,
    pub next_audit: u64,
    pub event_ceiling: u64,
    /// Failed reopenings in a row, and when the next is due.
    attempt: u32,
    next_try: Monotonic,
    /// The file showed damage: it is read whole before it is trusted again.
    suspect: bool,
    /// Bytes the estimate of free pages proved wrong by.
    pub slack: u64,
    pub real_time: RealTime,
    /// The hour in which the small tables were last looked through.
    pub looked_through: Option<i64>,
}

impl Writer {
    fn run(mut self, jobs: &Receiver<Job>) {
        let mut next = None;
        loop {
            let job = match next.take() {
                Some(job) => job,
                None if self.is_shut() => match jobs.recv_timeout(RETRY) {
                    Ok(job) => job,
                    Err(RecvTimeoutError::Timeout) => {
                        let _ = self.ensure_open();
                        continue;
                    }
                    Err(RecvTimeoutError::Disconnected) => break,
                },
                None => match jobs.recv() {
                    Ok(job) => job,
                    Err(_) => break,
                },
            };
            // Blobs and pages that are damaged may panic anywhere: whoever asked hears
            // an error, the file is read whole, and the thread goes on.
            let work = std::panic::AssertUnwindSafe(|| self.handle(job, jobs));
            match std::panic::catch_unwind(work) {
                Ok(ControlFlow::Continue(job)) => next = job,
                Ok(ControlFlow::Break(())) => break,
                Err(_) => {
                    self.suspect = true;
                    self.shut(&Fault::Damaged(String::from("a write made the store panic")));
                }
            }
        }
        *write(&self.shared.db) = None;
    }

    /// Does one job. Goes on with the job that was taken from the queue on the way.
    fn handle(&mut self, job: Job, jobs: &Receiver<Job>) -> ControlFlow<(), Option<Job>> {
        match job {
            Job::Commit(change, reply) => {
                return ControlFlow::Continue(self.commit_group((change, reply), jobs));
            }
            // Who asked may be gone; the work is done all the same.
            Job::Flush(last_event, reply) => drop(reply.send(self.flush(last_event))),
            Job::Import(samples, audit, reply) => drop(reply.send(self.import(&samples, audit))),
            Job::Cleanup(dry_run, reply) => drop(reply.send(self.cleanup(dry_run))),
            Job::Compact(reply) => drop(reply.send(self.compact())),
            Job::Close(last_event, reply) => {
                let closed = self.close(last_event);
                *write(&self.shared.db) = None;
                drop(reply.send(closed));
                return ControlFlow::Break(());
            }
            #[cfg(test)]
            Job::Panic(reply) => {
                let _held = reply;
                panic!("as a damaged page would");
            }
        }
        ControlFlow::Continue(None)
    }

    /// Commits a change together with those that wait behind it. Returns the
    /// first job that is something else.
    fn commit_group(&mut self, first: (Change, Reply<()>), jobs: &Receiver<Job>) -> Option<Job> {
        let mut group = vec![first];
        let mut other = None;
        while group.len() < GROUP && other.is_none() {
            match jobs.try_recv() {
                Ok(Job::Commit(change, reply)) => group.push((change, reply)),
                Ok(job) => other = Some(job),
                Err(_) => break,
            }
        }
        let (changes, replies): (Vec<Change>, Vec<Reply<()>>) = group.into_iter().unzip();
        let result = self.commit(&changes);
        for reply in replies {
            let answer = match &result {
                Ok(()) => Ok(()),
                Err(StoreError::DiskFull) => Err(StoreError::DiskFull),
                Err(error) => Err(StoreError::Unavailable { reason: error.to_string() }),
            };
            let _ = reply.send(answer);
        }
        other
    }

    pub fn is_shut(&self) -> bool {
        super::shared::read(&self.shared.db).is_none()
    }

    /// Runs `work` in one durable transaction. After a fault the file is opened
    /// again and, unless space ran out, the work tried once more.
    pub fn transact<T>(
        &mut self,
        work: &mut dyn FnMut(&WriteTransaction) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        self.ensure_open()?;
        let mut again = true;
        loop {
            match self.try_once(work) {
                Ok(value) => {
                    self.shared.counters.commits.fetch_add(1, Ordering::Relaxed);
                    self.count_rows();
                    return Ok(value);
                }
                Err(fault) => {
                    tracing::warn!(%fault, "a transaction failed");
                    *write(&self.shared.db) = None;
                    let full = matches!(fault, Fault::Full);
                    self.suspect |= matches!(fault, Fault::Damaged(_));
                    let reopened = self.reopen();
                    if full || !again {
                        if !full {
                            self.shut(&fault);
                        }
                        return Err(fault.error());
                    }
                    reopened?;
                    again = false;
                }
            }
        }
    }

    /// The rows as the tables count them: trimmed ones would never be subtracted
    /// otherwise. A failure shows again in the next transaction.
    fn count_rows(&self) {
        if let Ok(Some(tx)) = self.shared.snapshot()
            && let Ok(rows) = open::small_rows(&tx)
        {
            lock(&self.shared.ledger).rows = rows;
        }
    }

    fn try_once<T>(&self, work: &mut dyn FnMut(&WriteTransaction) -> Result<T, Fault>) -> Result<T, Fault> {
        let db = super::shared::read(&self.shared.db);
        let db = db.as_ref().ok_or_else(|| Fault::Broken(String::from("it is shut")))?;
        let tx = db.begin_write()?;
        // redb panics on some damage that its checksums do not cover.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let value = work(&tx)?;
            tx.commit()?;
            Ok(value)
        }));
        outcome.unwrap_or_else(|_| Err(Fault::Damaged(String::from("writing made redb panic"))))
    }

    /// Opens a shut file when the time has come.
    pub fn ensure_open(&mut self) -> Result<(), StoreError> {
        if !self.is_shut() {
            return Ok(());
        }
        if self.shared.clock.monotonic() >= self.next_try {
            return self.reopen();
        }
        let reason = match &*lock(&self.shared.condition) {
            StoreCondition::Reopening(reason) => reason.clone(),
            _ => String::from("it is being opened again"),
        };
        Err(StoreError::Unavailable { reason })
    }

    fn reopen(&mut self) -> Result<(), StoreError> {
        match open::reopen(&self.shared, self.suspect) {
            Ok((db, rows)) => {
                self.suspect = false;
                self.next_audit = rows.next_audit;
                let mut cached = write(&self.shared.cached);
                rows.cached.accounts.remember(&cached.accounts);
                *cached = rows.cached;
                drop(cached);
                lock(&self.shared.ledger).replace_all_but_blocks(rows.ledger);
                *write(&self.shared.db) = Some(db);
                self.attempt = 0;
                let was_reopening = matches!(*lock(&self.shared.condition), StoreCondition::Reopening(_));
                if was_reopening {
                    self.shared.set_condition(StoreCondition::Ok);
                }
                Ok(())
            }
            Err(fault) => {
                self.shut(&fault);
                Err(fault.error())
            }
        }
    }

    fn shut(&mut self, fault: &Fault) {
        *write(&self.shared.db) = None;
        self.next_try = Monotonic(self.shared.clock.monotonic().0 + REOPEN.wait(self.attempt, 0.5));
        self.attempt = self.attempt.saturating_add(1);
        self.shared.set_condition(StoreCondition::Reopening(fault.to_string()));
    }
}
