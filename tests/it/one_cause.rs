//! One cause, one message: whole outages against the rules that come with holdfast, and
//! what becomes of an alert when clock, network, rule or series do as they please.

use std::time::Duration;

use holdfast::model::alert::AlertState;
use holdfast::model::notice::NoticeKind;

use crate::support::app::One;
use crate::support::story::{Probed, Story};

const MINUTE: u32 = 12;
const HOUR: u32 = 60 * MINUTE;

/// Steps in each of which the target is probed if it is time, every `interval` steps.
async fn probed(story: &mut Story, target: &Probed, steps: u32, interval: u32, answers: bool, seconds: f64) {
    for step in 0..steps {
        if step % interval == 0 {
            target.probe(story, answers, seconds);
        }
        story.step(&[]).await;
    }
}

const STORE: &[&str] = &["delete", "get", "head", "list", "put"];
const DATABASE: &[&str] = &["connect", "query"];

/// A target dies for `outage` steps and comes back.
async fn dies(
    kind: &'static str,
    operations: &'static [&'static str],
    interval: u32,
    outage: u32,
    slow: f64,
) -> Story {
    let mut story = Story::with("").await;
    let target = Probed::new(&story, kind, operations);
    probed(&mut story, &target, 10 * MINUTE, interval, true, 0.01).await;
    probed(&mut story, &target, outage, interval, false, slow).await;
    probed(&mut story, &target, 2 * HOUR, interval, true, 0.01).await;
    story.assert_one_message_of("circuit_breaker_open");
    story
}

#[tokio::test]
async fn a_dead_object_store_is_one_message() {
    let story = dies("object_store", STORE, 6, HOUR, 4.9).await;
    let children = [
        "error_rate",
        "high_error_rate",
        "response_time",
        "service_degraded",
        "service_down",
        "slow_response",
    ];
    for rule in children {
        assert!(story.muted.contains(rule), "{rule} is seen and not sent: {:?}", story.fired);
    }
}

#[tokio::test]
async fn a_dead_database_is_one_message_however_long_it_is_dead_and_however_often_probed() {
    // Intervals of 5 s, 30 s and a minute; outages of a quarter of an hour to three hours.
    for interval in [1, 6, 12] {
        for outage in [16 * MINUTE, 3 * HOUR] {
            for slow in [0.01, 5.0] {
                dies("postgres", DATABASE, interval, outage, slow).await;
            }
        }
    }
}

#[tokio::test]
async fn a_target_that_is_probed_seldom_is_one_message_too() {
    // Every four minutes: it is known to be down long before its breaker opens.
    let mut story = Story::with("").await;
    let target = Probed::new(&story, "postgres", DATABASE);
    probed(&mut story, &target, 20 * MINUTE, 4 * MINUTE, true, 0.01).await;
    probed(&mut story, &target, HOUR, 4 * MINUTE, false, 0.01).await;
    assert!(story.muted.contains("circuit_breaker_open"), "{:?} {:?}", story.fired, story.told());
    probed(&mut story, &target, 2 * HOUR, 4 * MINUTE, true, 0.01).await;
    story.assert_one_message_of("service_down");
}

const GIB: f64 = 1_073_741_824.0;

/// So many steps with a filesystem of 100 GiB this full.
async fn filled(story: &mut Story, steps: u32, percent: f64) {
    let labels: &[(&str, &str)] = &[("device", "/dev/sda1"), ("fstype", "ext4"), ("mountpoint", "/srv")];
    let series: [One<'_>; 3] = [
        ("node_filesystem_avail_bytes", labels, (100.0 - percent) * GIB),
        ("node_filesystem_readonly", labels, 0.0),
        ("node_filesystem_size_bytes", labels, 100.0 * GIB),
    ];
    for _ in 0..steps {
        story.step(&series).await;
    }
}

#[tokio::test]
async fn a_full_disk_is_one_message() {
    let mut story = Story::with("").await;
    filled(&mut story, HOUR, 60.0).await;
    filled(&mut story, 2 * HOUR, 96.0).await;
    filled(&mut story, 3 * HOUR, 60.0).await;
    story.assert_one_message_of("storage_capacity");
    for rule in ["low_disk", "resource_usage", "storage_growth_rate"] {
        assert!(story.muted.contains(rule), "{rule} is seen and not sent: {:?}", story.fired);
    }
}

const RULE: &str =
    "[[rule]]\nname = 'hot'\nexpr = 'temperature'\nop = '>'\nlevels = { high = 50 }\nclear_margin = 5\n";

async fn hot(story: &mut Story, steps: u32, value: f64) {
    for _ in 0..steps {
        story.step(&[("temperature", &[("room", "attic")], value)]).await;
    }
}

#[tokio::test]
async fn a_cut_network_delays_and_drops_nothing() {
    let mut story = Story::with(RULE).await;
    hot(&mut story, MINUTE, 20.0).await;
    story.cut = true;
    hot(&mut story, 20 * MINUTE, 60.0).await;
    let fired_at = story.alert("hot").unwrap().alert.fired_at.unwrap();
    hot(&mut story, 1, 20.0).await;
    let resolved_at = story.now();
    hot(&mut story, 40 * MINUTE, 20.0).await;
    assert!(story.sent.is_empty());
    story.cut = false;
    hot(&mut story, 20 * MINUTE, 20.0).await;
    // The network was a cause of its own.
    let story = story.without("outbox_stuck");
    assert_eq!(story.told(), [(NoticeKind::Resolved, String::from("hot"))], "both waited: one message");
    let told = &story.sent[0].1.alerts[0];
    assert_eq!((told.fired_at, told.resolved_at), (fired_at, Some(resolved_at)));
    assert!(story.app.alerting().outbox().await.is_empty());
}

