//! `[[target.object_store]]`

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::base::id::Name;
use crate::base::secret::Secret;
use crate::base::units::Span;

/// One operation of the canary cycle.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    Put,
    Head,
    Get,
    List,
    Delete,
}

/// Keys that the file holds, see [`super::pinned_by_file`].
pub const PINNED: [&str; 9] = [
    "name",
    "endpoint",
    "region",
    "bucket",
    "access_key_id",
    "secret_access_key",
    "secret_access_key_file",
    "secret_access_key_env",
    "tls_ca_file",
];

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectStore {
    pub name: Name,
    /// `http://host:port` or `https://...`; path-style addressing.
    pub endpoint: String,
    #[serde(default = "default_region")]
    pub region: String,
    pub bucket: String,
    pub access_key_id: String,
    /// Exactly one of the three.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_access_key: Option<Secret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_access_key_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_access_key_env: Option<String>,
    /// PEM file of further certificate authorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_ca_file: Option<PathBuf>,
    #[serde(default = "default_interval")]
    pub interval: Span,
    /// One deadline over the whole cycle.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
    #[serde(default = "default_operations")]
    pub operations: Vec<Operation>,
}

fn default_region() -> String {
    String::from("us-east-1")
}

fn default_interval() -> Span {
    Span::from_secs(30)
}

fn default_timeout() -> Span {
    Span::from_secs(5)
}

fn default_operations() -> Vec<Operation> {
    vec![Operation::Get, Operation::Put, Operation::Delete, Operation::List, Operation::Head]
}
