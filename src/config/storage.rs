//! `[storage]`

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::units::{ByteSize, Span};

/// How often samples are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Every 30 s.
    #[default]
    Default,
    /// Every 120 s, for flash that wears and disks that sleep.
    Flash,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Storage {
    pub profile: Profile,
    pub cap: ByteSize,
    pub raw_retention: Span,
    pub minute_retention: Span,
    pub hour_retention: Span,
    /// Series active in the last hour.
    pub max_series: u64,
    /// `auto`, `off`, or a directory on memory-backed storage.
    pub tail: String,
}

impl Storage {
    /// Time between two flushes: what a power cut may lose.
    pub const fn flush_interval(&self) -> Duration {
        match self.profile {
            Profile::Default => Duration::from_secs(30),
            Profile::Flash => Duration::from_secs(120),
        }
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            profile: Profile::Default,
            cap: ByteSize::mebibytes(512),
            raw_retention: Span::from_secs(24 * 3600),
            minute_retention: Span::from_secs(30 * 86_400),
            hour_retention: Span::from_secs(730 * 86_400),
            max_series: 5000,
            tail: String::from("auto"),
        }
    }
}
