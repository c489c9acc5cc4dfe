//! The calls of the last while, in thirty buckets.
//!
//! A bucket covers `width` of the monotonic clock, counted from its origin; the
//! window is the bucket of now and the 29 before it. Sums are kept, so asking costs
//! nothing and the memory is fixed. One would get it wrong by clearing buckets only
//! when they are written again: after a pause the sums would still hold the past.

use std::time::Duration;

use crate::base::time::Monotonic;

const BUCKETS: u64 = 30;

/// How many calls there were, failed, and were slow.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Tally {
    pub calls: u32,
    pub failed: u32,
    pub slow: u32,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.failed = self.failed.saturating_add(other.failed);
        self.slow = self.slow.saturating_add(other.slow);
    }

    fn take(&mut self, other: Self) {
        self.calls = self.calls.saturating_sub(other.calls);
        self.failed = self.failed.saturating_sub(other.failed);
        self.slow = self.slow.saturating_sub(other.slow);
    }

    /// The share of `part` in all calls, 0 when there were none.
    pub fn share(self, part: u32) -> f64 {
        if self.calls == 0 { 0.0 } else { f64::from(part) / f64::from(self.calls) }
    }

    /// Whether `part` is at least this share of all calls; a multiplication, because it
    /// is asked at every call.
    pub fn reaches(self, part: u32, share: f64) -> bool {
        f64::from(part) >= share * f64::from(self.calls)
    }
}

/// See the module.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Window {
    /// Milliseconds, not zero.
    width: u64,
    /// Bucket of the newest call or question, and when it ends: within it nothing moves.
    newest: u64,
    ends: Monotonic,
    buckets: [Tally; BUCKETS as usize],
    sum: Tally,
}

impl Window {
    /// `length` of less than 30 ms is taken as 30 ms.
    pub fn new(length: Duration) -> Self {
        let width = (length.as_millis() as u64 / BUCKETS).max(1);
        let ends = Monotonic(Duration::from_millis(width));
        Self { width, newest: 0, ends, buckets: [Tally::default(); BUCKETS as usize], sum: Tally::default() }
    }

    /// Counts one call that ended at `now`; returns what the window holds then.
    pub fn add(&mut self, now: Monotonic, failed: bool, slow: bool) -> Tally {
        self.advance(now);
        let one = Tally { calls: 1, failed: u32::from(failed), slow: u32::from(slow) };
        let at = self.newest;
        self.bucket(at).add(one);
        self.sum.add(one);
        self.sum
    }

    /// What the window holds at `now`.
    pub fn tally(&mut self, now: Monotonic) -> Tally {
        self.advance(now);
        self.sum
    }

    pub fn clear(&mut self) {
        self.buckets = [Tally::default(); BUCKETS as usize];
        self.sum = Tally::default();
    }

    fn bucket(&mut self, number: u64) -> &mut Tally {
        &mut self.buckets[(number % BUCKETS) as usize]
    }

    fn advance(&mut self, now: Monotonic) {
        if now >= self.ends {
            self.turn(now);
        }
    }

    #[cold]
    fn turn(&mut self, now: Monotonic) {
        let number = now.0.as_millis() as u64 / self.width;
        self.ends = Monotonic(Duration::from_millis((number + 1).saturating_mul(self.width)));
        if number - self.newest >= BUCKETS {
            self.clear();
        } else {
            for passed in self.newest + 1..=number {
                let old = std::mem::take(self.bucket(passed));
                self.sum.take(old);
            }
        }
        self.newest = number;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Monotonic {
        Monotonic(Duration::from_millis(millis))
    }

    proptest! {
        /// Every call kept in a list and counted again at every step.
        #[test]
        fn the_sums_are_those_of_a_list(
            length in 1u64..3000,
            calls in proptest::collection::vec((0u64..500, 0u64..2, any::<bool>(), any::<bool>()), 1..200),
        ) {
            let mut window = Window::new(Duration::from_millis(length));
            let width = (length / 30).max(1);
            let mut list = Vec::new();
            let mut now = 0;
            for (step, idle, failed, slow) in calls {
                // Now and then longer than any window.
                now += step + idle * 4000 * u64::from(failed && slow);
                if idle == 0 {
                    window.add(at(now), failed, slow);
                    list.push((now / width, failed, slow));
                }
                let held = list.iter().filter(|(number, _, _)| number + 30 > now / width);
                let mut naive = Tally::default();
                for (_, failed, slow) in held {
                    naive.add(Tally { calls: 1, failed: u32::from(*failed), slow: u32::from(*slow) });
                }
                prop_assert_eq!(window.tally(at(now)), naive);
            }
        }
    }

    #[test]
    fn a_clock_that_stands_still_is_one_bucket() {
        let mut window = Window::new(Duration::from_secs(300));
        for _ in 0..1000 {
            window.add(at(5), true, false);
        }
        assert_eq!(window.tally(at(5)), Tally { calls: 1000, failed: 1000, slow: 0 });
        assert_eq!(window.tally(at(300_000)), Tally::default());
    }
}
