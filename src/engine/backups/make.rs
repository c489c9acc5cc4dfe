//! Making one backup: flush, copy, seal where a passphrase is configured, publish, prune.
//!
//! Where a passphrase is configured and cannot be had, no backup is made: one that anybody
//! can read is not what was asked for.

use super::{Backups, BackupsError};
use crate::base::secret::Secret;
use crate::model::backup::{MANIFEST, Manifest, Seal};
use crate::runtime::seal::{SealError, keys_of};
use crate::store::Store;
use crate::store::backup::{BackupError, Draft, Snapshot, seal};

/// What a backup is sealed with.
struct With {
    passphrase: Secret,
    /// Lines of the key file.
    keys: Secret,
}

impl Backups {
    pub(super) async fn make(&self, by: &str) -> Result<Manifest, BackupsError> {
        let parts = &self.inner.parts;
        let (began, now) = (parts.clock.monotonic(), parts.clock.now());
        let passphrase = self.passphrase().await?;
        // A store that cannot flush has all the more need of a backup.
        if let Err(error) = parts.store.flush(parts.bus.last()).await {
            tracing::warn!(%error, "the newest samples are not in the backup");
        }
        // No key that the copy needs is dropped before it is in the container.
        let _keys_stay = parts.sealer.storing().await;
        let (shelf, store, clock, by) =
            (self.shelf(), parts.store.clone(), parts.clock.clone(), by.to_owned());
        let (who, sealer) = (by.clone(), parts.sealer.clone());
        let keep = usize::try_from(parts.config.borrow().backup.keep).unwrap_or(usize::MAX);
        let manifest = self
            .apart(move |go_on| {
                let with = passphrase.map(|passphrase| Ok(With { passphrase, keys: sealer.keys()? }));
                let with = with
                    .transpose()
                    .map_err(|error: SealError| BackupError::Passphrase { reason: error.to_string() })?;
                let draft = shelf.begin(now)?;
                let (snapshot, seal) = write(&store, &draft, with.as_ref(), go_on)?;
                let (bytes, sha256) = draft.digest(go_on)?;
                let manifest = Manifest {
                    format: MANIFEST,
                    id: draft.id.clone(),
                    file: draft.file_name(),
                    created_at: now,
                    bytes,
                    sha256,
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    schema: snapshot.schema,
                    store_id: format!("{:016x}", snapshot.store_id),
                    rows: snapshot.rows,
                    sealed: seal.is_some(),
                    seal,
                    keys: keys_of(&snapshot.overlay).into_iter().collect(),
                    duration_ms: clock.monotonic().since(began).as_millis() as u64,
                    by,
                };
                draft.publish(&manifest)?;
                match shelf.prune(keep) {
                    Ok(gone) if gone.is_empty() => {}
                    Ok(gone) => tracing::info!(removed = gone.len(), "old backups were removed"),
                    Err(error) => tracing::warn!(%error, "old backups could not be removed"),
                }
                Ok(manifest)
            })
            .await?;
        tracing::info!(id = %manifest.id, bytes = manifest.bytes, ms = manifest.duration_ms, "a backup was made");
        let detail = format!("{} bytes, sha256 {}", manifest.bytes, manifest.sha256);
        self.record(&who, "backup.create", manifest.id.as_str(), detail).await;
        Ok(manifest)
    }
}

/// Writes the file of the draft; what is not sealed of it goes.
fn write(
    store: &Store,
    draft: &Draft,
    with: Option<&With>,
    go_on: &dyn Fn() -> bool,
) -> Result<(Snapshot, Option<Seal>), BackupError> {
    let Some(With { passphrase, keys }) = with else {
        return Ok((store.copy_to(&draft.path, go_on)?, None));
    };
    let plain = draft.scratch();
    let _ = std::fs::remove_file(&plain);
    let written = store.copy_to(&plain, go_on).and_then(|snapshot| {
        let made = seal(&plain, &draft.id, keys, passphrase, &draft.path, go_on)?;
        Ok((snapshot, Some(made)))
    });
    let _ = std::fs::remove_file(&plain);
    written
}
