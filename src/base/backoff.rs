//! Exponential waits with jitter, for restarts and reconnects.

use std::time::Duration;

/// `first × 2^attempt`, at most `longest`, times 0.8 to 1.0.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
}

impl Backoff {
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest }
    }

    /// The wait before the retry number `attempt` (the first is 0). `jitter` is
    /// a random number in 0..=1 from the caller, so that tests choose it.
    pub fn wait(&self, attempt: u32, jitter: f64) -> Duration {
        let doubled = self.first.saturating_mul(2u32.saturating_pow(attempt.min(31)));
        let jitter = if jitter.is_finite() { jitter.clamp(0.0, 1.0) } else { 1.0 };
        doubled.min(self.longest).mul_f64(0.8 + 0.2 * jitter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_to_its_limit() {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));
        assert_eq!(backoff.wait(0, 1.0), Duration::from_millis(100));
        assert_eq!(backoff.wait(3, 1.0), Duration::from_millis(800));
        assert_eq!(backoff.wait(u32::MAX, 1.0), Duration::from_secs(30));
        assert_eq!(backoff.wait(0, 0.0), Duration::from_millis(80));
        assert_eq!(backoff.wait(0, f64::NAN), Duration::from_millis(100));
    }
}
