//! The flat JSON of the orchestrator family as a configuration of ours.
//!
//! Its keys are sections here, its milliseconds seconds, its thresholds levels of rules
//! that come with the program. What has no place is said and left out; what would open the
//! agent to a network is written down as a comment with its reason. One would get it wrong
//! by taking over a rule under the name of a shipped one: its threshold would be laid over
//! an expression in another unit.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::config::rule::shipped;
use crate::model::series::is_metric_name;
use crate::model::severity::Severity;

/// Rules that are taken over.
const MOST_RULES: usize = 1000;

/// What came of it.
#[derive(Debug, Default, PartialEq)]
pub struct Imported {
    /// Lists of tables by their name.
    pub sections: Map<String, Value>,
    /// A configuration file that says it, with the remarks.
    pub text: String,
    /// What was left out, and why.
    pub remarks: Vec<String>,
}

/// One table of the file: its heading and its keys.
struct Table {
    heading: String,
    keys: Vec<(String, Value)>,
}

#[derive(Default)]
struct Import {
    /// Of single values: `listen`.
    top: Vec<(String, Value)>,
    tables: Vec<Table>,
    remarks: Vec<String>,
    /// Lines of the file that are comments.
    comments: Vec<String>,
}

/// Whether `document` is such a file and none of ours: a flat object with one of its keys.
pub fn is_flat(document: &Value) -> bool {
    const OWN: [&str; 5] =
        ["retention_hours", "monitoring_interval", "pattern_window_size", "alert_rules", "api_port"];
    OWN.iter().any(|key| document.get(key).is_some())
}

/// # Errors
/// What is wrong with a value, by its key.
pub fn convert(document: &Value) -> Result<Imported, String> {
    let Value::Object(map) = document else { return Err(String::from("the file is no JSON object")) };
    let mut import = Import::default();
    for (key, value) in map {
        import.take(key, value, map)?;
    }
    import.levels(map)?;
    Ok(import.finish())
}

fn number(key: &str, value: &Value) -> Result<f64, String> {
    let found = value.as_f64().filter(|number| number.is_finite() && *number >= 0.0);
    found.ok_or_else(|| format!("{key}: {value} is not a number of 0 or more"))
}

fn truth(key: &str, value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| format!("{key}: {value} is neither true nor false"))
}

fn text<'a>(key: &str, value: &'a Value) -> Result<&'a str, String> {
    value.as_str().ok_or_else(|| format!("{key}: {value} is not a text"))
}

/// A duration with its unit.
fn span(seconds: f64) -> String {
    let ms = (seconds * 1000.0).round() as u64;
    if ms.is_multiple_of(3_600_000) && ms > 0 {
        format!("{}h", ms / 3_600_000)
    } else if ms.is_multiple_of(1000) {
        format!("{}s", ms / 1000)
    } else {
        format!("{ms}ms")
    }
}

impl Import {
    fn table(&mut self, heading: &str, keys: Vec<(&str, Value)>) {
        let keys = keys.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        self.tables.push(Table { heading: heading.to_owned(), keys });
    }

    fn take(&mut self, key: &str, value: &Value, all: &Map<String, Value>) -> Result<(), String> {
        match key {
            "retention_hours" => {
                let kept = span(number(key, value)? * 3600.0);
                self.table("[storage]", vec![("raw_retention", json!(kept))]);
            }
            "monitoring_interval" => {
                let interval = span(number(key, value)?);
                self.table("[collect]", vec![("interval", json!(interval))]);
            }
            "pattern_window_size" => {
                number(key, value)?;
                self.remark(format!("{key}: patterns of failures are not looked for yet"));
            }
            "enable_console_notifications" if truth(key, value)? => {
                self.table("[[channel.console]]", vec![("name", json!("console"))]);
            }
            "enable_file_notifications" if truth(key, value)? => {
                let keys = vec![("name", json!("file")), ("path", json!("notices.jsonl"))];
                self.table("[[channel.file]]", keys);
            }
            "enable_email_notifications" if truth(key, value)? => {
                self.remark(format!("{key}: the file does not say the mail server; add a [[channel.email]]"));
            }
            "enable_console_notifications" | "enable_file_notifications" | "enable_email_notifications" => {}
            "api_host" => self.listen(text(key, value)?, all)?,
            "api_port" if all.contains_key("api_host") => {}
            "api_port" => self.listen("127.0.0.1", all)?,
            "alert_rules" => self.rules(value)?,
            "response_time_warning"
            | "response_time_critical"
            | "error_rate_warning"
            | "error_rate_critical"
            | "resource_usage_warning"
            | "resource_usage_critical" => {
                number(key, value)?;
            }
            other => self.remark(format!("{other}: not known here")),
        }
        Ok(())
    }

