//! The copies of backups in a bucket: uploaded, listed, fetched, kept to the newest.
//!
//! ```text
//! a backup of the directory --file--> bucket --manifest, last--> it exists there
//! one of the bucket --parts--> .partial --sha256 as its manifest says--> the directory
//! ```
//! What is owed is not remembered but seen: the newest of the directory that the bucket
//! lacks. So nothing is lost by a restart, and one that was made while the bucket was away
//! follows. Only names below our prefix that have the form of ours are ever removed, the
//! manifest first: a file without one does not exist. One would get it wrong by waiting
//! for the bucket while a backup is made: it must not depend on a server.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{Backups, BackupsError, RETRY};
use crate::model::backup::{BackupId, Kept, Manifest, Place};
use crate::runtime::supervisor::{Phase, TaskResult};
use crate::store::backup::BackupError;
use crate::store::backup::shelf::{
    MOST_BYTES, id_of_file, id_of_manifest, manifest_text, names_of, parse_manifest,
};
use crate::targets::object_store::shelf::{BucketShelf, PART};

/// For everything that a list asks a bucket.
const LIST_DEADLINE: Duration = Duration::from_secs(5);
/// For a listing before an upload.
const DEADLINE: Duration = Duration::from_secs(60);
/// Backups of a bucket that are looked at, the newest.
const MOST: usize = 1000;

/// Manifests that were fetched, by id and what the listing calls their version.
pub(super) type Remembered = BTreeMap<(BackupId, String), Manifest>;

/// Every backup there is.
#[derive(Debug)]
pub struct Listing {
    /// Newest first.
    pub backups: Vec<Kept>,
    /// Why those of the bucket are not among them.
    pub problem: Option<String>,
}

/// What a bucket holds.
#[derive(Default)]
struct There {
    /// Backups: those with a manifest; with what the listing calls its version.
    whole: BTreeMap<BackupId, String>,
    /// Files without one.
    parts: BTreeSet<BackupId>,
}

impl Backups {
    /// The bucket as it is configured now; `None` where none is.
    async fn bucket(&self, deadline: Instant) -> Result<Option<BucketShelf>, BackupsError> {
        let parts = &self.inner.parts;
        let config = parts.config.borrow().clone();
        let Some(section) = config.backup.bucket(&config) else { return Ok(None) };
        let prefix = config.backup.prefix_on(&parts.host);
        let opened = BucketShelf::open(section, prefix, &parts.environment, &parts.supervisor, deadline);
        Ok(Some(opened.await?))
    }

    /// Every backup, newest first, with those that are only in the bucket.
    ///
    /// # Errors
    /// The directory cannot be read; a bucket that does not answer is told in the listing.
    pub async fn list(&self) -> Result<Listing, BackupsError> {
        let here = self.local().await?;
        let in_directory = |manifest: Manifest| Kept { manifest, places: vec![Place::Directory] };
        let mut backups: Vec<Kept> = here.into_iter().map(in_directory).collect();
        let problem = self.add_those_there(&mut backups).await.err().map(|error| error.to_string());
        backups.sort_by(|left, right| {
            let key = |kept: &Kept| (kept.manifest.created_at, kept.manifest.id.clone());
            key(right).cmp(&key(left))
        });
        Ok(Listing { backups, problem })
    }

    async fn add_those_there(&self, backups: &mut Vec<Kept>) -> Result<(), BackupsError> {
        let deadline = Instant::now() + LIST_DEADLINE;
        let Some(bucket) = self.bucket(deadline).await? else { return Ok(()) };
        let _turn = self.turn(deadline).await?;
        let there = there(&bucket, deadline).await?;
        let mut remembered = Remembered::new();
        for (id, version) in there.whole.into_iter().rev().take(MOST) {
            if let Some(kept) = backups.iter_mut().find(|kept| kept.manifest.id == id) {
                kept.places.push(Place::ObjectStore);
                continue;
            }
            let key = (id, version);
            let known = self.remembered().get(&key).cloned();
            let manifest = match known {
                Some(manifest) => Some(manifest),
                None => manifest_of(&bucket, &key.0, deadline).await?,
            };
            let Some(manifest) = manifest else { continue };
            remembered.insert(key, manifest.clone());
            backups.push(Kept { manifest, places: vec![Place::ObjectStore] });
        }
        *self.remembered() = remembered;
        Ok(())
    }

