//! The family's names for keys of `[[target.object_store]]`.
//!
//! One table, [`KEYS`], says which is which; both directions and the pointers of
//! errors go by it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::base::units::Span;
use crate::config::target::breaker::Breaker;
use crate::config::target::object_store::{ObjectStore, Operation};
use crate::http::auth::{Access, TargetsWrite};
use crate::http::error::Problem;
use crate::http::routes::target_changes::Place;
use crate::http::state::App;

/// The family's name of a key, and where it stands in the section.
const KEYS: [(&str, &str); 13] = [
    ("serviceName", "service_name"),
    ("checkInterval", "interval"),
    ("timeout", "timeout"),
    ("failureThreshold", "breaker.failure_threshold"),
    ("recoveryTimeout", "breaker.open_for"),
    // Follows it, because the family knows no longest wait.
    ("recoveryTimeout", "breaker.max_open_for"),
    ("monitoringWindow", "breaker.window"),
    ("slowCallThreshold", "breaker.slow_call"),
    ("slowResponseThreshold", "slow_response"),
    ("enabled", "enabled"),
    ("testOperations", "operations"),
    ("alertOnFailure", "alert_on_failure"),
    ("alertOnRecovery", "alert_on_recovery"),
];

/// How a store is probed; times in milliseconds.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MonitorConfig {
    service_name: String,
    /// Between two probes.
    check_interval: u64,
    /// For a whole probe.
    timeout: u64,
    /// Hard failures in a row that open the breaker.
    failure_threshold: u32,
    /// How long the breaker stays open at first.
    recovery_timeout: u64,
    /// What the breaker's shares are over.
    monitoring_window: u64,
    /// A call that takes longer counts as slow.
    slow_call_threshold: u64,
    /// An average above this is worth an alert.
    slow_response_threshold: u64,
    enabled: bool,
    #[schema(value_type = Vec<String>)]
    test_operations: Vec<Operation>,
    alert_on_failure: bool,
    alert_on_recovery: bool,
}

fn millis(span: Span) -> u64 {
    u64::try_from(span.0.as_millis()).unwrap_or(u64::MAX)
}

impl MonitorConfig {
    pub fn of(section: &ObjectStore) -> Self {
        Self {
            service_name: section.service_name.clone().unwrap_or_else(|| section.name.to_string()),
            check_interval: millis(section.interval),
            timeout: millis(section.timeout),
            failure_threshold: section.breaker.failure_threshold,
            recovery_timeout: millis(section.breaker.open_for),
            monitoring_window: millis(section.breaker.window),
            slow_call_threshold: millis(section.breaker.slow_call),
            slow_response_threshold: millis(section.slow_response),
            enabled: section.enabled,
            test_operations: section.operations.clone(),
            alert_on_failure: section.alert_on_failure,
            alert_on_recovery: section.alert_on_recovery,
        }
    }
}

/// What may be changed; what is absent stays.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MonitorPatch {
    pub service_name: Option<String>,
    pub check_interval: Option<u64>,
    pub timeout: Option<u64>,
    pub failure_threshold: Option<u32>,
    pub recovery_timeout: Option<u64>,
    pub monitoring_window: Option<u64>,
    pub slow_call_threshold: Option<u64>,
    pub slow_response_threshold: Option<u64>,
    pub enabled: Option<bool>,
    #[schema(value_type = Option<Vec<String>>)]
    pub test_operations: Option<Vec<Operation>>,
    pub alert_on_failure: Option<bool>,
    pub alert_on_recovery: Option<bool>,
}

impl MonitorPatch {
    /// Whether the longest wait is the default's or one that followed an earlier patch, so
    /// nobody else's.
    fn follows(&self, now: &ObjectStore) -> bool {
        let Breaker { open_for, max_open_for, .. } = now.breaker;
        let longest = self.recovery_timeout.unwrap_or_default();
        max_open_for == Breaker::default().max_open_for
            || max_open_for == open_for
            || longest > millis(max_open_for)
    }

    /// As a patch of the section.
    fn section(&self, now: &ObjectStore) -> Value {
        let span = |millis: u64| json!(Span::from_millis(millis));
        let mut breaker = Map::new();
        let mut section = Map::new();
        let put = |map: &mut Map<String, Value>, key: &str, value: Option<Value>| {
            map.extend(value.map(|value| (key.to_owned(), value)));
        };
        put(&mut section, "service_name", self.service_name.clone().map(Value::from));
        put(&mut section, "interval", self.check_interval.map(span));
        put(&mut section, "timeout", self.timeout.map(span));
        put(&mut section, "slow_response", self.slow_response_threshold.map(span));
        put(&mut section, "enabled", self.enabled.map(Value::from));
        put(&mut section, "operations", self.test_operations.as_ref().map(|list| json!(list)));
        put(&mut section, "alert_on_failure", self.alert_on_failure.map(Value::from));
        put(&mut section, "alert_on_recovery", self.alert_on_recovery.map(Value::from));
        put(&mut breaker, "failure_threshold", self.failure_threshold.map(Value::from));
        put(&mut breaker, "open_for", self.recovery_timeout.map(span));
        put(&mut breaker, "window", self.monitoring_window.map(span));
        put(&mut breaker, "slow_call", self.slow_call_threshold.map(span));
        // A longest wait must not be in the way of the first; no longer needed, it goes.
        let longest = self.recovery_timeout.map(|wait| {
            if wait > millis(Breaker::default().max_open_for) { span(wait) } else { Value::Null }
        });
        put(&mut breaker, "max_open_for", longest.filter(|_| self.follows(now)));
        if !breaker.is_empty() {
            section.insert(String::from("breaker"), Value::Object(breaker));
        }
        Value::Object(section)
    }
}

/// Puts `patch` in force.
///
/// # Errors
/// 422 with the family's names of the keys that are wrong.
pub async fn apply(
    app: &App,
    access: &Access<TargetsWrite>,
    section: &ObjectStore,
    patch: &MonitorPatch,
) -> Result<(), Problem> {
    let place = Place { kind: "object_store", name: section.name.to_string() };
    let wanted = patch.section(section);
    place.apply(app, access, || Ok(wanted.clone())).await.map_err(own_names)
}

fn own_names(mut problem: Problem) -> Problem {
    for error in &mut problem.errors {
        let key = error.pointer.trim_start_matches('/').replace('/', ".");
        if let Some((name, _)) = KEYS.iter().find(|(_, own)| *own == key) {
            error.pointer = format!("/{name}");
        }
    }
    problem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_key_of_the_family() {
        let section: ObjectStore = toml::from_str(
            "name = \"a\"\nendpoint = \"http://h\"\nbucket = \"b\"\naccess_key_id = \"k\"\nsecret_access_key = \"s\"",
        )
        .unwrap();
        let shown = serde_json::to_value(MonitorConfig::of(&section)).unwrap();
        let names: Vec<&String> = shown.as_object().unwrap().keys().collect();
        assert!(names.iter().all(|name| KEYS.iter().any(|(known, _)| known == name)), "{names:?}");
        assert_eq!(
            shown,
            json!({
                "serviceName": "a", "checkInterval": 30000, "timeout": 5000, "failureThreshold": 3,
                "recoveryTimeout": 60000, "monitoringWindow": 300_000, "slowCallThreshold": 2000,
                "slowResponseThreshold": 2000, "enabled": true, "alertOnFailure": true, "alertOnRecovery": true,
                "testOperations": ["get", "put", "delete", "list", "head"],
            })
        );
    }
}
