//! Networks that fail around a failover group: a host that is gone with its packets, and
//! a way that is slow, holds one direction or breaks while the servers are well.
//!
//! `HOLDFAST_FAILOVERS` sets how often, as in `failover`.

use std::time::Duration;

use rustix::process::Signal;

use crate::support::cluster::{Cluster, Site, Wanted};
use crate::support::outage::{EAGER, replaced, times};

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
        let _ = cluster.lan.as_ref().map(|lan| lan.heal(host(primary)));
    };
    let mut table = replaced(cluster, what, times(1), cut, heal);
    table.print(what);
    assert!(table.gaps.iter().all(|gap| *gap <= Duration::from_secs(5)), "{:?}", table.gaps);
}
