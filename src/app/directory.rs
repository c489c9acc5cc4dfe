//! The data directory: one agent at a time, readable by nobody else.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::AppError;
use crate::base::time::Timestamp;
use crate::logic::token::{self, ENTROPY};
use crate::model::access::{AuditEntry, Scope};
use crate::store::{Change, Store, Write};

/// A data directory that is ours as long as this lives.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// Holds the lock; the kernel lets go of it however the process ends.
    _lock: File,
}

impl Directory {
    /// Makes the directory if need be and locks it.
    ///
    /// # Errors
    /// It cannot be made or written, or another agent has it.
    pub fn claim(path: &Path) -> Result<Self, AppError> {
        let failed =
            |error: io::Error| AppError::Directory { path: path.to_owned(), reason: error.to_string() };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join("holdfast.lock"))
            .map_err(failed)?;
        if rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut pid = String::new();
            let _ = lock.read_to_string(&mut pid);
            return Err(AppError::InUse { path: path.to_owned(), pid: pid.trim().to_owned() });
        }
        // For whoever meets the lock; the lock itself is the kernel's.
        let pid = std::process::id();
        let write = lock.set_len(0).and_then(|()| lock.rewind()).and_then(|()| writeln!(lock, "{pid}"));
        write.map_err(failed)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    pub fn store(&self) -> PathBuf {
        self.path.join("holdfast.redb")
    }

    pub fn socket(&self) -> PathBuf {
        self.path.join("holdfast.sock")
    }

    pub fn token(&self) -> PathBuf {
        self.path.join("admin.token")
    }

    /// Makes the first admin token when the store has no token at all.
    ///
    /// # Errors
    /// The token's file or row cannot be written.
    pub async fn ensure_token(&self, store: &Store, now: Timestamp) -> Result<(), AppError> {
        if !store.tokens().is_empty() {
            return Ok(());
        }
        let mut entropy = [0; ENTROPY];
        getrandom::fill(&mut entropy)
            .map_err(|error| AppError::Failed(format!("the system gives no random numbers: {error}")))?;
        let (row, secret) = token::mint(&entropy, "admin", vec![Scope::Admin], now, None);
        // The file first: a row without its file would lock everybody out for good,
        // a file without its row is replaced at the next start.
        self.write_token(secret.expose())
            .map_err(|error| AppError::Directory { path: self.token(), reason: error.to_string() })?;
        let audit = AuditEntry {
            at: now,
            who: String::from("agent"),
            action: String::from("token.create"),
            object: row.name.clone(),
            detail: String::from("first start"),
        };
        store.commit(Change { writes: vec![Write::PutToken(row)], audit: Some(audit) }).await?;
        Ok(())
    }

    fn write_token(&self, text: &str) -> io::Result<()> {
        let fresh = self.path.join("admin.token.new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        writeln!(file, "{text}")?;
        file.sync_all()?;
        std::fs::rename(&fresh, self.token())?;
        File::open(&self.path)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn one_agent_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        let first = Directory::claim(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        let refused = Directory::claim(&path).unwrap_err().to_string();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        drop(first);
        Directory::claim(&path).unwrap();
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "").unwrap();
        let refused = Directory::claim(&path).unwrap_err().to_string();
        assert!(refused.contains(&path.display().to_string()), "{refused}");
    }
}
