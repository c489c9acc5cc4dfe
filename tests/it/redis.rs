//! The Redis probe against real servers.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use holdfast::model::probe::OutcomeClass::{Alive, Hard, Ok as Fine, Soft};
use holdfast::targets::Depth;
use rustix::process::Signal;

use super::support::probing::{assert_fine, assert_outcome, probe, target, value};
use super::support::redis::Redis;
use super::support::tls_door::TlsDoor;

#[tokio::test(flavor = "multi_thread")]
async fn every_state_of_a_server_has_its_class_within_the_deadline() {
    let mut server = Redis::start(&["--requirepass", "right-password"]);
    let mut redis = target(&server.section("password = \"right-password\""));
    let probed = probe(&mut *redis).await;
    for operation in ["connect", "auth", "ping", "info"] {
        assert_outcome(&probed.record, operation, Fine, "");
    }
    assert_eq!(value(&probed.frame, "redis_up", &[("target", "cache")]), Some(1.0));

    let wrong = probe(&mut *target(&server.section("password = \"wrong-password\""))).await;
    assert_outcome(&wrong.record, "auth", Alive, "WRONGPASS");
    assert!(!format!("{wrong:?}").contains("wrong-password"));
    assert_eq!(value(&wrong.frame, "redis_up", &[]), Some(0.0));
    let none = probe(&mut *target(&server.section(""))).await;
    assert_outcome(&none.record, "ping", Alive, "NOAUTH");
    let unset = probe(&mut *target(&server.section("password_env = \"NOT_SET\""))).await;
    assert_outcome(&unset.record, "auth", Alive, "password");

    // Hung: the system still accepts the connection, nobody answers.
    server.signal(Signal::STOP);
    let hung = probe(&mut *redis).await;
    assert_outcome(&hung.record, "connect", Fine, "");
    assert_outcome(&hung.record, "auth", Hard, "timeout");
    server.signal(Signal::CONT);
    assert_fine(&probe(&mut *redis).await.record);

    server.kill();
    let killed = probe(&mut *redis).await;
    assert_outcome(&killed.record, "connect", Hard, "refused");
    assert_eq!(value(&killed.frame, "redis_up", &[]), Some(0.0));
    assert_eq!(value(&killed.frame, "redis_memory_used_bytes", &[]), None);
    server.launch();
    assert_fine(&probe(&mut *redis).await.record);
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_have_the_exporters_names_and_a_light_probe_reads_none() {
    let server = Redis::start(&["--maxmemory", "64mb"]);
    server.cli(&["set", "key", "value"]);
    server.cli(&["get", "key"]);
    server.cli(&["get", "nothing"]);
    let mut redis = target(&server.section(""));
    let probed = probe(&mut *redis).await;
    assert_fine(&probed.record);
    let of = |name: &str| {
        value(&probed.frame, name, &[("target", "cache")]).unwrap_or_else(|| panic!("no {name}"))
    };
    assert_eq!(of("redis_memory_max_bytes"), 67_108_864.0);
    assert!(of("redis_memory_used_bytes") > 100_000.0);
    assert!(of("redis_connected_clients") >= 1.0);
    assert_eq!((of("redis_keyspace_hits_total"), of("redis_keyspace_misses_total")), (1.0, 1.0));
    assert_eq!((of("redis_evicted_keys_total"), of("redis_rejected_connections_total")), (0.0, 0.0));
    assert_eq!((of("redis_rdb_last_bgsave_status"), of("redis_aof_last_write_status")), (1.0, 1.0));
    assert_eq!(value(&probed.frame, "redis_db_keys", &[("db", "db0")]), Some(1.0));
    assert_eq!(value(&probed.frame, "redis_master_link_up", &[]), None);
    assert_eq!(value(&probed.frame, "probe_success", &[("kind", "redis")]), Some(1.0));

    let light = redis.probe(Depth::Light).await;
    let done: Vec<_> = light.record.operations.iter().map(|done| done.operation.as_str()).collect();
    assert_eq!(done, ["connect", "ping"]);
    assert_eq!(value(&light.frame, "redis_memory_used_bytes", &[]), None);
}

/// A client that was let in: those before it may still be counted.
fn guest(port: u16) -> TcpStream {
    loop {
        let mut guest = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let mut heard = [0; 5];
        if guest.write_all(b"PING\r\n").is_ok() && guest.read(&mut heard).is_ok() && &heard == b"+PONG" {
            return guest;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_full_busy_or_without_its_master_says_so() {
    let full = Redis::start(&["--maxclients", "1"]);
    let _guest = guest(full.port);
    let record = probe(&mut *target(&full.section(""))).await.record;
    assert_outcome(&record, "ping", Soft, "maxclients");

    let busy = Redis::start(&["--busy-reply-threshold", "1"]);
    let mut script = busy.cli_in_background(&["eval", "while true do end", "0"]);
    let mut redis = target(&busy.section(""));
    for _ in 0..20_000 {
        // The client takes its time to ask, and may do so in the middle of a probe.
        if probe(&mut *redis).await.record.class == Soft {
            break;
        }
    }
    let record = probe(&mut *redis).await.record;
    assert_outcome(&record, "ping", Soft, "BUSY");
    busy.cli(&["script", "kill"]);
    let _ = script.wait();
    assert_fine(&probe(&mut *redis).await.record);

    // A replica whose master is nowhere, and which may not answer from old data.
    let replica = Redis::start(&["--replicaof", "127.0.0.1 1", "--replica-serve-stale-data", "no"]);
    let record = probe(&mut *target(&replica.section(""))).await.record;
    assert_outcome(&record, "ping", Soft, "MASTERDOWN");
    replica.cli(&["config", "set", "replica-serve-stale-data", "yes"]);
    let probed = probe(&mut *target(&replica.section(""))).await;
    assert_fine(&probed.record);
    assert_eq!(value(&probed.frame, "redis_master_link_up", &[]), Some(0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_users_and_tls() {
    let server = Redis::start(&["--databases", "2", "--requirepass", "right-password"]);
    let section = |url: &str, more: &str| {
        server
            .section(&format!("password = \"right-password\"\n{more}"))
            .replace(&format!("redis://127.0.0.1:{}", server.port), url)
    };
    let at = |database: &str| format!("redis://127.0.0.1:{}/{database}", server.port);
    let probed = probe(&mut *target(&section(&at("1"), "user = \"default\""))).await;
    assert_fine(&probed.record);
    assert_outcome(&probed.record, "select", Fine, "");
    let beyond = probe(&mut *target(&section(&at("2"), ""))).await;
    assert_outcome(&beyond.record, "select", Alive, "ERR");

    let door = TlsDoor::to(server.port).await;
    let url = format!("rediss://localhost:{}", door.port);
    let trusting = format!("tls_ca_file = \"{}\"", door.certificate.display());
    let probed = probe(&mut *target(&section(&url, &trusting))).await;
    assert_fine(&probed.record);
    assert_eq!(value(&probed.frame, "holdfast_probe_tls_verified", &[]), Some(1.0));
    let strict = probe(&mut *target(&section(&url, ""))).await;
    assert_outcome(&strict.record, "tls", Hard, "tls");
    assert_eq!(value(&strict.frame, "holdfast_probe_tls_verified", &[]), Some(0.0));
    assert_eq!(value(&strict.frame, "probe_ssl_earliest_cert_expiry", &[]), Some(door.expiry()));
    let missing = probe(&mut *target(&section(&url, "tls_ca_file = \"/nonexistent.pem\""))).await;
    assert_outcome(&missing.record, "tls", Alive, "tls_ca_file");
}
