//! Backups of the store: a second redb file with every row of one snapshot.
//!
//! ```text
//! read transaction --copy--> .partial --> sha256 --> manifest --> its name     (shelf)
//! file --> read whole: sha256, checksums of pages, every row --> verdict       (look)
//! file --copy--> .restore --> beside the store --> changed for it at a start   (restore)
//! ```
//! A backup is itself a store: it opens where it is put. It is made from a read
//! transaction, so writers go on meanwhile and it holds one moment. The tables come from
//! the one list in `tables.rs`; a table that is not in it is named and not left out in
//! silence. One would get it wrong by copying the bytes of a file that is being written.

mod copy;
mod look;
mod read_through;

pub mod restore;
pub mod shelf;
mod walk;

use std::path::{Path, PathBuf};

pub use self::copy::Snapshot;
pub use self::look::{Looked, look};
pub use self::shelf::{Draft, Shelf};

use super::fault::Fault;

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

    fn io(path: &Path, error: &std::io::Error) -> Self {
        Self::of(path, Fault::io(error))
    }
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
