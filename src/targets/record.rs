//! From the operations of a probe to its record and to the series every kind has.
//!
//! `probe_success` and `probe_duration_seconds` are blackbox_exporter's names;
//! what it has no name for is `holdfast_probe_*`.

use std::collections::BTreeMap;

use crate::base::id::Name;
use crate::base::time::Timestamp;
use crate::model::frame::Frame;
use crate::model::probe::{OperationOutcome, OutcomeClass, ProbeRecord};
use crate::targets::outcome::NOT_TRIED;

/// Counts the operations of one target and writes its series.
#[derive(Debug)]
pub struct Recorder {
    target: Name,
    kind: &'static str,
    totals: BTreeMap<(String, OutcomeClass), u64>,
    reconnects: u64,
}

impl Recorder {
    pub fn new(target: Name, kind: &'static str) -> Self {
        Self { target, kind, totals: BTreeMap::new(), reconnects: 0 }
    }

    /// The labels of a series `probe_*` of the target.
    pub fn labels(&self) -> [(&'static str, &str); 2] {
        [("kind", self.kind), ("target", self.target.as_str())]
    }

    /// A connection that was kept open turned out to be gone and was made anew.
    pub fn reconnected(&mut self) {
        self.reconnects += 1;
    }

    /// Makes the record of the probe at `at` and appends its series to `frame`.
    pub fn finish(
        &mut self,
        at: Timestamp,
        latency_ms: f64,
        operations: Vec<OperationOutcome>,
        frame: &mut Frame,
    ) -> ProbeRecord {
        for done in &operations {
            *self.totals.entry((done.operation.clone(), done.class)).or_default() += 1;
        }
        let class = operations.iter().map(|done| done.class).max().unwrap_or(OutcomeClass::Ok);
        let record = ProbeRecord {
            target: self.target.clone(),
            kind: self.kind.to_owned(),
            at,
            class,
            latency_ms,
            operations,
        };
        self.write(&record, frame);
        record
    }

    fn write(&self, record: &ProbeRecord, frame: &mut Frame) {
        let (target, kind) = (("target", self.target.as_str()), ("kind", self.kind));
        write_success(record, frame);
        frame
            .gauge("probe_duration_seconds", "Returns how long the probe took to complete in seconds")
            .push(&[kind, target], record.latency_ms / 1000.0);
        frame.gauge("holdfast_probe_operation_success", "Whether the operation of the last probe went well.");
        for done in &record.operations {
            frame.push(&[kind, ("operation", &done.operation), target], success(done.class));
        }
        frame.gauge(
            "holdfast_probe_operation_duration_seconds",
            "How long the operation of the last probe took, in seconds.",
        );
        // What was not tried took no time, and that is no figure.
        for done in record.operations.iter().filter(|done| done.code != NOT_TRIED) {
            frame.push(&[kind, ("operation", &done.operation), target], done.latency_ms / 1000.0);
        }
        frame.counter(
            "holdfast_probe_operations_total",
            "Operations of probes since the target was set up, by how they ended.",
        );
        for ((operation, class), total) in &self.totals {
            let labels = [("class", class.word()), kind, ("operation", operation), target];
            frame.push(&labels, *total as f64);
        }
        frame
            .counter(
                "holdfast_probe_reconnects_total",
                "Kept connections that were gone at the next probe and were made anew.",
            )
            .push(&[kind, target], self.reconnects as f64);
    }
}

fn success(class: OutcomeClass) -> f64 {
    f64::from(u8::from(class == OutcomeClass::Ok))
}

/// Appends whether the probe of `record` went well.
pub fn write_success(record: &ProbeRecord, frame: &mut Frame) {
    let labels = [("kind", record.kind.as_str()), ("target", record.target.as_str())];
    frame
        .gauge("probe_success", "Displays whether or not the probe was a success")
        .push(&labels, success(record.class));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_operation_gives_the_class_and_every_operation_is_counted() {
        let mut recorder = Recorder::new(Name::new("pg1").unwrap(), "postgres");
        let operation = |class| OperationOutcome {
            operation: String::from("query"),
            class,
            code: String::new(),
            detail: String::new(),
            latency_ms: 1.0,
        };
        let operations = vec![operation(OutcomeClass::Ok), operation(OutcomeClass::Soft)];
        let mut frame = Frame::new();
        let record = recorder.finish(Timestamp(0), 2.0, operations, &mut frame);
        assert_eq!(record.class, OutcomeClass::Soft);
        let value = |key: &str| frame.iter().find(|sample| sample.key == key).unwrap().value;
        assert_eq!(value("probe_success{kind=\"postgres\",target=\"pg1\"}"), 0.0);
        let counted = "holdfast_probe_operations_total{class=\"soft\",kind=\"postgres\",operation=\"query\",target=\"pg1\"}";
        assert_eq!(value(counted), 1.0);
    }
}
