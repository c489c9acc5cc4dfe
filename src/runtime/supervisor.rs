//! The one place that starts tasks, and what becomes of them when they fail.
//!
//! ```text
//!            ok                    error or panic
//! running ------> (gone)    running -----------------> by policy:
//!                             Restart     backoff 0.1 s to 30 s, then running again
//!                             Essential   the same; at the fifth failure without a steady
//!                                         minute the process shuts down with the reason
//! ```
//! A task takes no input but its cancellation token and may be started twice, so
//! that starting it again is always right. Shutting down goes phase by phase and
//! names whatever did not end in time. Wrong would be to spawn elsewhere: such a
//! task has no name, no status, and nobody waits for it.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::cpu::{CpuMeter, Metered};
use super::timed::{Polls, Timed};
use crate::base::backoff::Backoff;
use crate::base::time::{Clock, Monotonic};
use crate::model::durations::Durations;
use crate::model::worker::{WorkerState, WorkerStatus};

/// What a failure means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Policy {
    /// Without it the agent is of no use to anybody, e.g. a listener.
    Essential,
    Restart,
}

impl Policy {
    const fn word(self) -> &'static str {
        match self {
            Self::Essential => "essential",
            Self::Restart => "restart",
        }
    }
}

/// The order of stopping.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Phase {
    /// Listeners and connections.
    Serve,
    /// Collectors and probers.
    Collect,
    /// What turns samples into events and writes, last.
    Engine,
}

const PHASES: [Phase; 3] = [Phase::Serve, Phase::Collect, Phase::Engine];
/// Failures of an essential task, without a steady time between them, that end the process.
const FATAL_FAILURES: u32 = 5;
const RESTART: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));
/// A task that ran this long without failing starts its backoff anew.
const STEADY: Duration = Duration::from_secs(60);

/// Threads of [`Supervisor::thread`] read small files; 2 MiB would be address space for nothing.
const THREAD_STACK: usize = 512 << 10;

/// What the tasks that are not listed are called together: nearly all are connections.
pub const UNLISTED: &str = "connections";

/// Why a task ended. Any error converts into it.
pub type TaskResult = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// One task that is listed.
struct Worker {
    status: WorkerStatus,
    polls: Polls,
}

/// How long the polls of a worker took since it was first started.
#[derive(Clone, Debug)]
pub struct WorkerPolls {
    /// Tells workers of one name apart.
    pub id: u64,
    pub name: String,
    pub polls: Durations,
}

struct Inner {
    clock: Arc<dyn Clock>,
    stops: BTreeMap<Phase, CancellationToken>,
    trackers: BTreeMap<Phase, TaskTracker>,
    workers: Mutex<BTreeMap<u64, Worker>>,
    fatal: watch::Sender<Option<String>>,
    meter: CpuMeter,
    next: std::sync::atomic::AtomicU64,
}

/// The handle; cheap to clone.
#[derive(Clone)]
pub struct Supervisor {
    inner: Arc<Inner>,
}

impl Supervisor {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let inner = Inner {
            clock,
            stops: PHASES.into_iter().map(|phase| (phase, CancellationToken::new())).collect(),
            trackers: PHASES.into_iter().map(|phase| (phase, TaskTracker::new())).collect(),
            workers: Mutex::default(),
            fatal: watch::Sender::new(None),
            meter: CpuMeter::default(),
            next: std::sync::atomic::AtomicU64::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Starts a task that may be started again: `make` builds its future anew.
    pub fn spawn<F, T>(&self, name: impl Into<String>, policy: Policy, phase: Phase, make: F)
    where
        F: Fn(CancellationToken) -> T + Send + 'static,
        T: Future<Output = TaskResult> + Send + 'static,
    {
        let name = name.into();
        let polls = Polls::default();
        let id = self.register(&name, policy, polls.clone());
        let this = self.clone();
        let stop = self.inner.stops[&phase].clone();
        let run = async move { this.supervise(id, &name, policy, stop, make, polls).await };
        self.start(phase, run);
    }

