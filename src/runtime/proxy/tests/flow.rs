//! While the bytes flow: all of them, both ways, and their end.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::road::{Road, Server, is_reset, name, options, read, rest, route};

/// More than both sockets and the pump can hold.
const PLENTY: usize = 48 << 20;

#[tokio::test]
async fn a_slow_reader_gets_every_byte_while_the_other_way_flows() {
    let server = Server::start("pg1").await;
    let road = Road::open(options(), route(1, &[&server]));
    let (client, theirs) = road.pair(&server).await;
    let (mut client_in, mut client_out) = client.into_split();
    let (mut server_in, mut server_out) = theirs.into_split();
    let sent: Vec<u8> = (0..PLENTY).map(|at| (at * 31 % 251) as u8).collect();
    let expected = sent.clone();
    let mut sending = tokio::task::JoinSet::new();
    sending.spawn(async move {
        server_out.write_all(&sent).await.unwrap();
        server_out.shutdown().await.unwrap();
    });
    // The way up flows while the way down is stuck.
    for round in 0..100u8 {
        client_out.write_all(&[round; 64]).await.unwrap();
        let mut heard = [0; 64];
        server_in.read_exact(&mut heard).await.unwrap();
        assert_eq!(heard, [round; 64]);
    }
    let mut got = Vec::new();
    client_in.read_to_end(&mut got).await.unwrap();
    assert!(got == expected, "{} of {PLENTY} bytes", got.len());
    sending.join_all().await;
    // The server has ended its way; the client's goes on.
    client_out.write_all(b"last").await.unwrap();
    client_out.shutdown().await.unwrap();
    let mut last = Vec::new();
    server_in.read_to_end(&mut last).await.unwrap();
    assert_eq!(last, b"last");
    road.until(|counters| counters.connections == 0).await;
    let counters = road.proxy.counters();
    assert_eq!(counters.bytes_to_client, PLENTY as u64);
    assert_eq!(counters.bytes_to_server, 100 * 64 + 4);
}

#[tokio::test]
async fn an_end_is_passed_on_and_the_answer_still_comes() {
    let server = Server::start("pg1").await;
    let road = Road::open(options(), route(1, &[&server]));
    let (mut client, mut theirs) = road.pair(&server).await;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(rest(&mut theirs).await.unwrap(), b"question");
    theirs.write_all(b"answer").await.unwrap();
    drop(theirs);
    assert_eq!(rest(&mut client).await.unwrap(), b"answer");
    road.until(|counters| counters.connections == 0).await;
}

#[tokio::test]
async fn a_reset_of_one_side_becomes_a_reset_of_the_other() {
    let server = Server::start("pg1").await;
    let road = Road::open(options(), route(1, &[&server]));
    for client_resets in [true, false] {
        let (client, theirs) = road.pair(&server).await;
        let (first, mut second) = if client_resets { (client, theirs) } else { (theirs, client) };
        super::super::sockets::reset(first);
        assert!(is_reset(&mut second).await, "client resets: {client_resets}");
    }
    road.until(|counters| counters.connections == 0).await;
}

#[tokio::test]
async fn a_reset_after_a_half_close_is_passed_on_too() {
    let server = Server::start("pg1").await;
    let road = Road::open(options(), route(1, &[&server]));
    let (mut client, mut theirs) = road.pair(&server).await;
    client.shutdown().await.unwrap();
    assert_eq!(rest(&mut theirs).await.unwrap(), b"");
    super::super::sockets::reset(client);
    // Bytes that the client will not take bring the reset out, as it has closed already.
    let mut refused = false;
    for _ in 0..1_000_000 {
        if theirs.write_all(b"x").await.is_err() {
            refused = true;
            break;
        }
        tokio::task::yield_now().await;
    }
    assert!(refused);
    road.until(|counters| counters.connections == 0).await;
}

