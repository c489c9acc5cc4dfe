//! `[http]`

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Origins that may call from another site; none by default.
    pub cors: Vec<String>,
    /// Addresses whose `Forwarded` and `X-Forwarded-*` headers count.
    pub trusted_proxies: Vec<String>,
    /// Requests of one client a minute; 0: as many as it likes. This host is not counted, nor
    /// are questions about health.
    pub rate_limit: u32,
}

impl Default for Http {
    fn default() -> Self {
        Self { cors: Vec::new(), trusted_proxies: Vec::new(), rate_limit: 6000 }
    }
}
