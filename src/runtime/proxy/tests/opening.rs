//! Before the bytes flow: waiting for a route, for a server, and what clients are told.

use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::super::{Endpoint, packet};
use super::road::{
    Road, Server, is_reset, name, options, packet as opening, read, rest, route, ssl_request, startup,
};

const SHORT: Duration = Duration::from_millis(120);

#[tokio::test]
async fn a_client_without_a_route_waits_and_goes_where_it_appears() {
    let server = Server::start("pg2").await;
    let road = Road::open(options(), route(7, &[]));
    let mut client = road.starting().await;
    road.until(|counters| counters.parked == 1).await;
    road.route.send_replace(route(8, &[&server]));
    server.admit().await;
    assert_eq!(read(&mut client, 1).await, b"R");
    road.until(|counters| counters.parked == 0).await;
}

#[tokio::test]
async fn when_waiting_ends_the_reason_is_told_after_every_question_for_encryption() {
    let mut options = options();
    options.hold_max = SHORT;
    let road = Road::open(options, route(7, &[]));
    let told = packet::error("57P03", "no primary (epoch 7: promoting pg2)");
    let mut plain = road.starting().await;
    let mut asking = road.client().await;
    asking.write_all(&opening(80_877_104, b"")).await.unwrap();
    assert_eq!(read(&mut asking, 1).await, b"N");
    asking.write_all(&ssl_request()).await.unwrap();
    assert_eq!(read(&mut asking, 1).await, b"N");
    asking.write_all(&startup()).await.unwrap();
    assert_eq!(rest(&mut asking).await.unwrap(), told);
    assert_eq!(rest(&mut plain).await.unwrap(), told);
    let mut cancelling = road.client().await;
    cancelling.write_all(&opening(80_877_102, &[0; 8])).await.unwrap();
    assert_eq!(rest(&mut cancelling).await.unwrap(), b"");
    assert_eq!(road.refused("no_route"), 2);
}

#[tokio::test]
async fn the_reading_endpoint_has_its_own_words_and_takes_standbys_in_turn() {
    let (one, two, gone) =
        (Server::start("pg2").await, Server::start("pg3").await, Server::start("pg4").await);
    let mut options = options();
    (options.endpoint, options.hold_max) = (Endpoint::Read, SHORT);
    let road = Road::open(options, route(7, &[]));
    let mut client = road.starting().await;
    let told = packet::error("57P03", "no standby within the lag limit (epoch 7: promoting pg2)");
    assert_eq!(rest(&mut client).await.unwrap(), told);

    let to = route(8, &[&one, &two, &gone]);
    drop(gone);
    road.route.send_replace(to);
    let mut held = Vec::new();
    // Whoever refuses is passed over, so two of three in turn go to the same.
    for _ in 0..6 {
        let client = road.starting().await;
        let server = tokio::select! {
            server = one.admit() => (1, server),
            server = two.admit() => (2, server),
        };
        held.push((client, server));
    }
    let firsts = held.iter().filter(|(_, (server, _))| *server == 1).count();
    assert!((2..=4).contains(&firsts), "{firsts} of 6");
}

#[tokio::test]
async fn a_server_that_refuses_is_tried_until_it_is_back_and_else_named() {
    let server = Server::start("pg1").await;
    let (to, port) = (route(7, &[&server]), server.address.port);
    drop(server);
    let mut options = options();
    let road = Road::open(options.clone(), to.clone());
    let mut client = road.starting().await;
    road.until(|counters| counters.dial_failures >= 2).await;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let server = Server { listener, address: to.to[0].clone() };
    server.admit().await;
    assert_eq!(read(&mut client, 1).await, b"R");
    drop(server);

    options.hold_max = SHORT;
    let road = Road::open(options, to);
    let mut client = road.starting().await;
    let told = "the primary pg1 does not accept connections (epoch 7: connection refused)";
    assert_eq!(rest(&mut client).await.unwrap(), packet::error("57P03", told));
    assert_eq!(road.refused("unavailable"), 1);
}

#[tokio::test]
async fn a_server_that_cannot_yet_is_asked_again_and_other_errors_pass() {
    let server = Server::start("pg1").await;
    let road = Road::open(options(), route(7, &[&server]));
    let mut client = road.starting().await;
    for _ in 0..2 {
        let mut early = server.accept().await;
        read(&mut early, startup().len()).await;
        early.write_all(&packet::error("57P03", "the database system is starting up")).await.unwrap();
    }
    // One that closes without a word was about to stop.
    let mut stopping = server.accept().await;
    read(&mut stopping, startup().len()).await;
    drop(stopping);
    let mut ready = server.accept().await;
    read(&mut ready, startup().len()).await;
    let answer = packet::error("28P01", "password authentication failed");
    ready.write_all(&answer).await.unwrap();
    drop(ready);
    assert_eq!(rest(&mut client).await.unwrap(), answer);
}

