//! The file below redb: its length kept inside the cap, its blocks reserved, its
//! written bytes counted.
//!
//! redb grows a file by doubling and leaves it sparse, so a page written later may
//! find no space although the growth went well, and the first such error ends all
//! writing until the file is opened again. [`Guarded`] sits between redb and the
//! file: a growth beyond the cap is refused, and a growth that is allowed has its
//! blocks reserved, so that only a growth can run out of space, never a commit into
//! free pages. That is the headroom of changes on a full disk. One would get it
//! wrong by not passing on the lock methods: two processes would open the file.

use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Result};
use std::ops::Bound;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};
use rustix::fs::FallocateFlags;

use crate::base::time::Timestamp;

/// Where the bytes are; a test puts memory or a failing disk here.
pub trait Backing: Debug + Send + Sync {
    /// Length of the file, `None` when there is none.
    fn length(&self, path: &Path) -> Result<Option<u64>>;
    /// Opens the file; with `create` it may be absent.
    fn open(&self, path: &Path, create: bool) -> Result<Box<dyn StorageBackend>>;
    /// Renames; never replaces what is there.
    fn set_aside(&self, from: &Path, to: &Path) -> Result<()>;
    /// Bytes the file may still grow by, `None` when that is not known.
    fn available(&self, path: &Path) -> Option<u64>;
}

/// The file system.
#[derive(Debug)]
pub struct Disk;

impl Backing for Disk {
    fn length(&self, path: &Path) -> Result<Option<u64>> {
        match std::fs::metadata(path) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn open(&self, path: &Path, create: bool) -> Result<Box<dyn StorageBackend>> {
        let existed = self.length(path)?.is_some();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(create)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        if !existed {
            sync_directory(path)?;
        }
        let reserve = file.try_clone()?;
        let inner = FileBackend::new(file).map_err(Error::other)?;
        Ok(Box::new(Reserving { inner, file: reserve }))
    }

    fn set_aside(&self, from: &Path, to: &Path) -> Result<()> {
        if to.exists() {
            return Err(Error::from(ErrorKind::AlreadyExists));
        }
        std::fs::rename(from, to)?;
        sync_directory(to)
    }

    fn available(&self, path: &Path) -> Option<u64> {
        let status = rustix::fs::statvfs(path.parent()?).ok()?;
        Some(status.f_bavail.saturating_mul(status.f_frsize))
    }
}

/// A name survives a power cut only when its directory was synced.
pub fn sync_directory(path: &Path) -> Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

/// `holdfast.redb.damaged-20260131T080000Z`, beside the file.
pub fn damaged_name(path: &Path, at: Timestamp, attempt: u32) -> PathBuf {
    timed_name(path, "damaged", at, attempt)
}

/// The name of the file with a word and a time behind it.
pub fn timed_name(path: &Path, word: &str, at: Timestamp, attempt: u32) -> PathBuf {
    let time: String =
        at.rfc3339().chars().take(19).filter(|character| *character != '-' && *character != ':').collect();
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{word}-{time}Z"));
    if attempt > 0 {
        name.push(format!("-{attempt}"));
    }
    PathBuf::from(name)
}

/// A file whose growth takes its blocks at once.
#[derive(Debug)]
struct Reserving {
    inner: FileBackend,
    file: File,
}

impl Reserving {
    fn grow(&self, from: u64, to: u64) -> Result<()> {
        use rustix::io::Errno;
        loop {
            match rustix::fs::fallocate(&self.file, FallocateFlags::empty(), from, to - from) {
                Ok(()) => return Ok(()),
                Err(Errno::INTR) => {}
                // The file system cannot reserve: as good as it gets.
                Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => return self.inner.set_len(to),
                Err(errno) => {
                    // What was reserved before the end came would be lost otherwise.
                    let _ = self.inner.set_len(from);
                    return Err(errno.into());
                }
            }
        }
    }
}

macro_rules! passed_on {
    ($($method:ident($($name:ident: $type:ty),*) -> $result:ty;)+) => {
        $(fn $method(&self, $($name: $type),*) -> $result {
            self.inner.$method($($name),*)
        })+
    };
}

macro_rules! locks_passed_on {
    () => {
        passed_on! {
            close() -> Result<()>;
            try_lock_range(start: Bound<u64>, end: Bound<u64>) -> std::result::Result<bool, BackendError>;
            try_lock_shared_range(start: Bound<u64>, end: Bound<u64>) -> std::result::Result<bool, BackendError>;
            lock_range(start: Bound<u64>, end: Bound<u64>) -> std::result::Result<(), BackendError>;
            lock_shared_range(start: Bound<u64>, end: Bound<u64>) -> std::result::Result<(), BackendError>;
            unlock_range(start: Bound<u64>, end: Bound<u64>) -> std::result::Result<(), BackendError>;
            query_lock_range(start: Bound<u64>, end: Bound<u64>) -> std::result::Result<bool, BackendError>;
        }
    };
}

impl StorageBackend for Reserving {
    passed_on! {
        len() -> Result<u64>;
        read(offset: u64, out: &mut [u8]) -> Result<()>;
        sync_data() -> Result<()>;
        write(offset: u64, data: &[u8]) -> Result<()>;
    }
    locks_passed_on!();

    fn set_len(&self, len: u64) -> Result<()> {
        let now = self.inner.len()?;
        if len > now { self.grow(now, len) } else { self.inner.set_len(len) }
    }
}

/// What is known about the file from outside, across reopening.
#[derive(Debug, Default)]
pub struct FileFigures {
    /// Length now, bytes.
    pub length: AtomicU64,
    /// Handed to the file since start, bytes.
    pub written: AtomicU64,
    /// Growths refused because of the cap.
    pub refused: AtomicU64,
}

/// Any backend, inside the cap and counted.
#[derive(Debug)]
pub struct Guarded {
    inner: Box<dyn StorageBackend>,
    figures: Arc<FileFigures>,
    cap: u64,
}

impl Guarded {
    pub fn new(inner: Box<dyn StorageBackend>, figures: Arc<FileFigures>, cap: u64) -> Result<Self> {
        figures.length.store(inner.len()?, Ordering::Relaxed);
        Ok(Self { inner, figures, cap })
    }
}

impl StorageBackend for Guarded {
    passed_on! {
        len() -> Result<u64>;
        read(offset: u64, out: &mut [u8]) -> Result<()>;
        sync_data() -> Result<()>;
    }
    locks_passed_on!();

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        self.inner.write(offset, data)?;
        self.figures.written.fetch_add(data.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let now = self.figures.length.load(Ordering::Relaxed);
        if len > now && len > self.cap {
            self.figures.refused.fetch_add(1, Ordering::Relaxed);
            return Err(Error::new(ErrorKind::StorageFull, "the store file reached its cap"));
        }
        self.inner.set_len(len)?;
        self.figures.length.store(len, Ordering::Relaxed);
        Ok(())
    }
}