    fn remark(&mut self, remark: String) {
        self.comments.push(remark.clone());
        self.remarks.push(remark);
    }

    fn listen(&mut self, host: &str, all: &Map<String, Value>) -> Result<(), String> {
        let port = match all.get("api_port") {
            None => 3003,
            Some(port) => {
                let given = port.as_u64().and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
                given.ok_or_else(|| format!("api_port: {port} is not a port"))?
            }
        };
        let shown = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let local = host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
        if local {
            let address = if host == "localhost" { format!("127.0.0.1:{port}") } else { shown };
            self.top.push((String::from("listen"), json!([address])));
        } else {
            self.remark(format!(
                "listen = [\"{shown}\"]: others could reach that address, which needs [tls] and tokens; it is left out"
            ));
        }
        Ok(())
    }

    /// The thresholds that are levels of shipped rules.
    fn levels(&mut self, all: &Map<String, Value>) -> Result<(), String> {
        for (prefix, rule, unit) in [
            ("response_time", "high_response_time", 0.001),
            ("error_rate", "operation_error_rate", 1.0),
            ("resource_usage", "resource_usage", 1.0),
        ] {
            let mut levels = Map::new();
            for (word, severity) in [("warning", "medium"), ("critical", "critical")] {
                let key = format!("{prefix}_{word}");
                if let Some(value) = all.get(&key) {
                    levels.insert(severity.to_owned(), json!(number(&key, value)? * unit));
                }
            }
            if !levels.is_empty() {
                self.table("[[rule]]", vec![("name", json!(rule)), ("levels", Value::Object(levels))]);
            }
        }
        Ok(())
    }

    fn rules(&mut self, value: &Value) -> Result<(), String> {
        let Value::Object(rules) = value else { return Err(String::from("alert_rules: expected an object")) };
        if rules.len() > MOST_RULES {
            return Err(format!("alert_rules: {} rules, expected at most {MOST_RULES}", rules.len()));
        }
        for (key, rule) in rules {
            self.rule(key, rule)?;
        }
        Ok(())
    }

    fn rule(&mut self, key: &str, rule: &Value) -> Result<(), String> {
        let place = |name: &str| format!("alert_rules.{key}.{name}");
        let given = rule.get("name").and_then(Value::as_str).unwrap_or(key);
        let metric = text(&place("metric_name"), &rule["metric_name"])?;
        let threshold = number(&place("threshold"), &rule["threshold"])?;
        let severity = rule.get("severity").and_then(Value::as_str).unwrap_or("warning");
        let severity = Severity::parse(severity)
            .ok_or_else(|| format!("{}: `{severity}` is not a severity", place("severity")))?;
        let Some(expr) = expression(metric) else {
            self.remark(format!("alert_rules.{key}: `{metric}` is not the name of a metric"));
            return Ok(());
        };
        let is_shipped = shipped().iter().any(|shipped| shipped.name.as_str() == given);
        let name = if is_shipped { format!("{given}_imported") } else { given.to_owned() };
        let mut keys = vec![
            ("name", json!(name)),
            ("expr", json!(expr)),
            ("op", json!(">")),
            ("levels", json!({ severity.word(): threshold })),
        ];
        if let Some(duration) = rule.get("duration") {
            keys.push(("for", json!(span(number(&place("duration"), duration)?))));
        }
        if let Some(description) = rule.get("description").and_then(Value::as_str) {
            keys.push(("message", json!(description)));
        }
        if rule.get("enabled") == Some(&Value::Bool(false)) {
            keys.push(("enabled", json!(false)));
        }
        self.table("[[rule]]", keys);
        Ok(())
    }

