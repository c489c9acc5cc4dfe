//! One target's loop: probe, hand over, wait for the next time or a request.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::board::{Board, Request, Started};
use super::schedule::Schedule;
use crate::base::time::Timestamp;
use crate::runtime::supervisor::TaskResult;
use crate::targets::Target;

/// A probe keeps its own deadline; one that runs this much longer hangs.
const GRACE: Duration = Duration::from_secs(5);

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
        due = tokio::select! {
            () = tokio::time::sleep(wait) => Some(next),
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

async fn probe(
    started: &Started,
    board: &Board,
    target: &mut dyn Target,
    at: Timestamp,
    waiting: Vec<Request>,
) -> TaskResult {
    let limit = started.plan.timeout + GRACE;
    let mut probed = tokio::time::timeout(limit, target.probe())
        .await
        .map_err(|_| format!("the probe did not end within {}ms", limit.as_millis()))?;
    probed.record.at = at;
    board.finish(started, at, &probed);
    for request in waiting {
        // Whoever asked may have given up.
        let _ = request.send(probed.record.clone());
    }
    Ok(())
}
