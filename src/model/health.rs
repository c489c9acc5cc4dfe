//! Health in four words.

use serde::{Deserialize, Serialize};

use crate::base::time::Timestamp;

/// The order is from best to worst; a whole has the worst of its parts that count.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    Healthy,
    Unknown,
    Degraded,
    Unhealthy,
}

impl Health {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unknown => "unknown",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// One part of the whole.
#[derive(Clone, PartialEq, Debug, Serialize, utoipa::ToSchema)]
pub struct Component {
    pub name: String,
    pub status: Health,
    pub message: String,
    /// Of what was asked; null for what is not asked over a wire.
    pub latency_ms: Option<f64>,
    #[serde(with = "crate::model::event::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub checked_at: Option<Timestamp>,
}
