//! The check at enrolment: what a member lacks, and the SQL that would give it.
//!
//! It only reads. Every finding says where its statements go: grants and roles are written
//! on the primary and reach the standbys by themselves, settings and slots belong to the
//! member. Statements stand on lines of their own, for psql: ALTER SYSTEM refuses to share a
//! message. Wrong would be to show a `primary_conninfo` in them; one that must change is read
//! by the statement itself.

use tokio::time::Instant;
use tokio_postgres::SimpleQueryRow;

use super::conninfo::Conninfo;
use super::effects::Effects;
use super::{MemberLink, replication};
use crate::base::id::Name;
use crate::model::failover::sighting::fence_epoch;
use crate::targets::outcome::Outcome;

/// Another member of the group, as it shows itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer {
    pub name: Name,
    /// By which name it follows; `None` when it is no standby now.
    pub application_name: Option<String>,
    /// By which slot it follows, its `primary_slot_name`.
    pub slot: Option<String>,
}

/// Where the statements of a finding are to be run, as a superuser.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// On the primary of the cluster.
    Primary,
    /// On the member that was checked.
    Member,
}

/// Something that is not as a group needs it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// A stable word.
    pub code: &'static str,
    /// For people; without secrets.
    pub what: String,
    /// Without it nobody can take over, or not this member.
    pub blocking: bool,
    pub place: Place,
    /// Statements for psql, one to a line; `None` where SQL does not help.
    pub sql: Option<String>,
}

/// A setting that takes effect only when the server is started again.
const RESTART: &str = "-- then restart the server";
const RELOAD: &str = "select pg_reload_conf();";

/// Settings that everybody is told to change, with their values.
const RETRY: (&str, &str) = ("wal_retrieve_retry_interval", "100ms");
const HINTS: (&str, &str) = ("wal_log_hints", "on");

const STATE: &str = "select pg_is_in_recovery(), current_user, rolsuper, rolreplication, \
    pg_has_role('pg_monitor', 'usage'), pg_has_role('pg_signal_backend', 'usage'), \
    has_function_privilege('pg_promote(boolean, integer)', 'execute'), has_function_privilege('pg_reload_conf()', 'execute'), \
    current_setting('wal_log_hints') = 'on' or current_setting('data_checksums') = 'on', \
    current_setting('max_wal_senders'), current_setting('hot_standby'), current_setting('wal_level'), \
    current_setting('synchronous_standby_names'), current_setting('recovery_min_apply_delay'), \
    extract(epoch from current_setting('wal_retrieve_retry_interval')::interval) * 1000, \
    current_setting('cluster_name'), current_setting('primary_slot_name'), \
    case when pg_has_role('pg_read_all_settings', 'usage') then current_setting('primary_conninfo') end, \
    current_database(), current_setting('restore_command') <> '' from pg_roles where rolname = current_user";

const PARAMETERS: &str = "select has_parameter_privilege('primary_conninfo', 'alter system') \
    and has_parameter_privilege('synchronous_standby_names', 'alter system') \
    and has_parameter_privilege('default_transaction_read_only', 'alter system')";

const SLOTS: &str = "select slot_name from pg_get_replication_slots() where slot_type = 'physical'";

impl MemberLink {
    /// What is to be changed on this member, by `deadline`. Its own name is `own`, the other
    /// members are `peers`. Changes nothing.
    pub async fn check(&mut self, own: &Name, peers: &[Peer], deadline: Instant) -> Vec<Finding> {
        let mut findings = Vec::new();
        let read = match Effects::begin(self, deadline).await {
            Ok(mut effects) => {
                let read = Read::of(&mut effects).await;
                if read.is_ok() {
                    effects.end().await;
                }
                read
            }
            Err(error) => Err(error),
        };
        match read {
            Ok(read) => {
                self.restores = Some(read.is(19));
                read.rights(&mut findings);
                read.settings(peers, &mut findings);
                read.names(own, peers, &mut findings);
                if read.super_user || read.rights.replication {
                    findings.extend(history(
                        replication::try_login(&mut self.access, deadline).await,
                        &read.user,
                    ));
                }
            }
            Err(error) => findings.push(blocking("unreadable", error.detail, Place::Member, None)),
        }
        findings
    }
}

/// What a role that is no superuser may do.
#[derive(Clone, Copy, Default)]
struct Rights {
    replication: bool,
    monitor: bool,
    signal: bool,
    promote: bool,
    reload: bool,
    parameters: bool,
}

