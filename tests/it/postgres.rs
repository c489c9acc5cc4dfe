//! The Postgres probe against real servers.

use holdfast::model::probe::OutcomeClass::{Alive, Hard, Ok as Fine, Recovering, Soft};
use rustix::process::Signal;

use super::support::postgres::Postgres;
use super::support::probing::{assert_fine, assert_outcome, operation, probe, target, value};
use super::support::wait_for_refusal;

fn section(server: &Postgres, more: &str) -> String {
    let port = server.port;
    format!(
        "[[target.postgres]]\nname = \"pg1\"\nhost = \"127.0.0.1\"\nport = {port}\ntimeout = \"2s\"\n{more}\n"
    )
}

const RIGHT: &str = "password = \"right-password\"";

#[tokio::test(flavor = "multi_thread")]
async fn every_state_of_a_server_has_its_class_within_the_deadline() {
    let server = Postgres::primary("max_connections = 8\n");
    let mut pg = target(&section(&server, RIGHT));
    let probed = probe(&mut *pg).await;
    for operation in ["connect", "query", "statistics"] {
        assert_outcome(&probed.record, operation, Fine, "");
    }

    let wrong = section(&server, "password = \"wrong-password\"");
    let probed = probe(&mut *target(&wrong)).await;
    assert_outcome(&probed.record, "connect", Alive, "28P01");
    assert!(!format!("{probed:?}").contains("wrong-password"));
    assert_eq!(value(&probed.frame, "pg_up", &[("target", "pg1")]), Some(0.0));
    let missing = section(&server, &format!("{RIGHT}\ndatabase = \"nowhere\""));
    assert_outcome(&probe(&mut *target(&missing)).await.record, "connect", Alive, "3D000");
    let none = probe(&mut *target(&section(&server, ""))).await;
    assert_outcome(&none.record, "connect", Alive, "authentication");
    let environment = section(&server, "password_env = \"NOT_SET\"");
    assert_outcome(&probe(&mut *target(&environment)).await.record, "connect", Alive, "password");

    // Hung: no answer on the new connection nor on the kept one.
    server.signal_all(Signal::STOP);
    let probed = probe(&mut *pg).await;
    assert_outcome(&probed.record, "connect", Hard, "timeout");
    assert_outcome(&probed.record, "query", Hard, "timeout");
    server.signal_all(Signal::CONT);
    assert_fine(&probe(&mut *pg).await.record);

    // Restarted between two probes: the kept connection is gone and that is all.
    server.stop("fast");
    server.start();
    let probed = probe(&mut *pg).await;
    assert_eq!(probed.record.class, Fine, "{:?}", probed.record);
    assert_eq!(value(&probed.frame, "holdfast_probe_reconnects_total", &[]), Some(1.0));

    // Killed: nobody listens, and the kept connection is broken off.
    server.signal_all(Signal::KILL);
    wait_for_refusal(server.port);
    let record = probe(&mut *pg).await.record;
    assert_outcome(&record, "connect", Hard, "refused");
    assert_eq!(operation(&record, "query").class, Hard);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_full_or_not_ready_says_so() {
    let server = Postgres::primary("hot_standby = off\n");
    server.psql("alter role holdfast connection limit 1");
    let mut pg = target(&section(&server, RIGHT));
    assert_fine(&probe(&mut *pg).await.record);
    // The first probe keeps its connection, so the next finds the role's limit reached.
    let probed = probe(&mut *pg).await;
    assert_outcome(&probed.record, "connect", Soft, "53300");
    assert_outcome(&probed.record, "query", Fine, "");
    assert_eq!(value(&probed.frame, "pg_up", &[]), Some(1.0));
    drop(pg);

    server.stop("fast");
    server.append("standby.signal", "");
    server.start();
    let probed = probe(&mut *target(&section(&server, RIGHT))).await;
    assert_outcome(&probed.record, "connect", Recovering, "57P03");
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_have_the_exporters_names_on_both_servers_and_for_every_role() {
    let primary = Postgres::primary("");
    primary.psql("grant pg_monitor to holdfast");
    primary.psql("create role plain login");
    primary.psql("create schema shop; create table shop.items as select generate_series(1, 5000) as id");
    primary.psql("analyze shop.items");
    let standby = Postgres::standby_of(&primary);
    primary.wait_until(
        "select count(*) = 1 from pg_stat_replication where state = 'streaming' and replay_lsn is not null",
    );

    let probed = probe(&mut *target(&section(&primary, RIGHT))).await;
    assert_eq!(probed.record.class, Fine, "{:?}", probed.record);
    let of = |name: &str, labels: &[(&str, &str)]| {
        value(&probed.frame, name, labels).unwrap_or_else(|| panic!("no {name} {labels:?}"))
    };
    let database = [("datname", "postgres"), ("target", "pg1")];
    assert!(of("pg_stat_database_numbackends", &database) >= 1.0);
    for name in
        ["xact_commit", "blks_hit", "tup_fetched", "deadlocks", "temp_bytes", "blk_read_time", "conflicts"]
    {
        of(&format!("pg_stat_database_{name}"), &database);
    }
    assert!(of("pg_database_size_bytes", &database) > 1e6);
    assert_eq!(of("pg_replication_is_replica", &[]), 0.0);
    assert_eq!(of("pg_replication_slots_active", &[("slot_name", "standby_one")]), 1.0);
    of("pg_stat_replication_pg_wal_lsn_diff", &[("application_name", "walreceiver"), ("state", "streaming")]);
    of("pg_stat_activity_count", &[("datname", "postgres"), ("state", "idle in transaction")]);
    assert!(of("pg_stat_activity_count", &[("datname", "postgres"), ("state", "active")]) >= 1.0);
    assert_eq!(of("pg_settings_max_connections", &[]), 100.0);
    assert!(of("pg_postmaster_start_time_seconds", &[]) > 1.6e9);
    assert_eq!(of("pg_static", &[]), 1.0);
    assert!(of("pg_stat_database_active_time_seconds_total", &database) > 0.0);
    assert_eq!(of("pg_locks_count", &[("datname", "postgres"), ("mode", "accessexclusivelock")]), 0.0);
    of("pg_stat_bgwriter_buffers_alloc_total", &[]);
    assert!(of("pg_wal_size_bytes", &[]) >= 1e6);
    let shop = [("datname", "postgres"), ("schema", "shop")];
    assert!(of("holdfast_pg_schema_size_bytes", &shop) >= 5000.0 * 28.0);
    assert_eq!(of("holdfast_pg_schema_rows", &shop), 5000.0);

    let replica = probe(&mut *target(&section(&standby, RIGHT))).await;
    assert_eq!(replica.record.class, Fine, "{:?}", replica.record);
    assert_eq!(value(&replica.frame, "pg_replication_is_replica", &[]), Some(1.0));
    assert!(value(&replica.frame, "pg_replication_lag_seconds", &[]).is_some());
    assert_eq!(value(&replica.frame, "holdfast_pg_schema_rows", &shop), Some(5000.0));

    // A role that may do nothing but connect: less is seen, nothing fails.
    let plain = probe(&mut *target(&section(&primary, "user = \"plain\""))).await;
    assert_eq!(plain.record.class, Fine, "{:?}", plain.record);
    assert!(value(&plain.frame, "pg_stat_database_xact_commit", &database).is_some());
    assert_eq!(value(&plain.frame, "pg_wal_size_bytes", &[]), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_table_costs_one_statistic_and_not_the_probe() {
    let server = Postgres::primary("");
    server.psql("create table locked (id int)");
    let wait = "begin; lock table locked; select pg_notify('x', ''); select pg_sleep(3600)";
    let mut blocker = server.psql_in_background(wait);
    server.wait_until("select count(*) = 1 from pg_locks where mode = 'AccessExclusiveLock' and granted");
    let probed = probe(&mut *target(&section(&server, RIGHT))).await;
    let _ = blocker.kill();
    let _ = blocker.wait();
    assert_eq!(probed.record.class, Fine, "{:?}", probed.record);
    assert!(operation(&probed.record, "statistics").latency_ms < 1900.0);
    assert_eq!(value(&probed.frame, "holdfast_pg_schema_size_bytes", &[]), None);
    assert!(
        value(&probed.frame, "pg_locks_count", &[("mode", "accessexclusivelock"), ("datname", "postgres")])
            .unwrap()
            >= 1.0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_as_strict_as_its_mode_says() {
    let server = Postgres::prepared("ssl = on\nssl_cert_file = 'server.crt'\nssl_key_file = 'server.key'\n");
    let authority = server.certificate("localhost");
    server.start();
    server.psql("create role holdfast login password 'right-password'");
    let localhost =
        |tls: &str| section(&server, &format!("{RIGHT}\n{tls}")).replace("127.0.0.1", "localhost");
    let trusting = format!("tls = \"verify-full\"\ntls_ca_file = \"{authority}\"");
    for tls in ["tls = \"prefer\"", "tls = \"require\"", trusting.as_str()] {
        let mut pg = target(&localhost(tls));
        let probed = probe(&mut *pg).await;
        assert_eq!(probed.record.class, Fine, "{tls}: {:?}", probed.record);
        let encrypted = "select count(*) > 0 from pg_stat_ssl join pg_stat_activity using (pid) where ssl and usename = 'holdfast'";
        assert_eq!(server.psql(encrypted), "t", "{tls}");
        drop(pg);
        server.wait_until("select count(*) = 0 from pg_stat_activity where usename = 'holdfast'");
    }
    let strict = "tls = \"verify-full\"";
    assert_outcome(&probe(&mut *target(&localhost(strict))).await.record, "connect", Hard, "tls");
    // The certificate is for localhost, not for the address.
    let elsewhere = section(&server, &format!("{RIGHT}\n{trusting}"));
    assert_outcome(&probe(&mut *target(&elsewhere)).await.record, "connect", Hard, "tls");
    let missing = localhost("tls = \"verify-full\"\ntls_ca_file = \"/nonexistent.pem\"");
    assert_outcome(&probe(&mut *target(&missing)).await.record, "connect", Alive, "tls_ca_file");

    // A server without TLS is not talked to where TLS is asked for.
    let plain = Postgres::primary("");
    let mut required = target(&section(&plain, &format!("{RIGHT}\ntls = \"require\"")));
    assert_outcome(&probe(&mut *required).await.record, "connect", Hard, "tls");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_file_is_read_again_and_a_socket_needs_no_address() {
    let server = Postgres::primary("");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "right-password\n").unwrap();
    let mut pg = target(&section(&server, &format!("password_file = \"{}\"", file.path().display())));
    assert_fine(&probe(&mut *pg).await.record);
    server.psql("alter role holdfast password 'rotated'");
    assert_outcome(&probe(&mut *pg).await.record, "connect", Alive, "28P01");
    std::fs::write(file.path(), "rotated\n").unwrap();
    assert_fine(&probe(&mut *pg).await.record);

    server.psql("alter role holdfast password 'from-environment'");
    let mut pg = target(&section(&server, "password_env = \"TEST_PASSWORD\""));
    assert_fine(&probe(&mut *pg).await.record);

    let folder = server.folder().display().to_string();
    let mut socket = target(&section(&server, "user = \"postgres\"").replace("127.0.0.1", &folder));
    assert_eq!(probe(&mut *socket).await.record.class, Fine);
}
