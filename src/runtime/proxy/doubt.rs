//! Whether the servers may be about to stop or to start.
//!
//! Once a client was granted TLS, "cannot connect now" reaches it unseen. So while
//! there is a reason to expect that answer, a server is asked in the clear first,
//! on a connection of its own. The reasons are what a restart looks like from here:
//! a server that ends a connection of its own accord, refuses one, or says so.
//! Asking always would cost every TLS client a second process on the server.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// How long a reason counts: a restart takes about as long.
const LASTS: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub struct Doubt {
    began: Instant,
    /// Milliseconds after `began`; zero: never.
    raised: AtomicU64,
}

impl Default for Doubt {
    fn default() -> Self {
        Self { began: Instant::now(), raised: AtomicU64::new(0) }
    }
}

impl Doubt {
    pub fn raise(&self) {
        self.raised.store(self.now(), Ordering::Relaxed);
    }

    pub fn exists(&self) -> bool {
        let raised = self.raised.load(Ordering::Relaxed);
        raised > 0 && self.now() - raised.min(self.now()) < LASTS.as_millis() as u64
    }

    /// Never zero.
    fn now(&self) -> u64 {
        self.began.elapsed().as_millis() as u64 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_passes_with_time() {
        let doubt = Doubt::default();
        assert!(!doubt.exists());
        doubt.raise();
        assert!(doubt.exists());
        tokio::time::advance(LASTS).await;
        assert!(!doubt.exists());
    }
}