/// What `user` lacks. The README lists the same statements. Who may call a function is
/// known by each database for itself, everything else by all of them together.
fn missing(rights: Rights, user: &str, database: &str) -> Vec<Finding> {
    let role = postgres_protocol::escape::escape_identifier(user);
    let place = if database.contains(['\n', '\r']) { "of the target" } else { database };
    let execute =
        |function| format!("-- in the database {place}\ngrant execute on function {function} to {role};");
    let names = "primary_conninfo, synchronous_standby_names, default_transaction_read_only";
    let wanted = [
        (
            rights.monitor,
            "monitor",
            "cannot see sessions, receivers and settings",
            format!("grant pg_monitor to {role};"),
        ),
        (rights.signal, "signal", "cannot end sessions", format!("grant pg_signal_backend to {role};")),
        (rights.promote, "promote", "cannot promote", execute("pg_promote(boolean, integer)")),
        (rights.reload, "reload", "cannot have settings loaded", execute("pg_reload_conf()")),
        (
            rights.parameters,
            "parameters",
            "cannot change the settings of a failover",
            format!("grant alter system on parameter {names} to {role};"),
        ),
        (
            rights.replication,
            "replication",
            "cannot read the history of timelines",
            format!("alter role {role} replication;"),
        ),
    ];
    let lacks = wanted.into_iter().filter(|(has, ..)| !has);
    lacks
        .map(|(_, code, what, sql)| {
            blocking(code, format!("the role {user} {what}"), Place::Primary, Some(sql))
        })
        .collect()
}

/// What the check reads.
struct Read {
    version: u32,
    user: String,
    in_recovery: bool,
    super_user: bool,
    rights: Rights,
    slots: Vec<String>,
    conninfo: Option<Conninfo>,
    row: SimpleQueryRow,
}

impl Read {
    async fn of(to: &mut Effects) -> Result<Self, crate::logic::failover::CallError> {
        let row = to.ask_one(STATE).await?;
        let parameters = to.version() < 150_000 || to.ask_one(PARAMETERS).await?.get(0) == Some("t");
        let slots = to.ask(SLOTS).await?;
        let is = |at: usize| row.get(at) == Some("t");
        Ok(Self {
            version: to.version(),
            user: row.get(1).unwrap_or_default().to_owned(),
            in_recovery: is(0),
            super_user: is(2),
            rights: Rights {
                replication: is(3),
                monitor: is(4),
                signal: is(5),
                promote: is(6),
                reload: is(7),
                parameters,
            },
            slots: slots.iter().filter_map(|slot| slot.get(0)).map(str::to_owned).collect(),
            conninfo: row.get(17).and_then(|text| Conninfo::parse(text).ok()),
            row,
        })
    }

    fn text(&self, at: usize) -> &str {
        self.row.get(at).unwrap_or_default()
    }

    fn is(&self, at: usize) -> bool {
        self.row.get(at) == Some("t")
    }

    /// What the role may do. Roles and grants are part of the data, so they are made on
    /// the primary; the right to change a setting as well.
    fn rights(&self, findings: &mut Vec<Finding>) {
        if self.version < 130_000 {
            let what = "PostgreSQL 12 changes primary_conninfo only by a restart: the group can follow a primary, and move nobody";
            findings.push(blocking("version", what, Place::Member, None));
        }
        if self.super_user {
            return;
        }
        if self.version < 150_000 {
            let what = "before PostgreSQL 15 only a superuser may change settings";
            let user = postgres_protocol::escape::escape_identifier(&self.user);
            let sql = format!("alter role {user} superuser;");
            findings.push(blocking("superuser", what, Place::Primary, Some(sql)));
            return;
        }
        findings.extend(missing(self.rights, &self.user, self.text(18)));
    }

