//! One target's loop: probe, hand over, wait for the next time or a request.
//!
//! A probe asks the target's breaker like any other call. Let through, it is a whole
//! cycle and counts as one call with its worst class. Held back, it is one light
//! operation at the probe's own pace, which counts nothing and may find the target
//! back before the breaker's time. While half open the cycles follow each other
//! quickly, because a breaker whose only callers are probes would else wait for ever
//! for its second success. A series whose last sample is five minutes old is gone for
//! whoever asks, so a target that is probed more seldom would be neither up nor down
//! between two probes: what the last one found is said again meanwhile.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::board::{Board, Request, Started};
use super::breaker_series;
use super::schedule::Schedule;
use crate::base::time::Timestamp;
use crate::logic::breaker::Call;
use crate::model::breaker::BreakerState;
use crate::model::frame::Frame;
use crate::model::probe::ProbeRecord;
use crate::runtime::supervisor::TaskResult;
use crate::targets::outcome::Outcome;
use crate::targets::record::Recorder;
use crate::targets::{Depth, Probed, Target};

/// A probe keeps its own deadline; one that runs this much longer hangs.
const GRACE: Duration = Duration::from_secs(5);
/// Longest pause between two probes while half open; with a short timeout half of that.
const TRYING: Duration = Duration::from_secs(2);

/// What the last probe found is said again this often: twice within the look-back.
const RESTATED: Duration = Duration::from_secs(120);

/// Probes at once and then by schedule until `stop` or until the target is removed.
pub async fn run(started: Started, board: Arc<Board>, stop: CancellationToken) -> TaskResult {
    let removed = started.removed.clone();
    tokio::select! {
        // Dropping a probe closes its connections; nothing is left to wait for.
        () = stop.cancelled() => Ok(()),
        () = removed.cancelled() => Ok(()),
        ended = probe_forever(started, board) => ended,
    }
}

async fn probe_forever(started: Started, board: Arc<Board>) -> TaskResult {
    let clock = board.clock();
    let mut target = started.plan.make();
    let mut schedule = Schedule::new(started.plan.name.as_str(), started.plan.interval);
    let mut requests = started.requests.lock().await;
    let mut due: Option<Timestamp> = None;
    let mut waiting: Vec<Request> = Vec::new();
    loop {
        let at = schedule.stamp(clock.now(), due);
        probe(&started, &board, &mut *target, at, std::mem::take(&mut waiting)).await?;
        let (next, wait) = schedule.next(clock.now());
        let trying = started.breaker.state() == BreakerState::HalfOpen;
        let pause = if trying { wait.min(TRYING).min(started.plan.timeout / 2) } else { wait };
        due = tokio::select! {
            () = rest(pause, || board.restate(&started, schedule.stamp(clock.now(), None))) => {
                (pause == wait).then_some(next)
            }
            request = requests.recv() => {
                waiting.extend(request);
                None
            }
        };
        // One probe answers all who wait for one.
        while let Ok(request) = requests.try_recv() {
            waiting.push(request);
        }
    }
}

/// Waits, and calls `restate` every [`RESTATED`] on the way.
async fn rest(pause: Duration, mut restate: impl FnMut()) {
    let mut left = pause;
    while left > RESTATED {
        tokio::time::sleep(RESTATED).await;
        left -= RESTATED;
        restate();
    }
    tokio::time::sleep(left).await;
}

async fn probe(
    started: &Started,
    board: &Board,
    target: &mut dyn Target,
    at: Timestamp,
    waiting: Vec<Request>,
) -> TaskResult {
    let limit = started.plan.timeout + GRACE;
    let permit = started.breaker.acquire().ok();
    let depth = if permit.is_some() { Depth::Full } else { Depth::Light };
    let ended = tokio::time::timeout(limit, target.probe(depth)).await;
    let hung = ended.is_err();
    let mut probed = ended.unwrap_or_else(|_| gave_up(started, at, limit));
    probed.record.at = at;
    match permit {
        Some(permit) => permit.report_call(call_of(&probed.record)),
        None => started.breaker.probed(call_of(&probed.record)),
    }
    let slow_call = started.plan.breaker.slow_call.0;
    breaker_series::write_slow(&probed.record, slow_call, &mut probed.frame);
    breaker_series::write(&started.breaker.view(), started.plan.kind, &started.plan.name, &mut probed.frame);
    board.keep_connections(started, target.connections());
    board.finish(started, at, &probed);
    for request in waiting {
        // Whoever asked may have given up.
        let _ = request.send(probed.record.clone());
    }
    // The supervisor starts the worker again, with a target made anew.
    if hung { Err(format!("the probe did not end within {}ms", limit.as_millis()).into()) } else { Ok(()) }
}

