//! What judging costs while nothing changes: one step of a rule over 10,000 label sets.
//!
//! `cargo bench --bench alert`. Most instances are inactive or firing for long; a change
//! costs a text and a copy of the alert, and is rare.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use divan::{Bencher, black_box};
use holdfast::base::time::{Monotonic, Timestamp};
use holdfast::logic::alert::{About, Author, Input, Now, RuleState, Sample, Settings, Texts};
use holdfast::model::rule::{Absent, Clear, Compare, Judgement, Levels, Origin, Rule};
use holdfast::model::severity::Severity;

fn main() {
    divan::main();
}

const INSTANCES: usize = 10_000;

struct Scribe(u64);

impl Author for Scribe {
    fn id(&mut self) -> String {
        self.0 += 1;
        self.0.to_string()
    }

    fn texts(&mut self, _: About<'_>) -> Texts {
        Texts::default()
    }
}

fn rule(judgement: Judgement) -> Rule {
    Rule {
        name: String::from("storage_capacity"),
        alert: String::from("StorageCapacity"),
        origin: Origin::Configured,
        expr: String::from("used"),
        judgement,
        hold: Duration::ZERO,
        every: None,
        min_samples: None,
        flap: None,
        ack_rearm: None,
        re_raise_after: None,
        depends_on: Vec::new(),
        settle: Duration::ZERO,
        repeat: None,
        escalate: Vec::new(),
        notify: Vec::new(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        title: String::new(),
        message: String::new(),
        runbook: None,
        source: String::new(),
        resource_type: None,
        resource_id: None,
        enabled: true,
    }
}

fn levels() -> Judgement {
    Judgement::Levels(Levels {
        op: Compare::AtLeast,
        limits: BTreeMap::from([(Severity::Medium, 80.0), (Severity::Critical, 95.0)]),
        clear: Clear::Margin(2.0),
        clear_for: Duration::from_secs(60),
        absent: Absent::Keep,
        absent_grace: Duration::from_secs(60),
    })
}

/// Steps of the same answer, every 15 s.
fn steps(bencher: Bencher, rule: Rule, value: f64) {
    let keys: Vec<_> =
        (0..INSTANCES).map(|place| format!("{{instance=\"db-{place}:9100\",job=\"node\"}}")).collect();
    let samples: Vec<_> = keys.iter().map(|key| Sample { key, value, enough: true }).collect();
    let mut state = RuleState::new(Arc::new(rule), Settings::default());
    let mut now = Now { wall: Timestamp(1_800_000_000_000), mono: Monotonic::default() };
    let mut scribe = Scribe(0);
    state.step(now, Input::Samples(&samples), &mut scribe);
    bencher.counter(INSTANCES).bench_local(|| {
        now.wall = now.wall.plus(Duration::from_secs(15));
        now.mono = Monotonic(now.mono.0 + Duration::from_secs(15));
        black_box(state.step(now, Input::Samples(&samples), &mut scribe));
    });
    assert_eq!(scribe.0 == 0, value < 80.0, "every alert began once");
}

#[divan::bench]
fn inactive(bencher: Bencher) {
    steps(bencher, rule(levels()), 50.0);
}

#[divan::bench]
fn firing(bencher: Bencher) {
    steps(bencher, rule(levels()), 96.0);
}

#[divan::bench]
fn firing_prometheus(bencher: Bencher) {
    let keep_firing_for = Duration::ZERO;
    steps(bencher, rule(Judgement::Prometheus { severity: Severity::High, keep_firing_for }), 96.0);
}
