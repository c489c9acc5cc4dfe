//! What is done to a server, statement by statement.
//!
//! Each action opens a session of its own. `ALTER SYSTEM` runs in no transaction, so
//! every statement is a question of its own; a setting is in force once the server was
//! told to read its files and the looks show it. An action that gets no answer may have
//! happened: the error says so, and the protocol asks the server later.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tokio_postgres::SimpleQueryRow;

use super::conninfo::{Conninfo, literal};
use super::{history, look};
use crate::base::secret::Secret;
use crate::logic::failover::{Answer, CallError};
use crate::model::failover::lsn::Lsn;
use crate::model::failover::sighting::fence_name;
use crate::targets::postgres::access::Access;
use crate::targets::postgres::outcome;
use crate::targets::postgres::session::Session;

/// Between two questions whether something has come about.
const PACE: Duration = Duration::from_millis(10);
/// A statement that waits for a lock must not hold up the rest.
const LOCK_WAIT: &str = "set lock_timeout = '2s'";

/// [`crate::logic::failover::Action`] with what the engine has opened and looked up.
#[derive(Debug)]
pub enum MemberAction {
    Cut,
    Restore { conninfo: Secret },
    Fence { epoch: u64 },
    Unfence { sync_names: String },
    Promote,
    Verify,
    Repoint { host: String, port: u16, conninfo: Secret },
    SyncNames { names: String },
    Drain { epoch: u64, drain: Duration },
    Replay { lsn: Lsn },
}

/// Does it by `deadline`.
///
/// # Errors
/// What the server said, or that it did not answer.
pub async fn act(access: &mut Access, action: MemberAction, deadline: Instant) -> Result<Answer, CallError> {
    let opened = access.open(deadline).await;
    let session = opened.map_err(|outcome| CallError { detail: outcome.detail, unknown: false })?.session;
    let mut hand = Hand { session, deadline };
    let answer = match action {
        MemberAction::Cut => hand.cut().await,
        MemberAction::Restore { conninfo } => hand.follow(&conninfo).await,
        MemberAction::Repoint { host, port, conninfo } => {
            let read = Conninfo::parse(conninfo.expose());
            let toward = read.map(|read| read.toward(&host, port));
            let toward = toward.ok_or_else(|| error("what it followed is no connection string"))?;
            hand.follow(&toward).await
        }
        MemberAction::Fence { epoch } => hand.fence(epoch).await,
        MemberAction::Unfence { sync_names } => hand.unfence(&sync_names).await,
        MemberAction::Promote => hand.promote().await,
        MemberAction::Verify => {
            let verified = hand.verify().await?;
            let Answer::Verified { system_id, timeline, lsn, .. } = verified else { return Ok(verified) };
            // A role without REPLICATION cannot tell; the enrolment check says so.
            let ancestry = history::read(access, timeline, deadline).await.unwrap_or_default();
            Ok(Answer::Verified { system_id, timeline, ancestry, lsn })
        }
        MemberAction::SyncNames { names } => {
            hand.set("synchronous_standby_names", &names).await?;
            hand.reload().await
        }
        MemberAction::Drain { epoch, drain } => hand.drain(epoch, drain).await,
        MemberAction::Replay { lsn } => hand.replay(lsn).await,
    };
    hand.session.close(deadline).await;
    answer
}

fn error(detail: impl Into<String>) -> CallError {
    CallError { detail: detail.into(), unknown: false }
}

/// A session and the time it has.
struct Hand {
    session: Session,
    deadline: Instant,
}

impl Hand {
    async fn rows(&mut self, sql: &str) -> Result<Vec<SimpleQueryRow>, CallError> {
        match timeout_at(self.deadline, self.session.rows(sql)).await {
            Ok(Ok(rows)) => Ok(rows),
            Ok(Err(failed)) => {
                let said = outcome::of(&failed);
                Err(CallError { detail: said.detail, unknown: failed.as_db_error().is_none() })
            }
            Err(_) => Err(CallError { detail: String::from("no answer in time"), unknown: true }),
        }
    }

