//! The one question of a look, and its answer.
//!
//! Everything in one round trip by the simple protocol, and nothing that reads many
//! rows: three members are asked once a second for as long as the agent runs. What costs
//! more (who else is connected, who else decides) is asked now and then.

use tokio_postgres::SimpleQueryRow;

use super::conninfo::Conninfo;
use crate::base::secret::Secret;
use crate::model::failover::lsn::Lsn;
use crate::model::failover::sighting::{Facts, Follower, Standing};

/// Of the agents' lock; no meaning beyond being the same for all of them.
const LOCK: i64 = 0x686f_6c64_6661_7374;
/// Between fields and between rows of the followers.
const FIELD: char = '\u{1f}';
const ROW: char = '\u{1e}';

/// The question; `locked` whether this session holds the agents' lock.
pub fn sql(locked: bool) -> String {
    let lock = if locked { String::from("true") } else { format!("pg_try_advisory_lock({LOCK})") };
    format!(
        "select r, (select system_identifier from pg_control_system()), \
         current_setting('default_transaction_read_only'), current_setting('synchronous_standby_names'), \
         {lock}, current_setting('cluster_name'), \
         case when r then pg_last_wal_receive_lsn() else pg_current_wal_flush_lsn() end, \
         case when r then pg_last_wal_replay_lsn() end, \
         case when r then (select received_tli from pg_stat_wal_receiver) end, \
         case when r then (select status from pg_stat_wal_receiver) end, \
         case when r then (select greatest((select timeline_id from pg_control_checkpoint()), \
           (select min_recovery_end_timeline from pg_control_recovery()))) end, \
         case when not r then pg_walfile_name(pg_current_wal_flush_lsn()) end, \
         case when r then pg_is_wal_replay_paused() or current_setting('recovery_min_apply_delay') <> '0' end, \
         case when r and pg_has_role('pg_read_all_settings', 'usage') then current_setting('primary_conninfo') end, \
         case when r then current_setting('primary_slot_name') end, \
         case when not r then (select string_agg(concat_ws(E'\\x1f', application_name, state, sync_state, \
           coalesce(flush_lsn::text, '0/0'), coalesce(replay_lsn::text, '0/0'), \
           coalesce((select slot_name from pg_replication_slots where active_pid = pid), '')), E'\\x1e') \
           from pg_stat_replication) end \
         from (select pg_is_in_recovery() as r) q"
    )
}

/// What is asked now and then: sessions from elsewhere, and who else decides.
pub const SLOW: &str = "select \
    (select count(*) from pg_stat_activity where backend_type = 'client backend' \
       and client_addr is not null and client_addr is distinct from inet_client_addr()), \
    (select case when application_name ilike 'patroni%' then 'patroni' \
                 when application_name ilike 'pg_auto_failover%' or application_name ilike 'pg_autoctl%' then 'pg_auto_failover' \
                 else 'repmgr' end \
       from pg_stat_activity where application_name ilike any (array['patroni%', 'pg_auto_failover%', 'pg_autoctl%', 'repmgrd%']) limit 1)";

/// A write that needs no table and waits for synchronous standbys as a commit does.
pub const CANARY: &str = "select pg_logical_emit_message(true, 'holdfast', '')";

/// What a look showed beside the facts.
pub struct Read {
    pub facts: Facts,
    /// The agents' lock is held by this session now.
    pub locked: bool,
    pub conninfo: Option<Secret>,
}

/// What was found out in other ways, and goes into the facts.
#[derive(Clone, Default)]
pub struct Known {
    pub version: u32,
    /// The timeline that a standby was last seen to receive.
    pub timeline: u32,
    pub bypass: u32,
    pub manager: Option<String>,
}

/// Reads the answer.
///
/// # Errors
/// Which column is not what was asked for.
pub fn read(row: &SimpleQueryRow, known: &Known) -> Result<Read, String> {
    let text = |column: usize| row.try_get(column).ok().flatten().unwrap_or_default();
    let number = |column: usize| text(column).parse::<u32>().unwrap_or(0);
    let wrong = |what: &str| format!("the server's answer has no {what}");
    let lsn = |column: usize| {
        let text = text(column);
        if text.is_empty() { Ok(Lsn(0)) } else { text.parse::<Lsn>().map_err(|error| error.to_string()) }
    };
    let recovering = text(0) == "t";
    let system_id = text(1).parse().map_err(|_| wrong("system identifier"))?;
    let locked = matches!(text(4), "t" | "true");
    let mut conninfo = None;
    let (timeline, standing) = if recovering {
        let slot = Some(text(14).to_owned()).filter(|slot| !slot.is_empty());
        let upstream = Conninfo::parse(text(13)).map(|read| read.upstream(slot, text(5)));
        conninfo = upstream.is_some().then(|| Secret::new(text(13)));
        let received = number(8);
        let timeline = if received > 0 { received } else { number(10).max(known.timeline) };
        let standing = Standing::Standby {
            received: lsn(6)?,
            replayed: lsn(7)?,
            streaming: text(9) == "streaming",
            receiver: !text(9).is_empty(),
            upstream,
            delayed: text(12) == "t",
        };
        (timeline, standing)
    } else {
        let file = text(11);
        let timeline = file.get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let standing = Standing::Primary { lsn: lsn(6)?, followers: followers(text(15))? };
        (timeline.ok_or_else(|| wrong("name of the log's segment"))?, standing)
    };
    let facts = Facts {
        system_id,
        version: known.version,
        timeline,
        ancestry: None,
        standing,
        read_only: text(2) == "on",
        sync_names: text(3).to_owned(),
        other_agent: !locked,
        manager: known.manager.clone(),
        canary: None,
        bypass: known.bypass,
    };
    Ok(Read { facts, locked, conninfo })
}

fn followers(text: &str) -> Result<Vec<Follower>, String> {
    let mut followers = Vec::new();
    for row in text.split(ROW).filter(|row| !row.is_empty()) {
        let fields: Vec<_> = row.split(FIELD).collect();
        let [name, state, sync, flushed, replayed, slot] = fields[..] else {
            return Err(String::from("a row of pg_stat_replication is not one"));
        };
        let lsn = |text: &str| text.parse::<Lsn>().map_err(|error| error.to_string());
        followers.push(Follower {
            application_name: name.to_owned(),
            slot: (!slot.is_empty()).then(|| slot.to_owned()),
            streaming: state == "streaming",
            sync: matches!(sync, "sync" | "quorum"),
            flushed: lsn(flushed)?,
            replayed: lsn(replayed)?,
        });
    }
    Ok(followers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_followers() {
        let text = "pg2\u{1f}streaming\u{1f}quorum\u{1f}0/5\u{1f}0/4\u{1f}slot_pg2\u{1e}walreceiver\u{1f}startup\u{1f}async\u{1f}0/0\u{1f}0/0\u{1f}";
        let read = followers(text).expect("followers");
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].streaming, read[0].sync, read[0].flushed), (true, true, Lsn(5)));
        assert_eq!(read[0].slot.as_deref(), Some("slot_pg2"));
        assert_eq!((read[1].streaming, read[1].sync, read[1].slot.as_deref()), (false, false, None));
        assert!(followers("x").is_err());
        assert_eq!(followers(""), Ok(Vec::new()));
    }
}
