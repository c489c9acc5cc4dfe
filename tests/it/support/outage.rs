//! Faults under a writer: how long it waited, and that nothing it was told is lost.

#![expect(clippy::disallowed_methods, reason = "outages are real times")]

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::cluster::{Cluster, Seen, Writer};

/// Nothing waits for the day to pass.
pub const EAGER: &str = "cooldown = \"0s\"\nmax_per_day = 1000";

pub fn times(few: usize) -> usize {
    std::env::var("HOLDFAST_FAILOVERS").ok().and_then(|text| text.parse().ok()).unwrap_or(few)
}

/// Outages of one scenario, and what it cost.
#[derive(Default)]
pub struct Table {
    pub gaps: Vec<Duration>,
    pub failed_connects: usize,
}

impl Table {
    pub fn add(&mut self, seen: &Seen) -> Duration {
        let gap = seen.longest_gap();
        self.gaps.push(gap);
        self.failed_connects += seen.failed_connects.len();
        gap
    }

    pub fn print(&mut self, what: &str) {
        self.gaps.sort();
        let at = |index: usize| self.gaps[index].as_secs_f64();
        let last = self.gaps.len() - 1;
        println!(
            "failover: {what}: n {}, min {:.2} s, median {:.2} s, max {:.2} s, failed connects {}",
            self.gaps.len(),
            at(0),
            at(self.gaps.len() / 2),
            at(last),
            self.failed_connects
        );
    }
}

/// Every acknowledged row is on the active member.
pub fn nothing_is_lost(cluster: &Cluster, seen: &Seen) {
    let head = cluster.node(&cluster.active());
    let held: std::collections::BTreeSet<u64> =
        head.server.psql("select id from t").lines().filter_map(|line| line.parse().ok()).collect();
    let lost: Vec<_> = seen.acked.iter().map(|(id, _)| *id).filter(|id| !held.contains(id)).collect();
    assert!(lost.is_empty(), "{} acknowledged rows are lost: {lost:?}", lost.len());
}

/// One fault under a writer: what the writer saw, and who is active then.
pub fn under_fire(cluster: &Cluster, next: &Arc<AtomicU64>, fault: impl FnOnce(&Cluster)) -> (Seen, String) {
    let writer = Writer::start(cluster.listen, next);
    writer.wait_for(20, Duration::from_secs(10));
    fault(cluster);
    writer.wait_for(50, Duration::from_secs(30));
    (writer.end(), cluster.active())
}

/// When the superseded primary still runs, it takes no write, at the latest 2 s after it
/// is back.
pub fn the_old_one_is_fenced(cluster: &Cluster, old: &str) {
    let node = cluster.node(old);
    node.server.signal_all(Signal::CONT);
    if !node.server.is_running() {
        return;
    }
    let since = Instant::now();
    cluster.wait("the old primary is fenced", Duration::from_secs(2), |group| {
        assert_ne!(group["active"], old, "a superseded primary is routed: {group:#}");
        member(group, old)["fenced"] == json!(true)
    });
    println!("failover: {old} is back and fenced after {:.2} s", since.elapsed().as_secs_f64());
    let said = node.server.try_psql("insert into t values (-1)");
    assert!(said.is_err_and(|error| error.contains("read-only")), "a superseded primary took a write");
}

pub fn member<'a>(group: &'a Value, name: &str) -> &'a Value {
    let members = group["members"].as_array().expect("members");
    members.iter().find(|member| member["name"] == name).expect("the member")
}

/// `n` failovers of `cluster` by `fault`, each mended by `heal` and then by an operator.
pub fn replaced(
    mut cluster: Cluster,
    what: &str,
    n: usize,
    fault: impl Fn(&Cluster, &str),
    heal: impl Fn(&Cluster, &str),
) -> Table {
    let standbys = cluster.nodes.len() - 1;
    let next = Arc::new(AtomicU64::new(1));
    let mut table = Table::default();
    for _ in 0..n {
        let before = cluster.active();
        let (seen, after) = under_fire(&cluster, &next, |cluster| fault(cluster, &before));
        assert_ne!(before, after, "{what}: {:#}", cluster.group());
        let gap = table.add(&seen);
        nothing_is_lost(&cluster, &seen);
        println!("failover: {what}: {before} to {after}, {:.2} s", gap.as_secs_f64());
        heal(&cluster, &before);
        the_old_one_is_fenced(&cluster, &before);
        cluster.rejoin(&before, &after);
        cluster.wait_attached(standbys);
    }
    table
}

/// Statements in a server's log that change something.
pub fn changes(cluster: &Cluster, name: &str) -> Vec<String> {
    let log = std::fs::read_to_string(cluster.node(name).server.folder().join("log")).expect("the log");
    let changes = ["alter system", "pg_promote", "pg_reload_conf", "pg_terminate_backend"];
    log.lines()
        // The check at enrolment asks whether it may, in so many words.
        .filter(|line| !line.contains("_privilege("))
        .filter(|line| changes.iter().any(|change| line.to_ascii_lowercase().contains(change)))
        .map(str::to_owned)
        .collect()
}

/// The statements in a server's log, by anybody.
pub fn statements(cluster: &Cluster, name: &str) -> Vec<String> {
    let log = std::fs::read_to_string(cluster.node(name).server.folder().join("log")).expect("the log");
    let mut all: Vec<String> = Vec::new();
    for line in log.lines() {
        let told =
            ["statement: ", "received replication command: "].iter().find_map(|mark| line.split_once(mark));
        match (told, all.last_mut()) {
            (Some((_, text)), _) => all.push(text.to_owned()),
            // The rest of one of several lines.
            (None, Some(last)) if line.starts_with('\t') => last.push_str(line),
            _ => {}
        }
    }
    all
}
