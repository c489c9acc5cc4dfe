//! One address that holds: real servers that are killed, stopped, restarted and cut off
//! behind it, a client that writes a row every 20 ms, and an agent that may die too.
//!
//! `HOLDFAST_FAILOVERS` sets how often each thing is done (tests/campaign.sh says 20),
//! and the table of outages is printed.

#![expect(clippy::disallowed_methods, reason = "outages are real times")]

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::support::cluster::{Cluster, Wanted, Writer, pause};
use crate::support::outage::{EAGER, Table, changes, member, nothing_is_lost, replaced, times, under_fire};
use crate::support::random::Random;

fn failovers(what: &str, sync: bool, n: usize, fault: impl Fn(&Cluster, &str)) -> Table {
    let cluster = Cluster::start(&Wanted { standbys: 2, sync, group: EAGER });
    replaced(cluster, what, n, fault, |_, _| {})
}

#[test]
fn a_killed_primary_is_replaced() {
    let mut table = failovers("primary killed, synchronous", true, times(2), |cluster, primary| {
        cluster.node(primary).server.kill_all();
    });
    table.print("primary killed, synchronous");
    assert!(table.gaps.iter().all(|gap| *gap < Duration::from_secs(5)));
}

#[test]
fn a_killed_asynchronous_primary_is_replaced() {
    let mut table = failovers("primary killed, asynchronous", false, times(1), |cluster, primary| {
        cluster.node(primary).server.kill_all();
    });
    table.print("primary killed, asynchronous");
}

#[test]
fn a_hung_primary_is_replaced_and_fenced() {
    let mut table = failovers("primary hung", true, times(1), |cluster, primary| {
        cluster.node(primary).server.signal_all(Signal::STOP);
    });
    table.print("primary hung");
    assert!(table.gaps.iter().all(|gap| *gap < Duration::from_secs(8)));
}

#[test]
fn a_planned_restart_is_no_failover() {
    let cluster = Cluster::start(&Wanted { standbys: 2, sync: true, group: EAGER });
    let next = Arc::new(AtomicU64::new(1));
    let mut table = Table::default();
    for round in 0..times(2) {
        let mode = if round % 2 == 0 { "fast" } else { "immediate" };
        let (seen, active) = under_fire(&cluster, &next, |cluster| {
            let primary = &cluster.node("pg1").server;
            primary.stop(mode);
            primary.start();
        });
        assert_eq!(active, "pg1", "{mode}: {:#}", cluster.group());
        assert_eq!(cluster.group()["epoch"], json!(1));
        assert!(seen.failed_connects.is_empty(), "{mode}: {:?}", seen.failed_connects);
        table.add(&seen);
        nothing_is_lost(&cluster, &seen);
    }
    table.print("planned restart");
}

#[test]
fn a_stall_is_no_failover() {
    let cluster = Cluster::start(&Wanted { standbys: 2, sync: true, group: EAGER });
    let next = Arc::new(AtomicU64::new(1));
    let writer = Writer::start(cluster.listen, &next);
    for _ in 0..times(2) * 5 {
        writer.wait_for(20, Duration::from_secs(10));
        let primary = &cluster.node("pg1").server;
        primary.signal_all(Signal::STOP);
        pause(Duration::from_millis(1500));
        primary.signal_all(Signal::CONT);
    }
    writer.wait_for(50, Duration::from_secs(10));
    let seen = writer.end();
    assert_eq!(cluster.active(), "pg1");
    assert_eq!(cluster.group()["epoch"], json!(1));
    nothing_is_lost(&cluster, &seen);
}

