//! Disks that are full while a client writes: the primary's and a standby's.
//!
//! The disk is a file system in memory, which takes root to mount. Where that is not
//! allowed nothing is tried, and the test says so.

#![expect(clippy::disallowed_methods, reason = "outages are real times")]

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::cluster::{Cluster, Site, Wanted, Writer, pause};
use crate::support::outage::{EAGER, Table, member, nothing_is_lost, the_old_one_is_fenced, times};
use crate::support::postgres::Place;
use crate::support::small_disk::SmallDisk;

/// MiB: an empty cluster takes 35, and pg_rewind brings the log of the other one along.
const SMALL: u32 = 192;

/// Servers whose data lies on disks of so many MiB.
fn site(disks: &[u32]) -> Option<Site> {
    if let Some(why) = SmallDisk::hindrance() {
        println!("NOT TRIED: a disk that is full: {why}. Run the tests as root to try it.");
        return None;
    }
    let place = |size: &u32| Place { disk: Some(*size), ..Place::default() };
    Some(Site { places: disks.iter().map(place).collect(), ..Site::default() })
}

/// Has the primary write its log until it cannot or `enough` says so.
fn press(cluster: &Cluster, name: &str, enough: impl Fn() -> bool) {
    let since = Instant::now();
    let much = "select count(pg_logical_emit_message(false, 'much', repeat('x', 50000))) \
                from generate_series(1, 20)";
    while !enough() {
        assert!(since.elapsed() < Duration::from_secs(60), "{:#}", cluster.group());
        let told = cluster.node(name).server.try_psql(much);
        if let Err(said) = told {
            if !said.contains("refused") {
                println!("failover: disk full: {name} says: {}", said.lines().next().unwrap_or_default());
            }
            pause(Duration::from_millis(200));
        }
    }
}

/// A primary that cannot write its log panics, and cannot start again. Somebody who asks
/// for a restart gets as long as ever; then another takes over.
#[test]
fn a_primary_whose_disk_is_full_is_replaced() {
    let mut table = Table::default();
    for _ in 0..times(1) {
        let Some(site) = site(&[SMALL]) else { return };
        let mut cluster = Cluster::start_at(&Wanted { standbys: 2, sync: true, group: EAGER }, site);
        let next = Arc::new(AtomicU64::new(1));
        let writer = Writer::start(cluster.listen, &next);
        writer.wait_for(20, Duration::from_secs(10));
        let old = cluster.node("pg1");
        let disk = old.server.disk.as_ref().expect("a disk");
        disk.fill(512);
        let other = || cluster.active().starts_with("pg") && cluster.active() != "pg1";
        press(&cluster, "pg1", other);
        writer.wait_for(50, Duration::from_secs(20));
        let seen = writer.end();
        let gap = table.add(&seen);
        println!("failover: disk full: {:.2} s, {}", gap.as_secs_f64(), cluster.group()["last_failover"]);
        nothing_is_lost(&cluster, &seen);
        let after = cluster.active();
        // There is room again, and it is started by hand: it is fenced and stays aside.
        disk.empty();
        if !old.server.is_running() {
            old.server.forget_pid();
            old.server.start();
        }
        the_old_one_is_fenced(&cluster, "pg1");
        cluster.rejoin("pg1", &after);
        cluster.wait_attached(2);
    }
    table.print("disk of the primary full");
}

/// A standby that cannot write what it receives stays behind: the other one is enough for
/// the quorum, nobody waits, and with room it follows again.
#[test]
fn a_standby_whose_disk_is_full_disturbs_nobody() {
    let Some(site) = site(&[512, SMALL]) else { return };
    let mut cluster = Cluster::start_at(&Wanted { standbys: 2, sync: true, group: EAGER }, site);
    let next = Arc::new(AtomicU64::new(1));
    let writer = Writer::start(cluster.listen, &next);
    writer.wait_for(20, Duration::from_secs(10));
    let full = cluster.node("pg2");
    let disk = full.server.disk.as_ref().expect("a disk");
    disk.fill(512);
    press(&cluster, "pg1", || member(&cluster.group(), "pg2")["lag_bytes"].as_u64() > Some(8 << 20));
    println!("failover: standby's disk full: {}", member(&cluster.group(), "pg2"));
    writer.wait_for(100, Duration::from_secs(10));
    let seen = writer.end();
    println!("failover: standby's disk full: longest gap {:.2} s", seen.longest_gap().as_secs_f64());
    assert!(seen.longest_gap() < Duration::from_secs(1), "{:?}", seen.longest_gap());
    assert!(seen.failed_connects.is_empty() && seen.failed_statements.is_empty());
    nothing_is_lost(&cluster, &seen);
    let group = cluster.group();
    assert_eq!(
        (&group["active"], &group["epoch"], &group["state"]),
        (&json!("pg1"), &json!(1), &json!("steady"))
    );
    disk.empty();
    if !full.server.is_running() {
        full.server.forget_pid();
        full.server.start();
    }
    cluster.wait("it catches up", Duration::from_secs(30), |group| {
        member(group, "pg2")["lag_bytes"].as_u64() < Some(1 << 20)
    });
    cluster.wait_attached(2);

    // Full again, and now the primary dies: the one that holds everything takes over.
    let writer = Writer::start(cluster.listen, &next);
    let disk = cluster.node("pg2").server.disk.as_ref().expect("a disk");
    disk.fill(512);
    press(&cluster, "pg1", || member(&cluster.group(), "pg2")["lag_bytes"].as_u64() > Some(8 << 20));
    writer.wait_for(20, Duration::from_secs(10));
    cluster.node("pg1").server.kill_all();
    cluster.wait("pg3 takes over", Duration::from_secs(10), |group| group["active"] == "pg3");
    writer.wait_for(20, Duration::from_secs(10));
    nothing_is_lost(&cluster, &writer.end());
}
