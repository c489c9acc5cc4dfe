//! Targets as a configuration file makes them, and the reading of what they return.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use holdfast::base::secret::Secret;
use holdfast::base::time::SystemClock;
use holdfast::config::Config;
use holdfast::model::frame::Frame;
use holdfast::model::probe::{OperationOutcome, OutcomeClass, ProbeRecord};
use holdfast::model::series::{labels_of, name_of};
use holdfast::runtime::supervisor::Supervisor;
use holdfast::targets::{self, Depth, Probed, Surroundings, Target};
use tokio::time::Instant;

/// What a probe may take beyond its deadline on a loaded machine.
const SLACK: Duration = Duration::from_millis(700);

pub fn surroundings() -> Surroundings {
    let clock = Arc::new(SystemClock::new());
    let environment = BTreeMap::from([(String::from("TEST_PASSWORD"), Secret::new("from-environment"))]);
    Surroundings {
        agent: String::from("test-agent"),
        supervisor: Supervisor::new(clock.clone()),
        clock,
        environment: Arc::new(environment),
    }
}

/// The one target that `document` configures.
pub fn target(document: &str) -> Box<dyn Target> {
    let config: Config = toml::from_str(document).expect("the configuration of the test");
    targets::build(&config, &surroundings()).pop().expect("a target")
}

/// Probes once and checks what holds for every probe: the deadline, one record per
/// operation, a class that is that of the worst.
pub async fn probe(target: &mut dyn Target) -> Probed {
    let started = Instant::now();
    let probed = target.probe(Depth::Full).await;
    assert!(
        started.elapsed() <= target.timeout() + SLACK,
        "{:?} took {:?}",
        probed.record,
        started.elapsed()
    );
    let worst = probed.record.operations.iter().map(|done| done.class).max();
    assert_eq!(worst, Some(probed.record.class));
    assert_eq!(probed.record.kind, target.kind());
    probed
}

/// The outcome of one operation.
pub fn operation<'a>(record: &'a ProbeRecord, name: &str) -> &'a OperationOutcome {
    let found = record.operations.iter().find(|done| done.operation == name);
    found.unwrap_or_else(|| panic!("no operation {name} in {record:?}"))
}

#[track_caller]
pub fn assert_fine(record: &ProbeRecord) {
    assert_eq!(record.class, OutcomeClass::Ok, "{record:?}");
}

#[track_caller]
pub fn assert_outcome(record: &ProbeRecord, name: &str, class: OutcomeClass, code: &str) {
    let done = operation(record, name);
    assert_eq!((done.class, done.code.as_str()), (class, code), "{done:?}");
}

/// The value of the first series of `name` that has all of `labels`.
pub fn value(frame: &Frame, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let has = |key: &str| {
        let found = labels_of(key);
        labels.iter().all(|(label, value)| found.iter().any(|(l, v)| l == label && v == value))
    };
    frame.iter().find(|sample| name_of(sample.key) == name && has(sample.key)).map(|sample| sample.value)
}