    fn settings(&self, peers: &[Peer], findings: &mut Vec<Finding>) {
        let set = |name: &str, value: &str, after: &str| Some(set(name, value, after));
        let on = Place::Member;
        if self.text(14).parse::<f64>().is_ok_and(|milliseconds| milliseconds > 500.0) {
            let what = format!(
                "wal_retrieve_retry_interval is {} ms: a promotion may sleep as long, expected at most 500 ms",
                self.text(14).split('.').next().unwrap_or_default()
            );
            findings.push(advice("retry_interval", what, on, set(RETRY.0, RETRY.1, RELOAD)));
        }
        if !self.is(8) {
            let what = "neither wal_log_hints nor data checksums are on: pg_rewind cannot make an old primary a standby again";
            findings.push(advice("rewind", what, on, set(HINTS.0, HINTS.1, RESTART)));
        }
        let wanted = peers.len() + 2;
        if self.text(9).parse::<usize>().is_ok_and(|senders| senders < wanted) {
            let what = format!("max_wal_senders is {}, expected at least {wanted}", self.text(9));
            findings.push(blocking(
                "senders",
                what,
                on,
                set("max_wal_senders", &wanted.to_string(), RESTART),
            ));
        }
        if self.text(10) != "on" {
            let what = "hot_standby is off: as a standby it cannot be asked";
            findings.push(blocking("hot_standby", what, on, set("hot_standby", "on", RESTART)));
        }
        if !["replica", "logical"].contains(&self.text(11)) {
            let what = format!("wal_level is {}: nobody can follow it", self.text(11));
            findings.push(blocking("wal_level", what, on, set("wal_level", "replica", RESTART)));
        }
        if self.text(13) != "0" {
            let what =
                format!("recovery_min_apply_delay is {}: a delayed standby is never promoted", self.text(13));
            findings.push(advice("delay", what, on, set("recovery_min_apply_delay", "0", RELOAD)));
        }
    }

    /// Who is who: slots, names of standbys, names of synchronous ones.
    fn names(&self, own: &Name, peers: &[Peer], findings: &mut Vec<Finding>) {
        let on = Place::Member;
        for peer in peers {
            let slot = peer.slot.clone().unwrap_or_else(|| slot_of(&peer.name));
            if !self.slots.contains(&slot) {
                let what = format!(
                    "there is no physical slot {slot} for {}: it could not follow this member, or would miss what was removed",
                    peer.name
                );
                let sql = format!("select pg_create_physical_replication_slot({}, true);", literal(&slot));
                findings
                    .push(Finding { blocking: peer.slot.is_some(), ..advice("slot", what, on, Some(sql)) });
            }
        }
        let own_slot = self.text(16);
        if own_slot.is_empty() {
            let what = if self.in_recovery {
                "it follows without a slot: its primary may remove what it has not received"
            } else {
                "no slot is named for the time when it follows: its primary may remove what it has not received"
            };
            let sql = format!("alter system set primary_slot_name = {};\n{RELOAD}", literal(&slot_of(own)));
            findings.push(advice("own_slot", what, on, Some(sql)));
        }
        let names: Vec<_> = peers.iter().filter_map(|peer| peer.application_name.as_deref()).collect();
        if let Some(conninfo) = self.conninfo.as_ref().filter(|_| self.in_recovery) {
            let name = conninfo.upstream(self.text(15), "").application_name;
            if name == "walreceiver" || names.contains(&name.as_str()) {
                let what = format!("it follows by the name {name}, by which it cannot be told from others");
                findings.push(advice("application_name", what, on, Some(rename(own))));
            }
        }
        let known = |name: &String| {
            name == "*"
                || name == own.as_str()
                // The agent's own doing: to lift it is no advice.
                || fence_epoch(name).is_some()
                || names.contains(&name.as_str())
                || peers.iter().any(|peer| peer.name.as_str() == name)
        };
        let unknown: Vec<_> = sync_names(self.text(12)).into_iter().filter(|name| !known(name)).collect();
        if !unknown.is_empty() {
            let what = format!(
                "synchronous_standby_names waits for {}, which no member is: its commits may be on servers that are not asked",
                unknown.join(", ")
            );
            let mut members: Vec<_> = peers
                .iter()
                .map(|peer| peer.application_name.clone().unwrap_or_else(|| peer.name.to_string()))
                .collect();
            members.sort();
            members.dedup();
            let list: Vec<_> =
                members.iter().map(|name| postgres_protocol::escape::escape_identifier(name)).collect();
            let value = if list.is_empty() { String::new() } else { format!("ANY 1 ({})", list.join(", ")) };
            let sql = format!("alter system set synchronous_standby_names = {};\n{RELOAD}", literal(&value));
            findings.push(advice("sync_names", what, on, Some(sql)));
        }
    }
}

fn set(name: &str, value: &str, after: &str) -> String {
    format!("alter system set {name} = '{value}';\n{after}")
}

/// The line of `pg_hba.conf` that lets `user` read the history of timelines.
fn hba(user: &str) -> String {
    format!("host replication {user} ADDRESS scram-sha-256")
}

