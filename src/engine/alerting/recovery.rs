//! The event that an object store is back: raised when the last of the alerts that
//! brought it down ends, so that whoever only listens for good news hears it once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::core::event_key;
use crate::base::time::Timestamp;
use crate::logic::alert::{Raise, Texts};
use crate::model::alert::{Alert, Happening};
use crate::model::severity::Severity;

/// Name of the kind of event.
pub const RECOVERED: &str = "service_recovered";
/// Rules whose end means that a store is back.
const DOWN: [&str; 2] = ["service_degraded", "circuit_breaker_open"];
const KIND: &str = "object_store";
/// How long the news is shown.
const SHOWN_FOR: Duration = Duration::from_secs(3600);

/// The event that follows from what happened to `alert`, if any. `others` are the alerts
/// that are there; `silent` names stores whose owner does not want to hear of it.
pub fn follows<'a>(
    what: Happening,
    alert: &Alert,
    mut others: impl Iterator<Item = &'a Alert>,
    silent: &BTreeSet<String>,
    now: Timestamp,
) -> Option<Raise> {
    let target = alert.labels.get("target")?;
    let is_of = |alert: &Alert| {
        DOWN.contains(&alert.rule.as_str()) && alert.labels.get("kind").is_some_and(|kind| kind == KIND)
    };
    if what != Happening::Resolved || !is_of(alert) || silent.contains(target) {
        return None;
    }
    let still = |other: &Alert| {
        other.id != alert.id
            && is_of(other)
            && other.state.is_active()
            && other.labels.get("target") == Some(target)
    };
    if others.any(still) {
        return None;
    }
    let labels = BTreeMap::from([
        (String::from("alertname"), RECOVERED.to_owned()),
        (String::from("kind"), KIND.to_owned()),
        (String::from("severity"), Severity::Info.word().to_owned()),
        (String::from("target"), target.clone()),
    ]);
    Some(Raise {
        key: event_key(&labels),
        kind: RECOVERED.to_owned(),
        texts: Texts {
            labels,
            annotations: BTreeMap::new(),
            source: target.clone(),
            resource_type: Some(KIND.to_owned()),
            resource_id: Some(target.clone()),
            title: format!("The object store {target} is back"),
            message: format!("{target} works again: {} is over.", alert.title),
        },
        severity: Severity::Info,
        value: None,
        started_at: Some(now),
        expires_at: now.plus(SHOWN_FOR),
    })
}
