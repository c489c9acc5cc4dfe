//! Commands to a standby: follow nobody, follow another, catch up, become a primary.
//!
//! A cut counts once no receiver exists and none can start: the server has loaded the
//! empty setting, and twice in a row there was no such process. One look would not do: the
//! startup process may be about to start a receiver with what it read before.

use tokio::time::{Duration, Instant};

use super::conninfo::Conninfo;
use super::effects::{Effects, set_statement};
use super::{canary, question, replication};
use crate::base::secret::Secret;
use crate::logic::failover::{Answer, CallError};
use crate::model::failover::lsn::Lsn;
use crate::model::probe::OutcomeClass;
use crate::targets::postgres::access::Access;

const CONNINFO: &str = "primary_conninfo";

/// The first release that follows another primary without a restart.
const RELOADS: u32 = 130_000;

/// How many times in a row there must be no receiver.
const GONE_FOR_GOOD: u32 = 2;

/// A promotion may sleep through its signal for `wal_retrieve_retry_interval`, which is 5 s by
/// default, when the receiver died just before; another signal wakes it.
const SIGNAL_EVERY: Duration = Duration::from_millis(250);

/// SQL that undoes a cut, for an operator without the agent. It holds the secrets of `conninfo`.
pub fn undo_cut(conninfo: &Secret) -> Secret {
    Secret::new(format!("{};\nselect pg_reload_conf();\n", set_statement(CONNINFO, conninfo.expose())))
}

pub async fn cut(to: &mut Effects, remembered: Option<u32>) -> Result<Answer, CallError> {
    must_be_standby(to).await?;
    // Gone with the receiver.
    let row =
        to.ask_one("select max(received_tli) from pg_stat_get_wal_receiver() where pid is not null").await?;
    let received = row.get(0).and_then(|text| text.parse().ok()).filter(|timeline| *timeline > 0);
    to.set(CONNINFO, "").await?;
    to.reload().await?;
    let receivers = "select (select count(*) from pg_stat_get_activity(null) where backend_type = 'walreceiver') \
        + (select count(*) from pg_stat_get_wal_receiver() where pid is not null)";
    let mut gone = 0;
    loop {
        let row = to.ask_one(receivers).await?;
        gone = if row.get(0) == Some("0") { gone + 1 } else { 0 };
        if gone == GONE_FOR_GOOD {
            break;
        }
        to.beat("the receiver did not end").await?;
    }
    let timeline = match received.or(remembered) {
        Some(timeline) => timeline,
        None => newest_timeline(to).await?,
    };
    let row = to.ask_one("select pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()").await?;
    let lsn = |at: usize| row.get(at).and_then(|text| text.parse::<Lsn>().ok()).unwrap_or_default();
    Ok(Answer::Cut { timeline, received: lsn(0).max(lsn(1)), replayed: lsn(1) })
}

async fn newest_timeline(to: &mut Effects) -> Result<u32, CallError> {
    let control = "select greatest(c.timeline_id, r.min_recovery_end_timeline) \
        from pg_control_checkpoint() c, pg_control_recovery() r";
    let row = to.ask_one(control).await?;
    let known: u32 = row.get(0).and_then(|text| text.parse().ok()).unwrap_or_default();
    let row = to.ask_one(question::NEWEST_SEGMENT).await?;
    Ok(row.get(1).and_then(question::hex).unwrap_or_default().max(known))
}

pub async fn follow(to: &mut Effects, conninfo: &Secret) -> Result<Answer, CallError> {
    must_be_standby(to).await?;
    to.set(CONNINFO, conninfo.expose()).await?;
    to.reload().await?;
    Ok(Answer::Done)
}

pub async fn repoint(to: &mut Effects, host: &str, port: u16, old: &Secret) -> Result<Answer, CallError> {
    let parsed = Conninfo::parse(old.expose()).map_err(|error| to.failed(error.to_string()))?;
    follow(to, &parsed.toward(host, port).text()).await
}