#[test]
fn a_switchover_fails_no_new_connection() {
    let mut cluster = Cluster::start(&Wanted { standbys: 2, sync: true, group: EAGER });
    let next = Arc::new(AtomicU64::new(1));
    let mut table = Table::default();
    for _ in 0..times(2) {
        let before = cluster.active();
        let (seen, after) = under_fire(&cluster, &next, |cluster| {
            let answer = cluster.command("switchover?wait=true", &json!({}));
            assert_eq!(answer.status, 200, "{}", answer.body);
        });
        assert_ne!(before, after);
        assert!(seen.failed_connects.is_empty(), "{:?}", seen.failed_connects);
        let gap = table.add(&seen);
        println!("failover: switchover {before} to {after}, {:.2} s", gap.as_secs_f64());
        nothing_is_lost(&cluster, &seen);
        assert_eq!(member(&cluster.group(), &before)["needs_rejoin"], json!(true));
        cluster.rejoin(&before, &after);
        cluster.wait_attached(2);
    }
    table.print("switchover");
}

#[test]
fn an_agent_that_dies_finds_its_group_again() {
    let mut cluster = Cluster::start(&Wanted { standbys: 2, sync: true, group: EAGER });
    let next = Arc::new(AtomicU64::new(1));
    let writer = Writer::start(cluster.listen, &next);
    writer.wait_for(20, Duration::from_secs(10));
    let since = Instant::now();
    cluster.restart_agent();
    writer.wait_for(10, Duration::from_secs(10));
    println!("failover: agent killed at rest: served again after {:.2} s", since.elapsed().as_secs_f64());
    assert!(since.elapsed() < Duration::from_secs(6));
    let seen = writer.end();
    cluster.wait_attached(2);
    assert_eq!(cluster.group()["epoch"], json!(1));
    nothing_is_lost(&cluster, &seen);
}

