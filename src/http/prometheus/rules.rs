//! `rules` and `alerts`, as Grafana's list of rules reads them.
//!
//! Rules have no groups here; there is one for each origin. A rule of the level form is
//! shown by the expression whose answers are its alerts: that of its mildest level. What is
//! switched off is left out, because Prometheus has no such rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::Success;
use super::form::{Given, bad_parameter};
use super::write::with_exponent;
use crate::base::time::Timestamp;
use crate::config::rule::Recording;
use crate::engine::alerting::{RuleHealth, RuleView, Shown};
use crate::http::auth::{Access, MonitoringRead};
use crate::http::error::Problem;
use crate::http::registry::{Registry, routes};
use crate::http::state::AppState;
use crate::model::alert::{Alert, AlertState};
use crate::model::rule::{Judgement, Origin, Rule};

/// The file that Prometheus would have a group from.
const FILE: &str = "holdfast";
/// When nothing was evaluated yet, as Prometheus writes it.
const NEVER: &str = "0001-01-01T00:00:00Z";

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(rules)).routes(routes!(alerts))
}

/// One alert of a rule, or one that somebody posted.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PrometheusAlert)]
struct AlertItem {
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    /// `pending` or `firing`.
    state: &'static str,
    active_at: String,
    /// Since when it is clear and yet kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_firing_since: Option<String>,
    value: String,
}

/// An alerting or a recording rule; what the other kind has is left out.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PrometheusRule)]
struct RuleItem {
    /// `inactive`, `pending` or `firing`.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    name: String,
    query: String,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<f64>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_firing_for: Option<f64>,
    labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alerts: Option<Vec<AlertItem>>,
    /// `ok`, `err` or `unknown`.
    health: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    /// Seconds.
    evaluation_time: f64,
    last_evaluation: String,
    /// `alerting` or `recording`.
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PrometheusRuleGroup)]
struct Group {
    /// `configured`, `recording` or `shipped`.
    name: &'static str,
    file: &'static str,
    rules: Vec<RuleItem>,
    /// Seconds between two evaluations of the rule that is evaluated most often.
    interval: f64,
    limit: u64,
    /// Seconds.
    evaluation_time: f64,
    last_evaluation: String,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = PrometheusRules)]
struct Groups {
    groups: Vec<Group>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = PrometheusAlerts)]
struct Alerts {
    alerts: Vec<AlertItem>,
}

/// Every rule that is evaluated, with its alerts.
#[utoipa::path(
    get, path = "/prometheus/api/v1/rules", tag = "prometheus",
    params(
        ("type" = Option<String>, Query, description = "`alert` or `record`."),
        ("rule_name[]" = Option<Vec<String>>, Query, description = "Names; any of them."),
        ("rule_group[]" = Option<Vec<String>>, Query, description = "Groups; any of them."),
        ("file[]" = Option<Vec<String>>, Query, description = "Files; all are `holdfast`."),
        ("exclude_alerts" = Option<bool>, Query, description = "`true` leaves the alerts out.")
    ),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = Success<Groups>))
)]
async fn rules(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    form: Given,
) -> Result<Json<Success<Groups>>, Problem> {
    let wanted = Wanted::of(&form)?;
    let alerting = app.alerting()?;
    let views = alerting.rules().await;
    let shown = alerting.alerts();
    let health = alerting.recorders();
    let mut of_rule: BTreeMap<&str, Vec<&Shown>> = BTreeMap::new();
    for one in shown.iter().filter(|one| !one.alert.is_event()) {
        of_rule.entry(&one.alert.rule).or_default().push(one);
    }
    let alerting_of = |name: &'static str, origin: Origin| {
        let own = views.iter().filter(|view| view.of.rule.enabled && view.of.rule.origin == origin);
        let own = own.filter(|view| wanted.alerting && wanted.rule(&view.of.rule.alert));
        let timed = own.map(|view| {
            let alerts = of_rule.get(view.of.rule.name.as_str()).map_or(&[][..], Vec::as_slice);
            (alerting_rule(view, alerts, wanted.alerts), view.every.as_secs_f64(), view.health.last_at)
        });
        group(name, timed)
    };
    let recordings = alerting.recordings();
    let own = recordings.iter().filter(|one| wanted.recording && wanted.rule(&one.record));
    let timed = own.map(|one| {
        let health = health.get(&one.name).cloned().unwrap_or_default();
        (recording_rule(one, &health), one.every.map_or(1.0, |every| every.as_secs_f64()), health.last_at)
    });
    let all = [
        alerting_of("configured", Origin::Configured),
        group("recording", timed),
        alerting_of("shipped", Origin::Shipped),
    ];
    let groups = all.into_iter().filter(|group| !group.rules.is_empty() && wanted.group(group.name));
    Ok(Json(Success::of(Groups { groups: groups.collect() })))
}

/// Everything that is pending or firing, what others posted included.
#[utoipa::path(
    get, path = "/prometheus/api/v1/alerts", tag = "prometheus",
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = Success<Alerts>))
)]
async fn alerts(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
) -> Result<Json<Success<Alerts>>, Problem> {
    let shown = app.alerting()?.alerts();
    let alerts = shown.iter().filter_map(|one| alert_of(&one.alert)).collect();
    Ok(Json(Success::of(Alerts { alerts })))
}

/// What the parameters of `rules` ask for.
struct Wanted<'a> {
    alerting: bool,
    recording: bool,
    alerts: bool,
    names: Vec<&'a str>,
    groups: Vec<&'a str>,
    file: bool,
}