    fn finish(self) -> Imported {
        let mut text = String::from("# Made by `holdfast config import` of a flat JSON file.\n");
        for comment in &self.comments {
            let _ = writeln!(text, "# {}", comment.replace('\n', " "));
        }
        for (key, value) in &self.top {
            let _ = writeln!(text, "{key} = {}", toml_of(value));
        }
        let mut sections: Map<String, Value> = self.top.into_iter().collect();
        for Table { heading, keys } in self.tables {
            let _ = write!(text, "\n{heading}\n");
            for (key, value) in &keys {
                let _ = writeln!(text, "{key} = {}", toml_of(value));
            }
            put(&mut sections, &heading, keys);
        }
        Imported { sections, text, remarks: self.remarks }
    }
}

/// A value of the file; none of them is null.
fn toml_of(value: &Value) -> String {
    toml::Value::try_from(value).map(|value| value.to_string()).unwrap_or_default()
}

/// Puts the keys of a table where a patch of the configuration has them: a list of tables
/// by their names.
fn put(sections: &mut Map<String, Value>, heading: &str, keys: Vec<(String, Value)>) {
    let is_list = heading.starts_with("[[");
    let mut keys: Map<String, Value> = keys.into_iter().collect();
    let mut path: Vec<String> = heading.trim_matches(['[', ']']).split('.').map(str::to_owned).collect();
    let name = match keys.remove("name") {
        Some(Value::String(name)) if is_list => Some(name),
        _ => None,
    };
    path.extend(name.clone());
    let mut at = sections;
    for step in path {
        let next = at.entry(step).or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(next) = next else { return };
        at = next;
    }
    if keys.is_empty() {
        // A table that says nothing else is made by its name.
        at.extend(name.map(|name| (String::from("name"), Value::from(name))));
    }
    at.extend(keys);
}

