//! Processor time, by what it was spent on, while somebody looks.
//!
//! A task is polled on one thread at a time, so the processor time that the thread had over
//! a poll is the task's own, however often the thread was put aside meanwhile. Asking the
//! kernel for it costs two system calls a poll, so it is done only while a [`Look`] lives:
//! otherwise a poll costs one load. One would get it wrong by taking the time on the wall,
//! which on a busy host is mostly that of others.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

/// Names that are told apart; what comes later goes under [`OTHERS`]: paths are made up by clients.
const MOST_NAMES: usize = 256;
const OTHERS: &str = "others";

/// A task, and what it did there; none for the task as a whole.
pub type Spent = BTreeMap<(String, Option<String>), Duration>;

#[derive(Debug, Default)]
struct Inner {
    on: AtomicBool,
    spent: Mutex<Spent>,
}

/// See the module; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct CpuMeter(Arc<Inner>);

impl CpuMeter {
    /// Whether anybody looks.
    pub fn is_on(&self) -> bool {
        self.0.on.load(Ordering::Relaxed)
    }

    /// Begins to measure; one at a time, which the caller sees to.
    pub fn look(&self) -> Look {
        self.spent().clear();
        self.0.on.store(true, Ordering::Relaxed);
        Look(self.clone())
    }

    fn add(&self, task: &str, part: Option<&str>, took: Duration) {
        let mut spent = self.spent();
        let mut key = (task.to_owned(), part.map(str::to_owned));
        if spent.len() >= MOST_NAMES && !spent.contains_key(&key) {
            match &mut key.1 {
                Some(part) => part.replace_range(.., OTHERS),
                None => key.0.replace_range(.., OTHERS),
            }
        }
        *spent.entry(key).or_default() += took;
    }

    fn spent(&self) -> MutexGuard<'_, Spent> {
        self.0.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// While it lives, processor time is measured.
#[derive(Debug)]
pub struct Look(CpuMeter);

impl Look {
    /// What was measured so far.
    pub fn spent(&self) -> Spent {
        self.0.spent().clone()
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        self.0.0.on.store(false, Ordering::Relaxed);
        self.0.spent().clear();
    }
}

/// A future whose polls are measured.
pub struct Metered<F> {
    inner: Pin<Box<F>>,
    meter: CpuMeter,
    task: Arc<str>,
    part: Option<String>,
}

impl<F: Future> Metered<F> {
    pub fn new(inner: F, meter: CpuMeter, task: Arc<str>, part: Option<String>) -> Self {
        Self { inner: Box::pin(inner), meter, task, part }
    }
}

impl<F: Future> Future for Metered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        if !self.meter.is_on() {
            return self.inner.as_mut().poll(context);
        }
        let started = thread_time();
        let polled = self.inner.as_mut().poll(context);
        let took = thread_time().saturating_sub(started);
        self.meter.add(&self.task, self.part.as_deref(), took);
        polled
    }
}

/// Processor time that this thread had since it began.
pub fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work() -> u64 {
        (0..200_000_u64).fold(1, |sum, number| std::hint::black_box(sum.wrapping_mul(31) ^ number))
    }

    #[tokio::test]
    async fn what_is_polled_is_measured_while_somebody_looks() {
        let meter = CpuMeter::default();
        let task: Arc<str> = Arc::from("task");
        let run = |part: Option<&str>| {
            Metered::new(async { work() }, meter.clone(), task.clone(), part.map(str::to_owned))
        };
        run(None).await;
        let look = meter.look();
        assert!(look.spent().is_empty(), "nobody looked");
        run(None).await;
        run(Some("part")).await;
        let spent = look.spent();
        let of = |part: Option<&str>| spent[&(String::from("task"), part.map(str::to_owned))];
        assert!(of(None) > Duration::ZERO && of(Some("part")) > Duration::ZERO, "{spent:?}");
        drop(look);
        assert!(!meter.is_on());
    }

    #[test]
    fn names_that_clients_make_up_are_bounded() {
        let meter = CpuMeter::default();
        let look = meter.look();
        for number in 0..2 * MOST_NAMES {
            meter.add("connections", Some(&number.to_string()), Duration::from_millis(1));
        }
        let spent = look.spent();
        assert!(spent.len() <= MOST_NAMES + 1);
        assert_eq!(spent.values().sum::<Duration>(), Duration::from_millis(2 * MOST_NAMES as u64));
    }
}
