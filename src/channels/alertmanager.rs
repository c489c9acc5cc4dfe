//! `[[channel.alertmanager]]`: another Alertmanager, by its API version 2.
//!
//! It forgets an alert that nobody repeats, so a firing one carries an end that lies ahead
//! (`hold`), and one that is over carries the real one.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::web::{Draft, Preset, Told, WebChannel, origin};
use super::{Made, Surroundings, credential};
use crate::base::time::Timestamp;
use crate::config::channel::Section as _;
use crate::config::channel::alertmanager::Alertmanager;
use crate::model::message::{Message, MessageAlert};
use crate::runtime::credential::Credential;

struct Peer {
    section: Alertmanager,
    token: Credential,
}

/// See the module.
pub(super) fn make(section: &Alertmanager, surroundings: &Surroundings) -> Made {
    let token = credential!(section, token, token_file, token_env, surroundings);
    let peer = Peer { section: section.clone(), token };
    Made {
        address: origin(&section.url),
        channel: WebChannel::boxed(peer, &section.common(), section.tls_ca_file.clone(), surroundings),
    }
}

impl Preset for Peer {
    fn kind(&self) -> &'static str {
        Alertmanager::KIND
    }

    fn credentials(&self) -> Vec<&Credential> {
        vec![&self.token]
    }

    fn drafts(&self, told: &Told<'_>) -> Result<Vec<Draft>, String> {
        let message = &told.message;
        let ahead = told.now.plus(self.section.hold.0);
        let alerts: Vec<Value> = match message.alerts.as_slice() {
            [] => vec![bare(message, told.now)],
            alerts => alerts.iter().map(|alert| of(alert, told, ahead)).collect(),
        };
        let url = format!("{}/api/v2/alerts", self.section.url.trim_end_matches('/'));
        Ok(vec![Draft::json(url, &alerts).bearer(&told.secret(0))])
    }
}

/// A test without an alert: it is over in a minute.
fn bare(message: &Message, now: Timestamp) -> Value {
    json!({
        "labels": {"alertname": "holdfast_test", "severity": "info", "host": message.host},
        "annotations": {"summary": message.title, "description": message.text},
        "startsAt": now.rfc3339(),
        "endsAt": now.plus(std::time::Duration::from_secs(60)).rfc3339(),
    })
}

fn of(alert: &MessageAlert, told: &Told<'_>, ahead: Timestamp) -> Value {
    let named = |name: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        name.bytes().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit()) && !name.is_empty()
    };
    let usable = |texts: &BTreeMap<String, String>| -> BTreeMap<String, String> {
        texts.iter().filter(|(name, text)| named(name) && !text.is_empty()).map(cloned).collect()
    };
    let mut labels = usable(&alert.labels);
    for (name, text) in [("alertname", alert.rule.as_str()), ("host", &told.message.host)] {
        labels.entry(name.to_owned()).or_insert_with(|| text.to_owned());
    }
    labels.insert(String::from("severity"), alert.severity.word().to_owned());
    labels.retain(|_, text| !text.is_empty());
    let mut annotations = usable(&alert.annotations);
    // Templates speak of the message as a whole: with several alerts, of none of them.
    let own = |text: &Option<String>| text.clone().filter(|_| told.message.count == 1);
    for (name, text) in [("summary", own(&told.title)), ("description", own(&told.body))] {
        annotations.extend(text.map(|text| (name.to_owned(), text)));
    }
    for (name, text) in [("summary", &alert.title), ("description", &alert.message)] {
        annotations.entry(name.to_owned()).or_insert_with(|| text.clone());
    }
    let mut document = json!({
        "labels": labels,
        "annotations": annotations,
        "startsAt": alert.fired_at,
        "endsAt": alert.resolved_at.clone().unwrap_or_else(|| ahead.rfc3339()),
    });
    if let Some(link) = &alert.link {
        document["generatorURL"] = link.as_str().into();
    }
    document
}

fn cloned((name, text): (&String, &String)) -> (String, String) {
    (name.clone(), text.clone())
}
