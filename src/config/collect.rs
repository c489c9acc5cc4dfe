//! `[collect]`

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::base::units::Span;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Collect {
    /// Collect and probe at all.
    pub enabled: bool,
    pub interval: Span,
    /// Collectors that are left out, by name.
    pub disable: Vec<String>,
    pub procfs: PathBuf,
    pub sysfs: PathBuf,
    pub rootfs: PathBuf,
}

impl Default for Collect {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: Span::from_secs(1),
            disable: Vec::new(),
            procfs: PathBuf::from("/proc"),
            sysfs: PathBuf::from("/sys"),
            rootfs: PathBuf::from("/"),
        }
    }
}