/// The name of a member as a slot: those know no `-`.
fn slot_of(name: &Name) -> String {
    name.as_str().replace('-', "_")
}

fn literal(text: &str) -> String {
    postgres_protocol::escape::escape_literal(text).trim_start().to_owned()
}

/// psql reads the setting, adds the name and runs what comes out; nobody sees the secret.
fn rename(own: &Name) -> String {
    format!(
        "select format('alter system set primary_conninfo = %L', case when c ~ '^postgres(ql)?://' \
         then c || case when strpos(c, '?') > 0 then '&' else '?' end else c || ' ' end || 'application_name={own}') \
         from current_setting('primary_conninfo') as c\n\\gexec\n{RELOAD}"
    )
}

/// The names in `synchronous_standby_names`: `FIRST 1 (a, "b c")`, `ANY 2 (a, b)`, `2 (a)` or `a, b`.
fn sync_names(setting: &str) -> Vec<String> {
    let inside = setting
        .split_once('(')
        .map_or(setting, |(_, rest)| rest.rsplit_once(')').map_or(rest, |(in_, _)| in_));
    let names = inside.split(',').map(|name| name.trim().trim_matches('"').replace("\"\"", "\""));
    names.filter(|name| !name.is_empty()).collect()
}

fn history(tried: Result<(), Outcome>, user: &str) -> Option<Finding> {
    let Err(Outcome { code, detail, .. }) = tried else { return None };
    let mut what = format!("no replication connection, by which the history of timelines is read: {detail}");
    if code == "28000" {
        what.push_str(&format!("; expected a line in pg_hba.conf like: {}", hba(user)));
    }
    Some(blocking("history", what, Place::Member, None))
}

fn blocking(code: &'static str, what: impl Into<String>, place: Place, sql: Option<String>) -> Finding {
    Finding { code, what: what.into(), blocking: true, place, sql }
}

fn advice(code: &'static str, what: impl Into<String>, place: Place, sql: Option<String>) -> Finding {
    Finding { blocking: false, ..blocking(code, what, place, sql) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// One statement per right: `grant a, b to c` is two.
    fn each(statements: &str) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        for line in statements.lines() {
            let line = line.split("--").next().unwrap_or_default().to_lowercase().replace(['"', '\''], "");
            let Some(statement) = line.trim().strip_suffix(';') else { continue };
            let Some((what, to)) = statement.strip_prefix("grant ").and_then(|rest| rest.rsplit_once(" to "))
            else {
                all.insert(statement.to_owned());
                continue;
            };
            let kinds = ["execute on function ", "alter system on parameter "];
            let kind = kinds.into_iter().find(|kind| what.starts_with(kind)).unwrap_or_default();
            let mut depth = 0;
            let names = what[kind.len()..].split(|c| {
                depth += i32::from(c == '(') - i32::from(c == ')');
                c == ',' && depth == 0
            });
            all.extend(names.map(|name| format!("grant {kind}{} to {to}", name.trim())));
        }
        all
    }

    #[test]
    fn the_readme_lists_what_the_check_asks_for() {
        let readme = include_str!("../../../../README.md");
        let (_, rest) = readme.split_once("## Fail over between Postgres servers").unwrap();
        let (block, _) = rest.split_once("```sql\n").unwrap().1.split_once("```").unwrap();
        let mut asked: Vec<String> = missing(Rights::default(), "holdfast", "postgres")
            .into_iter()
            .filter_map(|found| found.sql)
            .collect();
        asked.extend([RETRY, HINTS].map(|(name, value)| set(name, value, "")));
        assert_eq!(each(block), each(&asked.join("\n")));
        assert!(block.contains(&format!("`{}`", hba("holdfast"))), "the line of pg_hba.conf");
        assert!(each("grant a, f(x, y) to z;\n").contains("grant f(x, y) to z"));
    }

    #[test]
    fn names_of_synchronous_standbys_are_read_in_every_form() {
        for (setting, names) in [
            ("", &[] as &[&str]),
            ("a", &["a"]),
            ("a, \"b c\"", &["a", "b c"]),
            ("ANY 2 (a, b)", &["a", "b"]),
            ("first 1 (\"a\"\"x\",*)", &["a\"x", "*"]),
            ("2(a)", &["a"]),
            ("ANY 1 (", &[]),
        ] {
            assert_eq!(sync_names(setting), names, "{setting}");
        }
    }
}