/// The agent dies at a random moment while it replaces a primary; the group ends up with
/// one active member and everything that was acknowledged.
#[test]
fn an_agent_killed_in_the_middle_goes_on() {
    let mut cluster = Cluster::start(&Wanted { standbys: 2, sync: true, group: EAGER });
    let next = Arc::new(AtomicU64::new(1));
    let seed = std::env::var("HOLDFAST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(11);
    println!("HOLDFAST_SEED={seed}");
    let mut random = Random(seed);
    let mut worst = Duration::ZERO;
    for _ in 0..times(2) {
        let before = cluster.active();
        let writer = Writer::start(cluster.listen, &next);
        writer.wait_for(20, Duration::from_secs(10));
        cluster.node(&before).server.kill_all();
        pause(Duration::from_millis(random.below(700)));
        let killed = Instant::now();
        cluster.restart_agent();
        writer.wait_for(20, Duration::from_secs(40));
        worst = worst.max(killed.elapsed());
        cluster.agent.wait_ready();
        let seen = writer.end();
        let after = cluster.active();
        nothing_is_lost(&cluster, &seen);
        let writable =
            cluster.nodes.iter().filter(|node| node.server.is_running() && node.server.takes_writes());
        assert_eq!(writable.count(), 1);
        if after != before {
            cluster.rejoin(&before, &after);
        }
        cluster.wait_attached(2);
    }
    println!("failover: agent killed in the middle: worst {:.2} s", worst.as_secs_f64());
    assert!(worst < Duration::from_secs(20));
}

/// The store is emptied after a failover: the superseded primary is never routed.
#[test]
fn a_superseded_primary_is_not_routed_by_an_agent_without_memory() {
    let mut cluster = Cluster::start(&Wanted { standbys: 1, sync: false, group: EAGER });
    let next = Arc::new(AtomicU64::new(1));
    let (_, after) = under_fire(&cluster, &next, |cluster| cluster.node("pg1").server.kill_all());
    assert_eq!(after, "pg2");
    cluster.agent.kill();
    std::fs::remove_file(cluster.folder.path().join("data/holdfast.redb")).expect("the store");
    cluster.node("pg1").server.forget_pid();
    cluster.node("pg1").server.start();
    cluster.restart_agent();
    cluster.agent.wait_ready();
    let group = cluster.wait("the old primary is fenced", Duration::from_secs(20), |group| {
        assert_ne!(group["active"], "pg1", "{group:#}");
        group["active"] == "pg2" && member(group, "pg1")["fenced"] == json!(true)
    });
    assert!(group["epoch"].as_u64() >= Some(2), "{group:#}");
}

#[test]
fn what_forbids_a_failover_changes_nothing() {
    let cluster = Cluster::start(&Wanted { standbys: 1, sync: false, group: EAGER });
    assert_eq!(cluster.command("pause", &json!({})).status, 200);
    let before = changes(&cluster, "pg2").len();
    cluster.node("pg1").server.kill_all();
    pause(Duration::from_secs(3));
    let group = cluster.group();
    assert_eq!((&group["state"], &group["epoch"]), (&json!("paused"), &json!(1)));
    assert_eq!(changes(&cluster, "pg2").len(), before, "a paused group changed a server");
    // Resumed with a dead primary, it is judged at once.
    let since = Instant::now();
    assert_eq!(cluster.command("resume", &json!({})).status, 200);
    cluster.wait("pg2 takes over", Duration::from_secs(5), |group| group["active"] == "pg2");
    println!("failover: resumed: {:.2} s", since.elapsed().as_secs_f64());
}

/// There and back with the shipped rejoin script as the hook: after it everything is as
/// it was, in an epoch that says that two members were active in between.
#[test]
fn a_drill_goes_there_and_back() {
    let mut cluster = Cluster::start(&Wanted { standbys: 1, sync: false, group: EAGER });
    cluster.use_rejoin_script();
    let next = Arc::new(AtomicU64::new(1));
    let (seen, active) = under_fire(&cluster, &next, |cluster| {
        let answer = cluster.command("test?wait=true", &json!({"mode": "drill"}));
        assert!(answer.status < 300, "{}", answer.body);
        cluster.wait("the drill ends", Duration::from_secs(60), |group| {
            group["active"] == "pg1" && group["epoch"] == json!(3) && group["state"] == "steady"
        });
    });
    assert_eq!(active, "pg1");
    assert!(seen.failed_connects.is_empty(), "{:?}", seen.failed_connects);
    nothing_is_lost(&cluster, &seen);
}

/// Independent databases: the second takes over, and the first is not led to again when it
/// is back.
#[test]
fn independent_databases_are_switched_between() {
    let cluster = Cluster::independent(2, EAGER);
    assert_eq!(cluster.group()["tier"], "switch");
    cluster.node("pg1").server.kill_all();
    let group = cluster.wait("pg2 takes over", Duration::from_secs(10), |group| group["active"] == "pg2");
    assert_eq!(group["last_failover"]["diverged"], json!(true));
    cluster.node("pg1").server.forget_pid();
    cluster.node("pg1").server.start();
    cluster.wait("pg1 answers", Duration::from_secs(10), |group| member(group, "pg1")["role"] == "primary");
    pause(Duration::from_secs(2));
    assert_eq!(cluster.active(), "pg2");
    assert_eq!(member(&cluster.group(), "pg1")["fenced"], json!(false));
}

/// A primary that dies while it writes one great record has sent a piece of it. The one that
/// takes over drops the piece, and its sister with the same piece follows without a rejoin.
#[test]
fn a_standby_with_a_piece_of_a_record_follows_the_new_primary() {
    let mut cluster = Cluster::start(&Wanted { standbys: 2, sync: true, group: EAGER });
    let great = "select pg_logical_emit_message(false, 'great', repeat('x', 500000000))";
    let mut client = cluster.node("pg1").server.psql_in_background(great);
    let piece = "select pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) > 20000000";
    for name in ["pg2", "pg3"] {
        cluster.node(name).server.wait_until(piece);
    }
    cluster.node("pg1").server.kill_all();
    let _ = client.wait();
    cluster.wait("another takes over", Duration::from_secs(10), |group| {
        group["active"].as_str().is_some_and(|name| name != "pg1")
    });
    let group = cluster.wait_attached(1);
    for name in ["pg2", "pg3"] {
        assert_eq!(member(&group, name)["needs_rejoin"], json!(false), "{group:#}");
        assert_eq!(member(&group, name)["timeline"], json!(2), "{group:#}");
    }
}