#[tokio::test]
async fn what_a_server_said_before_it_broke_off_arrives() {
    let server = Server::start("pg1").await;
    let road = Road::open(options(), route(1, &[&server]));
    let (mut client, mut theirs) = road.pair(&server).await;
    client.write_all(b"unread").await.unwrap();
    theirs.peek(&mut [0]).await.unwrap();
    theirs.write_all(b"terminating connection").await.unwrap();
    // Closing with unread bytes is a reset.
    drop(theirs);
    assert_eq!(read(&mut client, 22).await, b"terminating connection");
    assert!(is_reset(&mut client).await);
}

#[tokio::test]
async fn a_newer_epoch_resets_both_sides_also_of_a_blocked_copy() {
    let (old, new) = (Server::start("pg1").await, Server::start("pg2").await);
    let road = Road::open(options(), route(7, &[&old]));
    let (mut idle, mut idle_theirs) = road.pair(&old).await;
    let (mut blocked, mut writing) = road.pair(&old).await;
    // Until nothing more fits anywhere: the client reads nothing.
    let piece = vec![0; 1 << 20];
    let full = async { while writing.write(&piece).await.unwrap() > 0 {} };
    let stuck = async {
        let mut before = 0;
        loop {
            // Nothing moved through a hundred turns of this loop and of the pump.
            for _ in 0..100 {
                road.client().await;
            }
            let now = road.proxy.counters().bytes_to_client;
            if now > 0 && now == before {
                return;
            }
            before = now;
        }
    };
    tokio::select! {
        () = full => {}
        () = stuck => {}
    }
    let mut settled = road.proxy.settled();
    road.route.send_replace(route(8, &[&new]));
    assert!(is_reset(&mut idle).await);
    assert!(is_reset(&mut idle_theirs).await);
    assert!(is_reset(&mut writing).await);
    assert!(is_reset(&mut blocked).await);
    settled.wait_for(|epoch| *epoch == 8).await.unwrap();
    assert_eq!(road.proxy.counters().resets, 2);
    road.pair(&new).await;
}

#[tokio::test]
async fn within_an_epoch_only_members_that_are_not_kept_are_reset() {
    let (one, two) = (Server::start("pg1").await, Server::start("pg2").await);
    let road = Road::open(options(), route(7, &[&one]));
    let (mut first, _first_theirs) = road.pair(&one).await;
    let mut next = route(7, &[&two]);
    next.keep.push(name("pg1"));
    road.route.send_replace(next);
    let (mut second, mut second_theirs) = road.pair(&two).await;
    road.route.send_replace(route(7, &[&two]));
    assert!(is_reset(&mut first).await);
    second.write_all(b"on").await.unwrap();
    assert_eq!(read(&mut second_theirs, 2).await, b"on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_follows_a_new_route_at_once_is_not_reset_by_the_old_one() {
    let (one, two) = (Server::start("pg1").await, Server::start("pg2").await);
    let road = Road::open(options(), route(1, &[]));
    for epoch in 1..200 {
        // By turns a new epoch and another member within one.
        let server = if epoch % 2 == 0 { &one } else { &two };
        road.route.send_replace(route(epoch / 2, &[]));
        let mut client = road.starting().await;
        road.until(|counters| counters.parked == 1).await;
        road.route.send_replace(route(epoch / 2, &[server]));
        let mut theirs = server.admit().await;
        assert_eq!(read(&mut client, 1).await, b"R");
        client.write_all(b"on").await.unwrap();
        assert_eq!(read(&mut theirs, 2).await, b"on");
    }
}

#[tokio::test]
async fn the_end_of_the_agent_is_the_end_of_its_connections() {
    let server = Server::start("pg1").await;
    let road = Road::open(options(), route(1, &[&server]));
    let (mut client, mut theirs) = road.pair(&server).await;
    road.stop.cancel();
    assert!(is_reset(&mut client).await);
    assert!(is_reset(&mut theirs).await);
    road.until(|counters| counters.connections == 0).await;
}
