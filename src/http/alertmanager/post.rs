//! What Prometheus servers post, as event alerts.
//!
//! An alert is known by its whole label set. Its sender repeats it while it fires and each
//! time moves its end, so an alert whose sender went away ends by itself.

use std::collections::BTreeMap;
use std::time::Duration;

use super::shapes::PostableAlert;
use crate::base::time::Timestamp;
use crate::logic::alert::{Raise, Texts};
use crate::model::series::is_label_name;
use crate::model::severity::Severity;
use crate::promql::Labels;

/// How long an alert lives whose sender does not say.
pub const RESOLVE_TIMEOUT: Duration = Duration::from_secs(300);
/// Under which name the address of the sender's expression is kept.
pub const GENERATOR: &str = "generator_url";
/// Of the labels and annotations of one alert, bytes.
const LARGEST: usize = 32 * 1024;
const MOST_TEXTS: usize = 64;

/// The event that an alert means.
///
/// # Errors
/// What is wrong with it.
pub fn raise_of(posted: PostableAlert, now: Timestamp) -> Result<Raise, String> {
    let labels: BTreeMap<String, String> =
        posted.labels.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let mut annotations: BTreeMap<String, String> =
        posted.annotations.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    if labels.is_empty() {
        return Err(String::from("at least one label pair required"));
    }
    for name in labels.keys().chain(annotations.keys()) {
        if !is_label_name(name) {
            let shown: String = name.chars().take(80).collect();
            return Err(format!("invalid label set: invalid name {shown:?}"));
        }
    }
    if let Some(url) = posted.generator_url.filter(|url| !url.is_empty()) {
        annotations.entry(GENERATOR.to_owned()).or_insert(url);
    }
    let texts = || labels.iter().chain(&annotations);
    let bytes: usize = texts().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > LARGEST || texts().count() > 2 * MOST_TEXTS {
        return Err(format!("labels and annotations are {bytes} bytes, more than the limit of {LARGEST}"));
    }
    let (starts_at, ends_at) =
        (posted.starts_at.and_then(|time| time.0), posted.ends_at.and_then(|time| time.0));
    // Whoever names only the end says that it is over.
    let starts_at = starts_at.or(ends_at.map(|end| end.min(now)));
    if starts_at.zip(ends_at).is_some_and(|(start, end)| start > end) {
        return Err(String::from("start time must be before end time"));
    }
    let text = |names: [&str; 2], from: &BTreeMap<String, String>| {
        names.into_iter().find_map(|name| from.get(name)).cloned()
    };
    let kind = labels.get("alertname").cloned().unwrap_or_else(|| String::from("alert"));
    let instance = labels.get("instance").cloned();
    Ok(Raise {
        key: format!("alertmanager:{}", Labels::new(&labels).to_key()),
        severity: labels.get("severity").and_then(|word| Severity::parse(word)).unwrap_or_default(),
        value: None,
        started_at: starts_at,
        expires_at: ends_at.unwrap_or_else(|| now.plus(RESOLVE_TIMEOUT)),
        texts: Texts {
            source: text(["source", "job"], &labels).unwrap_or_else(|| String::from("alertmanager")),
            resource_type: instance.as_ref().map(|_| String::from("instance")),
            resource_id: instance,
            title: text(["summary", "title"], &annotations).unwrap_or_else(|| kind.clone()),
            message: text(["description", "message"], &annotations).unwrap_or_default(),
            labels,
            annotations,
        },
        kind,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_166_565_000);

    fn raise(text: &str) -> Result<Raise, String> {
        raise_of(serde_json::from_str(text).unwrap(), NOW)
    }

    #[test]
    fn an_alert_of_prometheus_is_an_event() {
        let raised = raise(
            r#"{"labels": {"alertname": "Down", "instance": "a:1", "job": "node", "severity": "critical", "x": ""},
                "annotations": {"summary": "s", "description": "d"}, "generatorURL": "http://p/",
                "startsAt": "2026-11-20T09:00:00Z", "endsAt": "2026-11-20T09:30:00Z", "further": 1}"#,
        )
        .unwrap();
        assert_eq!((raised.kind.as_str(), raised.severity), ("Down", Severity::Critical));
        let Texts { labels, annotations, source, resource_id, title, message, .. } = raised.texts;
        assert_eq!((title.as_str(), message.as_str(), source.as_str()), ("s", "d", "node"));
        assert_eq!((resource_id.as_deref(), labels.len()), (Some("a:1"), 4));
        assert_eq!(annotations[GENERATOR], "http://p/");
        assert_eq!(raised.started_at.unwrap().rfc3339(), "2026-11-20T09:00:00.000Z");
        assert_eq!(raised.expires_at.rfc3339(), "2026-11-20T09:30:00.000Z");
    }

    #[test]
    fn what_is_not_given_has_defaults() {
        let raised = raise(r#"{"labels": {"x": "y"}, "startsAt": "0001-01-01T00:00:00.000Z"}"#).unwrap();
        assert_eq!((raised.kind.as_str(), raised.texts.title.as_str()), ("alert", "alert"));
        assert_eq!((raised.started_at, raised.expires_at), (None, NOW.plus(RESOLVE_TIMEOUT)));
        assert_eq!(raised.severity, Severity::Medium);
        let ended = raise(r#"{"labels": {"x": "y"}, "endsAt": "2026-01-01T00:00:00Z"}"#).unwrap();
        assert!(ended.expires_at < NOW && ended.started_at == Some(ended.expires_at));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(name in "[a-z_\\-]{0,4}", value in "\\PC{0,8}", start: i64, end: i64) {
            let time = |at: i64| Some(super::super::shapes::Time(Some(Timestamp(at))));
            let labels = BTreeMap::from([(name, value)]);
            let (starts_at, ends_at) = (time(start), time(end));
            let posted = PostableAlert { annotations: labels.clone(), labels, starts_at, ends_at, generator_url: None };
            let _ = raise_of(posted, NOW);
        }
    }

    #[test]
    fn what_is_no_alert_is_refused() {
        let long = format!(r#"{{"labels": {{"x": "{}"}}}}"#, "y".repeat(LARGEST));
        for (text, expected) in [
            (r#"{"labels": {}}"#, "at least one label"),
            (r#"{"labels": {"x": ""}}"#, "at least one label"),
            (r#"{"labels": {"a-b": "c"}}"#, "invalid label set: invalid name \"a-b\""),
            (
                r#"{"labels": {"x": "y"}, "startsAt": "2031-01-01T00:00:00Z", "endsAt": "2030-01-01T00:00:00Z"}"#,
                "start time must be before end time",
            ),
            (&long, "labels and annotations are"),
        ] {
            let error = raise(text).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
