//! The identity of a series: its name and labels, in one canonical text.
//!
//! `node_cpu_seconds_total{cpu="0",mode="idle"}`: labels sorted by name, values
//! escaped as in the Prometheus text format, no braces when there is no label.
//! One text instead of a map, because it is hashed every second and parsed
//! almost never. Wrong would be to build it by hand: two spellings of the same
//! labels are two series. Only [`write_key`] writes it.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// What a family counts, as in the `# TYPE` line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
    Summary,
    /// Type not stated by whoever reported it.
    #[default]
    #[serde(alias = "untyped")]
    Unknown,
}

impl Kind {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
            Self::Unknown => "unknown",
        }
    }
}

/// Writes the canonical key of `name` and `labels` to `out`. Labels with an
/// empty value are left out, as Prometheus does. `labels` may be in any order.
pub fn write_key(out: &mut String, name: &str, labels: &[(&str, &str)]) {
    out.push_str(name);
    let sorted = labels.windows(2).all(|pair| pair[0].0 <= pair[1].0);
    if sorted {
        write_labels(out, labels.iter().copied());
    } else {
        let mut ordered = labels.to_vec();
        ordered.sort_unstable();
        write_labels(out, ordered.into_iter());
    }
}

fn write_labels<'a>(out: &mut String, labels: impl Iterator<Item = (&'a str, &'a str)>) {
    let mut open = '{';
    for (name, value) in labels.filter(|(_, value)| !value.is_empty()) {
        let _ = write!(out, "{open}{name}=\"");
        escape_into(out, value);
        out.push('"');
        open = ',';
    }
    if open == ',' {
        out.push('}');
    }
}

fn escape_into(out: &mut String, value: &str) {
    if !value.contains(['\\', '"', '\n']) {
        out.push_str(value);
        return;
    }
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
}

/// The name part of a canonical key.
pub fn name_of(key: &str) -> &str {
    key.split_once('{').map_or(key, |(name, _)| name)
}

/// The labels of a canonical key, in order, unescaped.
pub fn labels_of(key: &str) -> Vec<(String, String)> {
    let Some((_, mut rest)) = key.split_once('{') else { return Vec::new() };
    let mut labels = Vec::new();
    while let Some((name, after)) = rest.split_once("=\"") {
        let mut value = String::new();
        let mut chars = after.char_indices();
        let mut end = after.len();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    end = at + 1;
                    break;
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, other)) => value.push(other),
                    None => break,
                },
                other => value.push(other),
            }
        }
        labels.push((name.trim_start_matches(',').to_owned(), value));
        rest = &after[end..];
    }
    labels
}

/// Whether `name` may be a metric name: `[a-zA-Z_:][a-zA-Z0-9_:]*`.
pub fn is_metric_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_' || b == b':')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
}

/// Whether `name` may be a label name: `[a-zA-Z_][a-zA-Z0-9_]*`.
pub fn is_label_name(name: &str) -> bool {
    is_metric_name(name) && !name.contains(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, labels: &[(&str, &str)]) -> String {
        let mut out = String::new();
        write_key(&mut out, name, labels);
        out
    }

    #[test]
    fn one_text_for_one_series() {
        assert_eq!(key("up", &[]), "up");
        assert_eq!(key("up", &[("empty", "")]), "up");
        let forward = key("a", &[("x", "1"), ("y", "2")]);
        assert_eq!(forward, "a{x=\"1\",y=\"2\"}");
        assert_eq!(key("a", &[("y", "2"), ("x", "1")]), forward);
    }

    #[test]
    fn labels_come_back_whatever_they_hold() {
        let nasty = "a\"b\\c\nd,e=\"f\"}";
        let text = key("m", &[("path", nasty), ("z", "ü")]);
        let labels = labels_of(&text);
        assert_eq!(labels, [("path".into(), nasty.into()), ("z".into(), String::from("ü"))]);
        assert_eq!(name_of(&text), "m");
    }

    #[test]
    fn broken_keys_do_not_panic() {
        for text in ["{", "a{", "a{b", "a{b=\"", "a{b=\"c", "a{b=\"\\", "a{=\"\"}"] {
            let _ = (name_of(text), labels_of(text));
        }
    }
}
