//! What can go wrong between the store and redb, reduced to what the store does
//! about it.
//!
//! redb has seven error types; the store has three reactions: open the file
//! again, declare the disk full, or move a damaged file aside. One would get it
//! wrong by matching on redb's errors in many places: the reaction to a full disk
//! would then differ between a flush and a change.

use std::io::{Error, ErrorKind};

use super::api::StoreError;

/// Why a transaction or an open failed.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// No space on the device, or the file reached its cap.
    #[error("no space left for the store")]
    Full,
    /// The file is not what it should be.
    #[error("damaged: {0}")]
    Damaged(String),
    /// Held by another process.
    #[error("in use by another process")]
    InUse,
    /// Written by a newer version: its schema.
    #[error("written by a newer version, schema {0}")]
    TooNew(u64),
    /// Anything else; opening the file again may help.
    #[error("{0}")]
    Broken(String),
}

impl Fault {
    pub fn io(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => Self::Full,
            ErrorKind::InvalidData | ErrorKind::UnexpectedEof => Self::Damaged(error.to_string()),
            _ => Self::Broken(error.to_string()),
        }
    }

    /// For a caller of the store.
    pub fn error(&self) -> StoreError {
        match self {
            Self::Full => StoreError::DiskFull,
            other => StoreError::Unavailable { reason: other.to_string() },
        }
    }
}

impl From<redb::Error> for Fault {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Io(error) => Self::io(&error),
            redb::Error::DatabaseAlreadyOpen => Self::InUse,
            redb::Error::Corrupted(reason) => Self::Damaged(reason),
            redb::Error::UpgradeRequired(version) => {
                Self::Damaged(format!("the file format {version} is from another redb"))
            }
            error @ (redb::Error::TableTypeMismatch { .. } | redb::Error::TypeDefinitionChanged { .. }) => {
                Self::Damaged(error.to_string())
            }
            other => Self::Broken(other.to_string()),
        }
    }
}

macro_rules! from_redb {
    ($($type:ty),+) => {
        $(impl From<$type> for Fault {
            fn from(error: $type) -> Self {
                Self::from(redb::Error::from(error))
            }
        })+
    };
}

from_redb!(
    redb::StorageError,
    redb::TableError,
    redb::TransactionError,
    redb::CommitError,
    redb::DatabaseError,
    redb::CompactionError,
    redb::SetDurabilityError
);
