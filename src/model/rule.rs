//! A rule: an expression, and how its answer is judged.
//!
//! Two forms, one life cycle. The Prometheus form says "what the expression answers is
//! wrong"; the level form says how bad which value is. This is the rule as its owner
//! means it, whatever file, import or request it came from; the expression is text here
//! and is read by those who evaluate it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::severity::Severity;

/// How a value is compared with a level.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub enum Compare {
    #[serde(rename = ">")]
    Above,
    #[default]
    #[serde(rename = ">=")]
    AtLeast,
    #[serde(rename = "<")]
    Below,
    #[serde(rename = "<=")]
    AtMost,
    #[serde(rename = "==")]
    Equal,
    #[serde(rename = "!=")]
    NotEqual,
}

impl Compare {
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Above => ">",
            Self::AtLeast => ">=",
            Self::Below => "<",
            Self::AtMost => "<=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
        }
    }

    /// Whether `value` is beyond `limit`; never so for `NaN`.
    pub fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Self::Above => value > limit,
            Self::AtLeast => value >= limit,
            Self::Below => value < limit,
            Self::AtMost => value <= limit,
            Self::Equal => value == limit,
            Self::NotEqual => !value.is_nan() && value != limit,
        }
    }

    /// Whether larger values are worse.
    pub const fn upwards(self) -> bool {
        matches!(self, Self::Above | Self::AtLeast)
    }
}

/// When a level counts as left again.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub enum Clear {
    /// As soon as the comparison fails.
    #[default]
    AtLevel,
    /// When the value is this far on the good side of the level.
    Margin(f64),
    /// When the value is on the good side of this, for each level.
    At(BTreeMap<Severity, f64>),
}

/// What missing data means to the level form.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Absent {
    /// Stay as it is for the grace, then the state is `nodata`.
    #[default]
    Keep,
    /// As if the value were fine.
    Ok,
    /// After the grace an alert at the rule's lowest level, or the one it had.
    Alert,
    /// After the grace the state is `error`.
    Error,
}

/// When an alert that comes and goes is called flapping.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Flap {
    /// So many changes between firing and not firing ...
    pub changes: u32,
    /// ... within this time ...
    pub window: Duration,
    /// ... mean flapping, until it was steady for so long.
    pub hold: Duration,
}

/// The level form.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Levels {
    pub op: Compare,
    /// Not empty; a worse severity has a worse limit.
    pub limits: BTreeMap<Severity, f64>,
    pub clear: Clear,
    /// How long a value must be clear before the alert resolves.
    pub clear_for: Duration,
    pub absent: Absent,
    pub absent_grace: Duration,
}

/// How the answer of the expression becomes alerts.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Judgement {
    /// Every sample of the answer is an alert.
    Prometheus {
        severity: Severity,
        keep_firing_for: Duration,
    },
    Levels(Levels),
}

impl Default for Judgement {
    fn default() -> Self {
        Self::Prometheus { severity: Severity::default(), keep_firing_for: Duration::ZERO }
    }
}

/// Who mutes this rule's notifications.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Parent {
    /// Name of the other rule.
    pub rule: String,
    /// Labels that must be equal in both; empty: all that both have, and at least one.
    pub on: Vec<String>,
}

/// A further step for an alert that nobody acknowledged.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Escalation {
    pub after: Duration,
    /// Channels that are told as well; empty: all.
    pub channels: Vec<String>,
}

/// Where a rule comes from, and so who may change it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Comes with the program; its fields may be overridden.
    Shipped,
    /// From the file or the API.
    #[default]
    Configured,
}

/// See the module. Text fields with "template" may name labels and the value.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Rule {
    /// Unique.
    pub name: String,
    /// The label `alertname`; several rules may share it.
    pub alert: String,
    pub origin: Origin,
    pub expr: String,
    pub judgement: Judgement,
    /// How long the condition must hold before the alert fires.
    pub hold: Duration,
    /// Between two evaluations; `None`: as often as the expression's window makes sense of.
    pub every: Option<Duration>,
    /// The least share, 0..=1, of the expected samples that the window must hold.
    pub min_samples: Option<f64>,
    pub flap: Option<Flap>,
    /// An acknowledged alert notifies again when its value worsened by this share.
    pub ack_rearm: Option<f64>,
    /// A manual resolve of a condition that stays true holds so long at most.
    pub re_raise_after: Option<Duration>,
    pub depends_on: Vec<Parent>,
    /// Notifications wait so long for a parent to explain the alert.
    pub settle: Duration,
    pub repeat: Option<Duration>,
    pub escalate: Vec<Escalation>,
    /// Channels instead of those of the routes.
    pub notify: Vec<String>,
    /// Labels that the rule adds; templates.
    pub labels: BTreeMap<String, String>,
    /// Further texts; templates.
    pub annotations: BTreeMap<String, String>,
    /// Template.
    pub title: String,
    /// Template.
    pub message: String,
    pub runbook: Option<String>,
    /// Templates over the labels, for filters.
    pub source: String,
    pub resource_type: Option<String>,
    pub resource_id: Option<String>,
    pub enabled: bool,
}

impl Rule {
    /// The lowest severity it can have.
    pub fn severity(&self) -> Severity {
        match &self.judgement {
            Judgement::Prometheus { severity, .. } => *severity,
            Judgement::Levels(levels) => levels.limits.keys().next().copied().unwrap_or_default(),
        }
    }

    /// Every text of it that is a template.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let own = [&self.title, &self.message, &self.source].into_iter();
        let perhaps = [&self.runbook, &self.resource_type, &self.resource_id].into_iter().flatten();
        own.chain(perhaps).chain(self.labels.values()).chain(self.annotations.values()).map(String::as_str)
    }
}

/// A rule as it is for some instances.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Variant {
    /// Instances with all of these labels.
    pub labels: BTreeMap<String, String>,
    /// `None`: they are no alerts.
    pub rule: Option<Rule>,
}

/// A rule with what is different for some of its instances; the first that matches counts.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RuleOf {
    pub rule: Rule,
    pub variants: Vec<Variant>,
}

impl RuleOf {
    /// Place of the first variant for the labels whose values `value` tells.
    pub fn variant<'a>(&self, value: impl Fn(&str) -> &'a str) -> Option<usize> {
        let matches = |variant: &Variant| variant.labels.iter().all(|(name, wanted)| value(name) == wanted);
        self.variants.iter().position(matches)
    }
}
