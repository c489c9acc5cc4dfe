//! The JSON of Alertmanager's API.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::base::time::Timestamp;
use crate::logic::silence::{self, Phase};
use crate::model::selector::{MatchOp, Matcher};
use crate::model::silence::Silence;

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AlertmanagerReceiver)]
pub struct Receiver {
    pub name: String,
}

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AlertmanagerAlertStatus)]
pub struct AlertStatus {
    /// `active` or `suppressed`.
    pub state: &'static str,
    /// Ids of silences.
    pub silenced_by: Vec<String>,
    /// Fingerprints of the alerts that explain it.
    pub inhibited_by: Vec<String>,
    /// Always empty: quiet hours let alerts wait, they do not mute them.
    pub muted_by: Vec<String>,
}

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AlertmanagerAlert)]
pub struct Alert {
    pub annotations: BTreeMap<String, String>,
    pub ends_at: String,
    pub fingerprint: String,
    pub receivers: Vec<Receiver>,
    pub starts_at: String,
    pub status: AlertStatus,
    pub updated_at: String,
    #[serde(rename = "generatorURL")]
    pub generator_url: String,
    pub labels: BTreeMap<String, String>,
}

/// Alerts of one name that one receiver is told of.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AlertmanagerGroup)]
pub struct Group {
    pub alerts: Vec<Alert>,
    pub labels: BTreeMap<String, String>,
    pub receiver: Receiver,
}

/// An alert as Prometheus sends it. What is not known is passed over.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AlertmanagerPostableAlert)]
pub struct PostableAlert {
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// RFC 3339; now by default.
    #[serde(default)]
    pub starts_at: Option<Time>,
    /// RFC 3339; five minutes from now by default. In the past: it is over.
    #[serde(default)]
    pub ends_at: Option<Time>,
    #[serde(rename = "generatorURL", default)]
    pub generator_url: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AlertmanagerMatcher)]
pub struct MatcherItem {
    pub name: String,
    pub value: String,
    pub is_regex: bool,
    #[serde(default = "truth")]
    #[schema(required = false)]
    pub is_equal: bool,
}

const fn truth() -> bool {
    true
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AlertmanagerPostableSilence)]
pub struct PostableSilence {
    /// Of one that is to be changed.
    #[serde(default)]
    pub id: Option<String>,
    pub matchers: Vec<MatcherItem>,
    pub starts_at: Time,
    pub ends_at: Time,
    pub created_by: String,
    pub comment: String,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AlertmanagerSilenceStatus)]
pub struct SilenceStatus {
    pub state: Phase,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AlertmanagerSilence)]
pub struct SilenceItem {
    pub id: String,
    pub status: SilenceStatus,
    pub updated_at: String,
    pub comment: String,
    pub created_by: String,
    pub ends_at: String,
    pub matchers: Vec<MatcherItem>,
    pub starts_at: String,
}

/// A time in RFC 3339. Go's zero time, which clients send for "not given", is none.
#[derive(Clone, Copy, Debug, utoipa::ToSchema)]
#[schema(as = AlertmanagerTime, value_type = String, format = DateTime)]
pub struct Time(pub Option<Timestamp>);

/// 0001-01-01T00:00:00Z in ms.
const GO_ZERO: i64 = -62_135_596_800_000;

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bad = || serde::de::Error::custom(format!("`{text}` is not a time in RFC 3339"));
        // Only RFC 3339 has dashes behind its year.
        let read = Timestamp::parse(&text).filter(|_| text.contains('T')).ok_or_else(bad)?;
        Ok(Self(Some(read).filter(|at| at.millis() != GO_ZERO)))
    }
}

impl MatcherItem {
    pub fn of(matcher: &Matcher) -> Self {
        Self {
            name: matcher.label.clone(),
            value: matcher.value.clone(),
            is_regex: matches!(matcher.op, MatchOp::Regex | MatchOp::NotRegex),
            is_equal: matches!(matcher.op, MatchOp::Equal | MatchOp::Regex),
        }
    }

    pub fn matcher(self) -> Matcher {
        let op = match (self.is_regex, self.is_equal) {
            (false, true) => MatchOp::Equal,
            (false, false) => MatchOp::NotEqual,
            (true, true) => MatchOp::Regex,
            (true, false) => MatchOp::NotRegex,
        };
        Matcher { label: self.name, op, value: self.value }
    }
}

impl SilenceItem {
    pub fn of(silence: &Silence, now: Timestamp) -> Self {
        Self {
            id: silence.id.clone(),
            status: SilenceStatus { state: silence::phase(silence, now) },
            updated_at: silence.updated_at.rfc3339(),
            comment: silence.comment.clone(),
            created_by: silence.created_by.clone(),
            ends_at: silence.ends_at.rfc3339(),
            matchers: silence.matchers.iter().map(MatcherItem::of).collect(),
            starts_at: silence.starts_at.rfc3339(),
        }
    }
}

/// The fingerprint of a label set: FNV-1a of 64 bits over names and values in order, each
/// followed by a byte that UTF-8 does not have (`model.LabelSet` of Prometheus' libraries).
pub fn fingerprint(labels: &BTreeMap<String, String>) -> String {
    let texts = labels.iter().flat_map(|(name, value)| [name, value]);
    let bytes = texts.flat_map(|text| text.bytes().chain([0xff]));
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_those_of_alertmanager() {
        let labels = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        assert_eq!(fingerprint(&labels(&[("alertname", "X")])), "d2aeefc389ca7746");
        assert_eq!(fingerprint(&labels(&[("alertname", "X"), ("i", "1")])), "b915815a9d04c3be");
    }

    #[test]
    fn times_are_rfc3339_and_zero_is_none() {
        let read = |text: &str| serde_json::from_value::<Time>(text.into()).map(|time| time.0);
        assert_eq!(read("1970-01-01T00:00:01+00:00").unwrap(), Some(Timestamp(1000)));
        assert_eq!(read("0001-01-01T00:00:00.000Z").unwrap(), None);
        for bad in ["", "1", "1970-01-01", "now"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
