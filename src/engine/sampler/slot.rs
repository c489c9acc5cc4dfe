//! One collector's place in the sampler: where it is, when it is due, how it is doing.

use std::time::Duration;

use crate::base::time::{Clock, Monotonic, Timestamp};
use crate::collectors::{CollectError, Collector, Tick};
use crate::model::durations::Durations;
use crate::model::frame::Frame;
use crate::model::host::{CollectorStatus, TopProcesses};
use crate::runtime::cpu::thread_time;

/// How long a thread may take to begin with the first collector.
pub const STARTING: Duration = Duration::from_secs(1);

/// A collector on its way through the crew, with its own frame.
pub struct Job {
    collector: Box<dyn Collector>,
    tick: Tick,
    frame: Frame,
    took: Duration,
    cpu: Duration,
}

impl Job {
    /// Runs the collector; on the crew's thread.
    pub fn run(&mut self, clock: &dyn Clock) -> Result<(), CollectError> {
        let (started, cpu) = (clock.monotonic(), thread_time());
        self.frame.clear();
        let result = self.collector.collect(self.tick, &mut self.frame);
        self.took = clock.monotonic().since(started);
        self.cpu = thread_time().saturating_sub(cpu);
        result
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    Pending,
    Ok,
    Absent,
    Failed,
    Stuck,
}

impl State {
    const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ok => "ok",
            Self::Absent => "absent",
            Self::Failed => "failed",
            Self::Stuck => "stuck",
        }
    }
}

/// See the module.
pub struct Slot {
    name: &'static str,
    every: Duration,
    deadline: Duration,
    /// `None` while the crew has it.
    job: Option<Job>,
    pub enabled: bool,
    state: State,
    error: Option<String>,
    took: Duration,
    durations: Durations,
    cpu: Duration,
    samples: usize,
    last_run: Option<Monotonic>,
    last_success: Option<(Timestamp, Monotonic)>,
}

impl Slot {
    pub fn new(collector: Box<dyn Collector>) -> Self {
        Self {
            name: collector.name(),
            every: collector.every(),
            deadline: collector.deadline(),
            job: Some(Job {
                collector,
                tick: Tick { at: Timestamp(0), monotonic: Monotonic::default() },
                frame: Frame::new(),
                took: Duration::ZERO,
                cpu: Duration::ZERO,
            }),
            enabled: true,
            state: State::Pending,
            error: None,
            took: Duration::ZERO,
            durations: Durations::default(),
            cpu: Duration::ZERO,
            samples: 0,
            last_run: None,
            last_success: None,
        }
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// The collector if it is here, wanted and due; `slack` is half a tick.
    pub fn take_if_due(&mut self, now: Tick, slack: Duration) -> Option<Job> {
        let due = self.last_run.is_none_or(|last| now.monotonic.since(last) + slack >= self.every);
        if !(due && self.enabled) {
            return None;
        }
        let mut job = self.job.take()?;
        job.tick = now;
        self.last_run = Some(now.monotonic);
        Some(job)
    }

    /// The collector is back in time.
    pub fn finish(&mut self, job: Job, result: Option<Result<(), CollectError>>, now: Tick) {
        self.took = job.took;
        self.durations.add(job.took);
        self.cpu += job.cpu;
        self.samples = 0;
        let (state, error) = match result {
            Some(Ok(())) => {
                self.samples = job.frame.len();
                self.last_success = Some((now.at, now.monotonic));
                (State::Ok, None)
            }
            Some(Err(CollectError::Absent)) => (State::Absent, None),
            Some(Err(CollectError::Failed(error))) => (State::Failed, Some(error)),
            None => (State::Failed, Some(String::from("panicked"))),
        };
        if state == State::Failed && self.state != State::Failed {
            let error = error.as_deref().unwrap_or_default();
            tracing::warn!(collector = self.name, error, "collector failed");
        }
        self.state = state;
        self.error = error;
        self.job = Some(job);
    }

    /// The collector did not return within its deadline.
    pub fn overran(&mut self) {
        tracing::warn!(collector = self.name, deadline = ?self.deadline, "collector is stuck");
        self.state = State::Stuck;
        self.error = Some(format!("did not return within {} ms", self.deadline.as_millis()));
        self.took = self.deadline;
        self.durations.add(self.deadline);
        self.samples = 0;
    }

    /// The collector is back late; what it brought is thrown away.
    pub fn rejoin(&mut self, job: Job) {
        if self.state == State::Stuck {
            tracing::info!(collector = self.name, after = ?job.took, "collector is back");
        }
        self.job = Some(job);
        self.state = State::Pending;
        self.last_run = None;
    }

    pub fn is_ok(&self) -> bool {
        self.state == State::Ok
    }

    /// 1 for ok, 0 for failed or stuck, nothing for what is absent or has not run.
    pub fn success(&self) -> Option<f64> {
        match self.state {
            State::Ok => Some(1.0),
            State::Failed | State::Stuck => Some(0.0),
            State::Absent | State::Pending => None,
        }
    }

    pub fn took(&self) -> Duration {
        self.took
    }

    /// Time since it last had samples.
    pub fn age(&self, now: Tick) -> Option<Duration> {
        self.last_success.map(|(_, at)| now.monotonic.since(at))
    }

    pub fn frame(&self) -> &Frame {
        static EMPTY: std::sync::OnceLock<Frame> = std::sync::OnceLock::new();
        self.job.as_ref().map_or_else(|| EMPTY.get_or_init(Frame::new), |job| &job.frame)
    }

    pub fn take_processes(&mut self) -> Option<TopProcesses> {
        self.job.as_mut()?.collector.take_processes()
    }

    pub fn status(&self) -> CollectorStatus {
        CollectorStatus {
            name: self.name,
            state: self.state.word(),
            error: self.error.clone(),
            last_duration_ms: self.took.as_secs_f64() * 1000.0,
            last_success: self.last_success.map(|(at, _)| at),
            samples: self.samples,
            durations: self.durations,
            cpu: self.cpu,
        }
    }
}
