//! The proxy of a failover group between real clients and real PostgreSQL servers.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use holdfast::base::id::Name;
use holdfast::base::time::SystemClock;
use holdfast::model::failover::route::{Address, Route};
use holdfast::runtime::proxy::{Endpoint, Options, Proxy};
use holdfast::runtime::supervisor::Supervisor;
use rustix::process::Signal;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};
use tokio_util::sync::CancellationToken;

use crate::support::postgres::{Postgres, programs};
use crate::support::wait_for_refusal;

const LONG: Duration = Duration::from_secs(30);

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A route that leads to `servers` and keeps them.
fn route(epoch: u64, servers: &[(&str, &Postgres)]) -> Route {
    let address = |(member, server): &(&str, &Postgres)| Address {
        member: name(member),
        host: String::from("localhost"),
        port: server.port,
    };
    Route {
        epoch,
        to: servers.iter().map(address).collect(),
        keep: servers.iter().map(|(member, _)| name(member)).collect(),
        reason: String::from("promoting pg2"),
    }
}

struct Running {
    proxy: Proxy,
    route: watch::Sender<Route>,
    port: u16,
    tasks: JoinSet<()>,
}

impl Running {
    fn start(first: Route, hold_max: Duration, max_connections: usize) -> Self {
        let options = Options {
            group: name("main"),
            endpoint: Endpoint::Write,
            listen: String::from("127.0.0.1:0"),
            hold_max,
            max_connections,
        };
        let proxy = Proxy::bind(options).unwrap();
        let (route, follow) = watch::channel(first);
        let mut tasks = JoinSet::new();
        let running = proxy.clone();
        tasks.spawn(async move {
            let supervisor = Supervisor::new(Arc::new(SystemClock::new()));
            running.run(follow, &supervisor, &CancellationToken::new()).await.unwrap();
        });
        let port = proxy.local_addr().unwrap().port();
        Self { proxy, route, port, tasks }
    }

    async fn connect(&mut self) -> Result<Client, tokio_postgres::Error> {
        let settings = format!("host=127.0.0.1 port={} user=postgres", self.port);
        let (client, connection) = tokio_postgres::connect(&settings, NoTls).await?;
        self.tasks.spawn(async move { drop(connection.await) });
        Ok(client)
    }

    /// What libpq's own client gets: its output, or what it says of the error.
    async fn psql(&self, sslmode: &str, sql: &str) -> Result<String, String> {
        psql(self.port, sslmode, sql).await
    }

    async fn until_parked(&self, count: u64) {
        let parked = async {
            while self.proxy.counters().parked < count {
                tokio::task::yield_now().await;
            }
        };
        assert!(tokio::time::timeout(LONG, parked).await.is_ok(), "{:?}", self.proxy.counters());
    }
}

