//! What a notice says: the values that a template sees and that a webhook gets, and the
//! sentences for people.
//!
//! The shape is documented and stable, because others parse it: keys are added, never
//! renamed or removed. Times are RFC 3339 in UTC. Every text in it is bounded, for what
//! stands in an alert may come from another system.

mod text;

use std::collections::BTreeMap;

use serde::Serialize;

use super::notice::{Notice, NoticeAlert, NoticeKind};
use super::severity::Severity;
use crate::base::time::Timestamp;
use crate::base::words::{clip, one_line};

/// Alerts of one notice that are told in full, and the bytes of their texts that may be
/// told; of more the number is told.
pub const MOST_ALERTS: usize = 200;
const MOST_BYTES: usize = 512 << 10;
/// Longest title and longest other text of one alert, characters.
const LONGEST_TITLE: usize = 250;
const LONGEST_TEXT: usize = 4000;
/// Labels and annotations of one alert.
const MOST_LABELS: usize = 64;

/// What a message knows besides its notice.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Context {
    /// Who is speaking.
    pub host: String,
    /// Where the page is, without a slash at its end; without it messages have no links.
    pub url: Option<String>,
}

/// See the module.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Message {
    /// The same at every attempt to deliver the notice: receivers know duplicates by it.
    pub id: String,
    pub kind: NoticeKind,
    /// The worst of its alerts.
    pub severity: Severity,
    /// `resolved` when all of its alerts are over, else `firing`.
    pub status: &'static str,
    pub channel: String,
    pub host: String,
    pub created_at: String,
    /// The page with the alerts.
    pub link: Option<String>,
    /// One line for people.
    pub title: String,
    /// Everything for people, without markup.
    pub text: String,
    /// How many alerts there are; of very many `alerts` holds the first.
    pub count: usize,
    pub alerts: Vec<MessageAlert>,
}

/// One alert of a message.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct MessageAlert {
    pub id: String,
    pub rule: String,
    pub severity: Severity,
    /// `firing` or `resolved`.
    pub status: &'static str,
    pub title: String,
    pub message: String,
    pub value: Option<f64>,
    pub threshold: Option<f64>,
    pub fired_at: String,
    pub resolved_at: Option<String>,
    /// From firing to its end or, while it fires, to the notice.
    pub lasted_seconds: f64,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub link: Option<String>,
    pub runbook: Option<String>,
}

impl Message {
    /// What `notice` says.
    pub fn of(notice: &Notice, context: &Context) -> Self {
        let alerts: Vec<_> = notice
            .alerts
            .iter()
            .take(MOST_ALERTS)
            .map(|alert| MessageAlert::of(alert, notice.created_at, context))
            .scan(0, |told, alert| {
                // The first is told whatever its size.
                let room = *told < MOST_BYTES;
                *told += alert.size();
                room.then_some(alert)
            })
            .collect();
        let over = !alerts.is_empty() && notice.alerts.iter().all(|alert| alert.resolved_at.is_some());
        let mut message = Self {
            id: notice.id.clone(),
            kind: notice.kind,
            severity: notice.severity(),
            status: if over || notice.kind == NoticeKind::Resolved { "resolved" } else { "firing" },
            channel: notice.channel.clone(),
            host: one_line(&context.host),
            created_at: notice.created_at.rfc3339(),
            link: context.url.as_ref().map(|url| format!("{url}/ui/alerts")),
            title: String::new(),
            text: String::new(),
            count: notice.alerts.len(),
            alerts,
        };
        message.title = clip(&text::title(&message), LONGEST_TITLE);
        message.text = text::body(&message);
        message
    }

    /// One of every kind of value, for trying templates and channels out.
    pub fn sample() -> Self {
        Self::of(
            &sample_notice("sample", NoticeKind::Firing, Timestamp(1_795_166_565_250)),
            &sample_context(),
        )
    }
}

impl MessageAlert {
    /// Bytes of the texts that somebody else wrote.
    fn size(&self) -> usize {
        let texts = self.labels.iter().chain(&self.annotations);
        self.title.len()
            + self.message.len()
            + texts.map(|(name, text)| name.len() + text.len()).sum::<usize>()
    }

    fn of(alert: &NoticeAlert, told_at: Timestamp, context: &Context) -> Self {
        let bounded = |texts: &BTreeMap<String, String>| {
            texts
                .iter()
                .take(MOST_LABELS)
                .map(|(name, text)| (name.clone(), clip(text, LONGEST_TEXT)))
                .collect()
        };
        let title = one_line(&alert.title);
        let title = if title.is_empty() { &alert.rule } else { &title };
        let runbook = ["runbook", "runbook_url"].iter().find_map(|name| alert.annotations.get(*name));
        Self {
            id: alert.id.clone(),
            rule: alert.rule.clone(),
            severity: alert.severity,
            status: if alert.resolved_at.is_some() { "resolved" } else { "firing" },
            title: clip(title, LONGEST_TITLE),
            message: clip(alert.message.trim(), LONGEST_TEXT),
            value: alert.value,
            threshold: alert.threshold,
            fired_at: alert.fired_at.rfc3339(),
            resolved_at: alert.resolved_at.map(Timestamp::rfc3339),
            lasted_seconds: alert.resolved_at.unwrap_or(told_at).since(alert.fired_at).as_secs_f64(),
            labels: bounded(&alert.labels),
            annotations: bounded(&alert.annotations),
            link: context.url.as_ref().map(|url| format!("{url}/ui/alerts/{}", alert.id)),
            runbook: runbook.map(|text| one_line(&clip(text, LONGEST_TEXT))),
        }
    }
}

fn sample_context() -> Context {
    Context { host: String::from("nas"), url: Some(String::from("http://127.0.0.1:3003")) }
}

/// A notice about an alert that nobody raised, for trying out: a full disk.
pub fn sample_notice(channel: &str, kind: NoticeKind, now: Timestamp) -> Notice {
    let texts = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    };
    let fired_at = now.minus(std::time::Duration::from_secs(7_500));
    let over = kind == NoticeKind::Resolved;
    let alert = NoticeAlert {
        id: format!("sample-{}", now.millis()),
        step: 1,
        rule: String::from("storage_capacity"),
        labels: texts(&[
            ("alertname", "storage_capacity"),
            ("mountpoint", "/data"),
            ("severity", "critical"),
        ]),
        annotations: texts(&[("runbook", "http://127.0.0.1:3003/ui/help/storage_capacity")]),
        severity: Severity::Critical,
        title: String::from("/data is nearly full"),
        message: String::from("The filesystem /data is 96 % full, 31 GiB are left."),
        value: Some(if over { 71.5 } else { 96.25 }),
        threshold: Some(95.0),
        fired_at,
        resolved_at: over.then_some(now),
    };
    Notice {
        id: format!("{channel}-sample-{}", now.millis()),
        channel: channel.to_owned(),
        kind,
        group: String::new(),
        alerts: vec![alert],
        created_at: now,
        due_at: now,
        expires_at: now.plus(std::time::Duration::from_secs(86_400)),
        state: super::notice::NoticeState::Queued,
        tries: 0,
        attempts: Vec::new(),
        finished_at: None,
    }
}

#[cfg(test)]
mod tests;
