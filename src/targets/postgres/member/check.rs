//! The check at enrolment: what a member lacks for a failover to or from it.
//!
//! Only questions, and for each thing that is wanting the SQL or the setting that helps,
//! to be run by whoever may. Why each matters stands with its question; the measured
//! ones are in the README.

use tokio::time::{Instant, timeout_at};

use super::history;
use crate::base::id::Name;
use crate::model::failover::view::Finding;
use crate::targets::postgres::access::Access;

/// The settings that the agent changes with `ALTER SYSTEM`.
const PARAMETERS: [&str; 3] =
    ["primary_conninfo", "synchronous_standby_names", "default_transaction_read_only"];
/// The first version whose `ALTER SYSTEM` can be granted, and the first that follows
/// another primary without a restart.
const GRANTABLE: u32 = 150_000;
const RELOADABLE: u32 = 130_000;
/// A standby that was just cut off waits so long before it promotes, ms.
const RETRY_MS: u64 = 500;

/// Another member, as this one should know it.
#[derive(Clone, Debug)]
pub struct Peer {
    pub member: Name,
    pub application_name: Option<String>,
    /// The slot it streams by.
    pub slot: Option<String>,
}

/// See the module.
pub async fn check(name: &Name, access: &mut Access, others: &[Peer], deadline: Instant) -> Vec<Finding> {
    let mut found = Found { member: name.clone(), findings: Vec::new() };
    let role = access.place().user.clone();
    match access.open(deadline).await {
        Err(outcome) => found.say(true, format!("cannot be checked: {}", outcome.detail), Vec::new()),
        Ok(opened) => {
            let mut session = opened.session;
            let version = session.version();
            let asked = timeout_at(deadline, session.rows(&sql())).await;
            let row = match &asked {
                Ok(Ok(rows)) => rows.first(),
                Ok(Err(error)) => {
                    found.say(true, format!("cannot be checked: {error}"), Vec::new());
                    None
                }
                Err(_) => {
                    found.say(true, String::from("cannot be checked: no answer in time"), Vec::new());
                    None
                }
            };
            if let Some(row) = row {
                let text = |column: usize| row.try_get(column).ok().flatten().unwrap_or_default();
                found.grants(&role, version, &text);
                found.settings(&text);
                found.slots(others, &text);
            }
            session.close(deadline).await;
        }
    }
    found.names(others);
    found.history(&role, access, deadline).await;
    found.findings
}

fn sql() -> String {
    let granted = PARAMETERS.map(|parameter| {
        format!("coalesce(has_parameter_privilege(current_user, '{parameter}', 'alter system'), false)")
    });
    // The function is of version 15: what an older server refuses, it could not grant.
    let granted = granted.join(" and ");
    format!(
        "select (select rolsuper from pg_roles where rolname = current_user), \
         pg_has_role('pg_monitor', 'usage'), pg_has_role('pg_signal_backend', 'usage'), \
         has_function_privilege('pg_promote(boolean, integer)', 'execute'), \
         has_function_privilege('pg_reload_conf()', 'execute'), {granted}, \
         (select rolreplication or rolsuper from pg_roles where rolname = current_user), \
         (select setting::bigint from pg_settings where name = 'wal_retrieve_retry_interval'), \
         current_setting('wal_log_hints') = 'on' or current_setting('data_checksums') = 'on', \
         current_setting('hot_standby') = 'on', current_setting('wal_level'), \
         current_setting('max_wal_senders')::int, \
         (select string_agg(slot_name, ',') from pg_replication_slots where slot_type = 'physical'), \
         current_setting('recovery_min_apply_delay'), current_setting('max_replication_slots')::int"
    )
}

struct Found {
    member: Name,
    findings: Vec<Finding>,
}

impl Found {
    fn say(&mut self, blocks: bool, problem: String, sql: Vec<String>) {
        self.findings.push(Finding { member: Some(self.member.to_string()), blocks, problem, sql });
    }

