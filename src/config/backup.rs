//! `[backup]`: copies of the agent's own store.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::check::Checker;
use crate::base::units::Span;

const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(366 * 86_400);
const MOST_KEPT: u64 = 1000;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Backup {
    /// Where they lie: below the data directory unless it is absolute.
    pub directory: PathBuf,
    /// Between two of them; without it none is made by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Span>,
    /// The newest so many stay, whoever made them.
    pub keep: u64,
}

impl Default for Backup {
    fn default() -> Self {
        Self { directory: PathBuf::from("backups"), schedule: None, keep: 7 }
    }
}

impl Backup {
    /// The folder of backups of an agent whose data is in `data_dir`.
    pub fn folder(&self, data_dir: &Path) -> PathBuf {
        data_dir.join(&self.directory)
    }

    pub(super) fn check(&self, checker: &mut Checker<'_>) {
        let shown = self.directory.display();
        let outside = self.directory.components().any(|part| part == std::path::Component::ParentDir);
        if self.directory.as_os_str().is_empty() || outside {
            checker.say(
                "backup.directory",
                format!(
                    "`{shown}` is not valid, expected a directory such as \"backups\" or \"/mnt/backups\""
                ),
            );
        }
        if let Some(schedule) = self.schedule.filter(|span| span.0 < SHORTEST || span.0 > LONGEST) {
            checker.say("backup.schedule", format!("{schedule} is out of range, expected 1m to 366d"));
        }
        if self.keep == 0 || self.keep > MOST_KEPT {
            checker.say("backup.keep", format!("{} is out of range, expected 1 to {MOST_KEPT}", self.keep));
        }
    }
}