impl<'a> Wanted<'a> {
    fn of(form: &'a Given) -> Result<Self, Problem> {
        let (alerting, recording) = match form.text("type") {
            "" => (true, true),
            "alert" => (true, false),
            "record" => (false, true),
            other => return Err(bad_parameter("type", format!("not supported value {other:?}"))),
        };
        let files: Vec<&str> = form.all("file[]").collect();
        Ok(Self {
            alerting,
            recording,
            alerts: form.text("exclude_alerts") != "true",
            names: form.all("rule_name[]").collect(),
            groups: form.all("rule_group[]").collect(),
            file: files.is_empty() || files.contains(&FILE),
        })
    }

    fn rule(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.contains(&name)
    }

    fn group(&self, name: &str) -> bool {
        self.file && (self.groups.is_empty() || self.groups.contains(&name))
    }
}

/// A group from its rules, each with its interval in seconds and its last evaluation.
fn group(name: &'static str, timed: impl Iterator<Item = (RuleItem, f64, Option<Timestamp>)>) -> Group {
    let (mut rules, mut interval, mut last, mut took) = (Vec::new(), f64::INFINITY, None, 0.0);
    for (rule, every, at) in timed {
        interval = interval.min(every);
        last = last.max(at);
        took += rule.evaluation_time;
        rules.push(rule);
    }
    let interval = if interval.is_finite() { interval } else { 0.0 };
    let last_evaluation = shown_time(last);
    Group { name, file: FILE, rules, interval, limit: 0, evaluation_time: took, last_evaluation }
}

fn shown_time(at: Option<Timestamp>) -> String {
    at.map_or_else(|| NEVER.to_owned(), Timestamp::rfc3339)
}

const fn health_of(health: &RuleHealth) -> &'static str {
    match (health.last_at, &health.error) {
        (None, _) => "unknown",
        (Some(_), None) => "ok",
        (Some(_), Some(_)) => "err",
    }
}

fn alerting_rule(view: &RuleView, alerts: &[&Shown], with_alerts: bool) -> RuleItem {
    let (rule, health) = (&view.of.rule, &view.health);
    let items: Vec<AlertItem> = alerts.iter().filter_map(|one| alert_of(&one.alert)).collect();
    let state = match &items {
        items if items.iter().any(|item| item.state == "firing") => "firing",
        items if items.is_empty() => "inactive",
        _ => "pending",
    };
    let keep = match &rule.judgement {
        Judgement::Prometheus { keep_firing_for, .. } => *keep_firing_for,
        Judgement::Levels(levels) => levels.clear_for,
    };
    let mut labels = rule.labels.clone();
    labels.entry(String::from("severity")).or_insert_with(|| rule.severity().word().to_owned());
    RuleItem {
        state: Some(state),
        name: rule.alert.clone(),
        query: query_of(rule),
        duration: Some(rule.hold.as_secs_f64()),
        keep_firing_for: Some(keep.as_secs_f64()),
        labels,
        annotations: Some(annotations_of(rule)),
        alerts: Some(if with_alerts { items } else { Vec::new() }),
        health: health_of(health),
        last_error: health.error.clone(),
        evaluation_time: health.took.as_secs_f64(),
        last_evaluation: shown_time(health.last_at),
        kind: "alerting",
    }
}

fn recording_rule(recording: &Recording, health: &RuleHealth) -> RuleItem {
    RuleItem {
        state: None,
        name: recording.record.clone(),
        query: recording.expr.clone(),
        duration: None,
        keep_firing_for: None,
        labels: recording.labels.clone(),
        annotations: None,
        alerts: None,
        health: health_of(health),
        last_error: health.error.clone(),
        evaluation_time: health.took.as_secs_f64(),
        last_evaluation: shown_time(health.last_at),
        kind: "recording",
    }
}

/// The expression whose answers are the rule's alerts.
fn query_of(rule: &Rule) -> String {
    match &rule.judgement {
        Judgement::Prometheus { .. } => rule.expr.clone(),
        Judgement::Levels(levels) => match levels.limits.values().next() {
            Some(mildest) => format!("({}) {} {mildest}", rule.expr, levels.op.sign()),
            None => rule.expr.clone(),
        },
    }
}

/// The rule's texts under the names that everybody uses for them.
fn annotations_of(rule: &Rule) -> BTreeMap<String, String> {
    let mut annotations = rule.annotations.clone();
    let runbook = rule.runbook.as_deref().unwrap_or_default();
    let texts = [("summary", rule.title.as_str()), ("description", &rule.message), ("runbook_url", runbook)];
    for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        annotations.entry(name.to_owned()).or_insert_with(|| text.to_owned());
    }
    annotations
}

/// `None` for one that is over.
fn alert_of(alert: &Arc<Alert>) -> Option<AlertItem> {
    let state = match alert.state {
        AlertState::Pending => "pending",
        state if state.is_active() => "firing",
        _ => return None,
    };
    let recovering = alert.state == AlertState::Recovering;
    let mut annotations = alert.annotations.clone();
    for (name, text) in [("summary", &alert.title), ("description", &alert.message)] {
        if !text.is_empty() {
            annotations.entry(name.to_owned()).or_insert_with(|| text.clone());
        }
    }
    Some(AlertItem {
        labels: alert.labels.clone(),
        annotations,
        state,
        active_at: alert.started_at.rfc3339(),
        keep_firing_since: recovering.then(|| alert.since.rfc3339()),
        value: with_exponent(alert.value.unwrap_or(f64::NAN)),
    })
}
