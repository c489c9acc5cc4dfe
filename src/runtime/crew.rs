//! Jobs one after another on a thread of their own, where a job that hangs is left behind.
//!
//! ```text
//!             start                     last job ends
//!   idle ---------------> working ----------------------> idle
//!                          |   ^
//!                 give_up  |   | a fresh thread takes the rest
//!                          v   |
//!                        the thread in the hung job; when the job returns,
//!                        it hands it to `returned` and ends
//! ```
//! The pattern: a system call that hangs (a dead file server, a broken sensor)
//! cannot be cancelled, so the thread in it is given up instead. One job holds at
//! most one thread, and a job that is held is not queued again by its owner, so
//! there are never more threads than jobs. Wrong would be a pool with a fixed
//! size: a few hung jobs stop all the others. Threads of a crew do not hold up the
//! end of the process.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::runtime::supervisor::Supervisor;

/// A job with what came out of it; `None` when it panicked.
pub struct Finished<J, R> {
    pub tag: usize,
    pub job: J,
    pub result: Option<R>,
}

/// Which job runs at this moment; two jobs never have the same `order`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Running {
    pub order: u64,
    pub tag: usize,
}

struct State<J, R> {
    queue: VecDeque<(usize, J)>,
    running: Option<Running>,
    finished: Vec<Finished<J, R>>,
    returned: Vec<Finished<J, R>>,
    next_order: u64,
    /// The thread in charge; one with another number gives its job back and ends.
    charge: u64,
    /// Whether the thread in charge was started.
    started: bool,
    closed: bool,
}

struct Shared<J, R> {
    name: &'static str,
    work: Box<dyn Fn(&mut J) -> R + Send + Sync>,
    state: Mutex<State<J, R>>,
    wake: Condvar,
    idle: Condvar,
    notify: Notify,
}

/// See the module.
pub struct Crew<J, R> {
    shared: Arc<Shared<J, R>>,
}

impl<J: Send + 'static, R: Send + 'static> Crew<J, R> {
    /// A crew whose threads are called `name`; none is started yet.
    pub fn new(name: &'static str, work: impl Fn(&mut J) -> R + Send + Sync + 'static) -> Self {
        let state = State {
            queue: VecDeque::new(),
            running: None,
            finished: Vec::new(),
            returned: Vec::new(),
            next_order: 0,
            charge: 0,
            started: false,
            closed: false,
        };
        let shared = Shared {
            name,
            work: Box::new(work),
            state: Mutex::new(state),
            wake: Condvar::new(),
            idle: Condvar::new(),
            notify: Notify::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Queues jobs, each with a number by which its owner knows it.
    ///
    /// # Errors
    /// The operating system refused a thread; the jobs wait in the queue.
    pub fn start(&self, jobs: impl IntoIterator<Item = (usize, J)>) -> std::io::Result<()> {
        let mut state = self.shared.lock();
        state.queue.extend(jobs);
        self.ensure_thread(&mut state)?;
        drop(state);
        self.shared.wake.notify_one();
        Ok(())
    }

    /// What runs now; `None` when everything queued is done or nothing began yet.
    pub fn running(&self) -> Option<Running> {
        self.shared.lock().running
    }

    /// Whether nothing is queued or running.
    pub fn is_idle(&self) -> bool {
        self.shared.lock().is_idle()
    }

    /// Leaves `seen` to its thread if it still runs; the rest goes on without it.
    /// `true` when it was left.
    ///
    /// # Errors
    /// The operating system refused a thread; the rest waits for the next start.
    pub fn give_up(&self, seen: Running) -> std::io::Result<bool> {
        let mut state = self.shared.lock();
        if state.running != Some(seen) {
            return Ok(false);
        }
        state.running = None;
        state.charge += 1;
        state.started = false;
        if state.queue.is_empty() {
            self.shared.announce();
            return Ok(true);
        }
        self.ensure_thread(&mut state)?;
        Ok(true)
    }

    /// Takes what was done in time since the last call, in order.
    pub fn take_finished(&self) -> Vec<Finished<J, R>> {
        std::mem::take(&mut self.shared.lock().finished)
    }

    /// Takes the jobs that were given up and have come back.
    pub fn take_returned(&self) -> Vec<Finished<J, R>> {
        std::mem::take(&mut self.shared.lock().returned)
    }

    /// Takes back what is queued and has not begun.
    pub fn take_queued(&self) -> Vec<(usize, J)> {
        self.shared.lock().queue.drain(..).collect()
    }

    /// Waits on this thread until all is done, at most `patience`; `true` when it is.
    pub fn wait(&self, patience: Duration) -> bool {
        let state = self.shared.lock();
        let busy = |state: &mut State<J, R>| !state.is_idle();
        let waited = self.shared.idle.wait_timeout_while(state, patience, busy);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Waits until all is done. Safe to cancel.
    pub async fn idle(&self) {
        while !self.is_idle() {
            // A permit is kept when the last job ends between the look and the wait.
            self.shared.notify.notified().await;
        }
    }

    fn ensure_thread(&self, state: &mut State<J, R>) -> std::io::Result<()> {
        if !state.started {
            let shared = self.shared.clone();
            let charge = state.charge;
            Supervisor::thread(self.shared.name, move || shared.work_as(charge))?;
            state.started = true;
        }
        Ok(())
    }
}

impl<J, R> Drop for Crew<J, R> {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.wake.notify_all();
    }
}

impl<J, R> State<J, R> {
    fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.running.is_none()
    }
}

impl<J, R> Shared<J, R> {
    /// The life of one thread.
    fn work_as(&self, charge: u64) {
        while let Some((tag, mut job)) = self.take_job(charge) {
            let result = std::panic::catch_unwind(AssertUnwindSafe(|| (self.work)(&mut job))).ok();
            let mut state = self.lock();
            let finished = Finished { tag, job, result };
            if state.charge != charge {
                state.returned.push(finished);
                return;
            }
            state.finished.push(finished);
            state.running = None;
            if state.queue.is_empty() {
                self.announce();
            }
        }
    }

