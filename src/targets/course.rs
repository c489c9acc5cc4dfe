//! One probe on its way: its deadline, what was done so far, its series.
//!
//! The pattern: a kind starts a [`Course`], notes each operation as it ends, stops at
//! the first that leaves nothing to go on with, and finishes it into a [`Probed`].

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Probed;
use super::outcome::Outcome;
use super::record::Recorder;
use crate::base::time::{Clock, Monotonic, Timestamp};
use crate::model::frame::Frame;
use crate::model::probe::OperationOutcome;
use crate::runtime::certificate::Chain;

/// Measures one operation. (A function that takes the operation as a future would
/// read better; the compiler cannot prove such a future `Send`.)
pub struct Stopwatch {
    clock: Arc<dyn Clock>,
    started: Monotonic,
}

impl Stopwatch {
    pub fn start(clock: &Arc<dyn Clock>) -> Self {
        Self { clock: clock.clone(), started: clock.monotonic() }
    }

    /// Milliseconds since the start.
    pub fn read(&self) -> f64 {
        self.clock.monotonic().since(self.started).as_secs_f64() * 1000.0
    }
}

/// See the module.
pub struct Course {
    clock: Arc<dyn Clock>,
    at: Timestamp,
    /// For everything that the probe does.
    pub deadline: Instant,
    pub frame: Frame,
    whole: Stopwatch,
    latency_ms: Option<f64>,
    operations: Vec<OperationOutcome>,
}

impl Course {
    pub fn start(clock: &Arc<dyn Clock>, timeout: Duration) -> Self {
        Self {
            clock: clock.clone(),
            at: clock.now(),
            deadline: Instant::now() + timeout,
            frame: Frame::new(),
            whole: Stopwatch::start(clock),
            latency_ms: None,
            operations: Vec::new(),
        }
    }

    pub fn watch(&self) -> Stopwatch {
        Stopwatch::start(&self.clock)
    }

    /// How `operation`, begun with `watch`, ended. Milliseconds it took.
    pub fn note(&mut self, operation: &str, watch: &Stopwatch, outcome: Outcome) -> f64 {
        let latency_ms = watch.read();
        self.operations.push(outcome.named(operation, latency_ms));
        latency_ms
    }

    /// Notes an operation that gives something to go on with, or nothing.
    pub fn step<T>(&mut self, operation: &str, watch: &Stopwatch, result: Result<T, Outcome>) -> Option<T> {
        let (value, outcome) = match result {
            Ok(value) => (Some(value), Outcome::ok()),
            Err(outcome) => (None, outcome),
        };
        self.note(operation, watch, outcome);
        value
    }

    /// What follows is no part of how long the target takes to serve.
    pub fn served(&mut self) {
        self.latency_ms = Some(self.whole.read());
    }

    /// What a peer presented, under blackbox_exporter's name.
    pub fn certificate(&mut self, recorder: &Recorder, chain: Option<Chain>) {
        let Some(chain) = chain else { return };
        let labels = recorder.labels();
        self.frame
            .gauge(
                "holdfast_probe_tls_verified",
                "Whether the certificate that the peer presented is trusted and its own.",
            )
            .push(&labels, f64::from(u8::from(chain.verified)));
        if let Some(seconds) = chain.earliest_expiry {
            self.frame
                .gauge("probe_ssl_earliest_cert_expiry", "Returns last SSL chain expiry in unixtime")
                .push(&labels, seconds as f64);
        }
    }

    pub fn finish(mut self, recorder: &mut Recorder) -> Probed {
        let latency_ms = self.latency_ms.unwrap_or_else(|| self.whole.read());
        let record = recorder.finish(self.at, latency_ms, self.operations, &mut self.frame);
        Probed { record, frame: self.frame }
    }
}
