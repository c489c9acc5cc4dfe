//! What the prober adds to the series of each probe: the target's breaker, and which
//! operations were slow by the breaker's measure.

use std::time::Duration;

use crate::base::id::Name;
use crate::model::breaker::{BreakerState, BreakerView};
use crate::model::frame::Frame;
use crate::model::probe::ProbeRecord;

/// Appends whether each operation of `record` took longer than `slow_call`.
pub fn write_slow(record: &ProbeRecord, slow_call: Duration, frame: &mut Frame) {
    frame.gauge("holdfast_probe_operation_slow", "Whether the operation of the last probe was slow.");
    let limit = slow_call.as_secs_f64() * 1000.0;
    for done in &record.operations {
        let labels = [
            ("kind", record.kind.as_str()),
            ("operation", &done.operation),
            ("target", record.target.as_str()),
        ];
        frame.push(&labels, f64::from(u8::from(done.latency_ms > limit)));
    }
}

/// Appends the series of `view` to the frame of a probe of `target`.
pub fn write(view: &BreakerView, kind: &str, target: &Name, frame: &mut Frame) {
    let labels = [("kind", kind), ("target", target.as_str())];
    let place = BreakerState::ALL.iter().position(|state| *state == view.state).unwrap_or(0);
    frame
        .gauge(
            "holdfast_breaker_state",
            "State of the target's breaker: 0 closed, 1 open, 2 half_open, 3 forced_open, 4 disabled, 5 metrics_only.",
        )
        .push(&labels, place as f64)
        .gauge("holdfast_breaker_open", "Whether the target's breaker rejects calls.")
        .push(&labels, f64::from(u8::from(view.state.is_open())))
        .counter("holdfast_breaker_open_seconds_total", "Time the breaker was open since the agent started.")
        .push(&labels, view.open_seconds)
        .counter("holdfast_breaker_calls_total", "Calls since the agent started, by what came of them.");
    let calls = view.calls;
    for (result, count) in [
        ("cancelled", calls.cancelled),
        ("hard", calls.hard),
        ("ignored", calls.ignored),
        ("ok", calls.ok),
        ("rejected", calls.rejected),
        ("slow", calls.slow),
        ("soft", calls.soft),
        ("stale", calls.stale),
    ] {
        frame.push(&[labels[0], ("result", result), labels[1]], count as f64);
    }
}
