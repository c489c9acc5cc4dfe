//! Looks at a member over a long way: slow is not hung, and hung is not slow.

use std::time::Duration;

use holdfast::model::failover::sighting::FailureClass;
use rustix::process::Signal;
use tokio::time::Instant;

use super::support::member::*;
use super::support::postgres::Postgres;
use super::support::wire::Wire;

/// A login takes several round trips: where each takes long it cannot be in time, and the
/// answer on the kept connection says that the server is well.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_way_is_no_server_that_hangs() {
    let server = Postgres::member("");
    let wire = Wire::to("127.0.0.1", server.port);
    let mut link = link_of(&section_at("127.0.0.1", wire.port, "password = \"right-password\""));
    see(&mut link).await;
    wire.delay(Duration::from_millis(300));
    answered(link.look(FRESH, within(1000)).await);
    wire.delay(Duration::ZERO);
    // One that takes no connections and answers the old one in no time does.
    server.signal_postmaster(Signal::STOP);
    fails(&mut link, FRESH, FailureClass::Silent).await;
    server.signal_postmaster(Signal::CONT);
    // Nor is it one without a kept session, whose login alone takes longer than a look.
    for delay in [170, 300].map(Duration::from_millis) {
        let mut anew = link_of(&section_at("127.0.0.1", wire.port, "password = \"right-password\""));
        wire.delay(delay);
        let facts = answered(anew.look(FRESH, within(1000)).await);
        assert_eq!(facts.ancestry.as_deref(), Some(&[][..]));
        answered(anew.look(PLAIN, within(1000)).await);
        wire.delay(Duration::ZERO);
    }
    // One that says nothing is given no more time than others.
    let mut anew = link_of(&section_at("127.0.0.1", wire.port, "password = \"right-password\""));
    server.signal_postmaster(Signal::STOP);
    let began = Instant::now();
    fails(&mut anew, FRESH, FailureClass::Silent).await;
    assert!(began.elapsed() < Duration::from_millis(2500), "{:?}", began.elapsed());
    server.signal_postmaster(Signal::CONT);
}
