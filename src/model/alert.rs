//! An alert: one episode of one rule for one label set, from pending to resolved.
//!
//! ```text
//! inactive -> pending -> firing(level) -> recovering -> resolved (kept 7 d)
//! any -> nodata | error
//! ```
//! State says what the condition does; flags say who is told. A flag never changes the
//! state. An event (a switchover, an alert that another system posted) is an alert too:
//! it fires until it expires or its sender ends it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::event::rfc3339;
use super::severity::Severity;
use crate::base::time::Timestamp;

/// What the condition does.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Debug,
    Default,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    #[default]
    Inactive,
    /// True, but not for long enough.
    Pending,
    Firing,
    /// Was firing, is clear, but not for long enough.
    Recovering,
    Resolved,
    /// There is no data to judge by.
    Nodata,
    /// The expression cannot be evaluated.
    Error,
}

impl AlertState {
    pub const ALL: [Self; 7] = [
        Self::Inactive,
        Self::Pending,
        Self::Firing,
        Self::Recovering,
        Self::Resolved,
        Self::Nodata,
        Self::Error,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Recovering => "recovering",
            Self::Resolved => "resolved",
            Self::Nodata => "nodata",
            Self::Error => "error",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    /// What lists of active alerts show: neither over nor only pending.
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Firing | Self::Recovering | Self::Nodata | Self::Error)
    }
}

/// Somebody has seen it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Acknowledgement {
    pub by: String,
    pub at: Timestamp,
    pub comment: String,
    /// It ends then by itself.
    pub until: Option<Timestamp>,
    /// What it was when it was acknowledged: worse by the rule's share re-arms it.
    pub value: Option<f64>,
    pub severity: Severity,
}

/// Somebody said it is over.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ManualResolve {
    pub by: String,
    pub at: Timestamp,
    pub notes: String,
    /// The condition was true then and was not false since: nothing fires again until it
    /// was, or until the rule's `re_raise_after` is over.
    pub holds: bool,
}

/// What happened to an alert.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Happening {
    Pending,
    Fired,
    /// The level rose.
    Worsened,
    /// The level fell, and it still fires.
    Eased,
    Recovering,
    /// It fired again before it was resolved.
    Relapsed,
    Resolved,
    ResolvedByHand,
    /// An event's time is over.
    Expired,
    Nodata,
    Error,
    Acknowledged,
    /// An acknowledgement ended: revoked, its time over, or the value worsened.
    Rearmed,
    FlappingStarted,
    FlappingEnded,
    /// The rule went away, or its expression changed.
    RuleChanged,
}

impl Happening {
    /// Stored by its place in here: new ones go to the end.
    pub const ALL: [Self; 16] = [
        Self::Pending,
        Self::Fired,
        Self::Worsened,
        Self::Eased,
        Self::Recovering,
        Self::Relapsed,
        Self::Resolved,
        Self::ResolvedByHand,
        Self::Expired,
        Self::Nodata,
        Self::Error,
        Self::Acknowledged,
        Self::Rearmed,
        Self::FlappingStarted,
        Self::FlappingEnded,
        Self::RuleChanged,
    ];
}

/// One line of an alert's history.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Step {
    /// Counts from 1 within the alert: with the channel it names a notification.
    pub number: u32,
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    pub what: Happening,
    pub severity: Severity,
    pub value: Option<f64>,
    /// Who, where a person did it; why, where there is more to say.
    pub by: Option<String>,
    pub note: Option<String>,
}

/// Lines that are kept of one alert: the first and the newest.
pub const MOST_STEPS: usize = 64;

/// See the module.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Alert {
    /// Unique over all time; sorts by the time of its start.
    pub id: String,
    /// Which label set of the rule, or which event, it is about: the same in every episode.
    pub key: String,
    /// Name of the rule, or of the kind of event.
    pub rule: String,
    /// The expression that it is the answer of; empty for events.
    pub expr: String,
    /// The whole label set, `alertname` and `severity` included, as Prometheus has it.
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// `system`, `storage`, a target, an application: what filters go by.
    pub source: String,
    pub resource_type: Option<String>,
    pub resource_id: Option<String>,
    pub title: String,
    pub message: String,
    pub state: AlertState,
    /// The level now, or the last one.
    pub severity: Severity,
    /// The worst level of this episode.
    pub peak: Severity,
    /// The last one known; left out where there never was one, as for events.
    pub value: Option<f64>,
    /// The limit that the value is beyond.
    pub threshold: Option<f64>,
    /// Start of the present state.
    pub since: Timestamp,
    /// Milliseconds of wall time since `since` that its durations do not count: the process
    /// was down, or the clock was set.
    pub uncounted_ms: i64,
    /// When the condition became true.
    pub started_at: Timestamp,
    pub fired_at: Option<Timestamp>,
    pub resolved_at: Option<Timestamp>,
    pub updated_at: Timestamp,
    pub acknowledged: Option<Acknowledgement>,
    pub manual: Option<ManualResolve>,
    /// It comes and goes too often to be told each time.
    pub flapping: bool,
    /// An event: when it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// Why the expression could not be evaluated.
    pub error: Option<String>,
    /// Number of the newest step.
    pub last_step: u32,
    /// At most [`MOST_STEPS`].
    pub steps: Vec<Step>,
}

impl Alert {
    /// An event rather than the answer of a rule.
    pub const fn is_event(&self) -> bool {
        self.expires_at.is_some()
    }

    /// Adds a line; of too many the oldest but the first few go.
    pub fn note(&mut self, at: Timestamp, what: Happening, by: Option<String>, note: Option<String>) -> u32 {
        self.last_step = self.last_step.saturating_add(1);
        if self.steps.len() >= MOST_STEPS {
            self.steps.remove(MOST_STEPS / 8);
        }
        let (severity, value) = (self.severity, self.value);
        self.steps.push(Step { number: self.last_step, at, what, severity, value, by, note });
        self.updated_at = at;
        self.last_step
    }
}
