//! What a person reads, word for word.

use super::*;

const NOW: Timestamp = Timestamp(1_795_166_565_250);

fn said(kind: NoticeKind) -> Message {
    Message::of(&sample_notice("ops", kind, NOW), &sample_context())
}

#[test]
fn a_single_alert() {
    let message = said(NoticeKind::Firing);
    assert_eq!(message.title, "Critical on nas: /data is nearly full");
    assert_eq!(
        message.text,
        "The filesystem /data is 96 % full, 31 GiB are left.\n\
         \n\
         Severity: critical\n\
         Value: 96.25 (limit 95)\n\
         Since: 2026-11-20T07:17:45Z, for 2 h 5 min\n\
         Rule: storage_capacity\n\
         Labels: mountpoint=/data\n\
         Runbook: http://127.0.0.1:3003/ui/help/storage_capacity\n\
         Alert: http://127.0.0.1:3003/ui/alerts/sample-1795166565250"
    );
}

#[test]
fn every_kind_has_its_title() {
    for (kind, title) in [
        (NoticeKind::Worsened, "Now critical on nas: /data is nearly full"),
        (NoticeKind::Repeat, "Still critical on nas: /data is nearly full"),
        (NoticeKind::Escalation, "Escalated, critical on nas: /data is nearly full"),
        (NoticeKind::Flapping, "Comes and goes on nas: /data is nearly full"),
        (NoticeKind::Resolved, "Resolved on nas: /data is nearly full"),
        (NoticeKind::Digest, "Digest from nas: 1 alert, worst critical"),
        (NoticeKind::Test, "Test from nas: /data is nearly full"),
    ] {
        assert_eq!(said(kind).title, title);
    }
}

#[test]
fn the_end_says_how_long_it_took() {
    let message = said(NoticeKind::Resolved);
    assert_eq!(message.status, "resolved");
    let text = "Value: 71.5 (limit 95)\nLasted: 2 h 5 min, 2026-11-20T07:17:45Z to 2026-11-20T09:22:45Z\n";
    assert!(message.text.contains(text), "{}", message.text);
}

#[test]
fn several_alerts_are_numbered_and_of_many_the_rest_is_counted() {
    let mut notice = sample_notice("ops", NoticeKind::Firing, NOW);
    let mut second = notice.alerts[0].clone();
    second.title = String::from("pg1 does not answer");
    second.message = second.title.clone();
    second.severity = Severity::High;
    (second.value, second.threshold) = (None, None);
    second.annotations.clear();
    second.fired_at = NOW;
    notice.alerts.push(second.clone());
    let context = Context { host: String::from("nas"), url: None };
    let message = Message::of(&notice, &context);
    assert_eq!(message.title, "Critical on nas: /data is nearly full and 1 more");
    assert_eq!(
        message.text,
        "1. Critical: /data is nearly full\n   \
            The filesystem /data is 96 % full, 31 GiB are left.\n   \
            Value: 96.25 (limit 95)\n   \
            Since: 2026-11-20T07:17:45Z, for 2 h 5 min\n   \
            Rule: storage_capacity\n   \
            Labels: mountpoint=/data\n   \
            Runbook: http://127.0.0.1:3003/ui/help/storage_capacity\n\
         \n\
         2. High: pg1 does not answer\n   \
            Since: 2026-11-20T09:22:45Z\n   \
            Rule: storage_capacity\n   \
            Labels: mountpoint=/data"
    );
    notice.alerts.resize(270, second);
    let message = Message::of(&notice, &context);
    assert_eq!((message.alerts.len(), message.count), (MOST_ALERTS, 270));
    assert!(message.text.ends_with("And 250 more."), "{}", message.text);
}

#[test]
fn a_test_of_a_channel_may_have_no_alert() {
    let mut notice = sample_notice("ops", NoticeKind::Test, NOW);
    notice.alerts.clear();
    let message = Message::of(&notice, &sample_context());
    assert_eq!(message.title, "Test from nas: this channel works");
    assert_eq!(
        message.text,
        "This is a test of the channel \"ops\". Alerts from nas will arrive like this one."
    );
}

/// Others parse it: nothing of this may change.
#[test]
fn the_keys_of_the_document_stay() {
    let shown = serde_json::to_value(Message::sample()).unwrap();
    let keys =
        |value: &serde_json::Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    let top = [
        "alerts",
        "channel",
        "count",
        "created_at",
        "host",
        "id",
        "kind",
        "link",
        "severity",
        "status",
        "text",
        "title",
    ];
    let alert = [
        "annotations",
        "fired_at",
        "id",
        "labels",
        "lasted_seconds",
        "link",
        "message",
        "resolved_at",
        "rule",
        "runbook",
        "severity",
        "status",
        "threshold",
        "title",
        "value",
    ];
    assert_eq!(keys(&shown), top);
    assert_eq!(keys(&shown["alerts"][0]), alert);
    assert_eq!(shown["alerts"][0]["fired_at"], "2026-11-20T07:17:45.250Z");
    assert_eq!((&shown["kind"], &shown["severity"]), (&"firing".into(), &"critical".into()));
}

proptest::proptest! {
    #[test]
    fn no_notice_panics_or_grows(
        title in "(\\PC|\n|\r|\0){0,400}",
        text in ".{0,9000}",
        host in "(\\PC|\n){0,20}",
        value in proptest::num::f64::ANY,
        times in (proptest::num::i64::ANY, proptest::option::of(proptest::num::i64::ANY)),
        count in 0usize..80,
        kind in proptest::sample::select(vec![
            NoticeKind::Firing, NoticeKind::Worsened, NoticeKind::Repeat, NoticeKind::Escalation,
            NoticeKind::Flapping, NoticeKind::Resolved, NoticeKind::Digest, NoticeKind::Test,
        ]),
    ) {
        let mut notice = sample_notice("ops", kind, NOW);
        let mut alert = notice.alerts[0].clone();
        alert.labels.insert(title.clone(), text.clone());
        alert.annotations.insert(String::from("runbook"), title.clone());
        (alert.title, alert.message, alert.value, alert.threshold) = (title, text, Some(value), Some(-value));
        (alert.fired_at, alert.resolved_at) = (Timestamp(times.0), times.1.map(Timestamp));
        notice.alerts = vec![alert; count];
        let message = Message::of(&notice, &Context { host, url: None });
        proptest::prop_assert!(message.title.chars().count() <= LONGEST_TITLE);
        proptest::prop_assert!(!message.title.contains(|c: char| c.is_control()), "{}", message.title);
        proptest::prop_assert!(message.text.chars().count() <= 12_000);
        serde_json::to_string(&message).unwrap();
    }
}