    /// One at a time asks the bucket on behalf of readers: many of them must not be many there.
    async fn turn(&self, deadline: Instant) -> Result<tokio::sync::MutexGuard<'_, ()>, BackupsError> {
        timeout_at(deadline, self.inner.asking.lock()).await.map_err(|_| BackupsError::Crowded)
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, Remembered> {
        self.inner.remembered.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// One backup, wherever it is.
    ///
    /// # Errors
    /// There is none, or its manifest cannot be read.
    pub async fn get(&self, id: &BackupId) -> Result<Kept, BackupsError> {
        let deadline = Instant::now() + LIST_DEADLINE;
        let here = self.here(id).await?;
        let there = match self.bucket(deadline).await {
            Ok(Some(bucket)) => match self.turn(deadline).await {
                Ok(_turn) => manifest_of(&bucket, id, deadline).await,
                Err(error) => Err(error),
            },
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        match (here, there) {
            (Some(manifest), Ok(Some(_))) => {
                Ok(Kept { manifest, places: vec![Place::Directory, Place::ObjectStore] })
            }
            (Some(manifest), _) => Ok(Kept { manifest, places: vec![Place::Directory] }),
            (None, there) => {
                let manifest = there?.ok_or_else(|| BackupsError::Unknown { id: id.to_string() })?;
                Ok(Kept { manifest, places: vec![Place::ObjectStore] })
            }
        }
    }

    /// Where the file of a backup is and its manifest; fetched where it is only in the bucket.
    ///
    /// # Errors
    /// There is none, it cannot be fetched, or it has to be and another command runs.
    pub async fn file_of(&self, id: &BackupId) -> Result<(std::path::PathBuf, Manifest), BackupsError> {
        let manifest = match self.here(id).await? {
            Some(manifest) => manifest,
            None => {
                let _alone = self.alone()?;
                self.brought(id).await?
            }
        };
        Ok((self.file(id), manifest))
    }

    /// The manifest of a backup that is in the directory when this returns. What is fetched
    /// goes on without whoever asked: a file may take longer than a caller waits.
    pub(super) async fn brought(&self, id: &BackupId) -> Result<Manifest, BackupsError> {
        if let Some(manifest) = self.here(id).await? {
            return Ok(manifest);
        }
        let (this, wanted, stop) = (self.clone(), id.clone(), self.inner.stop.clone());
        let (answer, answered) = oneshot::channel();
        self.inner.parts.supervisor.spawn_once(Phase::Engine, async move {
            tokio::select! {
                () = stop.cancelled() => {}
                // Nobody may be waiting any more.
                brought = this.bring(&wanted) => drop(answer.send(brought)),
            }
        });
        answered.await.map_err(|_| BackupsError::Failed)?
    }

    async fn bring(&self, id: &BackupId) -> Result<Manifest, BackupsError> {
        let _alone = self.inner.fetching.lock().await;
        if let Some(manifest) = self.here(id).await? {
            return Ok(manifest);
        }
        let deadline = Instant::now() + DEADLINE;
        let unknown = || BackupsError::Unknown { id: id.to_string() };
        let bucket = self.bucket(deadline).await?.ok_or_else(unknown)?;
        let manifest = manifest_of(&bucket, id, deadline).await?.ok_or_else(unknown)?;
        if !manifest.sealed && self.inner.parts.config.borrow().backup.is_sealed() {
            let reason = format!(
                "`{id}` of the object store is not sealed, and a passphrase is configured: whoever writes to the \
                 bucket could have made it"
            );
            return Err(BackupsError::Fetched { reason });
        }
        self.fetch(&bucket, id, &manifest).await?;
        tracing::info!(%id, bytes = manifest.bytes, from = bucket.address(), "a backup was fetched");
        Ok(manifest)
    }

    async fn fetch(
        &self,
        bucket: &BucketShelf,
        id: &BackupId,
        manifest: &Manifest,
    ) -> Result<(), BackupsError> {
        let (shelf, wanted, bytes) = (self.shelf(), id.clone(), manifest.bytes);
        let (draft, file) = self.apart(move |_| shelf.take_in(&wanted, bytes)).await?;
        let mut file = tokio::fs::File::from_std(file);
        let (name, _) = names_of(id);
        let failed = |error: std::io::Error| BackupError::io(&draft.path, &error);
        let mut from = 0;
        while from < bytes {
            let length = usize::try_from(bytes - from).unwrap_or(PART).min(PART);
            let part = bucket.get_part(&name, from, length).await?;
            file.write_all(&part).await.map_err(failed)?;
            from += length as u64;
        }
        file.sync_all().await.map_err(failed)?;
        let expected = manifest.clone();
        let found = self
            .apart(move |go_on| {
                let (_, sha256) = draft.digest(go_on)?;
                if sha256 == expected.sha256 {
                    draft.publish(&expected)?;
                }
                Ok(sha256)
            })
            .await?;
        if found != manifest.sha256 {
            let reason = format!(
                "the file of `{id}` in the object store has the sha256 {found}, its manifest says {}",
                manifest.sha256
            );
            return Err(BackupsError::Fetched { reason });
        }
        Ok(())
    }

    /// Removes a backup from the bucket; false where none is configured or it is not there.
    pub(super) async fn delete_there(&self, id: &BackupId) -> Result<bool, BackupsError> {
        let deadline = Instant::now() + DEADLINE;
        let Some(bucket) = self.bucket(deadline).await? else { return Ok(false) };
        if !there(&bucket, deadline).await?.whole.contains_key(id) {
            return Ok(false);
        }
        remove(&bucket, id).await?;
        Ok(true)
    }

    /// Uploads what is owed and removes what is too old, until `stop`.
    ///
    /// # Errors
    /// None: a failed upload is tried again, and told by its series.
    pub async fn run_uploads(self, stop: CancellationToken) -> TaskResult {
        let mut config = self.inner.parts.config.clone();
        loop {
            let done = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                done = self.upload_due() => done,
            };
            let wait = if done { Duration::MAX } else { RETRY };
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = self.inner.made.notified() => {}
                () = sleep(wait) => {}
                changed = config.changed() => if changed.is_err() { return Ok(()) },
            }
        }
    }

