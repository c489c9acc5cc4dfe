//! What is bounded: connections, openings, waiting; and the port itself.

use std::time::Duration;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::{MOST_DIALLING, MOST_PARKED, Proxy, packet};
use super::road::{Road, Server, options, read, rest, route, startup};
use crate::model::failover::route::Route;

#[tokio::test]
async fn one_connection_too_many_is_told_so_and_finds_a_place_later() {
    let server = Server::start("pg1").await;
    let mut options = options();
    options.max_connections = 1;
    let road = Road::open(options, route(1, &[&server]));
    let (first, _theirs) = road.pair(&server).await;
    let mut second = road.starting().await;
    let told = "too many connections: 1 connections are open (max_connections)";
    assert_eq!(rest(&mut second).await.unwrap(), packet::error("53300", told));
    assert_eq!(road.refused("too_many"), 1);
    drop((first, _theirs));
    road.until(|counters| counters.connections == 0).await;
    road.pair(&server).await;
}

#[tokio::test]
async fn one_too_many_to_wait_is_told_so_and_those_that_wait_are_served() {
    let server = Server::start("pg1").await;
    let mut options = options();
    options.max_connections = 2 * MOST_PARKED;
    let road = Road::open(options, route(7, &[]));
    let mut waiting = Vec::new();
    for _ in 0..MOST_PARKED {
        waiting.push(road.starting().await);
    }
    road.until(|counters| counters.parked == MOST_PARKED as u64).await;
    let told = packet::error("57P03", "no primary (epoch 7: 1024 connections wait already)");
    assert_eq!(rest(&mut road.starting().await).await.unwrap(), told);
    assert_eq!((road.refused("too_many_parked"), road.proxy.counters().parked), (1, MOST_PARKED as u64));
    // Who leaves makes room for another one.
    drop(waiting.pop());
    road.until(|counters| counters.parked == MOST_PARKED as u64 - 1).await;
    waiting.push(road.starting().await);
    road.route.send_replace(route(8, &[&server]));
    let mut served = Vec::new();
    for _ in 0..MOST_PARKED {
        served.push(server.admit().await);
    }
    for client in &mut waiting {
        assert_eq!(read(client, 1).await, b"R");
    }
    assert_eq!((road.proxy.counters().parked, road.refused("too_many_parked")), (0, 1));
}

#[tokio::test]
async fn a_server_that_is_slow_to_answer_is_met_by_few_at_once() {
    const MORE: usize = 40;
    let server = Server::start("pg1").await;
    let mut options = options();
    options.max_connections = 2 * MOST_DIALLING;
    let road = Road::open(options, route(1, &[&server]));
    let mut clients = Vec::new();
    for _ in 0..MOST_DIALLING + MORE {
        clients.push(road.starting().await);
    }
    let mut met = Vec::new();
    for _ in 0..MOST_DIALLING {
        met.push(server.accept().await);
    }
    road.until(|counters| counters.parked == MORE as u64).await;
    let another = Duration::from_millis(50);
    assert!(tokio::time::timeout(another, server.listener.accept()).await.is_err(), "one more than may");
    // Each answer lets one more come.
    for at in 0..MORE {
        read(&mut met[at], startup().len()).await;
        met[at].write_all(b"R").await.unwrap();
        met.push(server.accept().await);
    }
    for theirs in &mut met[MORE..] {
        read(theirs, startup().len()).await;
        theirs.write_all(b"R").await.unwrap();
    }
    for client in &mut clients {
        assert_eq!(read(client, 1).await, b"R");
    }
    assert_eq!(road.proxy.counters().parked, 0);
}