#[tokio::test]
async fn a_resolve_waits_for_the_network_when_the_firing_was_sent_before() {
    let mut story = Story::with(RULE).await;
    hot(&mut story, 2 * MINUTE, 60.0).await;
    story.cut = true;
    hot(&mut story, HOUR, 20.0).await;
    story.cut = false;
    hot(&mut story, 20 * MINUTE, 20.0).await;
    story.without("outbox_stuck").assert_one_message_of("hot");
}

#[tokio::test]
async fn a_jump_of_the_clock_is_no_news_of_an_alert() {
    const DAY: Duration = Duration::from_secs(86_400);
    for ahead in [true, false] {
        let mut story = Story::with(RULE).await;
        hot(&mut story, 2 * MINUTE, 60.0).await;
        let before = story.alert("hot").unwrap().alert.id.clone();
        let now = story.now();
        story.app.clock.jump_to(if ahead { now.plus(DAY) } else { now.minus(DAY) });
        hot(&mut story, HOUR, 60.0).await;
        assert_eq!(story.alert("hot").unwrap().alert.id, before);
        assert_eq!(story.told(), [(NoticeKind::Firing, String::from("hot"))], "ahead: {ahead}");
        hot(&mut story, 2 * MINUTE, 20.0).await;
        story.assert_one_message_of("hot");
    }
}

#[tokio::test]
async fn what_waited_when_the_clock_jumped_is_still_sent() {
    for days in [1, 1000] {
        for ahead in [true, false] {
            let mut story = Story::with(RULE).await;
            story.cut = true;
            hot(&mut story, 2 * MINUTE, 60.0).await;
            let (now, by) = (story.now(), Duration::from_secs(days * 86_400));
            story.app.clock.jump_to(if ahead { now.plus(by) } else { now.minus(by) });
            hot(&mut story, MINUTE, 60.0).await;
            story.cut = false;
            hot(&mut story, 20 * MINUTE, 60.0).await;
            assert_eq!(story.told(), [(NoticeKind::Firing, String::from("hot"))], "{days} {ahead}");
        }
    }
}

#[tokio::test]
async fn an_edited_threshold_keeps_the_alert_and_an_edited_expression_its_acknowledgement() {
    use holdfast::logic::alert::Command;
    let mut story = Story::with(RULE).await;
    hot(&mut story, 2 * MINUTE, 60.0).await;
    let id = story.alert("hot").unwrap().alert.id.clone();
    let ack = Command::Acknowledge { by: String::from("ann"), comment: String::from("seen"), until: None };
    story.app.alerting().command(&id, ack).await.unwrap();
    story.edit(&RULE.replace("high = 50", "high = 55")).await;
    hot(&mut story, MINUTE, 60.0).await;
    let alert = story.alert("hot").unwrap().alert;
    assert_eq!((&alert.id, alert.state, alert.threshold), (&id, AlertState::Firing, Some(55.0)));
    story
        .edit(
            &RULE
                .replace("'temperature'", "'temperature + 1'")
                .replace("clear_margin", "for = '1m'\nclear_margin"),
        )
        .await;
    hot(&mut story, 1, 60.0).await;
    let alert = story.alert("hot").unwrap().alert;
    assert_eq!((&alert.id, alert.state), (&id, AlertState::Pending));
    hot(&mut story, 2 * MINUTE, 60.0).await;
    let alert = story.alert("hot").unwrap().alert;
    assert_eq!((&alert.id, alert.state), (&id, AlertState::Firing));
    assert_eq!(alert.acknowledged.as_ref().map(|ack| ack.by.as_str()), Some("ann"));
    hot(&mut story, 2 * MINUTE, 20.0).await;
    story.assert_one_message_of("hot");
}

#[tokio::test]
async fn a_series_that_goes_away_has_no_data_and_is_no_resolve() {
    let rule = format!("{RULE}title = '{{{{ $labels.room }}}} has {{{{ $value }}}} degrees'\n");
    let mut story = Story::with(&rule).await;
    hot(&mut story, 2 * MINUTE, 60.0).await;
    // The last sample is looked back at for five minutes, then the grace begins.
    for _ in 0..20 * MINUTE {
        story.step(&[]).await;
    }
    let alert = story.alert("hot").unwrap().alert;
    assert_eq!(alert.state, AlertState::Nodata, "{:?}", story.told());
    assert!(!alert.title.contains("NaN"), "{}", alert.title);
    hot(&mut story, 2 * MINUTE, 60.0).await;
    let back = story.alert("hot").unwrap().alert;
    assert_eq!((back.state, &back.id), (AlertState::Firing, &alert.id));
    hot(&mut story, 2 * MINUTE, 20.0).await;
    story.assert_one_message_of("hot");
}

#[tokio::test]
async fn no_number_is_no_judgement() {
    let mut story = Story::with(RULE).await;
    hot(&mut story, 2 * MINUTE, f64::NAN).await;
    assert!(story.alert("hot").is_none());
    hot(&mut story, 2 * MINUTE, 60.0).await;
    hot(&mut story, MINUTE / 2, f64::NAN).await;
    assert_eq!(story.alert("hot").unwrap().alert.state, AlertState::Firing);
    hot(&mut story, 2 * MINUTE, 60.0).await;
    hot(&mut story, 2 * MINUTE, 20.0).await;
    story.assert_one_message_of("hot");
}