    /// Starts a task that runs once, e.g. one connection; not listed, because there
    /// may be thousands.
    pub fn spawn_once<T>(&self, phase: Phase, task: T)
    where
        T: Future<Output = ()> + Send + 'static,
    {
        let task = Metered::new(task, self.meter(), Arc::from(UNLISTED), None);
        self.start(phase, async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                tracing::error!("a connection task panicked");
            }
        });
    }

    /// Runs `work` on a blocking thread and waits for it. `None` when it panicked.
    #[expect(clippy::disallowed_methods, reason = "the one home of spawning")]
    pub async fn blocking<R, W>(work: W) -> Option<R>
    where
        W: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        tokio::task::spawn_blocking(work).await.ok()
    }

    /// Starts a thread for work that may hang in a system call: the end of the
    /// process does not wait for it, as it would for a blocking task.
    ///
    /// # Errors
    /// The operating system refused another thread.
    pub fn thread<W>(name: &str, work: W) -> std::io::Result<()>
    where
        W: FnOnce() + Send + 'static,
    {
        let builder = std::thread::Builder::new().name(name.to_owned()).stack_size(THREAD_STACK);
        builder.spawn(work).map(drop)
    }

    /// The same for a task that does its work on a thread of its own and answers for
    /// it: waits for the result, `None` when it panicked. The thread must be told to
    /// end; dropping the future only stops waiting.
    ///
    /// # Errors
    /// The operating system refused another thread.
    pub async fn apart<R, W>(name: &str, work: W) -> std::io::Result<Option<R>>
    where
        W: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let (answer, answered) = tokio::sync::oneshot::channel();
        Self::thread(name, move || drop(answer.send(work())))?;
        Ok(answered.await.ok())
    }

    /// Measures the processor time of tasks while somebody looks.
    pub fn meter(&self) -> CpuMeter {
        self.inner.meter.clone()
    }

    /// Cancelled when `phase` stops.
    pub fn stop_of(&self, phase: Phase) -> CancellationToken {
        self.inner.stops[&phase].clone()
    }

    /// Why the process must end, once an essential task failed.
    pub async fn fatal(&self) -> String {
        let mut fatal = self.inner.fatal.subscribe();
        loop {
            if let Some(reason) = fatal.borrow_and_update().clone() {
                return reason;
            }
            if fatal.changed().await.is_err() {
                return String::from("the supervisor is gone");
            }
        }
    }

    /// All workers in the order they were started.
    pub fn statuses(&self) -> Vec<WorkerStatus> {
        self.workers().values().map(|worker| worker.status.clone()).collect()
    }

    /// How long polls took, of all workers in the order they were started.
    pub fn polls(&self) -> Vec<WorkerPolls> {
        let workers = self.workers();
        let each = workers.iter().map(|(id, worker)| WorkerPolls {
            id: *id,
            name: worker.status.name.clone(),
            polls: worker.polls.now(),
        });
        each.collect()
    }

    /// Stops phase after phase, all of them within `grace`. Returns the names of
    /// the workers that did not end.
    pub async fn shutdown(&self, grace: Duration) -> Vec<String> {
        let deadline = tokio::time::Instant::now() + grace;
        for phase in PHASES {
            self.inner.stops[&phase].cancel();
            let tracker = &self.inner.trackers[&phase];
            tracker.close();
            // Half of what is left, so that a stuck phase leaves time for the next.
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            let share = if phase == Phase::Engine { left } else { left / 2 };
            let _ = tokio::time::timeout(share, tracker.wait()).await;
        }
        let alive = [WorkerState::Running, WorkerState::Backoff];
        let stuck = self.statuses().into_iter().filter(|status| alive.contains(&status.state));
        stuck.map(|status| status.name).collect()
    }

    fn start(&self, phase: Phase, task: impl Future<Output = ()> + Send + 'static) {
        self.inner.trackers[&phase].spawn(task);
    }

    fn register(&self, name: &str, policy: Policy, polls: Polls) -> u64 {
        let id = self.inner.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let status = WorkerStatus {
            name: name.to_owned(),
            policy: policy.word(),
            state: WorkerState::Running,
            since: self.inner.clock.now(),
            restarts: 0,
            last_error: None,
        };
        self.workers().insert(id, Worker { status, polls });
        id
    }

    async fn supervise<F, T>(
        &self,
        id: u64,
        name: &str,
        policy: Policy,
        stop: CancellationToken,
        make: F,
        polls: Polls,
    ) where
        F: Fn(CancellationToken) -> T,
        T: Future<Output = TaskResult>,
    {
        let mut attempt = 0;
        loop {
            let started = self.inner.clock.monotonic();
            let metered = Metered::new(make(stop.clone()), self.meter(), Arc::from(name), None);
            let timed = Timed::new(metered, self.inner.clock.clone(), polls.clone());
            let ended = AssertUnwindSafe(timed).catch_unwind().await;
            let error = match ended {
                Ok(Ok(())) => return self.forget(id),
                Ok(Err(error)) => error.to_string(),
                Err(panic) => format!("panic: {}", panic_text(&*panic)),
            };
            tracing::error!(worker = name, %error, "worker failed");
            if self.ran_since(started) >= STEADY {
                attempt = 0;
            }
            if policy == Policy::Essential && attempt + 1 >= FATAL_FAILURES {
                self.inner.fatal.send_replace(Some(format!("{name}: {error}")));
                return self.set(id, WorkerState::Failed, Some(error));
            }
            self.set(id, WorkerState::Backoff, Some(error));
            tokio::select! {
                () = stop.cancelled() => return self.forget(id),
                () = tokio::time::sleep(RESTART.wait(attempt, 1.0)) => {}
            }
            attempt += 1;
            self.restarted(id);
        }
    }

    fn ran_since(&self, started: Monotonic) -> Duration {
        self.inner.clock.monotonic().since(started)
    }

    /// Takes a worker that ended as it should off the list: targets come and go.
    fn forget(&self, id: u64) {
        self.workers().remove(&id);
    }

    fn restarted(&self, id: u64) {
        let now = self.inner.clock.now();
        if let Some(Worker { status, .. }) = self.workers().get_mut(&id) {
            status.restarts += 1;
            status.state = WorkerState::Running;
            status.since = now;
        }
    }

    fn set(&self, id: u64, state: WorkerState, error: Option<String>) {
        let now = self.inner.clock.now();
        if let Some(Worker { status, .. }) = self.workers().get_mut(&id) {
            status.state = state;
            status.since = now;
            status.last_error = error.or_else(|| status.last_error.take());
        }
    }

    fn workers(&self) -> MutexGuard<'_, BTreeMap<u64, Worker>> {
        self.inner.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::base::time::SystemClock;

    fn supervisor() -> Supervisor {
        Supervisor::new(Arc::new(SystemClock::new()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_panicking_task_is_started_again_and_says_so() {
        let supervisor = supervisor();
        let runs = Arc::new(AtomicU32::new(0));
        let counted = runs.clone();
        supervisor.spawn("flaky", Policy::Restart, Phase::Engine, move |stop| {
            let run = counted.fetch_add(1, Ordering::SeqCst);
            async move {
                assert!(run >= 3, "boom");
                stop.cancelled().await;
                Ok(())
            }
        });
        while runs.load(Ordering::SeqCst) < 4 {
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        let status = supervisor.statuses().remove(0);
        assert_eq!((status.restarts, status.state), (3, WorkerState::Running));
        assert_eq!(status.last_error.as_deref(), Some("panic: boom"));
        assert!(supervisor.shutdown(Duration::from_secs(8)).await.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn an_essential_task_that_cannot_be_kept_up_is_fatal_and_another_is_not() {
        let supervisor = supervisor();
        let runs = Arc::new(AtomicU32::new(0));
        let counted = runs.clone();
        supervisor.spawn("aside", Policy::Restart, Phase::Serve, |_| async { Err("first".into()) });
        supervisor.spawn("listener", Policy::Essential, Phase::Serve, move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            async { Err("second".into()) }
        });
        assert_eq!(supervisor.fatal().await, "listener: second");
        assert_eq!(runs.load(Ordering::SeqCst), FATAL_FAILURES);
    }

    #[tokio::test]
    async fn work_apart_is_answered_for_also_when_it_panics() {
        let name = || std::thread::current().name().map(str::to_owned);
        assert_eq!(Supervisor::apart("pump", name).await.unwrap(), Some(Some(String::from("pump"))));
        assert_eq!(Supervisor::apart("pump", || panic!("boom")).await.unwrap(), None::<()>);
    }

    #[tokio::test(start_paused = true)]
    async fn phases_stop_in_order_and_a_stuck_worker_is_named() {
        let supervisor = supervisor();
        let order = Arc::new(Mutex::new(Vec::new()));
        for (name, phase) in [("flusher", Phase::Engine), ("listener", Phase::Serve)] {
            let order = order.clone();
            supervisor.spawn(name, Policy::Restart, phase, move |stop| {
                let order = order.clone();
                async move {
                    stop.cancelled().await;
                    order.lock().unwrap().push(name);
                    Ok(())
                }
            });
        }
        supervisor.spawn("stuck", Policy::Restart, Phase::Collect, |_| async {
            std::future::pending::<()>().await;
            Ok(())
        });
        assert_eq!(supervisor.shutdown(Duration::from_secs(8)).await, ["stuck"]);
        assert_eq!(*order.lock().unwrap(), ["listener", "flusher"]);
    }
}