#[tokio::test]
async fn other_limits_hold_at_once_and_cut_nobody() {
    let server = Server::start("pg1").await;
    let road = Road::open(options(), route(1, &[&server]));
    let (mut client, mut theirs) = road.pair(&server).await;
    road.proxy.adjust(Duration::from_millis(1), 1);
    let told = "too many connections: 1 connections are open (max_connections)";
    assert_eq!(rest(&mut road.starting().await).await.unwrap(), packet::error("53300", told));
    client.write_all(b"still here").await.unwrap();
    assert_eq!(read(&mut theirs, 10).await, b"still here");
    road.proxy.adjust(Duration::from_millis(1), 2);
    road.route.send_replace(Route { to: Vec::new(), ..route(1, &[&server]) });
    let told = "no primary (epoch 1: promoting pg2)";
    assert_eq!(rest(&mut road.starting().await).await.unwrap(), packet::error("57P03", told));
    client.write_all(b"and here").await.unwrap();
    assert_eq!(read(&mut theirs, 8).await, b"and here");
}

#[tokio::test]
async fn bytes_that_are_not_postgres_reach_no_server() {
    let server = Server::start("pg1").await;
    let road = Road::open(options(), route(1, &[&server]));
    let mut client = road.client().await;
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    // Closed, or reset because of what was not read.
    assert!(rest(&mut client).await.unwrap_or_default().is_empty());
    road.until(|_| road.refused("protocol") == 1).await;
    assert_eq!(road.proxy.counters().dial_failures, 0);
}

#[tokio::test]
async fn a_client_that_leaves_while_it_waits_gives_its_place_back() {
    let road = Road::open(options(), route(1, &[]));
    let client = road.starting().await;
    road.until(|counters| counters.parked == 1).await;
    drop(client);
    road.until(|counters| (counters.parked, counters.connections) == (0, 0)).await;
}

#[tokio::test]
async fn a_client_that_says_nothing_is_let_go() {
    let road = Road::open(options(), route(1, &[]));
    let mut silent = road.client().await;
    let mut half = road.client().await;
    half.write_all(&startup()[..9]).await.unwrap();
    road.until(|counters| counters.connections == 2).await;
    // From here the time is ours: it jumps as soon as everybody waits.
    tokio::time::pause();
    assert_eq!(rest(&mut silent).await.unwrap(), b"");
    assert_eq!(rest(&mut half).await.unwrap(), b"");
    assert_eq!(road.refused("half_open"), 2);
}

#[tokio::test]
async fn what_a_client_sends_ahead_is_kept_up_to_a_bound() {
    let server = Server::start("pg1").await;
    let road = Road::open(options(), route(1, &[]));
    let (mut incoming, mut outgoing) = road.starting().await.into_split();
    let ahead: Vec<u8> = (0..200_000u32).map(|at| (at % 249) as u8).collect();
    let sent = ahead.clone();
    let mut sending = tokio::task::JoinSet::new();
    sending.spawn(async move {
        outgoing.write_all(&sent).await.unwrap();
        outgoing
    });
    road.until(|counters| counters.parked == 1).await;
    road.route.send_replace(route(1, &[&server]));
    let mut theirs = server.admit().await;
    assert_eq!(read(&mut theirs, ahead.len()).await, ahead);
    let mut first = [0];
    incoming.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"R");
}

#[test]
fn a_port_in_use_is_named_with_the_setting_it_comes_from() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut options = options();
    options.listen = taken.local_addr().unwrap().to_string();
    let error = Proxy::bind(options.clone()).err().unwrap().to_string();
    let expected = format!("cannot listen on {} (failover.group.main.listen): Address", options.listen);
    assert!(error.starts_with(&expected), "{error}");
    options.listen = String::from("127.0.0.1:0");
    let proxy = Proxy::bind(options.clone()).unwrap();
    options.listen = proxy.local_addr().unwrap().to_string();
    drop(proxy);
    Proxy::bind(options).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn no_first_bytes_bring_the_endpoint_down(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = Server::start("pg1").await;
            let road = Road::open(options(), route(1, &[&server]));
            let mut client = road.client().await;
            client.write_all(&bytes).await.unwrap();
            client.shutdown().await.unwrap();
            let _next = road.starting().await;
            // What looks like TLS, or is whole by chance, is the server's to judge.
            let mut heard = Vec::new();
            while heard != startup() {
                let mut theirs = server.accept().await;
                heard = vec![0; startup().len()];
                let count = theirs.read(&mut heard).await.unwrap_or(0);
                heard.truncate(count);
            }
        });
    }
}