    /// Uploads what the bucket lacks of the newest backups and removes what is too old there;
    /// says whether it holds what it should.
    pub async fn upload_due(&self) -> bool {
        let uploaded = self.upload().await;
        let was_failed = {
            let mut last = self.last();
            match &uploaded {
                Ok(true) => last.uploaded_at = Some(self.inner.parts.clock.now()),
                Ok(false) => {}
                Err(_) => last.upload_failures += 1,
            }
            std::mem::replace(&mut last.upload_failed, uploaded.is_err())
        };
        if let Err(error) = &uploaded {
            let reason = error.to_string();
            tracing::error!(reason, "backups are not in the object store; it is tried again");
            self.tell(json!({ "action": "backup_upload_failed", "reason": reason }));
            // One row for as long as it lasts: it is tried again every quarter of an hour.
            if !was_failed {
                self.record("agent", "backup.upload_failed", "", reason).await;
            }
        }
        uploaded.is_ok()
    }

    /// False where no bucket is configured.
    async fn upload(&self) -> Result<bool, BackupsError> {
        let deadline = Instant::now() + DEADLINE;
        let Some(bucket) = self.bucket(deadline).await? else { return Ok(false) };
        let (keep, sealed) = {
            let config = self.inner.parts.config.borrow();
            (usize::try_from(config.backup.keep).unwrap_or(usize::MAX), config.backup.is_sealed())
        };
        let mut there = there(&bucket, deadline).await?;
        let owed = self.local().await?.into_iter().take(keep);
        // What was made before there was a passphrase does not leave this host.
        let owed: Vec<Manifest> = owed
            .filter(|manifest| !there.whole.contains_key(&manifest.id) && (manifest.sealed || !sealed))
            .collect();
        if !owed.is_empty() {
            bucket.abort_leftovers(|name| id_of_file(name).is_some()).await?;
        }
        for manifest in owed {
            self.upload_one(&bucket, &manifest).await?;
            there.whole.insert(manifest.id, String::new());
        }
        let oldest = there.whole.keys().rev().nth(keep.saturating_sub(1)).cloned();
        let old = |id: &&BackupId| oldest.as_ref().is_some_and(|oldest| *id < oldest);
        let gone: BTreeSet<&BackupId> = there.whole.keys().chain(&there.parts).filter(old).collect();
        for id in gone {
            remove(&bucket, id).await?;
            tracing::info!(%id, "an old backup was removed from the object store");
        }
        Ok(true)
    }

