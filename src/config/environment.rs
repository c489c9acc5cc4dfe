//! `HOLDFAST_STORAGE_CAP` is `storage.cap`: the name of a variable is made from
//! the key, never the other way round, because an underscore may be a dot or an
//! underscore. `..._FILE` names a file that holds the value, as container
//! platforms hand out secrets. Some plain variables are honoured too.
//!
//! The environment itself is read once, by the command line, and handed in.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use super::origin::Origin;
use super::problem::{Problem, nearest};
use super::tree::{Key, Leaf, Step};

/// The environment as it was at the start.
pub type Environment = BTreeMap<String, String>;

const PREFIX: &str = "HOLDFAST_";
/// Variables of that prefix that are not keys of the configuration.
const OTHERS: [&str; 6] = [
    "HOLDFAST_CA_FILE",
    "HOLDFAST_CONFIG",
    "HOLDFAST_TOKEN",
    "HOLDFAST_TOKEN_FILE",
    "HOLDFAST_URL",
    "HOLDFAST_WEB",
];
/// Plain names that other programs of the same families use.
const PLAIN: [(&str, &str); 10] = [
    ("ADMIN_API_KEY", "auth.admin_key"),
    ("ADMIN_ENABLED", "admin.enabled"),
    ("ALERTING_ENABLED", "alerting.enabled"),
    ("CACHE_ENABLED", "cache.enabled"),
    ("CACHE_DEFAULT_TTL", "cache.ttl"),
    ("MONITORING_AUTO_START", "collect.enabled"),
    ("ENABLE_METRICS", "metrics.enabled"),
    ("METRICS_PORT", "metrics.listen"),
    ("PERFORMANCE_OPTIMIZATION", "memory.budget"),
    ("SLACK_WEBHOOK_URL", "channel.slack[slack].url"),
];

/// The variable that sets `key`.
pub fn variable(key: &Key) -> String {
    let words: Vec<_> = key.0.iter().map(|step| step.text().to_ascii_uppercase().replace('-', "_")).collect();
    format!("{PREFIX}{}", words.join("_"))
}

/// What the environment says.
#[derive(Debug, Default)]
pub struct Said {
    pub values: Vec<(Key, Leaf)>,
    pub problems: Vec<Problem>,
    /// Variables that look like ours and are not.
    pub warnings: Vec<String>,
}

/// A variable that is set; an empty one is how compose files leave one out.
fn given<'a>(environment: &'a Environment, name: &str) -> Option<&'a str> {
    environment.get(name).map(String::as_str).filter(|text| !text.trim().is_empty())
}

/// The systems that these names are from mean seconds by a bare number.
fn seconds(text: &str) -> String {
    let text = text.trim();
    if text.bytes().all(|byte| byte.is_ascii_digit()) { format!("{text}s") } else { text.to_owned() }
}

