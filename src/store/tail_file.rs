//! The tail: what no flush has written yet, mirrored on memory-backed storage.
//!
//! One file per generation, `holdfast-<store id>-<generation>.tail`, appended to
//! on every tick and never synced: the page cache of a tmpfs outlives a killed
//! process, and costs the flash nothing. A flush seals the head and starts the
//! next generation under the same lock; the old ones go when the commit is
//! durable. One would get it wrong by deleting them before: a kill in between would lose
//! the whole interval.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Result, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::ring::tail;

/// A tail that outgrew this is not appended to until the next flush. A tick of 500
/// series is some 2 KB.
const LIMIT: u64 = 32 << 20;
/// A tail of another store that nobody touched for so long is of a store that is gone.
const FOREIGN_AGE: Duration = Duration::from_secs(86_400);
/// Where memory-backed storage usually is.
const CANDIDATES: [&str; 3] = ["/run/holdfast", "/dev/shm/holdfast", "/tmp/holdfast"];
const TMPFS_MAGIC: u64 = 0x0102_1994;
const RAMFS_MAGIC: u64 = 0x8584_58f6;

/// The tail being written, and those a commit must still make superfluous.
#[derive(Debug)]
pub struct TailFile {
    dir: PathBuf,
    store_id: u64,
    generation: u64,
    /// `None` after a write failed; the next generation tries again.
    file: Option<File>,
    bytes: u64,
    old: Vec<PathBuf>,
}

fn lock(file: &File) -> rustix::io::Result<()> {
    rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive)
}

fn is_memory(dir: &Path) -> bool {
    rustix::fs::statfs(dir)
        .is_ok_and(|status| matches!(status.f_type as u64 & 0xffff_ffff, TMPFS_MAGIC | RAMFS_MAGIC))
}

/// The directory exists, is ours alone, and can be written.
fn usable(dir: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let metadata = std::fs::symlink_metadata(dir)?;
    if !metadata.is_dir() || metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(ErrorKind::PermissionDenied.into());
    }
    let probe = dir.join(format!(".probe-{}", std::process::id()));
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&probe)?;
    std::fs::remove_file(probe)
}

/// A directory for tails, looked for when none is configured.
pub fn choose(configured: Option<&Option<PathBuf>>) -> Option<PathBuf> {
    match configured {
        Some(None) => None,
        Some(Some(dir)) => match usable(dir) {
            Ok(()) if is_memory(dir) => Some(dir.clone()),
            Ok(()) => {
                let dir = dir.display();
                tracing::warn!(%dir, "the tail directory is on a disk, which every tick would write to: the tail is off");
                None
            }
            Err(error) => {
                tracing::warn!(dir = %dir.display(), %error, "the tail directory cannot be used: the tail is off");
                None
            }
        },
        None => {
            let fits = |dir: &&Path| dir.parent().is_some_and(is_memory) && usable(dir).is_ok();
            CANDIDATES.iter().map(Path::new).find(fits).map(Path::to_owned)
        }
    }
}

/// A tail that an earlier run left.
pub struct Found {
    pub generation: u64,
    pub path: PathBuf,
    pub bytes: Vec<u8>,
}

/// All tails of this store, oldest first. What cannot be read is not there.
pub fn find(dir: &Path, store_id: u64) -> Vec<Found> {
    let prefix = format!("holdfast-{store_id:016x}-");
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let names = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix));
    let mut found: Vec<Found> = names
        .filter_map(|entry| {
            let path = entry.path();
            let mut bytes = Vec::new();
            File::open(&path).ok()?.take(LIMIT + (1 << 20)).read_to_end(&mut bytes).ok()?;
            let generation = tail::generation(&bytes, store_id)?;
            Some(Found { generation, path, bytes })
        })
        .collect();
    found.sort_by_key(|tail| tail.generation);
    found
}

impl TailFile {
    /// Starts a generation after those `found`, which stay until [`Self::take_old`].
    /// Tails of other stores go when no agent has them and none did for a day.
    pub fn start(dir: PathBuf, store_id: u64, found: &[Found]) -> Self {
        let generation = found.last().map_or(0, |tail| tail.generation);
        let old = found.iter().map(|tail| tail.path.clone()).collect();
        let mut this = Self { dir, store_id, generation, file: None, bytes: 0, old };
        this.begin();
        this.remove_foreign();
        this
    }

