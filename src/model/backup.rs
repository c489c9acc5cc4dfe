//! A backup of the agent's own store, and what putting it back would change.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::base::time::Timestamp;
use crate::model::event::rfc3339;

/// Of the layout of a manifest.
pub const MANIFEST: u32 = 1;
/// Backups of one second at most.
pub const MOST_IN_A_SECOND: u32 = 100;

/// `20261128T093543Z`, with `-1` and so on behind it for further ones of that second. It is
/// part of the name of a file: whatever else a caller sends is no id.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct BackupId(String);

impl BackupId {
    /// The id of the backup that is begun at `at`, the `attempt`th of that second.
    pub fn of(at: Timestamp, attempt: u32) -> Self {
        let time: String =
            at.rfc3339().chars().take(19).filter(|letter| *letter != '-' && *letter != ':').collect();
        Self(if attempt == 0 { format!("{time}Z") } else { format!("{time}Z-{attempt}") })
    }

    /// `None` for what is no id.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let (time, number) = text.split_once('-').map_or((text, None), |(time, rest)| (time, Some(rest)));
        let (day, clock) = time.strip_suffix('Z')?.split_once('T')?;
        let timely = day.len() == 8 && clock.len() == 6 && digits(day) && digits(clock);
        let counted = number.is_none_or(|number| {
            (1..=2).contains(&number.len()) && digits(number) && !number.starts_with('0')
        });
        (timely && counted).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for BackupId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not the id of a backup")))
    }
}

/// What stands beside a backup: enough to tell whether it is whole, and what it needs.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = BackupManifest)]
pub struct Manifest {
    /// Of the layout of this manifest, 1.
    pub format: u32,
    #[schema(value_type = String)]
    pub id: BackupId,
    /// Name of the file beside the manifest.
    pub file: String,
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Length of the file, bytes.
    pub bytes: u64,
    /// Of the file, hexadecimal.
    pub sha256: String,
    /// The holdfast that made it.
    pub version: String,
    /// Layout of the tables inside.
    pub schema: u64,
    /// Which store it is of, hexadecimal.
    pub store_id: String,
    /// Rows of each table.
    pub rows: BTreeMap<String, u64>,
    /// Whether it is sealed to a passphrase as a whole.
    pub sealed: bool,
    /// How the passphrase becomes its key; left out where it is not sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<Seal>,
    /// Ids of the keys that its secrets are sealed with. The keys lie in the key file beside
    /// the store; a sealed backup holds them, any other one never does.
    pub keys: Vec<String>,
    /// How long making it took, ms.
    pub duration_ms: u64,
    /// `schedule`, or who asked.
    pub by: String,
}

/// How a passphrase becomes the key of a sealed backup; the same stands in front of its file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = BackupSeal)]
pub struct Seal {
    /// `argon2id`, version 1.3.
    pub kdf: String,
    /// KiB.
    pub memory: u32,
    pub passes: u32,
    pub lanes: u32,
    /// Hexadecimal; of this backup alone.
    pub salt: String,
    /// `chacha20-poly1305`, in chunks.
    pub cipher: String,
}

/// Where a backup is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = BackupPlace)]
pub enum Place {
    /// The directory of backups on this host.
    Directory,
    /// The bucket of `[backup] target`.
    ObjectStore,
}

/// A backup and where it is.
#[derive(Clone, PartialEq, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Backup)]
pub struct Kept {
    #[serde(flatten)]
    pub manifest: Manifest,
    pub places: Vec<Place>,
}

/// What reading a whole backup said.
#[derive(Clone, PartialEq, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = BackupVerdict)]
pub struct Verdict {
    pub valid: bool,
    /// What is wrong, in the order in which it was found.
    pub problems: Vec<String>,
    /// Bytes that were read.
    pub bytes: u64,
    /// Of what was read, hexadecimal.
    pub sha256: String,
    /// Whether there was a manifest to compare with.
    pub manifest: bool,
    /// Whether it is sealed to a passphrase.
    pub sealed: bool,
    /// Whether what is inside was read: not where it is sealed and the passphrase is not here;
    /// then the sha256 is all that was checked.
    pub opened: bool,
    /// Rows of each table as they were read.
    pub rows: BTreeMap<String, u64>,
    /// Tables that this version does not know; they are kept as they are.
    pub unknown_tables: Vec<String>,
    pub schema: Option<u64>,
    pub duration_ms: u64,
}

/// Rows of one table before and after.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = BackupTableChange)]
pub struct TableChange {
    pub table: String,
    /// In the store now; null where there is no store.
    pub now: Option<u64>,
    pub backup: u64,
}

/// What becomes of a failover group.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = BackupGroupChange)]
pub struct GroupChange {
    pub group: String,
    /// In the store now; null where it does not know the group.
    pub now: Option<u64>,
    /// In the backup; null where it does not know the group.
    pub backup: Option<u64>,
    /// In the file beside the store; null where there is none.
    pub beside: Option<u64>,
    /// What the group starts from: the greatest one. An epoch never goes back.
    pub after: u64,
}

/// What of the present store is taken along, because the world outside knows of it: what a
/// channel was told, what it is owed, and the alerts in both.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = BackupCarried)]
pub struct Carried {
    /// Alerts that are active now and not in the backup.
    pub alerts: u64,
    /// Messages that are owed to channels.
    pub outbox: u64,
    /// What channels were told.
    pub tellings: u64,
}

/// What putting a backup back changes.
#[derive(Clone, PartialEq, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = BackupPlan)]
pub struct Plan {
    #[serde(with = "rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub created_at: Option<Timestamp>,
    pub schema: u64,
    pub tables: Vec<TableChange>,
    pub groups: Vec<GroupChange>,
    pub carried: Carried,
    /// Ids of the keys that secrets in the backup are sealed with.
    pub keys: Vec<String>,
    /// Of these, the ones that are not here: secrets sealed with them have to be set anew.
    pub keys_missing: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_time_and_nothing_else() {
        let at = Timestamp::parse("2026-11-28T09:35:43.120Z").unwrap();
        assert_eq!(BackupId::of(at, 0).as_str(), "20261128T093543Z");
        assert_eq!(BackupId::of(at, 12).as_str(), "20261128T093543Z-12");
        for good in ["20261128T093543Z", "20261128T093543Z-1", "20261128T093543Z-99"] {
            assert_eq!(BackupId::parse(good).map(|id| id.to_string()).as_deref(), Some(good));
        }
        for bad in [
            "",
            "..",
            "../20261128T093543Z",
            "20261128T093543Z/..",
            "20261128T093543Z-",
            "20261128T093543Z-0",
            "20261128T093543Z-100",
            "20261128T093543Z-1/x",
            "2026112xT093543Z",
            "20261128T09354Z",
            "20261128T093543",
            "20261128T093543Z\0",
            "holdfast",
        ] {
            assert_eq!(BackupId::parse(bad), None, "{bad}");
        }
    }
}
