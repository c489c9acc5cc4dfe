//! Handing alerts to a real Alertmanager.

use std::sync::Arc;
use std::time::Duration;

use holdfast::base::time::{Clock as _, SystemClock, Timestamp};
use holdfast::channels::Verdict;
use holdfast::model::message::sample_notice;
use holdfast::model::notice::NoticeKind;

use super::support::alertmanager::Alertmanager;
use super::support::delivering::{deliver_with, plan};

#[tokio::test(flavor = "multi_thread")]
async fn it_shows_what_fires_until_it_is_over() {
    let server = Alertmanager::start();
    let plan = plan(&format!(
        "[[channel.alertmanager]]\nname = \"central\"\nurl = \"http://127.0.0.1:{}/\"\n",
        server.port
    ));
    let mut channel = plan.make();
    let now = Arc::new(SystemClock::new()).now();
    let mut firing = sample_notice("central", NoticeKind::Firing, now);
    // What it would refuse does not keep the rest from arriving.
    firing.alerts[0].labels.insert(String::from("not a name"), String::from("x"));
    firing.alerts[0].labels.insert(String::from("empty"), String::new());
    assert_eq!(deliver_with(&plan, &mut *channel, &firing).await.verdict, Verdict::Delivered);
    let shown = server.alerts();
    assert_eq!(shown.len(), 1, "{shown:?}");
    let alert = &shown[0];
    let labels = serde_json::json!({
        "alertname": "storage_capacity", "host": "nas", "mountpoint": "/data", "severity": "critical",
    });
    assert_eq!(alert["labels"], labels);
    assert_eq!(alert["annotations"]["summary"], "/data is nearly full");
    let time = |key: &str| Timestamp::parse(alert[key].as_str().unwrap()).unwrap();
    assert_eq!(time("startsAt"), firing.alerts[0].fired_at);
    // It is held for a day, unless there is news.
    assert!(time("endsAt") > now.plus(Duration::from_secs(86_000)), "{alert}");

    let mut over = firing.clone();
    over.kind = NoticeKind::Resolved;
    over.alerts[0].resolved_at = Some(now);
    assert_eq!(deliver_with(&plan, &mut *channel, &over).await.verdict, Verdict::Delivered);
    assert!(server.alerts().is_empty(), "{:?}", server.alerts());
}
