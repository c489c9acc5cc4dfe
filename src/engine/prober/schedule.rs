//! When a target is probed next.
//!
//! Probes fall on whole multiples of the interval plus a phase that the target's
//! name decides: evenly spaced timestamps cost the store almost nothing, and
//! targets with one interval do not all start in the same millisecond.

use std::time::Duration;

use crate::base::time::Timestamp;

/// The largest phase; a target at a short interval gets at most a tenth of it.
const MAX_PHASE: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    interval: i64,
    phase: i64,
    last: Option<Timestamp>,
}

impl Schedule {
    /// `interval` of less than 100 ms is taken as 100 ms.
    pub fn new(name: &str, interval: Duration) -> Self {
        let interval = interval.max(Duration::from_millis(100));
        let widest = (interval / 10).min(MAX_PHASE).as_millis().max(1) as u64;
        let phase = u64::from(crc32fast::hash(name.as_bytes())) % widest;
        Self { interval: interval.as_millis().min(i64::MAX as u128) as i64, phase: phase as i64, last: None }
    }

    /// The first due time after `now`, and how far it is.
    pub fn next(&self, now: Timestamp) -> (Timestamp, Duration) {
        let passed = (now.millis() - self.phase).div_euclid(self.interval);
        let due = (passed + 1) * self.interval + self.phase;
        (Timestamp(due), Duration::from_millis((due - now.millis()) as u64))
    }

    /// The time to stamp a probe with that starts at `now`: the due time when it
    /// is about on time, and always later than the last.
    pub fn stamp(&mut self, now: Timestamp, due: Option<Timestamp>) -> Timestamp {
        let near = due.filter(|due| (now.millis() - due.millis()).abs() <= self.interval / 10);
        let mut at = near.unwrap_or(now);
        if let Some(last) = self.last {
            at = at.max(Timestamp(last.millis() + 1));
        }
        self.last = Some(at);
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_times_are_evenly_spaced_and_never_now() {
        let schedule = Schedule::new("pg1", Duration::from_secs(30));
        let (first, wait) = schedule.next(Timestamp(1_000_000));
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(30));
        assert_eq!(schedule.next(first), (first.plus(Duration::from_secs(30)), Duration::from_secs(30)));
    }

    #[test]
    fn stamps_rise_even_when_the_clock_goes_back() {
        let mut schedule = Schedule::new("pg1", Duration::from_secs(1));
        let due = Some(Timestamp(2_000));
        assert_eq!(schedule.stamp(Timestamp(2_040), due), Timestamp(2_000));
        assert_eq!(schedule.stamp(Timestamp(2_900), due), Timestamp(2_900));
        assert_eq!(schedule.stamp(Timestamp(500), None), Timestamp(2_901));
    }

    #[test]
    fn a_short_interval_has_a_short_phase() {
        for name in ["a", "b", "pg1", "backup"] {
            let schedule = Schedule::new(name, Duration::from_secs(1));
            assert!(schedule.phase < 100, "{name}");
            assert_eq!(schedule, Schedule::new(name, Duration::from_secs(1)));
        }
    }
}