    /// The first column of the first row.
    async fn one(&mut self, sql: &str) -> Result<String, CallError> {
        let rows = self.rows(sql).await?;
        Ok(rows.first().and_then(|row| row.try_get(0).ok().flatten()).unwrap_or_default().to_owned())
    }

    async fn set(&mut self, name: &str, value: &str) -> Result<(), CallError> {
        self.rows(&format!("alter system set {name} = {}", literal(value))).await.map(drop)
    }

    async fn reload(&mut self) -> Result<Answer, CallError> {
        self.rows("select pg_reload_conf()").await?;
        Ok(Answer::Done)
    }

    /// Asks until the answer is `t`.
    async fn until(&mut self, sql: &str) -> Result<(), CallError> {
        while self.one(sql).await? != "t" {
            if Instant::now() + PACE >= self.deadline {
                return Err(CallError {
                    detail: String::from("it did not come about in time"),
                    unknown: true,
                });
            }
            sleep(PACE).await;
        }
        Ok(())
    }

    async fn cut(&mut self) -> Result<Answer, CallError> {
        if self.one("select pg_is_in_recovery()").await? != "t" {
            return Err(error("it is no standby"));
        }
        // The receiver is gone after the cut, and with it what it says of the timeline.
        let received = self.one("select received_tli from pg_stat_wal_receiver").await?;
        self.set("primary_conninfo", "").await?;
        self.reload().await?;
        self.until("select not exists (select from pg_stat_wal_receiver)").await?;
        let rows = self
            .rows(
                "select coalesce(pg_last_wal_receive_lsn(), '0/0'), coalesce(pg_last_wal_replay_lsn(), '0/0'), \
                 greatest((select timeline_id from pg_control_checkpoint()), \
                          (select min_recovery_end_timeline from pg_control_recovery()))",
            )
            .await?;
        let row = rows.first().ok_or_else(|| error("no answer to where it stands"))?;
        let text = |column: usize| row.try_get(column).ok().flatten().unwrap_or_default();
        let lsn = |column: usize| text(column).parse::<Lsn>().map_err(|wrong| error(wrong.to_string()));
        let timeline = received.parse().unwrap_or(0).max(text(2).parse().unwrap_or(0));
        Ok(Answer::Cut { timeline, received: lsn(0)?, replayed: lsn(1)? })
    }

    async fn follow(&mut self, conninfo: &Secret) -> Result<Answer, CallError> {
        // The setting must not stand in the server's log of statements; where the role
        // may not say so, its administrator has decided.
        let _ = self.rows("set log_statement = 'none'").await;
        let _ = self.rows("set log_min_error_statement = 'panic'").await;
        self.set("primary_conninfo", conninfo.expose()).await?;
        self.reload().await
    }

    async fn fence(&mut self, epoch: u64) -> Result<Answer, CallError> {
        self.set("default_transaction_read_only", "on").await?;
        self.set("synchronous_standby_names", &fence_name(epoch)).await?;
        self.reload().await?;
        let left = self.end_sessions(true).await?;
        Ok(Answer::Fenced { left })
    }

    /// Ends other clients' sessions, all or those without a transaction; those of
    /// superusers are left.
    async fn end_sessions(&mut self, all: bool) -> Result<u32, CallError> {
        let which = if all { "" } else { " and a.xact_start is null" };
        let ended = format!(
            "select count(*) filter (where not ended) from (select case \
               when not r.rolsuper or (select rolsuper from pg_roles where rolname = current_user) \
               then pg_terminate_backend(a.pid) else false end as ended \
             from pg_stat_activity a left join pg_roles r on r.oid = a.usesysid \
             where a.backend_type = 'client backend' and a.pid <> pg_backend_pid() \
               and a.application_name <> 'holdfast'{which}) t"
        );
        Ok(self.one(&ended).await?.parse().unwrap_or(0))
    }

    async fn unfence(&mut self, sync_names: &str) -> Result<Answer, CallError> {
        self.rows("alter system reset default_transaction_read_only").await?;
        if sync_names.is_empty() {
            self.rows("alter system reset synchronous_standby_names").await?;
        } else {
            self.set("synchronous_standby_names", sync_names).await?;
        }
        self.reload().await
    }

