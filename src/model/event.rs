//! Something that happened, with its place in the one sequence.

use serde::{Deserialize, Serialize};

use crate::base::time::Timestamp;

/// What an event is about; `?types=` of the stream filters by these words.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum EventType {
    Alert,
    Task,
    System,
    Storage,
    Scst,
    Tape,
    Vtl,
    Metrics,
    Breaker,
    Failover,
    Target,
}

impl EventType {
    pub const ALL: [Self; 11] = [
        Self::Alert,
        Self::Task,
        Self::System,
        Self::Storage,
        Self::Scst,
        Self::Tape,
        Self::Vtl,
        Self::Metrics,
        Self::Breaker,
        Self::Failover,
        Self::Target,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Task => "task",
            Self::System => "system",
            Self::Storage => "storage",
            Self::Scst => "scst",
            Self::Tape => "tape",
            Self::Vtl => "vtl",
            Self::Metrics => "metrics",
            Self::Breaker => "breaker",
            Self::Failover => "failover",
            Self::Target => "target",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// One event. `seq` starts at 1 and is strictly increasing over all types.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Event {
    pub seq: u64,
    #[serde(rename = "type")]
    pub kind: EventType,
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub timestamp: Timestamp,
    pub data: serde_json::Value,
}

/// `#[serde(with = ...)]` for a [`Timestamp`] that people read.
pub mod rfc3339 {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::base::time::Timestamp;

    pub fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&time.rfc3339())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        Timestamp::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not an RFC 3339 time")))
    }

    /// The same for a time that may be missing.
    pub mod option {
        use serde::Serializer;

        use crate::base::time::Timestamp;

        pub fn serialize<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
            match time {
                Some(time) => serializer.serialize_some(&time.rfc3339()),
                None => serializer.serialize_none(),
            }
        }
    }
}
