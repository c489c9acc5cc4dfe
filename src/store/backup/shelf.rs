//! The folder of backups: `holdfast-<id>.redb` with `holdfast-<id>.json` beside it.
//!
//! ```text
//! .redb.partial --synced--> .json --> .redb        the last rename makes it a backup
//! ```
//! A crash in between leaves a part or a manifest without its file, which are of no use
//! and go at the next start; a file is never deleted for want of a manifest. One would
//! get it wrong by building a path from what a caller sent: [`BackupId`] is the only way.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::look::digest;
use super::{BackupError, has_room};
use crate::base::time::Timestamp;
use crate::model::backup::{BackupId, MOST_IN_A_SECOND, Manifest};

const PREFIX: &str = "holdfast-";
const FILE: &str = ".redb";
const MANIFEST: &str = ".json";
const PARTIAL: &str = ".redb.partial";
/// What is not sealed of a sealed one, while it is made or read.
const OPEN: &str = ".redb.open";
/// Entries of the folder that are looked at.
const MOST_ENTRIES: usize = 20_000;
/// More than a manifest takes, bytes.
pub const MOST_BYTES: u64 = 1 << 20;

/// See the module. Every call blocks on the disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shelf {
    folder: PathBuf,
}

/// A backup that is being made; what was written goes unless it is published.
#[derive(Debug)]
pub struct Draft {
    pub id: BackupId,
    /// Where the file is to be written.
    pub path: PathBuf,
    shelf: Shelf,
    published: bool,
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.published {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Shelf {
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn named(&self, id: &BackupId, ending: &str) -> PathBuf {
        self.folder.join(format!("{PREFIX}{id}{ending}"))
    }

    /// The file of a backup.
    pub fn file(&self, id: &BackupId) -> PathBuf {
        self.named(id, FILE)
    }

    /// Where the opened file of a sealed backup may be while it is needed.
    pub fn scratch(&self, id: &BackupId) -> PathBuf {
        self.named(id, OPEN)
    }

    fn failed(&self, error: &io::Error) -> BackupError {
        BackupError::io(&self.folder, error)
    }

    /// Begins a backup at `now`; makes the folder if need be.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub fn begin(&self, now: Timestamp) -> Result<Draft, BackupError> {
        self.make_folder()?;
        let mut ids = (0..MOST_IN_A_SECOND).map(|attempt| BackupId::of(now, attempt));
        let free =
            |id: &BackupId| [FILE, MANIFEST, PARTIAL].iter().all(|ending| !self.named(id, ending).exists());
        let id = ids.find(free).ok_or_else(|| BackupError::File {
            path: self.folder.clone(),
            reason: String::from("too many backups in one second"),
        })?;
        Ok(self.draft(id))
    }

    fn make_folder(&self) -> Result<(), BackupError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.folder);
        made.map_err(|error| self.failed(&error))
    }

    fn draft(&self, id: BackupId) -> Draft {
        Draft { path: self.named(&id, PARTIAL), id, shelf: self.clone(), published: false }
    }

    /// Begins to take in a backup that was made before and is `bytes` long, under the id it has.
    ///
    /// # Errors
    /// The folder cannot be made, there is no room, or a file is in the way.
    pub fn take_in(&self, id: &BackupId, bytes: u64) -> Result<(Draft, File), BackupError> {
        self.make_folder()?;
        let draft = self.draft(id.clone());
        let _ = std::fs::remove_file(&draft.path);
        // A manifest without its file is of no use and would be in the way.
        if !self.file(id).exists() {
            let _ = std::fs::remove_file(self.named(id, MANIFEST));
        }
        if !has_room(&draft.path, bytes) {
            return Err(BackupError::DiskFull { path: draft.path.clone() });
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft.path);
        let file = file.map_err(|error| BackupError::io(&draft.path, &error))?;
        Ok((draft, file))
    }

    /// Every backup, newest first. What cannot be read is logged and left out.
    ///
    /// # Errors
    /// The folder is there and cannot be read.
    pub fn list(&self) -> Result<Vec<Manifest>, BackupError> {
        let mut found: Vec<Manifest> =
            self.ids(FILE)?.iter().filter_map(|id| self.get(id).ok().flatten()).collect();
        found.sort_by(|left, right| (right.created_at, &right.id).cmp(&(left.created_at, &left.id)));
        Ok(found)
    }

    /// Ids of the files that end so.
    fn ids(&self, ending: &str) -> Result<Vec<BackupId>, BackupError> {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(self.failed(&error)),
        };
        let names = entries.take(MOST_ENTRIES).flatten().map(|entry| entry.file_name());
        let id = |name: std::ffi::OsString| id_of(name.to_str()?, ending);
        Ok(names.filter_map(id).collect())
    }

    /// The manifest of a backup; `None` where there is no such backup.
    ///
    /// # Errors
    /// It is there and cannot be read, or is not what it should be.
    pub fn get(&self, id: &BackupId) -> Result<Option<Manifest>, BackupError> {
        let path = self.named(id, MANIFEST);
        if !self.file(id).is_file() {
            return Ok(None);
        }
        let read = read_manifest(&path);
        if let Err(error) = &read {
            tracing::warn!(%error, "a backup has no manifest that can be read");
        }
        read.map(|manifest| manifest.filter(|manifest| manifest.id == *id))
    }

    /// Removes a backup; false where there is none.
    ///
    /// # Errors
    /// It is there and cannot be removed.
    pub fn delete(&self, id: &BackupId) -> Result<bool, BackupError> {
        let gone = match std::fs::remove_file(self.file(id)) {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => return Err(BackupError::io(&self.file(id), &error)),
        };
        let _ = std::fs::remove_file(self.named(id, MANIFEST));
        if gone {
            self.sync()?;
        }
        Ok(gone)
    }

    /// Removes all but the newest `keep`; says which.
    ///
    /// # Errors
    /// The folder cannot be read, or a backup not be removed.
    pub fn prune(&self, keep: usize) -> Result<Vec<BackupId>, BackupError> {
        let old = self.list()?.into_iter().skip(keep.max(1)).map(|manifest| manifest.id);
        let old: Vec<BackupId> = old.collect();
        old.iter().try_for_each(|id| self.delete(id).map(drop))?;
        Ok(old)
    }

    /// Removes what a crash left half made. Not while a backup is being made.
    ///
    /// # Errors
    /// The folder is there and cannot be read.
    pub fn tidy(&self) -> Result<(), BackupError> {
        for ending in [PARTIAL, OPEN] {
            for id in self.ids(ending)? {
                let _ = std::fs::remove_file(self.named(&id, ending));
            }
        }
        for id in self.ids(MANIFEST)? {
            if !self.file(&id).exists() {
                let _ = std::fs::remove_file(self.named(&id, MANIFEST));
            }
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), BackupError> {
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(|error| self.failed(&error))
    }
}