#[tokio::test]
async fn encryption_is_the_servers_to_grant_and_opaque_afterwards() {
    let server = Server::start("pg1").await;
    let road = Road::open(options(), route(7, &[&server]));
    let mut client = road.client().await;
    client.write_all(&ssl_request()).await.unwrap();
    let mut theirs = server.accept().await;
    assert_eq!(read(&mut theirs, 8).await, ssl_request());
    theirs.write_all(b"S").await.unwrap();
    assert_eq!(read(&mut client, 1).await, b"S");
    // What looks like "cannot now" is not ours to judge any more.
    let told = packet::error("57P03", "the database system is starting up");
    client.write_all(b"\x16\x03\x01").await.unwrap();
    assert_eq!(read(&mut theirs, 3).await, b"\x16\x03\x01");
    theirs.write_all(&told).await.unwrap();
    assert_eq!(read(&mut client, told.len()).await, told);
}

#[tokio::test]
async fn before_tls_is_granted_a_server_in_doubt_is_asked_in_the_clear() {
    let server = Server::start("pg1").await;
    let road = Road::open(options(), route(7, &[&server]));
    // A server that ends a connection of its own accord may be about to stop.
    let (mut before, theirs) = road.pair(&server).await;
    drop(theirs);
    assert_eq!(rest(&mut before).await.unwrap(), b"");
    let mut client = road.client().await;
    client.write_all(&ssl_request()).await.unwrap();
    for answer in [packet::error("57P03", "shutting down"), b"R".to_vec()] {
        let mut probe = server.accept().await;
        assert_eq!(read(&mut probe, startup().len()).await, startup());
        probe.write_all(&answer).await.unwrap();
    }
    let mut theirs = server.accept().await;
    assert_eq!(read(&mut theirs, 8).await, ssl_request());
    theirs.write_all(b"S").await.unwrap();
    assert_eq!(read(&mut client, 1).await, b"S");
}

#[tokio::test]
async fn a_declined_encryption_goes_on_at_the_same_server() {
    let server = Server::start("pg1").await;
    let road = Road::open(options(), route(7, &[&server]));
    let mut client = road.client().await;
    client.write_all(&ssl_request()).await.unwrap();
    let mut theirs = server.accept().await;
    read(&mut theirs, 8).await;
    theirs.write_all(b"N").await.unwrap();
    assert_eq!(read(&mut client, 1).await, b"N");
    client.write_all(&startup()).await.unwrap();
    assert_eq!(read(&mut theirs, startup().len()).await, startup());
    // It stops just now: the startup, in the clear, is taken to it again.
    drop(theirs);
    server.admit().await;
    assert_eq!(read(&mut client, 1).await, b"R");
}

#[tokio::test]
async fn tls_without_a_question_passes_as_it_is() {
    let server = Server::start("pg1").await;
    let road = Road::open(options(), route(7, &[&server]));
    let mut client = road.client().await;
    client.write_all(b"\x16\x03\x01\x02\x00hello").await.unwrap();
    let mut theirs = server.accept().await;
    assert_eq!(read(&mut theirs, 10).await, b"\x16\x03\x01\x02\x00hello");
}

#[tokio::test]
async fn a_change_of_the_route_before_the_first_answer_costs_the_client_nothing() {
    let (old, new) = (Server::start("pg1").await, Server::start("pg2").await);
    let road = Road::open(options(), route(7, &[&old]));
    let mut client = road.starting().await;
    let mut hung = old.accept().await;
    read(&mut hung, startup().len()).await;
    road.route.send_replace(route(8, &[]));
    assert!(is_reset(&mut hung).await);
    road.until(|counters| counters.parked == 1).await;
    road.route.send_replace(route(8, &[&new]));
    new.admit().await;
    assert_eq!(read(&mut client, 1).await, b"R");
}

#[tokio::test]
async fn a_cancellation_reaches_every_server_that_may_run_the_statement() {
    let (one, two) = (Server::start("pg2").await, Server::start("pg3").await);
    let mut options = options();
    options.endpoint = Endpoint::Read;
    let road = Road::open(options, route(7, &[&one, &two]));
    let mut client = road.client().await;
    let cancel = opening(80_877_102, &[1, 2, 3, 4, 5, 6, 7, 8]);
    client.write_all(&cancel).await.unwrap();
    for server in [&one, &two] {
        let mut theirs = server.accept().await;
        assert_eq!(read(&mut theirs, 16).await, cancel);
    }
    assert_eq!(rest(&mut client).await.unwrap(), b"");
    // Held for a switchover: statements still run where connections are kept.
    let mut held = route(8, &[]);
    held.keep = vec![name("pg3")];
    let followed = road.proxy.settled();
    road.route.send_replace(held);
    let mut followed = followed;
    followed.wait_for(|epoch| *epoch == 8).await.unwrap();
    let mut client = road.client().await;
    client.write_all(&cancel).await.unwrap();
    let mut theirs = two.accept().await;
    assert_eq!(read(&mut theirs, 16).await, cancel);
}
