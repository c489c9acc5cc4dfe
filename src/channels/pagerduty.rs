//! `[[channel.pagerduty]]`: Events API version 2, one event per alert, so that an incident
//! is opened and closed by the alert it is about.

use serde_json::{Value, json};

use super::web::{Draft, Preset, Told, WebChannel, origin};
use super::{Made, Surroundings, credential};
use crate::base::secret::Secret;
use crate::config::channel::Section as _;
use crate::config::channel::pagerduty::Pagerduty;
use crate::model::message::{Message, MessageAlert};
use crate::model::severity::Severity;
use crate::runtime::credential::Credential;

struct Service {
    url: String,
    routing_key: Credential,
}

/// See the module.
pub(super) fn make(section: &Pagerduty, surroundings: &Surroundings) -> Made {
    let url = format!("{}/v2/enqueue", section.url.trim_end_matches('/'));
    let routing_key = credential!(section, routing_key, routing_key_file, routing_key_env, surroundings);
    Made {
        address: origin(&section.url),
        channel: WebChannel::boxed(
            Service { url, routing_key },
            &section.common(),
            section.tls_ca_file.clone(),
            surroundings,
        ),
    }
}

impl Preset for Service {
    fn kind(&self) -> &'static str {
        Pagerduty::KIND
    }

    fn credentials(&self) -> Vec<&Credential> {
        vec![&self.routing_key]
    }

    fn drafts(&self, told: &Told<'_>) -> Result<Vec<Draft>, String> {
        let (message, key) = (&told.message, told.secret(0));
        let event = |document: &Value| Draft::json(self.url.as_str(), document);
        if message.alerts.is_empty() {
            return Ok(vec![event(&bare(message, &key))]);
        }
        Ok(message.alerts.iter().map(|alert| event(&of(alert, told, &key))).collect())
    }
}

/// A test without an alert.
fn bare(message: &Message, key: &Secret) -> Value {
    json!({
        "routing_key": key.expose(),
        "event_action": "trigger",
        "dedup_key": message.id,
        "payload": {"summary": message.title, "source": message.host, "severity": "info"},
    })
}

fn of(alert: &MessageAlert, told: &Told<'_>, key: &Secret) -> Value {
    let message = &told.message;
    if alert.resolved_at.is_some() {
        return json!({"routing_key": key.expose(), "event_action": "resolve", "dedup_key": alert.id});
    }
    // Of several alerts each is an incident of its own, and the title speaks of all.
    let only = message.count == 1;
    let summary = if only { &message.title } else { &alert.title };
    let text = told.body.as_ref().filter(|_| only).unwrap_or(&alert.message);
    let mut document = json!({
        "routing_key": key.expose(),
        "event_action": "trigger",
        "dedup_key": alert.id,
        "client": "holdfast",
        "payload": {
            "summary": summary,
            "source": message.host,
            "severity": word(alert.severity),
            "timestamp": alert.fired_at,
            "class": alert.rule,
            "custom_details": {
                "message": text,
                "severity": alert.severity,
                "value": alert.value,
                "threshold": alert.threshold,
                "labels": alert.labels,
            },
        },
    });
    let links = [("Alert", &alert.link), ("Runbook", &alert.runbook)];
    let links = links.iter().filter_map(|(text, link)| Some(json!({"href": link.as_ref()?, "text": text})));
    document["links"] = links.collect();
    document
}

/// PagerDuty's four words.
const fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Low | Severity::Medium => "warning",
        Severity::High => "error",
        Severity::Critical | Severity::Emergency => "critical",
    }
}