    fn grants<'a>(&mut self, role: &str, version: u32, text: &impl Fn(usize) -> &'a str) {
        if version < RELOADABLE {
            let problem = format!(
                "version {} follows another primary only after a restart: the group can only route",
                version / 10_000
            );
            self.say(true, problem, Vec::new());
        }
        if text(0) == "t" {
            return;
        }
        let role = format!("\"{}\"", role.replace('"', "\"\""));
        if text(1) != "t" || text(2) != "t" {
            let sql = vec![format!("GRANT pg_monitor, pg_signal_backend TO {role};")];
            self.say(
                true,
                String::from("its role may not read the state of replication or end sessions"),
                sql,
            );
        }
        if text(3) != "t" || text(4) != "t" {
            let sql = vec![
                format!("GRANT EXECUTE ON FUNCTION pg_promote(boolean, integer) TO {role};"),
                format!("GRANT EXECUTE ON FUNCTION pg_reload_conf() TO {role};"),
            ];
            self.say(true, String::from("its role may not promote it or make it read its settings"), sql);
        }
        if version < GRANTABLE {
            let problem = format!(
                "version {} cannot grant ALTER SYSTEM: the role must be a superuser",
                version / 10_000
            );
            self.say(true, problem, vec![format!("ALTER ROLE {role} SUPERUSER;")]);
        } else if text(5) != "t" {
            let sql = vec![format!("GRANT ALTER SYSTEM ON PARAMETER {} TO {role};", PARAMETERS.join(", "))];
            self.say(true, String::from("its role may not say whom it follows, or fence it"), sql);
        }
    }

    fn settings<'a>(&mut self, text: &impl Fn(usize) -> &'a str) {
        let set = |name: &str, value: &str| {
            vec![format!("ALTER SYSTEM SET {name} = '{value}';"), String::from("SELECT pg_reload_conf();")]
        };
        if text(7).parse::<u64>().is_ok_and(|ms| ms > RETRY_MS) {
            let problem =
                format!("wal_retrieve_retry_interval is {} ms: a promotion may wait for as long", text(7));
            self.say(false, problem, set("wal_retrieve_retry_interval", "100ms"));
        }
        if text(8) != "t" {
            let problem = String::from(
                "neither wal_log_hints nor data checksums are on: pg_rewind cannot bring it back (needs a restart)",
            );
            self.say(false, problem, vec![String::from("ALTER SYSTEM SET wal_log_hints = on;")]);
        }
        if text(9) != "t" {
            let problem =
                String::from("hot_standby is off: it cannot be looked at as a standby (needs a restart)");
            self.say(true, problem, vec![String::from("ALTER SYSTEM SET hot_standby = on;")]);
        }
        if !matches!(text(10), "replica" | "logical") {
            let problem = format!("wal_level is {}: nobody can follow it (needs a restart)", text(10));
            self.say(true, problem, vec![String::from("ALTER SYSTEM SET wal_level = replica;")]);
        }
        if !matches!(text(13), "0" | "") {
            let problem = format!("recovery_min_apply_delay is {}: it does not take over", text(13));
            self.say(true, problem, set("recovery_min_apply_delay", "0"));
        }
    }

    fn slots<'a>(&mut self, others: &[Peer], text: &impl Fn(usize) -> &'a str) {
        let held: Vec<_> = text(12).split(',').collect();
        let missing: Vec<_> = others
            .iter()
            .filter_map(|peer| peer.slot.as_deref())
            .filter(|slot| !held.contains(slot))
            .collect();
        if !missing.is_empty() {
            let sql = missing
                .iter()
                .map(|slot| format!("SELECT pg_create_physical_replication_slot({});", super::literal(slot)))
                .collect();
            let problem =
                format!("it has no slot {}: those that stream by it could not follow it", missing.join(", "));
            self.say(false, problem, sql);
        }
        let needed = others.len();
        if text(11).parse::<usize>().is_ok_and(|senders| senders < needed) {
            let problem =
                format!("max_wal_senders is {}, expected {needed} or more (needs a restart)", text(11));
            self.say(true, problem, vec![format!("ALTER SYSTEM SET max_wal_senders = {};", needed + 5)]);
        }
    }

    /// Two standbys of one name cannot be told apart, nor counted as synchronous.
    fn names(&mut self, others: &[Peer]) {
        let mut names: Vec<_> = others.iter().filter_map(|peer| peer.application_name.as_deref()).collect();
        names.sort_unstable();
        let twice = names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0].to_owned());
        if let Some(name) = twice {
            let problem = format!(
                "two of its standbys call themselves `{name}`: give each a cluster_name or application_name of its own"
            );
            self.say(false, problem, Vec::new());
        }
    }

    async fn history(&mut self, role: &str, access: &mut Access, deadline: Instant) {
        // Timeline 2 need not exist: then the server says so, and that is an answer.
        let asked = history::read(access, 2, deadline).await;
        let Err(reason) = asked else { return };
        if reason.contains("00000002.history") {
            return;
        }
        let role = format!("\"{}\"", role.replace('"', "\"\""));
        let problem = format!(
            "the history of its timelines cannot be read ({reason}): two promotions cannot be told apart"
        );
        let sql = vec![
            format!("ALTER ROLE {role} REPLICATION;"),
            format!("-- in pg_hba.conf: host replication {role} <address of this host>/32 scram-sha-256"),
        ];
        self.say(false, problem, sql);
    }
}
