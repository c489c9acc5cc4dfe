//! The probes of the last hour, as numbers.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::time::Monotonic;
use crate::model::probe::OutcomeClass;

/// How far back the figures go.
const SPAN: Duration = Duration::from_secs(3600);
/// Probes that are kept at most: one a second.
const MOST: usize = 3600;

#[derive(Debug, Clone, Copy)]
struct Entry {
    at: Monotonic,
    latency_ms: f32,
    ok: bool,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct History {
    entries: VecDeque<Entry>,
}

/// The figures of a [`History`]. Latencies are of the probes that went well: a
/// refusal is fast and a timeout says only what the deadline is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Figures {
    pub probes: u64,
    pub failed: u64,
    pub error_share: f64,
    pub p50_ms: Option<f64>,
    pub p95_ms: Option<f64>,
}

impl History {
    pub fn add(&mut self, at: Monotonic, latency_ms: f64, class: OutcomeClass) {
        if self.entries.len() >= MOST {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry { at, latency_ms: latency_ms as f32, ok: class == OutcomeClass::Ok });
        while self.entries.front().is_some_and(|oldest| at.since(oldest.at) > SPAN) {
            self.entries.pop_front();
        }
    }

    pub fn figures(&self) -> Figures {
        let probes = self.entries.len() as u64;
        let mut good: Vec<f32> =
            self.entries.iter().filter(|entry| entry.ok).map(|entry| entry.latency_ms).collect();
        let failed = probes - good.len() as u64;
        Figures {
            probes,
            failed,
            error_share: if probes == 0 { 0.0 } else { failed as f64 / probes as f64 },
            p50_ms: percentile(&mut good, 50),
            p95_ms: percentile(&mut good, 95),
        }
    }
}

/// The nearest-rank percentile: the smallest value that `share` percent do not exceed.
fn percentile(values: &mut [f32], share: usize) -> Option<f64> {
    let rank = (values.len() * share).div_ceil(100).checked_sub(1)?;
    let (_, value, _) = values.select_nth_unstable_by(rank, f32::total_cmp);
    Some(f64::from(*value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Monotonic {
        Monotonic(Duration::from_secs(seconds))
    }

    #[test]
    fn percentiles_are_of_the_probes_that_went_well() {
        let mut history = History::default();
        assert_eq!(history.figures(), Figures::default());
        for n in 1..=100 {
            history.add(at(n), n as f64, OutcomeClass::Ok);
        }
        history.add(at(101), 5000.0, OutcomeClass::Hard);
        let figures = history.figures();
        assert_eq!((figures.p50_ms, figures.p95_ms), (Some(50.0), Some(95.0)));
        assert_eq!((figures.probes, figures.failed), (101, 1));
    }

    #[test]
    fn what_is_older_than_an_hour_is_forgotten_and_the_number_is_bounded() {
        let mut history = History::default();
        for n in 0..8000 {
            history.add(Monotonic(Duration::from_millis(n * 100)), 1.0, OutcomeClass::Ok);
        }
        assert_eq!(history.figures().probes, MOST as u64);
        history.add(at(10_000), 1.0, OutcomeClass::Ok);
        assert_eq!(history.figures().probes, 1);
    }
}
