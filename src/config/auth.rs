//! `[auth]`

use serde::{Deserialize, Serialize};

/// What loopback may do without a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Anonymous {
    #[default]
    Read,
    None,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    pub anonymous: Anonymous,
    /// Further Host names that requests may name.
    pub allowed_hosts: Vec<String>,
}
