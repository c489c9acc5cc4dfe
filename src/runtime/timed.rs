//! A future that knows how long its polls took.
//!
//! A poll that takes long keeps every other task of its thread waiting, and nothing else
//! in the process tells which task it was. The figures outlive the future: a worker that
//! is started again adds to them.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use crate::base::time::Clock;
use crate::model::durations::Durations;

/// The figures of one worker; shared with whoever looks at them.
#[derive(Clone, Debug, Default)]
pub struct Polls(Arc<Mutex<Durations>>);

impl Polls {
    pub fn now(&self) -> Durations {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, took: std::time::Duration) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).add(took);
    }
}

/// See the module.
pub struct Timed<F> {
    inner: Pin<Box<F>>,
    clock: Arc<dyn Clock>,
    polls: Polls,
}

impl<F: Future> Timed<F> {
    pub fn new(inner: F, clock: Arc<dyn Clock>, polls: Polls) -> Self {
        Self { inner: Box::pin(inner), clock, polls }
    }
}

impl<F: Future> Future for Timed<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let started = self.clock.monotonic();
        let polled = self.inner.as_mut().poll(context);
        let took = self.clock.monotonic().since(started);
        self.polls.add(took);
        polled
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::time::{ManualClock, Timestamp};

    #[tokio::test]
    async fn every_poll_is_counted_with_its_time() {
        let clock = Arc::new(ManualClock::at(Timestamp(0)));
        let (polls, moved) = (Polls::default(), clock.clone());
        let work = async move {
            moved.advance(Duration::from_millis(2));
            tokio::task::yield_now().await;
            moved.advance(Duration::from_millis(20));
        };
        Timed::new(work, clock, polls.clone()).await;
        let view = polls.now().view();
        assert_eq!((view.count, view.total_ms, view.longest_ms), (2, 22.0, 20.0));
    }
}
