//! Backups of the agent's own store: made on schedule and on demand, kept, verified, put back.
//!
//! One at a time: a second command is refused rather than kept waiting. What reads and
//! writes files runs on a blocking thread and ends when the agent stops; what it leaves
//! half made goes at the next start. A backup is put back by a restart of the agent's own
//! process: every part then reads its state from the restored store, and none holds what
//! the other one said. Wrong would be to swap the file under parts that have read it.
//!
//! Where a bucket is named, each backup is copied there by a task of its own ([`bucket`]), so
//! a server that is slow or away holds up nothing; one that is only there is fetched before
//! anything is done with it.

mod bucket;
mod make;
mod series;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use self::bucket::Listing;

use self::bucket::Remembered;
use self::series::Last;
use crate::base::id::Name;
use crate::base::secret::Secret;
use crate::base::time::{Clock, Monotonic, Timestamp};
use crate::config::Config;
use crate::model::access::AuditEntry;
use crate::model::backup::{BackupId, Kept, Manifest, Place, Plan, Verdict};
use crate::model::event::EventType;
use crate::model::failover::durable::Durable;
use crate::runtime::bus::Bus;
use crate::runtime::credential::{Credential, CredentialError};
use crate::runtime::seal::{SealError, Sealer, keys_of};
use crate::runtime::supervisor::{Phase, Supervisor, TaskResult};
use crate::store::backup::restore::{self, Finished};
use crate::store::backup::{BackupError, Looked, Shelf, Unseal, look_into};
use crate::store::{Beside, Change, Store, StoreError};
use crate::targets::object_store::shelf::BucketError;