/// What these systems mean by the name of a metric: some are ours under another name, in
/// other units.
fn expression(metric: &str) -> Option<String> {
    let own = match metric {
        "response_time" => {
            "1000 * histogram_quantile(0.95, sum by (le, source, operation) (rate(holdfast_operation_duration_seconds_bucket[5m])))"
        }
        "error_rate" => {
            "sum by (source, operation) (rate(holdfast_operations_total{result=\"failure\"}[5m])) / sum by (source, operation) (rate(holdfast_operations_total[5m]))"
        }
        "cpu_usage" => "holdfast_host_cpu_usage_percent",
        "memory_usage" => "holdfast_host_memory_usage_percent",
        "disk_usage" => "holdfast_host_disk_usage_percent",
        other => return is_metric_name(other).then(|| other.to_owned()),
    };
    Some(own.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::load::{Sources, load_text};
    use crate::config::overlay::Overlay;

    /// As the systems themselves write it.
    fn theirs() -> Value {
        json!({
            "retention_hours": 24, "pattern_window_size": 100, "monitoring_interval": 30,
            "response_time_warning": 5000.0, "response_time_critical": 10000.0,
            "error_rate_warning": 0.1, "error_rate_critical": 0.25,
            "resource_usage_warning": 85.0, "resource_usage_critical": 96.0,
            "enable_console_notifications": true, "enable_file_notifications": true,
            "enable_email_notifications": false, "api_host": "0.0.0.0", "api_port": 8080,
            "alert_rules": {
                "high_response_time": {
                    "name": "high_response_time", "metric_name": "response_time", "threshold": 5000.0,
                    "severity": "warning", "duration": 300, "enabled": true,
                    "description": "Response time exceeds warning threshold"
                },
                "queue": { "metric_name": "queue_length", "threshold": 7, "severity": "EMERGENCY", "enabled": false }
            }
        })
    }

    #[test]
    fn a_file_of_theirs_is_a_valid_configuration() {
        let theirs = theirs();
        assert!(is_flat(&theirs) && !is_flat(&json!({"listen": []})));
        let imported = convert(&theirs).unwrap();
        let loaded = load_text(Sources::default(), "h.toml", &imported.text, Overlay::default());
        let config = loaded.unwrap_or_else(|problems| panic!("{problems}\n{}", imported.text)).config.clone();
        assert_eq!(config.storage.raw_retention.to_string(), "1d");
        assert_eq!(config.collect.interval.to_string(), "30s");
        assert_eq!(
            (config.channel.console.len(), config.channel.file.len(), config.channel.email.len()),
            (1, 1, 0)
        );
        assert_eq!(config.listen, ["127.0.0.1:3003"], "a network address is a comment");
        let (text, remarks) = (&imported.text, imported.remarks.join("\n"));
        assert!(text.contains("# listen = [\"0.0.0.0:8080\"]: others could reach"), "{text}");
        assert!(remarks.contains("pattern_window_size"), "{remarks}");
        let rule = |name: &str| config.rule.iter().find(|rule| rule.name.as_str() == name).unwrap();
        assert_eq!(
            serde_json::to_value(&rule("high_response_time").levels).unwrap(),
            json!({"medium": 5.0, "critical": 10.0})
        );
        let own = rule("high_response_time_imported");
        assert!(own.expr.as_ref().unwrap().starts_with("1000 *"), "{own:?}");
        assert_eq!(serde_json::to_value(&own.levels).unwrap(), json!({"medium": 5000.0}));
        assert_eq!(own.hold.unwrap().to_string(), "5m");
        assert_eq!((rule("queue").enabled, rule("resource_usage").enabled), (Some(false), None));
        assert_eq!(imported.sections["channel"]["console"]["console"], json!({"name": "console"}));
        let patch = &imported.sections["rule"]["queue"];
        assert_eq!((&patch["levels"], patch.get("name")), (&json!({"emergency": 7.0}), None));
    }

    #[test]
    fn local_addresses_are_taken_over_and_nonsense_is_named() {
        let listen = |document: Value| convert(&document).unwrap().sections["listen"].clone();
        assert_eq!(listen(json!({"api_host": "localhost", "api_port": 81})), json!(["127.0.0.1:81"]));
        assert_eq!(listen(json!({"api_host": "::1"})), json!(["[::1]:3003"]));
        assert_eq!(listen(json!({"api_port": 82})), json!(["127.0.0.1:82"]));
        for (document, place) in [
            (json!([]), "object"),
            (json!({"retention_hours": "a day"}), "retention_hours"),
            (json!({"api_host": "::1", "api_port": 70000}), "api_port"),
            (json!({"enable_file_notifications": 1}), "enable_file_notifications"),
            (json!({"alert_rules": {"x": {"metric_name": "m"}}}), "alert_rules.x.threshold"),
            (
                json!({"alert_rules": {"x": {"metric_name": "m", "threshold": 1, "severity": "loud"}}}),
                "alert_rules.x.severity",
            ),
        ] {
            let error = convert(&document).unwrap_err();
            assert!(error.contains(place), "{error}");
        }
        let odd = convert(
            &json!({"api_port": 1, "alert_rules": {"x": {"metric_name": "a b", "threshold": 1}}, "z": 1}),
        );
        assert_eq!(odd.unwrap().remarks.len(), 2);
    }

    proptest! {
        #[test]
        fn whatever_stands_there_is_converted_or_refused(key in "[a-z_]{1,12}", text in ".{0,20}", number in proptest::num::f64::ANY) {
            let rule = json!({ "metric_name": text, "threshold": number, "duration": number, "description": text });
            let document = json!({ "alert_rules": { (key.clone()): rule }, (key): text, "retention_hours": number });
            let _ = convert(&document);
        }
    }
}
