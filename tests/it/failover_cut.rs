//! Networks that fail around a failover group: a host that is gone with its packets, and
//! a way that is slow, holds one direction or breaks while the servers are well.
//!
//! `HOLDFAST_FAILOVERS` sets how often, as in `failover`.

#![expect(clippy::disallowed_methods, reason = "outages are real times")]

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::cluster::{Cluster, Site, Wanted, Writer, pause};
use crate::support::outage::{EAGER, nothing_is_lost, replaced, the_old_one_is_fenced, times};
use crate::support::wait_for_listener_at;

/// The number of a member's host.
fn host(name: &str) -> u32 {
    name.trim_start_matches("pg").parse().expect("the number of a member")
}

/// Somebody pulls the cable of the primary's host. Where this machine lets nobody have a
/// network of his own, its processes are stopped instead, which is less: their host goes
/// on accepting connections.
#[test]
fn a_primary_whose_host_is_gone_is_replaced_and_fenced() {
    let wanted = Wanted { standbys: 2, sync: true, group: EAGER };
    let (what, cluster) = match Site::hosts(3) {
        Ok(site) => ("host gone, its packets vanish", Cluster::start_at(&wanted, site)),
        Err(why) => {
            println!("NOT TRIED: a host whose packets vanish: {why}.");
            println!("Run the tests as root, with iproute2, to try it; now processes are stopped instead.");
            ("host gone, only its processes stopped", Cluster::start(&wanted))
        }
    };
    let cut = |cluster: &Cluster, primary: &str| match &cluster.lan {
        Some(lan) => lan.cut(host(primary)),
        None => cluster.node(primary).server.signal_all(Signal::STOP),
    };
    let heal = |cluster: &Cluster, primary: &str| {
        let Some(lan) = &cluster.lan else { return };
        lan.heal(host(primary));
        // Neighbours find each other again by questions a second apart, which is not the agent's time.
        let server = &cluster.node(primary).server;
        wait_for_listener_at(server.host(), server.port);
    };
    let mut table = replaced(cluster, what, times(1), cut, heal);
    table.print(what);
    assert!(table.gaps.iter().all(|gap| *gap <= Duration::from_secs(5)), "{:?}", table.gaps);
}

const WIRED: fn() -> Site = || Site { wires: true, ..Site::default() };

/// Asks the group for `time` whether it still leads to the first member.
fn stays(cluster: &Cluster, time: Duration, what: &str) {
    let since = Instant::now();
    while since.elapsed() < time {
        let group = cluster.group();
        // Nobody is led there while it is in doubt; no other takes over.
        assert!(group["active"] == "pg1" || group["active"].is_null(), "{what}: {group:#}");
        assert_eq!(group["epoch"], json!(1), "{what}: {group:#}");
        pause(Duration::from_millis(50));
    }
}

fn is_other(active: &Value) -> bool {
    active.as_str().is_some_and(|active| active != "pg1")
}

/// The way to the primary, or all ways, are slow. Its answers come too late for a look
/// or a login, and the standbys see it write.
#[test]
fn a_slow_way_is_no_failover() {
    let group = &format!("{EAGER}\npath_hold = \"3s\"");
    let cluster = Cluster::start_at(&Wanted { standbys: 2, sync: false, group }, WIRED());
    let next = Arc::new(AtomicU64::new(1));
    let writer = Writer::start(cluster.listen, &next);
    for delay in [50, 300, 900].map(Duration::from_millis) {
        for wires in [1, 3] {
            let what = format!("{delay:?} on {wires} of 3 wires");
            cluster.wires[..wires].iter().for_each(|wire| wire.delay(delay));
            writer.wait_for(2, Duration::from_secs(20));
            stays(&cluster, Duration::from_secs(6), &what);
            cluster.wires.iter().for_each(|wire| wire.delay(Duration::ZERO));
            writer.wait_for(20, Duration::from_secs(20));
        }
    }
    nothing_is_lost(&cluster, &writer.end());
}

