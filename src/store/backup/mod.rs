//! Backups of the store: a second redb file with every row of one snapshot.
//!
//! ```text
//! read transaction --copy--> .partial --> sha256 --> manifest --> its name     (shelf)
//! file --> read whole: sha256, checksums of pages, every row --> verdict       (look)
//! file <--> the same sealed to a passphrase, with the keys of its secrets      (sealed)
//! file --copy--> .restore --> beside the store --> changed for it at a start   (restore)
//! ```
//! A backup is itself a store: it opens where it is put. It is made from a read
//! transaction, so writers go on meanwhile and it holds one moment. The tables come from
//! the one list in `tables.rs`; a table that is not in it is named and not left out in
//! silence. One would get it wrong by copying the bytes of a file that is being written.

mod copy;
mod look;
mod read_through;
mod sealed;

pub mod restore;
pub mod shelf;
mod walk;

use std::path::{Path, PathBuf};

pub use self::copy::Snapshot;
pub use self::look::{Looked, look, look_into};
pub use self::sealed::{Opened, Unseal, is_sealed, seal};
pub use self::shelf::{Draft, Shelf};

use super::fault::Fault;

/// Left over on the disk for others, bytes.
const DISK_RESERVE: u64 = 4 << 20;

/// Why something about a backup did not work.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BackupError {
    #[error("no space left for {}", path.display())]
    DiskFull { path: PathBuf },
    #[error("{}: {reason}", path.display())]
    File { path: PathBuf, reason: String },
    /// It is not what it should be.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged { path: PathBuf, reason: String },
    #[error("{} is from a newer holdfast (schema {found}, this one knows {supported})", path.display())]
    TooNew { path: PathBuf, found: u64, supported: u64 },
    #[error("the store {} is in use by another process", path.display())]
    InUse { path: PathBuf },
    #[error("the store cannot be read: {reason}")]
    Store { reason: String },
    /// It is sealed and does not open.
    #[error("{} does not open: {reason}", path.display())]
    Sealed { path: PathBuf, reason: String },
    #[error(
        "{} is sealed to a passphrase: expected `passphrase_file` or `passphrase_env` in section [backup]",
        path.display()
    )]
    NoPassphrase { path: PathBuf },
    #[error("backups cannot be sealed: {reason}")]
    Passphrase { reason: String },
    #[error("it was given up, because the agent stops")]
    Stopped,
}

impl BackupError {
    fn of(path: &Path, fault: Fault) -> Self {
        let path = path.to_owned();
        match fault {
            Fault::Full => Self::DiskFull { path },
            Fault::Damaged(reason) => Self::Damaged { path, reason },
            Fault::InUse => Self::InUse { path },
            Fault::TooNew(found) => {
                Self::TooNew { path, found, supported: super::migrations::SCHEMA_VERSION }
            }
            Fault::Broken(reason) => Self::File { path, reason },
        }
    }

    /// What the disk said about `path`.
    pub fn io(path: &Path, error: &std::io::Error) -> Self {
        Self::of(path, Fault::io(error))
    }
}

/// Whether the disk has room for a file of so many bytes at `path`, and for others.
fn has_room(path: &Path, bytes: u64) -> bool {
    let free = path.parent().and_then(|folder| rustix::fs::statvfs(folder).ok());
    free.is_none_or(|free| free.f_bavail.saturating_mul(free.f_frsize) >= bytes + DISK_RESERVE)
}

/// Runs what reads a file that may be damaged: redb panics on some damage.
fn guarded<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Fault::Damaged(String::from("reading it made redb panic"))))
}

/// Lower-case hexadecimal.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