    async fn promote(&mut self) -> Result<Answer, CallError> {
        self.rows(LOCK_WAIT).await?;
        let names = self.one("select current_setting('synchronous_standby_names')").await?;
        let read_only = self.one("select current_setting('default_transaction_read_only')").await?;
        if !names.is_empty() {
            // Its own standbys follow nobody yet: the first commit would wait for them.
            self.set("synchronous_standby_names", "").await?;
        }
        if read_only == "on" {
            self.rows("alter system reset default_transaction_read_only").await?;
        }
        if !names.is_empty() || read_only == "on" {
            self.reload().await?;
        }
        if self.one("select pg_is_in_recovery()").await? != "t" {
            return Ok(Answer::Done);
        }
        if self.one("select pg_promote(true, 10)").await? != "t" {
            return Err(CallError { detail: String::from("it did not promote within 10 s"), unknown: true });
        }
        Ok(Answer::Done)
    }

    async fn verify(&mut self) -> Result<Answer, CallError> {
        let rows = self
            .rows(
                "select pg_is_in_recovery(), (select system_identifier from pg_control_system()), \
                 case when not pg_is_in_recovery() then pg_walfile_name(pg_current_wal_insert_lsn()) end, \
                 case when not pg_is_in_recovery() then pg_current_wal_flush_lsn() end",
            )
            .await?;
        let row = rows.first().ok_or_else(|| error("no answer to what it is"))?;
        let text = |column: usize| row.try_get(column).ok().flatten().unwrap_or_default().to_owned();
        if text(0) == "t" {
            return Err(error("it is still a standby"));
        }
        let system_id = text(1).parse().map_err(|_| error("it has no system identifier"))?;
        let timeline = text(2).get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let timeline = timeline.ok_or_else(|| error("its log has no timeline"))?;
        let lsn = text(3).parse().map_err(|_| error("its log has no position"))?;
        self.rows(look::CANARY).await?;
        Ok(Answer::Verified { system_id, timeline, ancestry: Vec::new(), lsn })
    }

    async fn drain(&mut self, epoch: u64, drain: Duration) -> Result<Answer, CallError> {
        self.set("default_transaction_read_only", "on").await?;
        self.reload().await?;
        let patience = (Instant::now() + drain).min(self.deadline);
        let others = "select count(*) from pg_stat_activity a left join pg_roles r on r.oid = a.usesysid \
             where a.backend_type = 'client backend' and a.pid <> pg_backend_pid() \
             and a.application_name <> 'holdfast' and not coalesce(r.rolsuper, false)";
        loop {
            let all = Instant::now() >= patience;
            let superusers = self.end_sessions(all).await?;
            let left: u32 = self.one(others).await?.parse().unwrap_or(0);
            let idle = self.writers().await?;
            if (left == 0 && (superusers == 0 || idle == 0)) || Instant::now() + PACE >= self.deadline {
                if left > 0 {
                    return Err(error(format!("{left} sessions did not end")));
                }
                self.set("synchronous_standby_names", &fence_name(epoch)).await?;
                self.reload().await?;
                let lsn = self.one("select pg_current_wal_insert_lsn()").await?;
                let lsn = lsn.parse().map_err(|_| error("its log has no position"))?;
                return Ok(Answer::Drained { left: superusers, lsn });
            }
            sleep(PACE).await;
        }
    }

    /// Sessions of superusers that have written in their transaction.
    async fn writers(&mut self) -> Result<u32, CallError> {
        let sql = "select count(*) from pg_stat_activity where backend_type = 'client backend' \
             and pid <> pg_backend_pid() and application_name <> 'holdfast' and backend_xid is not null";
        Ok(self.one(sql).await?.parse().unwrap_or(0))
    }

    async fn replay(&mut self, lsn: Lsn) -> Result<Answer, CallError> {
        self.until(&format!("select coalesce(pg_last_wal_replay_lsn() >= '{lsn}'::pg_lsn, false)")).await?;
        Ok(Answer::Done)
    }
}
