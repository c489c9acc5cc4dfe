//! Keeping a server from acknowledging writes, and letting it again.
//!
//! The fence is two settings that survive a restart: read-only by default, and a
//! synchronous standby that nobody is, so that a client that asks for a writing transaction
//! all the same waits at its commit for good. Sessions are ended only after the server has
//! loaded them: one that came back in between would be outside of the fence.

use tokio::time::{Duration, Instant};

use super::effects::Effects;
use crate::logic::failover::{Answer, CallError};
use crate::model::failover::sighting::fence_name;

const READ_ONLY: &str = "default_transaction_read_only";
const SYNC_NAMES: &str = "synchronous_standby_names";

/// What is left of the time when waiting for sessions ends, for the answer.
const MARGIN: Duration = Duration::from_millis(100);

/// Makes the log durable without waiting for a synchronous standby: commits that did not wait for
/// the disk (`synchronous_commit = off`) become part of what the candidate must have.
const FLUSH: [&str; 2] = ["set synchronous_commit = local", super::canary::COMMIT];

pub async fn fence(to: &mut Effects, epoch: u64) -> Result<Answer, CallError> {
    to.set(READ_ONLY, "on").await?;
    to.set(SYNC_NAMES, &fence_name(epoch)).await?;
    to.reload().await?;
    let left = end_sessions(to, Duration::ZERO).await?;
    Ok(Answer::Fenced { left })
}

pub async fn unfence(to: &mut Effects, names: &str) -> Result<Answer, CallError> {
    to.reset(READ_ONLY).await?;
    sync_names(to, names).await
}

pub async fn sync_names(to: &mut Effects, names: &str) -> Result<Answer, CallError> {
    to.set(SYNC_NAMES, names).await?;
    to.reload().await?;
    Ok(Answer::Done)
}

pub async fn drain(to: &mut Effects, epoch: u64, patience: Duration) -> Result<Answer, CallError> {
    to.set(READ_ONLY, "on").await?;
    to.reload().await?;
    end_sessions(to, patience).await?;
    to.set(SYNC_NAMES, &fence_name(epoch)).await?;
    to.reload().await?;
    // Who came in between and asked for a writing transaction.
    let left = end_sessions(to, Duration::ZERO).await?;
    for statement in FLUSH {
        to.change(statement).await?;
    }
    let row = to.ask_one("select pg_current_wal_flush_lsn()").await?;
    let lsn = row.get(0).and_then(|text| text.parse().ok());
    let lsn = lsn.ok_or_else(|| to.failed(String::from("the server did not say where its log ends")))?;
    Ok(Answer::Drained { left, lsn })
}

/// Ends the sessions of clients, those in a transaction after `patience`, and waits until they
/// are gone. Senders of the log are no clients. Answers how many are left, most
/// likely superusers', which a role without that right cannot end.
async fn end_sessions(to: &mut Effects, patience: Duration) -> Result<u32, CallError> {
    let started = Instant::now();
    let until = to.deadline.checked_sub(MARGIN).unwrap_or(started).max(started);
    loop {
        let now = Instant::now();
        let row = to.change(&end_statement(now < started + patience)).await?;
        let count =
            |at: usize| row.first().and_then(|row| row.get(at)).and_then(|text| text.parse::<u32>().ok());
        let (Some(all), Some(untouchable)) = (count(0), count(1)) else {
            return Err(to.failed(String::from("the server did not say which sessions it has")));
        };
        if all == untouchable || now >= until {
            return Ok(all);
        }
        to.beat("sessions of clients are left").await?;
    }
}

/// Tells sessions to end and counts: all, those that may not be told, those that were told. The
/// agent's own (its look, its statistics, a canary that hangs) are no clients: ended, they would
/// come back at once and be counted again, and the look would tell of a server that stops.
fn end_statement(is_patient: bool) -> String {
    let who = if is_patient { "may and state = 'idle'" } else { "may" };
    format!(
        "with me as (select oid, rolsuper from pg_roles where rolname = current_user), them as ( \
             select a.pid, a.state, (select rolsuper from me) or not coalesce(r.rolsuper, true) as may \
             from pg_stat_get_activity(null) a left join pg_roles r on r.oid = a.usesysid \
             where a.backend_type = 'client backend' and a.usesysid is not null and a.pid <> pg_backend_pid() \
             and not (a.usesysid = (select oid from me) and a.application_name = 'holdfast')) \
         select count(*), count(*) filter (where not may), \
             count(case when {who} then pg_terminate_backend(pid) end) from them"
    )
}
