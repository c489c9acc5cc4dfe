//! The Nostr probe against a small relay that speaks the real protocol.

use holdfast::model::probe::OutcomeClass::{Alive, Hard, Ok as Fine, Soft};
use holdfast::targets::Depth;

use super::support::probing::{assert_fine, assert_outcome, probe, target, value};
use super::support::relay::{Mood, Relay};
use super::support::tls_door::TlsDoor;

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_serves_is_well_whatever_it_tells_of_itself() {
    let relay = Relay::start(Mood::Fine).await;
    let mut nostr = target(&relay.section(""));
    let probed = probe(&mut *nostr).await;
    for operation in ["connect", "upgrade", "req", "info"] {
        assert_outcome(&probed.record, operation, Fine, "");
    }
    let of = |name: &str| value(&probed.frame, name, &[("target", "relay")]);
    assert_eq!(of("holdfast_nostr_up"), Some(1.0));
    assert!(of("holdfast_nostr_eose_seconds").unwrap() > 0.0);
    assert_eq!(
        (of("holdfast_nostr_max_limit"), of("holdfast_nostr_auth_required")),
        (Some(500.0), Some(0.0))
    );
    assert_eq!(of("holdfast_nostr_max_subscriptions"), None);
    let light = nostr.probe(Depth::Light).await;
    let done: Vec<_> = light.record.operations.iter().map(|done| done.operation.as_str()).collect();
    assert_eq!(done, ["connect", "upgrade", "req"]);

    let taciturn = Relay::start(Mood::Taciturn).await;
    let probed = probe(&mut *target(&taciturn.section(""))).await;
    assert_outcome(&probed.record, "req", Fine, "");
    assert_outcome(&probed.record, "info", Alive, "http_404");
    let offering = Relay::start(Mood::Offering).await;
    assert_fine(&probe(&mut *target(&offering.section(""))).await.record);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_not_to_serve_has_its_class_within_the_deadline() {
    for (mood, class, code) in [
        (Mood::Insisting, Alive, "auth-required"),
        (Mood::Closing("auth-required: friends only"), Alive, "auth-required"),
        (Mood::Closing("restricted: not you"), Alive, "restricted"),
        (Mood::Closing("rate-limited: slow down"), Soft, "rate-limited"),
        (Mood::Closing("error: the database is gone"), Hard, "error"),
        (Mood::Noticing, Soft, "notice"),
        (Mood::Slow, Hard, "timeout"),
        (Mood::Leaving, Hard, "reset"),
        (Mood::Endless, Hard, "protocol"),
        (Mood::Confused, Hard, "protocol"),
    ] {
        let relay = Relay::start(mood).await;
        let probed = probe(&mut *target(&relay.section(""))).await;
        assert_outcome(&probed.record, "req", class, code);
        assert_eq!(value(&probed.frame, "holdfast_nostr_up", &[]), Some(0.0));
    }
    for (status, class) in [(429, Soft), (401, Alive), (404, Alive), (502, Hard)] {
        let relay = Relay::start(Mood::Refusing(status)).await;
        let probed = probe(&mut *target(&relay.section(""))).await;
        assert_outcome(&probed.record, "upgrade", class, &format!("http_{status}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wss_needs_an_authority_that_is_trusted() {
    let relay = Relay::start(Mood::Fine).await;
    let door = TlsDoor::to(relay.port).await;
    let section = |more: &str| {
        relay
            .section(more)
            .replace(&format!("ws://127.0.0.1:{}", relay.port), &format!("wss://localhost:{}", door.port))
    };
    let trusting = section(&format!("tls_ca_file = \"{}\"", door.certificate.display()));
    let probed = probe(&mut *target(&trusting)).await;
    assert_fine(&probed.record);
    let ends = value(&probed.frame, "probe_ssl_earliest_cert_expiry", &[("kind", "nostr")]);
    assert_eq!(ends, Some(door.expiry()));
    assert_outcome(&probe(&mut *target(&section(""))).await.record, "tls", Hard, "tls");
}
