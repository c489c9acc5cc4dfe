//! What a look asks, and how its rows are read.
//!
//! All statements of a look go in one string and come back in one round trip, each row
//! tagged by its first column. What costs more than the rest (who else is connected, who
//! manages the cluster) is asked now and then, see [`Ask::aside`]. No view is asked where a function below
//! it will do: a view like pg_settings computes hundreds of rows. Wrong would be a function
//! that fails in recovery outside a `case`: a member may change sides between two looks.

use tokio_postgres::SimpleQueryRow;

use crate::base::secret::Secret;
use crate::model::failover::lsn::Lsn;
use crate::model::failover::sighting::Follower;

/// The advisory lock by which agents notice each other: "holdfast" in ASCII. The server keeps
/// it for each database by itself, so the others are looked through as well.
const LOCK: i64 = 0x686F_6C64_6661_7374;

/// Followers that are told of one primary.
const MAX_FOLLOWERS: usize = 64;

/// What is asked besides the main facts.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// Its followers: of a primary.
    pub followers: bool,
    /// Its receiver: of a standby.
    pub receiver: bool,
    /// The lock, until it is held.
    pub lock: bool,
    /// What is asked now and then.
    pub aside: bool,
}

const MAIN: &str = "select 'm', pg_is_in_recovery(), pg_backend_pid(), \
    case when pg_is_in_recovery() then pg_last_wal_receive_lsn() else pg_current_wal_flush_lsn() end, \
    case when pg_is_in_recovery() then pg_last_wal_replay_lsn() end, \
    case when not pg_is_in_recovery() then left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) end, \
    current_setting('default_transaction_read_only'), current_setting('synchronous_standby_names'), \
    case when pg_is_in_recovery() then pg_is_wal_replay_paused() or current_setting('recovery_min_apply_delay') <> '0' end, \
    case when pg_has_role('pg_read_all_settings', 'usage') then current_setting('primary_conninfo') end, \
    current_setting('primary_slot_name'), current_setting('cluster_name');";

const RECEIVER: &str =
    "select 'r', status, received_tli from pg_stat_get_wal_receiver() where pid is not null;";

const FOLLOWERS: &str = "select 'f', a.application_name, s.slot_name, w.state, w.sync_state in ('sync', 'quorum'), w.flush_lsn, w.replay_lsn \
    from pg_stat_get_wal_senders() w cross join lateral pg_stat_get_activity(w.pid) a \
    left join pg_get_replication_slots() s on s.active_pid = w.pid;";

/// Managers show by the sessions they keep or by what they put into the catalogue.
const ASIDE: &str = "select 'a', (select system_identifier from pg_control_system()), \
    count(*) filter (where backend_type = 'client backend' and client_addr is distinct from inet_client_addr() \
        and application_name <> 'holdfast'), \
    case when bool_or(application_name in ('Patroni', 'Patroni heartbeat', 'Patroni restapi')) then 'patroni' \
        when bool_or(application_name = 'pg_auto_failover monitor') \
            or exists (select from pg_roles where rolname like 'pgautofailover\\_%') then 'pg_auto_failover' \
        when bool_or(application_name like 'repmgr%') or to_regnamespace('repmgr') is not null then 'repmgr' \
        when current_setting('archive_command') like '/controller/manager %' then 'cloudnative-pg' end, \
    (select greatest(c.timeline_id, r.min_recovery_end_timeline) from pg_control_checkpoint() c, pg_control_recovery() r) \
    from pg_stat_get_activity(null);";

/// The timeline of the newest segment. Asked of a standby without a receiver: replay gets
/// to a new timeline long before the control file does.
pub const NEWEST_SEGMENT: &str = "select 'w', case when pg_has_role('pg_monitor', 'usage') then \
    (select max(left(name, 8)) from pg_ls_waldir() where name ~ '^[0-9A-F]{24}$') end;";

impl Ask {
    pub fn sql(self) -> String {
        let mut sql = String::from(MAIN);
        if self.receiver {
            sql.push_str(RECEIVER);
        }
        if self.followers {
            sql.push_str(FOLLOWERS);
        }
        if self.lock {
            // One that is free in our database may be held in another, by an agent with another
            // `database`: it is not taken then. Twice, because it may go between the two.
            let (high, low) = (LOCK >> 32, LOCK & 0xFFFF_FFFF);
            let holder = format!(
                "(select min(pid) from pg_locks where locktype = 'advisory' and objsubid = 1 and granted \
                 and pid <> pg_backend_pid() and classid::bigint = {high} and objid::bigint = {low})"
            );
            sql.push_str(&format!(
                "select 'l', coalesce({holder}, case when pg_try_advisory_lock({LOCK}) then 0 end, {holder}, -1);"
            ));
        }
        if self.aside {
            sql.push_str(ASIDE);
        }
        sql
    }
}