pub async fn replay(to: &mut Effects, lsn: Lsn) -> Result<Answer, CallError> {
    let question = format!("select pg_is_in_recovery(), pg_last_wal_replay_lsn() >= '{lsn}'");
    loop {
        let row = to.ask_one(&question).await?;
        match (row.get(0), row.get(1)) {
            (Some("t"), Some("t")) => return Ok(Answer::Done),
            (Some("t"), _) => to.beat(&format!("{lsn} was not replayed")).await?,
            _ => return Err(to.failed(String::from("it is no standby"))),
        }
    }
}

pub async fn promote(to: &mut Effects) -> Result<Answer, CallError> {
    let state = "select pg_is_in_recovery(), current_setting('synchronous_standby_names') <> '', \
        current_setting('default_transaction_read_only') = 'on'";
    let row = to.ask_one(state).await?;
    if row.get(0) == Some("f") {
        return Ok(Answer::Done);
    }
    // A standby copied from a fenced primary carries the fence, and a primary that waits for
    // standbys nobody is could not commit the canary.
    let (waits, is_read_only) = (row.get(1) == Some("t"), row.get(2) == Some("t"));
    if waits {
        to.set("synchronous_standby_names", "").await?;
    }
    if is_read_only {
        to.reset("default_transaction_read_only").await?;
    }
    if waits || is_read_only {
        to.reload().await?;
    }
    let mut signalled: Option<Instant> = None;
    loop {
        if to.ask_one("select pg_is_in_recovery()").await?.get(0) == Some("f") {
            return Ok(Answer::Done);
        }
        let now = Instant::now();
        if signalled.is_none_or(|last| now >= last + SIGNAL_EVERY) {
            signal(to, signalled.is_some()).await?;
            signalled = Some(now);
        }
        to.beat("the promotion did not end").await?;
    }
}

async fn signal(to: &mut Effects, is_again: bool) -> Result<(), CallError> {
    match to.change("select pg_promote(false)").await {
        Ok(_) => Ok(()),
        // It ended meanwhile, and the next look at it shows that.
        Err(_) if is_again => Ok(()),
        Err(error) => Err(error),
    }
}

pub async fn verify(to: &mut Effects, access: &mut Access) -> Result<Answer, CallError> {
    let facts = "select pg_is_in_recovery(), (select system_identifier from pg_control_system()), \
        case when not pg_is_in_recovery() then left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) end";
    let row = to.ask_one(facts).await?;
    if row.get(0) != Some("f") {
        return Err(to.failed(String::from("it is still a standby")));
    }
    let system_id = row.get(1).and_then(|text| text.parse::<i64>().ok()).map(i64::cast_unsigned);
    let (Some(system_id), Some(timeline)) = (system_id, row.get(2).and_then(question::hex)) else {
        return Err(to.failed(String::from("the server did not say which history it has")));
    };
    let deadline = to.deadline;
    let (ancestry, canary) =
        tokio::join!(replication::ancestry(access, timeline, deadline), to.ask(canary::COMMIT));
    canary.map_err(|error| to.failed(format!("the canary did not commit: {}", error.detail)))?;
    let ancestry = match ancestry {
        Ok(forks) => forks,
        // The role may not ask: the enrolment check has said so, and a promoted server that
        // is led to is better than one that is not.
        Err(outcome) if outcome.class == OutcomeClass::Alive => Vec::new(),
        Err(outcome) => {
            let detail = format!("the history of timeline {timeline} was not read: {}", outcome.detail);
            return Err(to.failed(detail));
        }
    };
    let row = to.ask_one("select pg_current_wal_flush_lsn()").await?;
    let lsn = row.get(0).and_then(|text| text.parse().ok());
    let lsn = lsn.ok_or_else(|| to.failed(String::from("the server did not say where its log ends")))?;
    Ok(Answer::Verified { system_id, timeline, ancestry, lsn })
}

async fn must_be_standby(to: &mut Effects) -> Result<(), CallError> {
    if to.version() < RELOADS {
        let detail = "PostgreSQL 12 does not change primary_conninfo without a restart";
        return Err(to.failed(String::from(detail)));
    }
    if to.ask_one("select pg_is_in_recovery()").await?.get(0) == Some("t") {
        return Ok(());
    }
    Err(to.failed(String::from("it is no standby")))
}
