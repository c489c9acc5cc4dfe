//! `[admin]`

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Answer the paths below /admin/ at all.
    pub enabled: bool,
}

impl Default for Admin {
    fn default() -> Self {
        Self { enabled: true }
    }
}