async fn psql(port: u16, sslmode: &str, sql: &str) -> Result<String, String> {
    let settings = format!("host=127.0.0.1 port={port} user=postgres sslmode={sslmode}");
    let mut command = Command::new(programs().join("psql"));
    command.args(["-XAtq", "-d", &settings, "-c", sql]).env("PGCONNECT_TIMEOUT", "30");
    let output = tokio::process::Command::from(command).output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_clients_pass_wait_and_read_why_there_is_no_primary() {
    let server = Postgres::primary("");
    let mut running = Running::start(route(7, &[("pg1", &server)]), Duration::from_millis(300), 100);
    let client = running.connect().await.unwrap();
    let sum: i64 =
        client.query_one("select sum(n) from generate_series(1, 100000) n", &[]).await.unwrap().get(0);
    assert_eq!(sum, 5_000_050_000);
    // A large answer, and a cancellation that finds its session.
    assert_eq!(running.psql("prefer", "select length(repeat('x', 5000000))").await.unwrap(), "5000000");
    let cancel = client.cancel_token();
    let (slept, _) = tokio::join!(client.simple_query("select pg_sleep(60)"), async {
        server.wait_until("exists (select from pg_stat_activity where wait_event = 'PgSleep')");
        cancel.cancel_query(NoTls).await.unwrap();
    });
    assert_eq!(slept.unwrap_err().code(), Some(&SqlState::QUERY_CANCELED));

    // The epoch ends in the middle of a statement: the session is over at once. A
    // session of its own, because a server sends the signal of a cancellation twice
    // and the second may meet the next statement.
    let client = running.connect().await.unwrap();
    let (cut, ()) = tokio::join!(client.simple_query("select pg_sleep(60)"), async {
        server.wait_until("exists (select from pg_stat_activity where wait_event = 'PgSleep')");
        running.route.send_replace(route(8, &[]));
    });
    assert!(cut.unwrap_err().is_closed() || client.is_closed());

    let told = "no primary (epoch 8: promoting pg2)";
    let error = running.connect().await.err().unwrap();
    let said = error.as_db_error().unwrap();
    assert_eq!((said.code(), said.message()), (&SqlState::CANNOT_CONNECT_NOW, told));
    assert_eq!(said.severity(), "FATAL");
    for sslmode in ["disable", "prefer"] {
        let said = running.psql(sslmode, "select 1").await.unwrap_err();
        assert!(said.ends_with(&format!("FATAL:  {told}")), "{sslmode}: {said}");
    }
    let said = running.psql("require", "select 1").await.unwrap_err();
    assert!(said.contains("does not support SSL"), "{said}");

    // With a route again, whoever waits is served.
    let waiting = psql(running.port, "prefer", "select 'served'");
    let served = async {
        running.until_parked(1).await;
        running.route.send_replace(route(9, &[("pg1", &server)]));
    };
    let (waited, ()) = tokio::join!(waiting, served);
    assert_eq!(waited.unwrap(), "served");
}

/// Clients that connect now, each in its way; what they got comes from the set.
fn connecting(port: u16, ways: &[&'static str]) -> JoinSet<Result<String, String>> {
    ways.iter().map(|sslmode| psql(port, sslmode, "select 'served'")).collect()
}

async fn assert_served(clients: JoinSet<Result<String, String>>) {
    for got in clients.join_all().await {
        assert_eq!(got.as_deref(), Ok("served"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_costs_clients_that_connect_meanwhile_a_wait_and_no_error() {
    let server = Postgres::prepared("");
    server.certificate("localhost");
    server.append("postgresql.conf", "ssl = on");
    server.start();
    let mut running = Running::start(route(1, &[("pg1", &server)]), LONG, 200);
    let encrypted = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
    assert_eq!(running.psql("require", encrypted).await.unwrap(), "t", "TLS passes through");

    // A smart shutdown says "shutting down" to the new as long as one session is left.
    let last = running.connect().await.unwrap();
    server.signal_postmaster(Signal::TERM);
    while psql(server.port, "disable", "select 1").await.is_ok() {}
    let plain = connecting(running.port, &["disable", "disable"]);
    running.until_parked(2).await;
    // Who asks for TLS is told of it only where the answer can still be read.
    let asking = connecting(running.port, &["prefer", "require"]);
    running.until_parked(4).await;
    drop(last);
    wait_for_refusal(server.port);
    tokio::task::block_in_place(|| server.start());
    assert_served(plain).await;
    assert_served(asking).await;

    for mode in ["fast", "immediate"] {
        let session = running.connect().await.unwrap();
        tokio::task::block_in_place(|| server.stop(mode));
        let clients = connecting(running.port, &["disable", "prefer", "require"]);
        running.until_parked(3).await;
        tokio::task::block_in_place(|| server.start());
        assert_served(clients).await;
        assert!(session.simple_query("select 1").await.is_err(), "{mode}");
    }
    assert!(running.proxy.counters().dial_failures > 0);
}

/// Nothing speaks of a smart shutdown until somebody new comes, and who comes encrypted is
/// told of it out of our sight: by the server's own words, which say to try again, and
/// not by an end without a word. Once somebody came in the clear all wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_encrypted_client_of_a_smart_shutdown_is_told_of_it_and_the_next_wait() {
    let server = Postgres::prepared("");
    server.certificate("localhost");
    server.append("postgresql.conf", "ssl = on");
    server.start();
    let mut running = Running::start(route(1, &[("pg1", &server)]), LONG, 200);
    let last = running.connect().await.unwrap();
    server.signal_postmaster(Signal::TERM);
    while psql(server.port, "disable", "select 1").await.is_ok() {}
    let said = running.psql("require", "select 1").await.unwrap_err();
    assert!(said.ends_with("FATAL:  the database system is shutting down"), "{said}");
    assert_eq!(running.proxy.counters().parked, 0);

    let mut clients = connecting(running.port, &["disable"]);
    running.until_parked(1).await;
    for sslmode in ["require", "prefer"] {
        clients.spawn(psql(running.port, sslmode, "select 'served'"));
    }
    running.until_parked(3).await;
    assert_eq!(last.query_one("select 1", &[]).await.unwrap().get::<_, i32>(0), 1, "it is left in peace");
    drop(last);
    wait_for_refusal(server.port);
    tokio::task::block_in_place(|| server.start());
    assert_served(clients).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_connections_flow_at_once_and_end_with_their_epoch() {
    let server = Postgres::primary("max_connections = 1010\nsuperuser_reserved_connections = 0");
    let mut running = Running::start(route(1, &[("pg1", &server)]), LONG, 1000);
    let mut clients = Vec::new();
    for _ in 0..1000 {
        clients.push(running.connect().await.unwrap());
    }
    let error = running.connect().await.err().unwrap();
    assert_eq!(error.code(), Some(&SqlState::TOO_MANY_CONNECTIONS), "{error}");
    assert_eq!(running.proxy.counters().connections, 1000);
    let asked = clients.iter().map(|client| client.query_one("select 1", &[]));
    assert!(futures_util::future::join_all(asked).await.iter().all(Result::is_ok));
    running.route.send_replace(route(2, &[("pg1", &server)]));
    running.proxy.settled().wait_for(|epoch| *epoch == 2).await.unwrap();
    assert_eq!(running.proxy.counters().resets, 1000);
    let asked = clients.iter().map(|client| client.query_one("select 1", &[]));
    assert!(futures_util::future::join_all(asked).await.iter().all(Result::is_err));
    running.connect().await.unwrap();
}