/// Between two looks whether one is due; the series are written as often.
const TICK: Duration = Duration::from_secs(30);
/// Between a failed one and the next try.
const RETRY: Duration = Duration::from_secs(900);
/// The first one waits for this long after the start.
const SETTLE: Duration = Duration::from_secs(60);
/// For the file of the passphrase.
const SECRET_DEADLINE: Duration = Duration::from_secs(10);
const STREAM: &str = "backup";
const SCHEDULE: &str = "schedule";

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum BackupsError {
    #[error("another backup is being made, verified or put back")]
    Busy,
    #[error("there is no backup `{id}`")]
    Unknown { id: String },
    #[error("the backup is not valid: {}", .0.problems.join("; "))]
    Invalid(Box<Verdict>),
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Bucket(#[from] BucketError),
    #[error("the passphrase of backups: {0}")]
    Passphrase(#[from] CredentialError),
    #[error("the keys of secrets: {0}")]
    Keys(#[from] SealError),
    #[error("the backup is not valid: {reason}")]
    Fetched { reason: String },
    #[error("the object store is being asked for others, who came first")]
    Crowded,
    #[error("it failed; the log says why")]
    Failed,
}

/// What the backups need; `restart` is told when a backup waits to be put back.
pub struct Parts {
    pub clock: Arc<dyn Clock>,
    pub store: Store,
    pub bus: Bus,
    pub config: watch::Receiver<Arc<Config>>,
    pub sealer: Sealer,
    pub supervisor: Supervisor,
    /// File of the store.
    pub path: PathBuf,
    /// Name of this host: part of the names in a bucket.
    pub host: String,
    /// The process environment as it was at the start, for `*_env` keys.
    pub environment: Arc<BTreeMap<String, Secret>>,
    pub restart: watch::Sender<bool>,
}

struct Inner {
    parts: Parts,
    busy: Arc<tokio::sync::Mutex<()>>,
    last: Mutex<Last>,
    /// Told when there is something to upload.
    made: Notify,
    remembered: Mutex<Remembered>,
    /// Held while one is fetched.
    fetching: tokio::sync::Mutex<()>,
    /// Held while the bucket is asked for a reader.
    asking: tokio::sync::Mutex<()>,
    started: Monotonic,
    stop: CancellationToken,
}

/// See the module; cheap to clone.
#[derive(Clone)]
pub struct Backups {
    inner: Arc<Inner>,
}

impl Backups {
    pub fn new(parts: Parts) -> Self {
        let started = parts.clock.monotonic();
        let stop = parts.supervisor.stop_of(Phase::Engine);
        let inner = Inner {
            parts,
            busy: Arc::default(),
            last: Mutex::default(),
            made: Notify::new(),
            remembered: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
            asking: tokio::sync::Mutex::default(),
            started,
            stop,
        };
        Self { inner: Arc::new(inner) }
    }

    fn shelf(&self) -> Shelf {
        let config = self.inner.parts.config.borrow();
        Shelf::new(config.backup.folder(&config.data_dir))
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.inner.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` on a thread that may wait for the disk; it is told when to stop.
    async fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Fn() -> bool) -> Result<T, BackupError> + Send + 'static,
    ) -> Result<T, BackupsError> {
        let stop = self.inner.stop.clone();
        let done = Supervisor::blocking(move || work(&|| !stop.is_cancelled())).await;
        Ok(done.ok_or(BackupsError::Failed)??)
    }

    fn alone(&self) -> Result<tokio::sync::OwnedMutexGuard<()>, BackupsError> {
        self.inner.busy.clone().try_lock_owned().map_err(|_| BackupsError::Busy)
    }

    /// The passphrase that backups are sealed to; `None` where none is configured.
    async fn passphrase(&self) -> Result<Option<Secret>, BackupsError> {
        let credential = {
            let config = self.inner.parts.config.borrow();
            let (file, variable) = (&config.backup.passphrase_file, &config.backup.passphrase_env);
            Credential::of(None, file.as_deref(), variable.as_deref(), &self.inner.parts.environment)
        };
        Ok(credential.read(Instant::now() + SECRET_DEADLINE).await?)
    }

    async fn local(&self) -> Result<Vec<Manifest>, BackupsError> {
        let shelf = self.shelf();
        self.apart(move |_| shelf.list()).await
    }

    /// One backup of the directory.
    async fn here(&self, id: &BackupId) -> Result<Option<Manifest>, BackupsError> {
        let (shelf, wanted) = (self.shelf(), id.clone());
        self.apart(move |_| shelf.get(&wanted)).await
    }

    /// Where the file of a backup of the directory is.
    fn file(&self, id: &BackupId) -> PathBuf {
        self.shelf().file(id)
    }

    /// Makes a backup; it is on the disk when this returns, and goes to the bucket after that.
    ///
    /// # Errors
    /// [`BackupsError`]; nothing is left of it.
    pub async fn create(&self, by: &str) -> Result<Kept, BackupsError> {
        let _alone = self.alone()?;
        let made = self.make(by).await;
        let now = self.inner.parts.clock.monotonic();
        let mut last = self.last();
        last.tried = Some(now);
        match &made {
            Ok(manifest) => {
                last.made_at = Some(manifest.created_at);
                last.bytes = manifest.bytes;
                last.duration_ms = manifest.duration_ms;
                last.failed = false;
            }
            Err(error) => {
                last.failures += 1;
                last.failed |= by == SCHEDULE;
                tracing::error!(%error, by, "a backup failed");
            }
        }
        drop(last);
        self.tell(match &made {
            Ok(manifest) => {
                json!({ "action": "backup", "id": manifest.id, "bytes": manifest.bytes, "by": by })
            }
            Err(error) => json!({ "action": "backup_failed", "reason": error.to_string(), "by": by }),
        });
        // One that was made is the one that is owed to the bucket.
        self.inner.made.notify_one();
        made.map(|manifest| Kept { manifest, places: vec![Place::Directory] })
    }

    fn tell(&self, data: serde_json::Value) {
        self.inner.parts.bus.publish(EventType::System, data);
    }

    fn audit(&self, who: &str, action: &str, object: &str, detail: String) -> AuditEntry {
        let (who, action, object) = (who.to_owned(), action.to_owned(), object.to_owned());
        AuditEntry { at: self.inner.parts.clock.now(), who, action, object, detail }
    }

    /// What was done is done: a row that cannot be written is in the log.
    async fn record(&self, who: &str, action: &str, object: &str, detail: String) {
        let audit = Some(self.audit(who, action, object, detail));
        if let Err(error) = self.inner.parts.store.commit(Change { writes: Vec::new(), audit }).await {
            tracing::warn!(%error, action, object, "not on record");
        }
    }

    /// Removes a backup, from the bucket first: one that is left there would come back.
    ///
    /// # Errors
    /// There is none, it cannot be removed, or another command runs.
    pub async fn delete(&self, id: &BackupId, who: &str) -> Result<(), BackupsError> {
        let _alone = self.alone()?;
        let there = self.delete_there(id).await?;
        let (shelf, wanted) = (self.shelf(), id.clone());
        if !self.apart(move |_| shelf.delete(&wanted)).await? && !there {
            return Err(BackupsError::Unknown { id: id.to_string() });
        }
        self.record(who, "backup.delete", id.as_str(), String::new()).await;
        Ok(())
    }

    /// Reads a whole backup; one that is only in the bucket is fetched before.
    ///
    /// # Errors
    /// There is none, or it cannot be read at all. What is wrong with it is in the verdict.
    pub async fn verify(&self, id: &BackupId) -> Result<Verdict, BackupsError> {
        let _alone = self.alone()?;
        Ok(self.looked(id).await?.0.verdict)
    }

    async fn looked(&self, id: &BackupId) -> Result<(Looked, Manifest), BackupsError> {
        let manifest = self.brought(id).await?;
        let passphrase = if manifest.sealed { self.passphrase().await? } else { None };
        let unseal = Unseal { passphrase, scratch: self.shelf().scratch(id) };
        let (file, clock) = (self.file(id), self.inner.parts.clock.clone());
        self.apart(move |go_on| {
            let began = clock.monotonic();
            let mut looked = look_into(&file, Some(&manifest), &unseal, go_on)?;
            looked.verdict.duration_ms = clock.monotonic().since(began).as_millis() as u64;
            Ok((looked, manifest))
        })
        .await
    }

    /// Reads the whole backup and says what putting it back would change.
    ///
    /// # Errors
    /// As [`Backups::verify`], and [`BackupsError::Invalid`].
    pub async fn plan(&self, id: &BackupId) -> Result<Plan, BackupsError> {
        let _alone = self.alone()?;
        Ok(self.planned(id).await?.1)
    }

    async fn planned(&self, id: &BackupId) -> Result<(Looked, Plan), BackupsError> {
        let (looked, manifest) = self.looked(id).await?;
        if !looked.verdict.valid {
            return Err(BackupsError::Invalid(Box::new(looked.verdict)));
        }
        if !looked.verdict.opened {
            return Err(BackupError::NoPassphrase { path: self.file(id) }.into());
        }
        let parts = &self.inner.parts;
        let (store, sealer) = (parts.store.clone(), parts.sealer.clone());
        let data_dir = parts.config.borrow().data_dir.clone();
        self.apart(move |_| {
            let present = store.present()?;
            let mut plan = restore::plan(&looked, Some(&present), &beside(&Beside::new(&data_dir)));
            plan.created_at = Some(manifest.created_at);
            name_keys(&mut plan, &looked, &sealer);
            Ok((looked, plan))
        })
        .await
    }

    /// Stages a backup and has the agent start again on it.
    ///
    /// # Errors
    /// As [`Backups::plan`], or it cannot be copied; then nothing changed.
    pub async fn restore(&self, id: &BackupId, who: &str) -> Result<Plan, BackupsError> {
        let _alone = self.alone()?;
        let (looked, plan) = self.planned(id).await?;
        let detail = format!("made {}", plan.created_at.map(Timestamp::rfc3339).unwrap_or_default());
        let audit = self.audit(who, "backup.restore", id.as_str(), detail.clone());
        if let Some(opened) = &looked.opened {
            // First the keys: a store whose secrets do not open would be worse than a key too many.
            let _alone = self.inner.parts.sealer.dropping().await;
            let (sealer, keys) = (self.inner.parts.sealer.clone(), opened.keys.clone());
            let taken = Supervisor::blocking(move || sealer.take_in(&keys)).await;
            taken.ok_or(BackupsError::Failed)??;
        }
        let (file, path) = (self.file(id), self.inner.parts.path.clone());
        self.apart(move |_| {
            let (store, sha256) = looked.store(&file);
            restore::stage(store, sha256, &path, &audit)
        })
        .await?;
        // On record in the store that is kept, too.
        self.record(who, "backup.restore", id.as_str(), detail).await;
        tracing::warn!(%id, who, "a backup is put back: the agent starts again");
        self.tell(json!({ "action": "restoring", "id": id, "by": who }));
        self.inner.parts.restart.send_replace(true);
        Ok(plan)
    }

    /// Makes scheduled backups until `stop`.
    ///
    /// # Errors
    /// None: a failed one is tried again, and told by its series.
    pub async fn run(self, stop: CancellationToken) -> TaskResult {
        let shelf = self.shelf();
        if let Err(error) = self.apart(move |_| shelf.tidy()).await {
            tracing::warn!(%error, "leftovers of backups stay");
        }
        self.learn().await;
        let mut beat = tokio::time::interval(TICK);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = beat.tick() => self.tick().await,
            }
        }
    }

    /// What the folder says of the backups of earlier runs.
    async fn learn(&self) {
        let newest = self.local().await.ok().and_then(|list| list.into_iter().next());
        let mut last = self.last();
        if let Some(newest) = newest.filter(|newest| last.made_at.is_none_or(|at| at < newest.created_at)) {
            last.made_at = Some(newest.created_at);
            last.bytes = newest.bytes;
            last.duration_ms = newest.duration_ms;
        }
    }

    /// Does what is due, and writes the series.
    pub async fn tick(&self) {
        if self.is_due() {
            // Told by its series, its event and the log.
            let _ = self.create(SCHEDULE).await;
        }
        let parts = &self.inner.parts;
        parts.store.append(STREAM, parts.clock.now(), &self.frame());
    }

    fn is_due(&self) -> bool {
        let parts = &self.inner.parts;
        let Some(schedule) = parts.config.borrow().backup.schedule else { return false };
        let (now, monotonic) = (parts.clock.now(), parts.clock.monotonic());
        let last = self.last();
        if monotonic.since(self.inner.started) < SETTLE.min(schedule.0) {
            return false;
        }
        let retry = last.failed && last.tried.is_some_and(|at| monotonic.since(at) < RETRY.min(schedule.0));
        // A time in the future is of a clock that was set back: the next one puts it right.
        let fresh = last.made_at.is_some_and(|at| at <= now && now < at.plus(schedule.0));
        !retry && !fresh
    }
}

/// What the files of failover groups hold; one that cannot be read is left to the group.
pub fn beside(files: &Beside) -> BTreeMap<Name, Durable> {
    let read = |name: Name| Some((name.clone(), files.read(&name).ok()??));
    files.groups().into_iter().filter_map(read).collect()
}

/// Which keys the secrets of a backup need, and which of them are not here.
pub fn name_keys(plan: &mut Plan, looked: &Looked, sealer: &Sealer) {
    plan.keys = keys_of(&looked.overlay).into_iter().collect();
    let inside = |id: &str| looked.opened.as_ref().is_some_and(|opened| opened.has_key(id));
    plan.keys_missing = plan.keys.iter().filter(|id| !inside(id) && !sealer.has(id)).cloned().collect();
}

/// Says what a start found waiting.
pub fn report(finished: &Finished) {
    let kept = finished.kept.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let carried = finished.carried;
    tracing::warn!(
        kept,
        alerts = carried.alerts,
        owed = carried.outbox,
        "a backup was put in the place of the store"
    );
}
