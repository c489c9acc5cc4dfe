//! `[metrics]`

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// Serve /metrics.
    pub enabled: bool,
    /// A further listener for /metrics alone.
    pub listen: Option<String>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { enabled: true, listen: None }
    }
}
