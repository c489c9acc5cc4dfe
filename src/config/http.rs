//! `[http]`

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Origins that may call from another site; none by default.
    pub cors: Vec<String>,
    /// Addresses whose `Forwarded` and `X-Forwarded-*` headers count.
    pub trusted_proxies: Vec<String>,
}
