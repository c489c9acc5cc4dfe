//! `[alerting]`

use serde::{Deserialize, Serialize};

use crate::base::units::Span;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Alerting {
    /// Evaluate rules at all.
    pub enabled: bool,
    /// After a start, an empty answer resolves nothing for so long: series must come
    /// back first.
    pub start_grace: Span,
    /// Where people find the page, for links in messages; without it messages have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_url: Option<String>,
}

impl Default for Alerting {
    fn default() -> Self {
        Self { enabled: true, start_grace: Span::from_secs(120), external_url: None }
    }
}