    fn remove_foreign(&self) {
        // The time of the file just made: now, without asking for the time.
        let modified = |path: &Path| std::fs::symlink_metadata(path)?.modified();
        let (Ok(now), Ok(entries)) = (modified(&self.path()), std::fs::read_dir(&self.dir)) else { return };
        let own = format!("holdfast-{:016x}-", self.store_id);
        for entry in entries.take(4096).flatten() {
            let (name, path) = (entry.file_name(), entry.path());
            let name = name.to_string_lossy();
            if !name.starts_with("holdfast-") || !name.ends_with(".tail") || name.starts_with(&own) {
                continue;
            }
            let age = modified(&path).ok().and_then(|touched| now.duration_since(touched).ok());
            let free = || File::open(&path).is_ok_and(|file| lock(&file).is_ok());
            if age.is_some_and(|age| age > FOREIGN_AGE) && free() {
                let _ = std::fs::remove_file(path);
            }
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.join(format!("holdfast-{:016x}-{}.tail", self.store_id, self.generation))
    }

    fn begin(&mut self) {
        self.generation += 1;
        let path = self.path();
        let header = tail::header(self.store_id, self.generation);
        let create = || -> Result<File> {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
            // Says that somebody is at it; that another has it is no reason to stop.
            let _ = lock(&file);
            file.write_all(&header)?;
            Ok(file)
        };
        self.bytes = header.len() as u64;
        match create() {
            Ok(file) => self.file = Some(file),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the tail cannot be written until the next flush");
                self.file = None;
            }
        }
    }

    /// Starts the next generation; the one before stays until [`Self::take_old`].
    pub fn rotate(&mut self) {
        self.old.push(self.path());
        self.begin();
    }

    /// What the old generations held is durable: they are for [`remove`], which the
    /// lock around this need not wait for.
    pub fn take_old(&mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.old)
    }

    /// Appends records. A failure turns the tail off until the next generation: a
    /// torn record hides whatever comes after it.
    pub fn append(&mut self, records: &[u8]) {
        let Some(file) = &mut self.file else { return };
        if self.bytes + records.len() as u64 > LIMIT {
            self.file = None;
            tracing::warn!(limit = LIMIT, "the tail is full: it is off until the next flush");
            return;
        }
        match file.write_all(records) {
            Ok(()) => self.bytes += records.len() as u64,
            Err(error) => {
                tracing::warn!(%error, "the tail cannot be written until the next flush");
                self.file = None;
            }
        }
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// After a clean close nothing is left to bring back.
    pub fn remove_all(&mut self) {
        self.file = None;
        self.old.push(self.path());
        remove(&self.take_old());
    }
}

/// Removes tails that are superfluous.
pub fn remove(tails: &[PathBuf]) {
    for path in tails {
        let _ = std::fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_on_a_disk_is_refused() {
        // The crate's own directory is where it was compiled: on a disk.
        let disk = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        assert_eq!(choose(Some(&Some(disk.path().to_owned()))), None);
        let memory = tempfile::tempdir_in("/dev/shm").unwrap();
        assert_eq!(choose(Some(&Some(memory.path().to_owned()))).as_deref(), Some(memory.path()));
    }

    #[test]
    fn tails_of_stores_that_are_gone_are_removed() {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let make = |name: &str, days: u32| {
            let path = dir.path().join(name);
            let file = File::create(&path).unwrap();
            let touched = file.metadata().unwrap().modified().unwrap() - FOREIGN_AGE * days;
            file.set_modified(touched).unwrap();
            (path, file)
        };
        let (gone, _) = make("holdfast-0000000000000001-3.tail", 2);
        let (young, _) = make("holdfast-0000000000000002-3.tail", 0);
        let (other, _) = make("notes.tail", 9);
        let (living, held) = make("holdfast-0000000000000003-3.tail", 2);
        lock(&held).unwrap();
        let _tail = TailFile::start(dir.path().to_owned(), 7, &[]);
        assert!(!gone.exists());
        assert!(young.exists() && other.exists() && living.exists());
    }
}
