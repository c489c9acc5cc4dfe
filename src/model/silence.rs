//! A silence: whoever matches it is not notified about until it ends.

use serde::{Deserialize, Serialize};

use super::event::rfc3339;
use super::selector::Matcher;
use crate::base::time::Timestamp;

/// All matchers must match the labels of an alert; a label that is missing is empty.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Silence {
    pub id: String,
    #[schema(value_type = Vec<Object>)]
    pub matchers: Vec<Matcher>,
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub starts_at: Timestamp,
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub ends_at: Timestamp,
    pub created_by: String,
    pub comment: String,
    /// Planned work rather than noise; mutes the same.
    #[serde(default)]
    pub maintenance: bool,
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}