    async fn upload_one(&self, bucket: &BucketShelf, manifest: &Manifest) -> Result<(), BackupsError> {
        let (file, beside) = names_of(&manifest.id);
        let began = self.inner.parts.clock.monotonic();
        bucket.put_file(&file, &self.file(&manifest.id)).await?;
        bucket.put(&beside, manifest_text(manifest).into()).await?;
        if self.here(&manifest.id).await?.is_none() {
            // Removed meanwhile: it must not come back from there.
            return remove(bucket, &manifest.id).await;
        }
        let ms = self.inner.parts.clock.monotonic().since(began).as_millis() as u64;
        let (id, to) = (&manifest.id, bucket.address());
        tracing::info!(%id, bytes = manifest.bytes, ms, to, "a backup was uploaded");
        self.tell(json!({ "action": "backup_uploaded", "id": id, "bytes": manifest.bytes, "to": to }));
        self.record("agent", "backup.upload", id.as_str(), format!("{} bytes to {to}", manifest.bytes)).await;
        Ok(())
    }
}

/// What the bucket holds of ours.
async fn there(bucket: &BucketShelf, deadline: Instant) -> Result<There, BackupsError> {
    let listed = bucket.list(deadline).await?;
    let parts: BTreeSet<BackupId> = listed.iter().filter_map(|object| id_of_file(&object.name)).collect();
    let manifests =
        listed.iter().filter_map(|object| Some((id_of_manifest(&object.name)?, object.etag.clone())));
    let whole: BTreeMap<BackupId, String> = manifests.filter(|(id, _)| parts.contains(id)).collect();
    let parts = parts.into_iter().filter(|id| !whole.contains_key(id)).collect();
    Ok(There { whole, parts })
}

/// The manifest of a backup in the bucket; `None` where there is none. One that is not what
/// it should be is logged and left out.
async fn manifest_of(
    bucket: &BucketShelf,
    id: &BackupId,
    deadline: Instant,
) -> Result<Option<Manifest>, BackupsError> {
    let (file, beside) = names_of(id);
    let limit = usize::try_from(MOST_BYTES).unwrap_or(usize::MAX);
    let Some(text) = bucket.get(&beside, limit, deadline).await? else { return Ok(None) };
    match parse_manifest(Path::new(&beside), &text) {
        Ok(manifest) if manifest.id == *id && manifest.file == file => return Ok(Some(manifest)),
        Ok(manifest) => {
            tracing::warn!(%id, of = %manifest.id, "a manifest in the object store is of another backup")
        }
        Err(error) => tracing::warn!(%error, "a backup in the object store has no manifest that can be read"),
    }
    Ok(None)
}

/// The manifest first: what is left by a failure is no backup.
async fn remove(bucket: &BucketShelf, id: &BackupId) -> Result<(), BackupsError> {
    let (file, beside) = names_of(id);
    bucket.delete(&beside).await?;
    Ok(bucket.delete(&file).await?)
}