/// A probe as one call: its worst class, and its slowest operation, because the sum
/// of five would make a sound store look slow.
fn call_of(record: &ProbeRecord) -> Call {
    let slowest = record.operations.iter().map(|done| done.latency_ms).fold(0.0, f64::max);
    let took = Duration::try_from_secs_f64(slowest / 1000.0).unwrap_or_default();
    Call { class: record.class, took }
}

/// What is told of a probe that hangs: nothing is known of the target but that.
fn gave_up(started: &Started, at: Timestamp, limit: Duration) -> Probed {
    let detail = format!("the probe did not end within {}ms", limit.as_millis());
    let limit_ms = limit.as_secs_f64() * 1000.0;
    let mut frame = Frame::new();
    let operations = vec![Outcome::timeout(detail).named("probe", limit_ms)];
    let record = Recorder::new(started.plan.name.clone(), started.plan.kind)
        .finish(at, limit_ms, operations, &mut frame);
    Probed { record, frame }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::pin::Pin;

    use super::*;
    use crate::base::time::SystemClock;
    use crate::config::Config;
    use crate::engine::prober::Keeper;
    use crate::model::probe::OutcomeClass;
    use crate::runtime::breakers::Breakers;
    use crate::runtime::bus::Bus;
    use crate::runtime::supervisor::Supervisor;
    use crate::targets::{Surroundings, plans};

    struct Hanging;

    impl Target for Hanging {
        fn kind(&self) -> &'static str {
            "postgres"
        }

        fn address(&self) -> String {
            String::new()
        }

        fn timeout(&self) -> Duration {
            Duration::from_secs(5)
        }

        fn probe(&mut self, _depth: Depth) -> Pin<Box<dyn Future<Output = Probed> + Send + '_>> {
            Box::pin(std::future::pending())
        }
    }

    /// Keeps what was said again.
    #[derive(Default)]
    struct Restated(std::sync::Mutex<Vec<(Timestamp, String)>>);

    impl Keeper for Restated {
        fn keep(&self, _stream: &str, _at: Timestamp, _probed: &Probed) {}

        fn state(&self, stream: &str, at: Timestamp, frame: &Frame) {
            let value = |key: &str| frame.iter().find(|sample| sample.key == key).unwrap().value;
            let up = value("probe_success{kind=\"postgres\",target=\"pg1\"}");
            let open = value("holdfast_breaker_open{kind=\"postgres\",target=\"pg1\"}");
            self.0.lock().unwrap().push((at, format!("{stream} {up} {open}")));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_hangs_is_hard_and_answered() {
        let clock = Arc::new(SystemClock::new());
        let surroundings = Surroundings {
            agent: String::from("test"),
            clock: clock.clone(),
            supervisor: Supervisor::new(clock.clone()),
            environment: Arc::new(BTreeMap::new()),
        };
        let section = "[[target.postgres]]\nname = \"pg1\"\nhost = \"127.0.0.1\"\n";
        let config: Config = toml::from_str(section).unwrap();
        let (shown, kept) = (tokio::sync::watch::Sender::default(), Arc::new(Restated::default()));
        let statuses = shown.subscribe();
        let breakers = Breakers::new(clock.clone(), BTreeMap::new());
        let board = Board::new(clock.clone(), kept.clone(), Bus::new(clock, 4), breakers, shown);
        let started = board.reconcile(&plans(&config, &surroundings)).remove(0);
        let (answer, answered) = tokio::sync::oneshot::channel();
        let mut target = Hanging;
        let ended = probe(&started, &board, &mut target, Timestamp(1_000), vec![answer]).await;
        assert!(ended.unwrap_err().to_string().contains("did not end within 10000ms"));
        let status = statuses.borrow()[0].clone();
        assert_eq!((status.class, status.probes, status.failed), (Some(OutcomeClass::Hard), 1, 1));
        let record = answered.await.unwrap();
        assert_eq!((record.at, record.operations[0].code.as_str()), (Timestamp(1_000), "timeout"));

        board.restate(&started, Timestamp(2_000));
        let said = kept.0.lock().unwrap().clone();
        assert_eq!(said, [(Timestamp(2_000), String::from("postgres/pg1 0 0"))]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_target_that_is_seldom_probed_is_spoken_of_within_the_look_back() {
        for (minutes, expected) in [(1, vec![]), (2, vec![]), (5, vec![2, 4]), (7, vec![2, 4, 6])] {
            let began = tokio::time::Instant::now();
            let mut said = Vec::new();
            rest(Duration::from_secs(minutes * 60), || said.push(began.elapsed().as_secs() / 60)).await;
            assert_eq!(said, expected);
            assert_eq!(began.elapsed().as_secs() / 60, minutes);
        }
    }
}
