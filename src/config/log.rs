//! `[log]`

use serde::{Deserialize, Serialize};

use super::channel::file::is_plain;
use super::check::Checker;
use crate::base::units::ByteSize;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    #[default]
    Text,
    Json,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    pub level: Level,
    pub format: Format,
    /// What goes to standard error goes here, too: a name below `<data_dir>/logs`, or an
    /// absolute path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The same for errors alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_file: Option<String>,
    /// A file is moved aside when it would grow beyond this.
    pub max_size: ByteSize,
    /// Files that were moved aside and are kept, of each.
    pub keep: u8,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: Level::default(),
            format: Format::default(),
            file: None,
            error_file: None,
            max_size: ByteSize::mebibytes(10),
            keep: 5,
        }
    }
}

/// Smaller than this, one line might be larger than the file.
const SMALLEST: ByteSize = ByteSize::mebibytes(1);

impl Log {
    /// Says what is wrong.
    pub fn check(&self, checker: &mut Checker<'_>) {
        for (key, path) in [("log.file", &self.file), ("log.error_file", &self.error_file)] {
            let Some(path) = path.as_deref().filter(|path| !is_plain(path) && !path.starts_with('/')) else {
                continue;
            };
            let message = format!(
                "`{path}` is neither a plain name nor an absolute path, expected for example \"holdfast.log\""
            );
            checker.say(key, message);
        }
        if self.file.is_some() && self.file == self.error_file {
            checker.say("log.error_file", "is the file of all lines, too, expected another one");
        }
        if self.max_size < SMALLEST {
            let message = format!("{} is too small, expected at least {SMALLEST}", self.max_size);
            checker.say("log.max_size", message);
        }
    }
}
