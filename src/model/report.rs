//! What applications report of themselves: operations, failures, figures.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::base::time::Timestamp;

/// A time that a caller gave: RFC 3339, or since the epoch in ms (in s below 12 digits).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct When(pub Timestamp);

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(serde_json::Number),
            Text(String),
        }
        let text = match Written::deserialize(deserializer) {
            Ok(Written::Number(number)) => number.to_string(),
            Ok(Written::Text(text)) => text,
            Err(_) => return Err(serde::de::Error::custom(EXPECTED)),
        };
        Timestamp::parse(&text).map(Self).ok_or_else(|| serde::de::Error::custom(EXPECTED))
    }
}

const EXPECTED: &str = "expected an RFC 3339 time or milliseconds since the epoch";

/// One operation that an application did.
#[derive(Clone, PartialEq, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OperationReport {
    /// The application, or the part of it.
    pub source: String,
    pub operation: String,
    pub duration_ms: f64,
    pub success: bool,
    /// What went wrong, for a person.
    #[serde(default)]
    pub error: Option<String>,
}

/// Something that went wrong in an application.
#[derive(Clone, PartialEq, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FailureReport {
    /// The application, or the part of it.
    pub source: String,
    /// A word for what failed, e.g. `connection_timeout`.
    pub kind: String,
    #[serde(default)]
    pub message: String,
    /// Now unless said.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<When>,
}

/// A failure as it is kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
pub struct FailureEvent {
    /// Counts up with every failure.
    pub number: u64,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    pub source: String,
    pub kind: String,
    pub message: String,
}

/// What kind of figure is reported.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum FigureKind {
    /// `value` is added.
    Counter,
    /// `value` is what it is now.
    Gauge,
    /// `value` is one observation.
    Histogram,
    /// `value` is one duration, in seconds unless `unit` says otherwise.
    Timer,
}

impl FigureKind {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Timer => "timer",
        }
    }
}

/// One figure of an application.
#[derive(Clone, PartialEq, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FigureReport {
    /// Of the series; for histograms and timers what stands before `_bucket`, `_sum`, `_count`.
    pub name: String,
    #[serde(rename = "type")]
    pub kind: FigureKind,
    pub value: f64,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Now unless said; not older than five minutes.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub timestamp: Option<When>,
    /// Of a timer `s`, `ms`, `us` or `ns`; of the others any word, which is told in the help.
    #[serde(default)]
    pub unit: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_each_form_and_others_say_what_was_expected() {
        let time = Timestamp(1_795_166_565_250);
        for text in ["\"2026-11-20T09:22:45.250Z\"", "1795166565250", "1795166565.25", "\"1795166565250\""] {
            assert_eq!(serde_json::from_str::<When>(text).unwrap(), When(time), "{text}");
        }
        for bad in ["true", "\"soon\"", "[]", "null"] {
            let error = serde_json::from_str::<When>(bad).unwrap_err().to_string();
            assert!(error.contains("RFC 3339"), "{error}");
        }
    }
}