    fn take_job(&self, charge: u64) -> Option<(usize, J)> {
        let mut state = self.lock();
        loop {
            if state.closed || state.charge != charge {
                return None;
            }
            if let Some((tag, job)) = state.queue.pop_front() {
                state.running = Some(Running { order: state.next_order, tag });
                state.next_order += 1;
                return Some((tag, job));
            }
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn announce(&self) {
        self.idle.notify_all();
        self.notify.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State<J, R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    const LONG: Duration = Duration::from_secs(30);
    const SHORT: Duration = Duration::from_millis(20);

    /// A crew whose job 0 waits for the gate, and a way to know that it began.
    fn gated() -> (Crew<u32, u32>, SyncSender<()>, Receiver<()>) {
        let (open, gate) = sync_channel::<()>(0);
        let (began, beginning) = sync_channel::<()>(8);
        let gate = Mutex::new(gate);
        let crew = Crew::new("test-crew", move |job: &mut u32| {
            if *job == 0 {
                began.send(()).unwrap();
                gate.lock().unwrap().recv().unwrap();
            }
            assert!(*job != 13, "unlucky");
            *job * 2
        });
        (crew, open, beginning)
    }

    #[test]
    fn jobs_are_done_in_order_and_a_panic_costs_only_its_job() {
        let (crew, _open, _) = gated();
        crew.start([(0, 1), (1, 13), (2, 3)]).unwrap();
        assert!(crew.wait(LONG));
        let done: Vec<_> = crew.take_finished().into_iter().map(|done| (done.tag, done.result)).collect();
        assert_eq!(done, [(0, Some(2)), (1, None), (2, Some(6))]);
    }

    #[test]
    fn a_hung_job_is_left_behind_and_comes_back() {
        let (crew, open, beginning) = gated();
        crew.start([(7, 0), (8, 4)]).unwrap();
        beginning.recv().unwrap();
        assert!(!crew.wait(SHORT));
        let running = crew.running().unwrap();
        assert_eq!(running.tag, 7);
        assert!(crew.give_up(running).unwrap());
        assert!(!crew.give_up(running).unwrap(), "only once");
        assert!(crew.wait(LONG));
        assert_eq!(crew.take_finished().len(), 1);

        open.send(()).unwrap();
        let returned = loop {
            if let Some(job) = crew.take_returned().pop() {
                break job;
            }
            std::thread::yield_now();
        };
        assert_eq!((returned.tag, returned.result), (7, Some(0)));
        crew.start([(1, 5)]).unwrap();
        assert!(crew.wait(LONG));
    }

    #[tokio::test]
    async fn tasks_can_wait_too() {
        let (crew, open, beginning) = gated();
        crew.start([(7, 0)]).unwrap();
        beginning.recv().unwrap();
        assert!(tokio::time::timeout(SHORT, crew.idle()).await.is_err());
        open.send(()).unwrap();
        crew.idle().await;
        assert_eq!(crew.take_finished().len(), 1);
    }
}