impl Draft {
    /// Where what is to be sealed may be before; goes at the next start if it is left.
    pub fn scratch(&self) -> PathBuf {
        self.shelf.scratch(&self.id)
    }

    /// Length and sha256 of what was written.
    ///
    /// # Errors
    /// It cannot be read, or `go_on` said no.
    pub fn digest(&self, go_on: &dyn Fn() -> bool) -> Result<(u64, String), BackupError> {
        digest(&self.path, go_on)
    }

    /// Name of the file that it becomes.
    pub fn file_name(&self) -> String {
        format!("{PREFIX}{}{FILE}", self.id)
    }

    /// Makes a backup of it: on the disk when this returns.
    ///
    /// # Errors
    /// It cannot be written; then nothing of it is left.
    pub fn publish(mut self, manifest: &Manifest) -> Result<(), BackupError> {
        let (shelf, path) = (self.shelf.clone(), self.shelf.named(&self.id, MANIFEST));
        let text = manifest_text(manifest);
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&self.path, shelf.file(&self.id))
        };
        if let Err(error) = write() {
            let _ = std::fs::remove_file(&path);
            return Err(BackupError::io(&path, &error));
        }
        self.published = true;
        shelf.sync()
    }
}

/// Names of the file and of the manifest of a backup, wherever they are.
pub fn names_of(id: &BackupId) -> (String, String) {
    (format!("{PREFIX}{id}{FILE}"), format!("{PREFIX}{id}{MANIFEST}"))
}

/// Which backup's file has the name; `None` for anything else.
pub fn id_of_file(name: &str) -> Option<BackupId> {
    id_of(name, FILE)
}

/// Which backup's manifest has the name; `None` for anything else.
pub fn id_of_manifest(name: &str) -> Option<BackupId> {
    id_of(name, MANIFEST)
}

fn id_of(name: &str, ending: &str) -> Option<BackupId> {
    BackupId::parse(name.strip_prefix(PREFIX)?.strip_suffix(ending)?)
}

/// Reads a manifest; `None` where there is none.
///
/// # Errors
/// It is there and cannot be read, or is not what it should be.
pub fn read_manifest(path: &Path) -> Result<Option<Manifest>, BackupError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(BackupError::io(path, &error)),
    };
    let mut text = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut text).map_err(|error| BackupError::io(path, &error))?;
    parse_manifest(path, &text).map(Some)
}

/// Reads the text of a manifest, which `path` has, here or in a bucket.
///
/// # Errors
/// It is not what it should be.
pub fn parse_manifest(path: &Path, text: &[u8]) -> Result<Manifest, BackupError> {
    let damaged = |reason: String| BackupError::Damaged { path: path.to_owned(), reason };
    let manifest: Manifest = serde_json::from_slice(text).map_err(|error| damaged(error.to_string()))?;
    if manifest.format != crate::model::backup::MANIFEST {
        return Err(damaged(format!(
            "its format is {}, expected {}",
            manifest.format,
            crate::model::backup::MANIFEST
        )));
    }
    Ok(manifest)
}

/// The text of a manifest.
pub fn manifest_text(manifest: &Manifest) -> String {
    serde_json::to_string_pretty(manifest).unwrap_or_default()
}

/// Where the manifest of a backup file would be: the same name with `.json`.
pub fn manifest_beside(file: &Path) -> PathBuf {
    file.with_extension("json")
}