/// Looks up every key of `keys`.
pub fn read(environment: &Environment, keys: &[Key]) -> Said {
    let mut said = Said::default();
    let mut known: Vec<String> = OTHERS.map(String::from).to_vec();
    for (name, key) in PLAIN {
        if let Some(text) = given(environment, name) {
            let text = match name {
                "METRICS_PORT" => format!("127.0.0.1:{}", text.trim()),
                "CACHE_DEFAULT_TTL" => seconds(text),
                _ => text.to_owned(),
            };
            let (key, origin) = (Key::parse(key), Origin::Environment { name: name.to_owned() });
            if let [.., Step::Item(item), Step::Key(_)] = key.0.as_slice() {
                // The variable alone makes the item, where nobody else does.
                let mut name = key.clone();
                name.0.pop();
                said.values.push((name.key("name"), Leaf::new(Value::from(item.as_str()), origin.clone())));
            }
            said.values.push((key, Leaf::new(Value::from(text), origin)));
        }
    }
    // A configuration of a thousand rules has forty thousand keys.
    if !environment.keys().any(|name| name.starts_with(PREFIX)) {
        return said;
    }
    let names: Vec<String> = keys.iter().map(variable).collect();
    let taken: HashSet<&str> = names.iter().map(String::as_str).collect();
    for (key, name) in keys.iter().zip(&names) {
        let file = format!("{name}_FILE");
        if let Some(text) = given(environment, name) {
            let origin = Origin::Environment { name: name.clone() };
            said.values.push((key.clone(), Leaf::new(Value::from(text), origin)));
        } else if let (Some(path), false) = (given(environment, &file), taken.contains(file.as_str())) {
            let origin = Origin::Environment { name: file.clone() };
            match std::fs::read_to_string(path) {
                Ok(text) => said.values.push((key.clone(), Leaf::new(Value::from(text.trim_end()), origin))),
                Err(error) => {
                    let message = format!("cannot read the file {path}: {error}");
                    said.problems.push(Problem::new(origin, key, message));
                }
            }
        }
        known.extend([name.clone(), file]);
    }
    for name in environment.keys().filter(|name| name.starts_with(PREFIX) && !known.contains(name)) {
        let meant = nearest(name, known.iter().map(String::as_str));
        let meant = meant.map(|meant| format!(", did you mean {meant}?")).unwrap_or_default();
        said.warnings.push(format!("the environment variable {name} is no key of the configuration{meant}"));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn names_are_made_from_keys() {
        for (key, name) in [
            ("listen", "HOLDFAST_LISTEN"),
            ("storage.max_series", "HOLDFAST_STORAGE_MAX_SERIES"),
            (
                "target.object_store[backup-a].secret_access_key",
                "HOLDFAST_TARGET_OBJECT_STORE_BACKUP_A_SECRET_ACCESS_KEY",
            ),
        ] {
            assert_eq!(variable(&Key::parse(key)), name);
        }
    }

    #[test]
    fn a_slip_in_a_name_is_told_and_foreign_names_are_left_alone() {
        let keys = [Key::parse("storage.cap")];
        let around = environment(&[
            ("HOLDFAST_STORAGE_CPA", "1GiB"),
            ("HOLDFAST_TOKEN", "x"),
            ("HOLDFAST_TOKEN_FILE", "/x"),
            ("STORAGE", "y"),
            ("HOLDFAST_STORAGE_CAP", " "),
        ]);
        let said = read(&around, &keys);
        assert!(said.values.is_empty());
        assert_eq!(said.warnings.len(), 1);
        assert!(said.warnings[0].contains("did you mean HOLDFAST_STORAGE_CAP?"), "{}", said.warnings[0]);
    }

    #[test]
    fn plain_names_mean_what_their_systems_mean() {
        let around = environment(&[
            ("CACHE_DEFAULT_TTL", "120"),
            ("ADMIN_ENABLED", "false"),
            ("METRICS_PORT", "8080"),
        ]);
        let said = read(&around, &[]);
        let value = |key: &str| {
            let found = said.values.iter().find(|(known, _)| known.to_string() == key);
            found.map(|(_, leaf)| leaf.value.clone())
        };
        assert_eq!(value("cache.ttl"), Some(Value::from("120s")));
        assert_eq!(value("admin.enabled"), Some(Value::from("false")));
        assert_eq!(value("metrics.listen"), Some(Value::from("127.0.0.1:8080")));
    }

    #[test]
    fn a_value_may_stand_in_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cap");
        std::fs::write(&path, "64MiB\n").unwrap();
        let keys = [Key::parse("storage.cap")];
        let said = read(&environment(&[("HOLDFAST_STORAGE_CAP_FILE", path.to_str().unwrap())]), &keys);
        assert_eq!(said.values[0].1.value, Value::from("64MiB"));
        let said = read(&environment(&[("HOLDFAST_STORAGE_CAP_FILE", "/nonexistent")]), &keys);
        assert!(said.problems[0].to_string().contains("HOLDFAST_STORAGE_CAP_FILE"));
    }
}
