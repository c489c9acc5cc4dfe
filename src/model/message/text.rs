//! The sentences of a message, for whoever is woken by it: first what, where and how
//! bad, then the figures, then where to look.
//!
//! No markup and no table: the same text goes by mail, to a chat and onto a telephone.

use std::fmt::Write as _;
use std::time::Duration;

use super::{Message, MessageAlert};
use crate::base::words::{clip, lasting, number, one_line};
use crate::model::notice::NoticeKind;
use crate::model::severity::Severity;

/// Alerts that are told in full when there are several.
const MOST_TOLD: usize = 20;
/// Longest message of one alert among several, and longest line of labels, characters.
const LONGEST_MESSAGE: usize = 1000;
const LONGEST_LABELS: usize = 300;
/// Longest text as a whole, characters.
const LONGEST: usize = 12_000;
/// Labels that the text says in other words.
const SAID: [&str; 2] = ["alertname", "severity"];

/// One line: how bad, where, what.
pub fn title(message: &Message) -> String {
    let host = &message.host;
    let bad = message.severity.word();
    let what = subject(message);
    match message.kind {
        NoticeKind::Test => format!("Test from {host}: {what}"),
        NoticeKind::Digest => {
            format!("Digest from {host}: {}, worst {bad}", count(message.count))
        }
        NoticeKind::Resolved => format!("Resolved on {host}: {what}"),
        NoticeKind::Firing => format!("{} on {host}: {what}", capital(message.severity)),
        NoticeKind::Worsened => format!("Now {bad} on {host}: {what}"),
        NoticeKind::Repeat => format!("Still {bad} on {host}: {what}"),
        NoticeKind::Flapping => format!("Comes and goes on {host}: {what}"),
        NoticeKind::Escalation => format!("Escalated, {bad} on {host}: {what}"),
    }
}

fn subject(message: &Message) -> String {
    let Some(first) = message.alerts.first() else { return String::from("this channel works") };
    match message.count - 1 {
        0 => first.title.clone(),
        more => format!("{} and {more} more", first.title),
    }
}

fn count(alerts: usize) -> String {
    if alerts == 1 { String::from("1 alert") } else { format!("{alerts} alerts") }
}

fn capital(severity: Severity) -> String {
    let word = severity.word();
    word[..1].to_ascii_uppercase() + &word[1..]
}

/// Everything, in lines.
pub fn body(message: &Message) -> String {
    let mut out = String::new();
    if let Some(opening) = opening(message) {
        let _ = writeln!(out, "{opening}\n");
    }
    match message.alerts.as_slice() {
        [] => {}
        [only] => out.push_str(&alert(only, message)),
        several => {
            for (at, one) in several.iter().take(MOST_TOLD).enumerate() {
                let state =
                    if one.resolved_at.is_some() { String::from("Resolved") } else { capital(one.severity) };
                let _ = writeln!(out, "{}. {state}: {}", at + 1, one.title);
                for line in alert(one, message).lines() {
                    let _ = writeln!(out, "   {line}");
                }
                out.push('\n');
            }
            let untold = message.count.saturating_sub(MOST_TOLD.min(several.len()));
            if untold > 0 {
                let _ = writeln!(out, "And {untold} more.");
            }
            if let Some(link) = &message.link {
                let _ = writeln!(out, "All alerts: {link}");
            }
        }
    }
    clip(out.trim_end(), LONGEST)
}

/// What the figures do not say.
fn opening(message: &Message) -> Option<String> {
    let Message { channel, host, .. } = message;
    match message.kind {
        NoticeKind::Test => Some(format!(
            "This is a test of the channel \"{channel}\". Alerts from {host} will arrive like this one."
        )),
        NoticeKind::Digest => Some(format!("Held back during the quiet hours of {host}:")),
        NoticeKind::Flapping => Some(String::from("Nothing more is said about this until it is steady.")),
        NoticeKind::Escalation => Some(String::from("Nobody has acknowledged this yet.")),
        _ => None,
    }
}

fn alert(alert: &MessageAlert, message: &Message) -> String {
    let mut out = String::new();
    let several = message.count > 1;
    let text = if several { clip(&alert.message, LONGEST_MESSAGE) } else { alert.message.clone() };
    if !text.is_empty() && text != alert.title {
        let _ = writeln!(out, "{text}");
        if !several {
            out.push('\n');
        }
    }
    let mut line = |name: &str, text: &str| {
        let _ = writeln!(out, "{name}: {text}");
    };
    if !several {
        line("Severity", alert.severity.word());
    }
    match (alert.value, alert.threshold) {
        (Some(value), Some(limit)) => line("Value", &format!("{} (limit {})", number(value), number(limit))),
        (Some(value), None) => line("Value", &number(value)),
        _ => {}
    }
    let lasted = lasting(Duration::try_from_secs_f64(alert.lasted_seconds).unwrap_or_default());
    match &alert.resolved_at {
        Some(end) => line("Lasted", &format!("{lasted}, {} to {}", whole(&alert.fired_at), whole(end))),
        None if alert.lasted_seconds < 60.0 => line("Since", &whole(&alert.fired_at)),
        None => line("Since", &format!("{}, for {lasted}", whole(&alert.fired_at))),
    }
    line("Rule", &alert.rule);
    let labels = labels(alert);
    if !labels.is_empty() {
        line("Labels", &labels);
    }
    if let Some(runbook) = &alert.runbook {
        line("Runbook", runbook);
    }
    if let Some(link) = &alert.link {
        line("Alert", link);
    }
    out
}

fn labels(alert: &MessageAlert) -> String {
    let told = alert.labels.iter().filter(|(name, _)| !SAID.contains(&name.as_str()));
    let texts: Vec<_> = told.map(|(name, text)| format!("{name}={}", one_line(text))).collect();
    clip(&texts.join(", "), LONGEST_LABELS)
}

/// A time without its milliseconds.
fn whole(time: &str) -> String {
    time.split_once('.').map_or_else(|| time.to_owned(), |(seconds, _)| format!("{seconds}Z"))
}