/// A slow way to a primary at rest: nobody writes, so no standby can witness that it lives,
/// and no login over it is in time.
#[test]
fn a_slow_way_to_a_primary_at_rest_is_no_failover() {
    let cluster = Cluster::start_at(&Wanted { standbys: 2, sync: false, group: EAGER }, WIRED());
    for delay in [50, 150, 300].map(Duration::from_millis) {
        cluster.wires[0].delay(delay);
        // Long enough for a fresh connection, and for three failures.
        stays(&cluster, Duration::from_secs(15), &format!("{delay:?} at rest"));
        cluster.wires[0].delay(Duration::ZERO);
        cluster.wait("steady again", Duration::from_secs(10), |group| group["state"] == "steady");
    }
}

/// Answers break off in the middle, or do not come while questions arrive. As long as the
/// standbys receive what others write there, an asynchronous one does not take over; when
/// the primary then dies, one does.
#[test]
fn a_way_that_fails_alone_is_no_failover_until_the_primary_is_gone() {
    let group = &format!("{EAGER}\npath_hold = \"2s\"");
    let cluster = Cluster::start_at(&Wanted { standbys: 2, sync: false, group }, WIRED());
    let next = Arc::new(AtomicU64::new(1));
    let primary = &cluster.node("pg1").server;
    let direct = Writer::start(primary.port, &next);
    direct.wait_for(20, Duration::from_secs(10));
    let wire = &cluster.wires[0];
    for bytes in [700, 60, 1] {
        wire.break_after(bytes);
        stays(&cluster, Duration::from_secs(5), &format!("broken after {bytes} bytes"));
        wire.heal();
        cluster.wait("steady again", Duration::from_secs(10), |group| group["state"] == "steady");
    }
    wire.hold_answers();
    cluster.wait("held", Duration::from_secs(8), |group| group["refusal"]["code"] == "path_hold");
    stays(&cluster, Duration::from_secs(5), "answers do not come");
    let since = Instant::now();
    primary.kill_all();
    cluster.wait("another takes over", Duration::from_secs(8), |group| is_other(&group["active"]));
    println!("failover: killed behind a way that failed: {:.2} s", since.elapsed().as_secs_f64());
    let seen = direct.end();
    let group = cluster.group();
    println!("failover: killed behind a way that failed: {}", group["last_failover"]);
    assert_eq!(group["epoch"], json!(2));
    assert!(seen.acked.len() > 100);
}

/// With a quorum nothing can be lost by it: then a primary out of our reach is replaced
/// once the hold is over, and whoever still reaches it is told nothing that would be lost.
#[test]
fn a_way_that_fails_for_long_is_a_failover_with_a_quorum() {
    let group = &format!("{EAGER}\npath_hold = \"4s\"");
    let cluster = Cluster::start_at(&Wanted { standbys: 2, sync: true, group }, WIRED());
    let next = Arc::new(AtomicU64::new(1));
    let direct = Writer::start(cluster.node("pg1").server.port, &next);
    direct.wait_for(20, Duration::from_secs(10));
    let since = Instant::now();
    cluster.wires[0].hold();
    stays(&cluster, Duration::from_millis(3900), "held");
    let group = cluster.wait("another takes over", Duration::from_secs(8), |group| {
        is_other(&group["active"]) && group["state"] == "steady"
    });
    println!("failover: out of reach, path_hold 4 s: {:.2} s", since.elapsed().as_secs_f64());
    let served = Writer::start(cluster.listen, &next);
    served.wait_for(20, Duration::from_secs(10));
    assert_eq!(group["epoch"], json!(2));
    // Whoever waits for a commit there is let go by the fence.
    cluster.wires[0].heal();
    the_old_one_is_fenced(&cluster, "pg1");
    nothing_is_lost(&cluster, &served.end());
    nothing_is_lost(&cluster, &direct.end());
}
