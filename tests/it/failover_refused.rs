//! What must not take over, on real servers that log every statement: each refusal has
//! its code, and the logs show that nothing was changed.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::cluster::{Cluster, Node, Site, Wanted, pause, servers};
use crate::support::outage::{EAGER, changes, member, statements};
use crate::support::postgres::Postgres;
use crate::support::wire::Wire;

const PAIR: Wanted<'_> = Wanted { standbys: 1, sync: false, group: EAGER };

/// Kills the primary. The group gives `code` as the reason for leaving it at that; for
/// 3 s more the other server is only asked.
fn refused(cluster: &Cluster, code: &str) -> Value {
    let before = statements(cluster, "pg2").len();
    cluster.node("pg1").server.kill_all();
    let group = is_refused(cluster, code);
    pause(Duration::from_secs(3));
    only_asked(cluster, "pg2", before);
    assert_eq!(cluster.group()["epoch"], json!(1));
    group
}

fn is_refused(cluster: &Cluster, code: &str) -> Value {
    let group = cluster.wait(code, Duration::from_secs(10), |group| {
        assert!(group["active"] == "pg1" || group["active"].is_null(), "{group:#}");
        group["refusal"]["code"] == code
    });
    println!("failover: refused: {}", group["refusal"]);
    group
}

/// Since the first `before` of them, every statement of the agent is one that only reads.
fn only_asked(cluster: &Cluster, name: &str, before: usize) {
    let all = statements(cluster, name);
    assert!(all.len() > before, "{name} was asked nothing");
    let reads = |text: &str| {
        let words = ["select ", "with ", "show ", "set local ", "identify_system", "timeline_history"];
        words.iter().any(|word| text.starts_with(word))
    };
    for statement in &all[before..] {
        let low = statement.to_ascii_lowercase();
        let acts = ["pg_promote(", "pg_reload_conf(", "pg_terminate_backend(", "alter system", "set_config("];
        let asks = low.contains("_privilege(") || !acts.iter().any(|act| low.contains(act));
        assert!(reads(&low) && asks, "{name} was told: {statement}");
    }
}

/// Puts `other` in the place of the second member.
fn replace(cluster: &mut Cluster, mut other: Node) {
    let old = &cluster.nodes[1].server;
    let port = old.port;
    old.stop("fast");
    other.server.stop("fast");
    other.server.port = port;
    other.server.append("postgresql.auto.conf", &format!("port = {port}\n"));
    other.server.start();
    cluster.nodes[1] = other;
    cluster.wait("the other one is seen", Duration::from_secs(20), |group| {
        member(group, "pg2")["state"] == "ineligible"
    });
}

#[test]
fn a_standby_that_never_attached() {
    let nodes = servers(&PAIR, &Site::default());
    let standby = &nodes[1].server;
    standby.append("postgresql.auto.conf", "primary_conninfo = 'host=127.0.0.1 port=1 user=postgres'\n");
    standby.stop("fast");
    standby.start();
    let cluster = Cluster::launch(nodes, &PAIR, Site::default());
    cluster.wait("steady", Duration::from_secs(20), |group| group["state"] == "steady");
    let group = refused(&cluster, "not_attached");
    assert_eq!(member(&group, "pg2")["attached"], json!(false));
}

/// The lag is certain only when nothing moves any more: it is refused after the cut, which
/// is undone. The log has the cut and its end, and no promotion.
#[test]
fn a_standby_too_far_behind() {
    let nodes = servers(&PAIR, &Site::default());
    let (primary, standby) = (&nodes[0].server, &nodes[1].server);
    let wire = Wire::to("127.0.0.1", primary.port);
    let conninfo = format!("host=127.0.0.1 port={} user=postgres application_name=pg2", wire.port);
    standby.psql(&format!("alter system set primary_conninfo = '{conninfo}'"));
    standby.psql("select pg_reload_conf()");
    let mut cluster = Cluster::launch(nodes, &PAIR, Site::default());
    cluster.wait_attached(1);
    wire.hold();
    let primary = &cluster.node("pg1").server;
    primary.psql("select count(pg_logical_emit_message(false, 'far', repeat('x', 100000))) from generate_series(1, 30)");
    cluster.wait("the lag is seen", Duration::from_secs(10), |group| {
        member(group, "pg2")["lag_bytes"].as_u64() > Some(2 << 20)
    });
    let before = changes(&cluster, "pg2").len();
    primary.kill_all();
    is_refused(&cluster, "lag_exceeded");
    pause(Duration::from_secs(5));
    let standby = &cluster.node("pg2").server;
    let told = changes(&cluster, "pg2").split_off(before);
    println!("failover: refused: told meanwhile: {told:#?}");
    assert!(!told.iter().any(|line| line.contains("pg_promote(true")), "{told:#?}");
    assert!(
        told.iter().all(|line| line.contains("primary_conninfo") || line.contains("pg_reload_conf")),
        "{told:#?}"
    );
    assert_eq!(standby.psql("show primary_conninfo"), conninfo);
    assert_eq!(standby.psql("select pg_is_in_recovery()"), "t");
    // The primary comes back, and so does everything.
    wire.heal();
    cluster.node("pg1").server.forget_pid();
    cluster.node("pg1").server.start();
    let group = cluster.wait_attached(1);
    assert_eq!(group["active"], "pg1");
}

#[test]
fn a_standby_of_another_cluster() {
    let mut cluster = Cluster::start(&PAIR);
    let mut others = servers(&PAIR, &Site::default());
    replace(&mut cluster, others.pop().expect("its standby"));
    refused(&cluster, "system_id");
}

/// Somebody set the second server up anew: empty, writable, and no member of this cluster.
#[test]
fn a_writable_server_of_another_cluster() {
    let mut cluster = Cluster::start(&PAIR);
    let mut others = servers(&Wanted { standbys: 0, ..PAIR }, &Site::default());
    let other = Node { name: String::from("pg2"), ..others.pop().expect("a primary") };
    replace(&mut cluster, other);
    refused(&cluster, "system_id");
}

#[test]
fn a_standby_that_went_another_way() {
    let mut cluster = Cluster::start(&PAIR);
    let primary = &cluster.node("pg1").server;
    let rebel = Postgres::follower_of(primary, "rebel", "slot_rebel");
    rebel.promote();
    let server = Postgres::follower_of(&rebel, "pg2", "slot_follower");
    replace(&mut cluster, Node { name: String::from("pg2"), server });
    let group = refused(&cluster, "lineage");
    assert_eq!(member(&group, "pg2")["timeline"], json!(2));
}

/// Every member is out of reach at the same moment: it is us.
#[test]
fn an_agent_that_is_cut_off() {
    let mut cluster = Cluster::start_at(&PAIR, Site { wires: true, ..Site::default() });
    let before = ["pg1", "pg2"].map(|name| (name, statements(&cluster, name).len()));
    cluster.wires.iter().for_each(Wire::hold);
    is_refused(&cluster, "agent_isolated");
    pause(Duration::from_secs(8));
    assert_eq!(cluster.group()["refusal"]["code"], "agent_isolated");
    cluster.wires.iter().for_each(Wire::heal);
    let group = cluster.wait_attached(1);
    assert_eq!((&group["active"], &group["epoch"]), (&json!("pg1"), &json!(1)));
    for (name, before) in before {
        only_asked(&cluster, name, before);
    }
}