/// The rows of a look.
#[derive(Debug, Default)]
pub struct Reading {
    pub main: Option<Main>,
    pub receiver: Option<Receiver>,
    pub followers: Vec<Follower>,
    pub lock: Option<Lock>,
    pub aside: Option<Aside>,
    pub newest_segment: Option<u32>,
}

#[derive(Debug)]
pub struct Main {
    pub in_recovery: bool,
    pub pid: i32,
    /// Flushed on a primary, received on a standby.
    pub lsn: Lsn,
    pub replayed: Lsn,
    /// Of a primary.
    pub timeline: Option<u32>,
    pub read_only: bool,
    pub sync_names: String,
    pub delayed: bool,
    /// `None` without the right to read it.
    pub conninfo: Option<Secret>,
    pub slot: String,
    pub cluster_name: String,
}

#[derive(Debug)]
pub struct Receiver {
    pub streaming: bool,
    pub timeline: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lock {
    Ours,
    /// Held by this backend, or by one that cannot be told.
    Held(Option<i32>),
}

#[derive(Debug)]
pub struct Aside {
    pub system_id: u64,
    pub bypass: u32,
    pub manager: Option<String>,
    /// By the control file, which lags.
    pub timeline: u32,
}

/// The rows, or the name of what is not as expected.
///
/// # Errors
/// What a server never says; something else answers at the port.
pub fn read(rows: &[SimpleQueryRow]) -> Result<Reading, String> {
    let mut reading = Reading::default();
    for row in rows {
        let column = |at: usize| if at < row.len() { row.get(at) } else { None };
        let wrong = || format!("a row {:?} that is not understood", column(0).unwrap_or_default());
        match column(0) {
            Some("m") => reading.main = Some(main(&column).ok_or_else(wrong)?),
            Some("r") => {
                let timeline = column(2).and_then(|number| number.parse().ok()).filter(|number| *number > 0);
                reading.receiver = Some(Receiver { streaming: column(1) == Some("streaming"), timeline });
            }
            Some("f") if reading.followers.len() < MAX_FOLLOWERS => reading.followers.push(follower(&column)),
            Some("f") => {}
            Some("l") => {
                let pid: i32 = column(1).and_then(|pid| pid.parse().ok()).ok_or_else(wrong)?;
                let held = || Lock::Held(Some(pid).filter(|pid| *pid > 0));
                reading.lock = Some(if pid == 0 { Lock::Ours } else { held() });
            }
            Some("a") => reading.aside = Some(aside(&column).ok_or_else(wrong)?),
            Some("w") => reading.newest_segment = column(1).and_then(hex),
            _ => return Err(wrong()),
        }
    }
    Ok(reading)
}

fn main<'a>(column: &impl Fn(usize) -> Option<&'a str>) -> Option<Main> {
    let lsn = |at| column(at).map_or(Some(Lsn::default()), |text: &str| text.parse().ok());
    Some(Main {
        in_recovery: column(1)? == "t",
        pid: column(2)?.parse().ok()?,
        lsn: lsn(3)?,
        replayed: lsn(4)?,
        timeline: column(5).and_then(hex),
        read_only: column(6)? == "on",
        sync_names: column(7)?.to_owned(),
        delayed: column(8) == Some("t"),
        conninfo: column(9).map(Secret::new),
        slot: column(10)?.to_owned(),
        cluster_name: column(11)?.to_owned(),
    })
}

fn follower<'a>(column: &impl Fn(usize) -> Option<&'a str>) -> Follower {
    let lsn = |at| column(at).and_then(|text: &str| text.parse().ok()).unwrap_or_default();
    Follower {
        application_name: column(1).unwrap_or_default().to_owned(),
        slot: column(2).map(str::to_owned),
        streaming: column(3) == Some("streaming"),
        sync: column(4) == Some("t"),
        flushed: lsn(5),
        replayed: lsn(6),
    }
}

fn aside<'a>(column: &impl Fn(usize) -> Option<&'a str>) -> Option<Aside> {
    Some(Aside {
        // A bigint in SQL, without a sign in the server.
        system_id: column(1)?.parse::<i64>().ok()?.cast_unsigned(),
        bypass: column(2)?.parse().ok()?,
        manager: column(3).map(str::to_owned),
        timeline: column(4)?.parse().ok()?,
    })
}

/// The timeline in the first 8 digits of a segment's name.
pub fn hex(digits: &str) -> Option<u32> {
    u32::from_str_radix(digits, 16).ok().filter(|timeline| *timeline > 0)
}
