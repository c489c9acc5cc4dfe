//! An alert as the appliance family, the page and the event stream show it.
//!
//! One shape for all three, so that an event can replace a line of a list. Other families
//! cut theirs from it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::alert::{Alert, AlertState, Step};
use super::event::rfc3339;
use super::severity::Severity;
use crate::base::time::Timestamp;

/// What mutes an alert's notifications.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MutedBy {
    /// Ids of silences.
    pub silences: Vec<String>,
    /// Ids of alerts that explain it.
    pub alerts: Vec<String>,
    pub maintenance: bool,
    /// Until then it waits for an alert that may explain it.
    pub waits_until: Option<Timestamp>,
}

/// One alert. What does not apply is null.
#[derive(Clone, PartialEq, Debug, Serialize, utoipa::ToSchema)]
pub struct AlertView {
    pub id: String,
    /// Name of the rule, or of the kind of event.
    pub rule: String,
    /// `info`, `warning` or `critical`.
    pub severity: &'static str,
    #[schema(value_type = Severity)]
    pub severity_level: Severity,
    pub source: String,
    /// The alert's name, where rules share one.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub message: String,
    pub resource_type: Option<String>,
    pub resource_id: Option<String>,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub value: Option<f64>,
    pub threshold: Option<f64>,
    pub state: AlertState,
    pub acknowledged: bool,
    pub acknowledged_by: Option<String>,
    #[serde(with = "rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub acknowledged_at: Option<Timestamp>,
    #[serde(with = "rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub acknowledged_until: Option<Timestamp>,
    pub acknowledged_comment: Option<String>,
    #[serde(with = "rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub fired_at: Option<Timestamp>,
    #[serde(with = "rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub resolved_at: Option<Timestamp>,
    pub resolved_by: Option<String>,
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[serde(with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// When an event ends by itself.
    #[serde(with = "rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    pub flapping: bool,
    /// Ids of the silences that match.
    pub silenced_by: Vec<String>,
    /// Ids of the alerts that explain it: while they are known nobody is told of this one.
    pub inhibited_by: Vec<String>,
    /// A silence of planned work matches.
    pub maintenance: bool,
    /// Until then it waits for an alert that may explain it.
    #[serde(with = "rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub waits_until: Option<Timestamp>,
    /// Why the rule could not be judged.
    pub error: Option<String>,
}

impl AlertView {
    pub fn of(alert: &Alert, muted: MutedBy) -> Self {
        let ack = alert.acknowledged.as_ref();
        // JSON has no infinities.
        let finite = |value: Option<f64>| value.filter(|value| value.is_finite());
        Self {
            id: alert.id.clone(),
            rule: alert.rule.clone(),
            severity: alert.severity.appliance_word(),
            severity_level: alert.severity,
            source: alert.source.clone(),
            kind: alert.labels.get("alertname").unwrap_or(&alert.rule).clone(),
            title: alert.title.clone(),
            message: alert.message.clone(),
            resource_type: alert.resource_type.clone(),
            resource_id: alert.resource_id.clone(),
            labels: alert.labels.clone(),
            annotations: alert.annotations.clone(),
            value: finite(alert.value),
            threshold: finite(alert.threshold),
            state: alert.state,
            acknowledged: ack.is_some(),
            acknowledged_by: ack.map(|ack| ack.by.clone()),
            acknowledged_at: ack.map(|ack| ack.at),
            acknowledged_until: ack.and_then(|ack| ack.until),
            acknowledged_comment: ack.map(|ack| ack.comment.clone()).filter(|text| !text.is_empty()),
            fired_at: alert.fired_at,
            resolved_at: alert.resolved_at,
            resolved_by: alert.manual.as_ref().map(|manual| manual.by.clone()),
            created_at: alert.started_at,
            updated_at: alert.updated_at,
            expires_at: alert.expires_at,
            flapping: alert.flapping,
            silenced_by: muted.silences,
            inhibited_by: muted.alerts,
            maintenance: muted.maintenance,
            waits_until: muted.waits_until,
            error: alert.error.clone(),
        }
    }
}

/// An alert with its history.
#[derive(Clone, PartialEq, Debug, Serialize, utoipa::ToSchema)]
pub struct AlertDetail {
    #[serde(flatten)]
    pub alert: AlertView,
    pub timeline: Vec<Step>,
}
