//! Channels as a configuration file makes them, and what holds for every delivery.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use holdfast::base::secret::Secret;
use holdfast::base::time::{SystemClock, Timestamp};
use holdfast::channels::{self, Channel, Context, Outcome, Plan, Surroundings};
use holdfast::config::Config;
use holdfast::model::message::sample_notice;
use holdfast::model::notice::{Notice, NoticeKind};
use holdfast::runtime::supervisor::Supervisor;
use tokio::time::Instant;

/// What a delivery may take beyond its deadline on a loaded machine.
const SLACK: Duration = Duration::from_millis(700);

/// The time of the notices, 2026-11-20T09:22:45.250Z.
pub const NOW: Timestamp = Timestamp(1_795_166_565_250);

pub fn surroundings(data_dir: &Path) -> Surroundings {
    let clock = Arc::new(SystemClock::new());
    let environment = BTreeMap::from([(String::from("TEST_SECRET"), Secret::new("from-environment"))]);
    Surroundings {
        supervisor: Supervisor::new(clock.clone()),
        clock,
        environment: Arc::new(environment),
        data_dir: data_dir.to_owned(),
    }
}

/// The one channel that `document` configures.
pub fn plan(document: &str) -> Plan {
    plan_in(document, Path::new("/nonexistent"))
}

pub fn plan_in(document: &str, data_dir: &Path) -> Plan {
    let config: Config = toml::from_str(document).expect("the configuration of the test");
    channels::configured(&config, &surroundings(data_dir)).pop().expect("a channel")
}

pub fn notice(kind: NoticeKind) -> Notice {
    sample_notice("ops", kind, NOW)
}

pub fn context() -> Context {
    Context { host: String::from("nas"), url: Some(String::from("http://nas:3003")) }
}

/// Delivers once and checks the deadline.
pub async fn deliver_with(plan: &Plan, channel: &mut dyn Channel, notice: &Notice) -> Outcome {
    let started = Instant::now();
    let outcome = channel.deliver(notice, &context()).await;
    assert!(started.elapsed() <= plan.timeout + SLACK, "{outcome:?} took {:?}", started.elapsed());
    assert!(!outcome.answer.is_empty() && !outcome.answer.contains('\n'), "{outcome:?}");
    assert_eq!(channel.kind(), plan.kind);
    outcome
}

/// The same with a channel made for it.
pub async fn deliver(document: &str, notice: &Notice) -> Outcome {
    let plan = plan(document);
    deliver_with(&plan, &mut *plan.make(), notice).await
}
