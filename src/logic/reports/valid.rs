//! What a report may say.

use std::time::Duration;

use crate::base::time::Timestamp;
use crate::model::report::{FigureKind, FigureReport, When};
use crate::model::series::{is_label_name, is_metric_name};

/// Bytes of a source, an operation, a kind, a name, a label.
pub const LONGEST_WORD: usize = 128;
/// Bytes of a message that are kept.
pub const LONGEST_MESSAGE: usize = 1024;
const MOST_LABELS: usize = 16;
/// A time may be this much ahead.
const AHEAD: Duration = Duration::from_secs(60);

/// Beginnings of names that the agent's own series have.
const TAKEN: [&str; 6] = ["holdfast_", "node_", "probe_", "process_", "pg_", "redis_"];

/// # Errors
/// What is wrong with a text that becomes the label `name`.
pub fn word(name: &str, text: &str) -> Result<(), String> {
    if text.is_empty() || text.len() > LONGEST_WORD {
        return Err(format!("`{name}` has {} bytes, expected 1 to {LONGEST_WORD}", text.len()));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("`{name}` holds a control character, expected plain text"));
    }
    Ok(())
}

/// The first [`LONGEST_MESSAGE`] bytes, cut between characters.
pub fn cut(message: &str) -> &str {
    let mut end = message.len().min(LONGEST_MESSAGE);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    &message[..end]
}

/// The time that was given, or `now`.
///
/// # Errors
/// It is ahead, or more than `oldest` ago.
pub fn time(given: Option<When>, oldest: Duration, now: Timestamp) -> Result<Timestamp, String> {
    let Some(When(at)) = given else { return Ok(now) };
    if at > now.plus(AHEAD) {
        return Err(format!("the time {} is in the future", at.rfc3339()));
    }
    if now.since(at) > oldest {
        let minutes = oldest.as_secs() / 60;
        return Err(format!("the time {} is more than {minutes} minutes ago", at.rfc3339()));
    }
    Ok(at.min(now))
}

/// The figure's value, a timer's in seconds.
///
/// # Errors
/// What is wrong with it.
pub fn figure(report: &FigureReport) -> Result<f64, String> {
    let FigureReport { name, kind, value, labels, unit, .. } = report;
    if !is_metric_name(name) || name.len() > LONGEST_WORD {
        return Err(format!(
            "`name` is `{}`, expected a letter or `_`, then letters, digits, `_` or `:`, at most {LONGEST_WORD}",
            name.escape_default()
        ));
    }
    if let Some(taken) = TAKEN.iter().find(|taken| name.starts_with(**taken)) {
        return Err(format!("`name` is `{name}`: what begins with `{taken}` is the agent's own"));
    }
    if labels.len() > MOST_LABELS {
        return Err(format!("{} labels, expected at most {MOST_LABELS}", labels.len()));
    }
    for (label, text) in labels {
        if !is_label_name(label) || label.starts_with("__") || label.len() > LONGEST_WORD {
            return Err(format!("`{}` is not the name of a label", label.escape_default()));
        }
        if label == "le" && matches!(kind, FigureKind::Histogram | FigureKind::Timer) {
            return Err(format!("the label `le` of a {} is its own", kind.word()));
        }
        if !text.is_empty() {
            word(label, text)?;
        }
    }
    if !value.is_finite() {
        return Err(String::from("`value` is not a number"));
    }
    if *value < 0.0 && matches!(kind, FigureKind::Counter | FigureKind::Timer) {
        return Err(format!("`value` is {value}, and a {} never goes down", kind.word()));
    }
    if *kind != FigureKind::Timer {
        unit.as_deref().map_or(Ok(()), |unit| word("unit", unit))?;
        return Ok(*value);
    }
    match unit.as_deref() {
        None | Some("s" | "seconds") => Ok(*value),
        Some("ms" | "milliseconds") => Ok(value / 1e3),
        Some("us" | "microseconds") => Ok(value / 1e6),
        Some("ns" | "nanoseconds") => Ok(value / 1e9),
        Some(other) => Err(format!("`unit` is `{}`, expected s, ms, us or ns", other.escape_default())),
    }
}
