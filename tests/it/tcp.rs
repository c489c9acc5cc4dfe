//! The TCP probe against real listeners.

use holdfast::model::probe::OutcomeClass::{Alive, Hard, Ok as Fine};

use super::support::probing::{assert_fine, assert_outcome, probe, target, value};
use super::support::redis::Redis;
use super::support::silent::Silent;
use super::support::tls_door::TlsDoor;

fn section(address: &str, more: &str) -> String {
    format!("[[target.tcp]]\nname = \"port\"\naddress = \"{address}\"\ntimeout = \"500ms\"\n{more}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_is_enough_and_a_banner_is_read_where_one_is_expected() {
    let mut redis = Redis::start(&[]);
    let at = format!("127.0.0.1:{}", redis.port);
    let mut tcp = target(&section(&at, ""));
    let probed = probe(&mut *tcp).await;
    assert_outcome(&probed.record, "connect", Fine, "");
    assert_eq!(probed.record.operations.len(), 1);
    assert_eq!(value(&probed.frame, "probe_success", &[("kind", "tcp"), ("target", "port")]), Some(1.0));
    // Redis speaks when it is spoken to.
    let waiting = probe(&mut *target(&section(&at, "expect = \"SSH-\""))).await;
    assert_outcome(&waiting.record, "banner", Hard, "timeout");
    redis.kill();
    assert_outcome(&probe(&mut *tcp).await.record, "connect", Hard, "refused");

    let greeting = Silent::greeting(b"220 nas ESMTP\r\n");
    let at = format!("127.0.0.1:{}", greeting.port());
    assert_fine(&probe(&mut *target(&section(&at, "expect = \"ESMTP\""))).await.record);
    let other = probe(&mut *target(&section(&at, "expect = \"SSH-\""))).await;
    assert_outcome(&other.record, "banner", Hard, "banner");
    assert!(other.record.operations[1].detail.contains("220 nas"), "{:?}", other.record);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_certificate_is_told_whether_or_not_it_is_trusted() {
    let greeting = Silent::greeting(b"220 nas ESMTP\r\n");
    let current = TlsDoor::to(greeting.port()).await;
    let expired = TlsDoor::expired(greeting.port()).await;
    for (door, host, more, class, code, verified) in [
        (&current, "localhost", "", Fine, "", 1.0),
        (&current, "127.0.0.1", "", Hard, "tls", 0.0),
        (&current, "127.0.0.1", "server_name = \"localhost\"", Fine, "", 1.0),
        (&expired, "localhost", "", Hard, "tls", 0.0),
    ] {
        let more = format!("tls = true\ntls_ca_file = \"{}\"\n{more}", door.certificate.display());
        let probed = probe(&mut *target(&section(&format!("{host}:{}", door.port), &more))).await;
        assert_outcome(&probed.record, "tls", class, code);
        let labels = [("kind", "tcp"), ("target", "port")];
        assert_eq!(value(&probed.frame, "probe_ssl_earliest_cert_expiry", &labels), Some(door.expiry()));
        assert_eq!(value(&probed.frame, "holdfast_probe_tls_verified", &labels), Some(verified));
    }
    // Without the file of authorities nobody vouches for it; the end is told all the same.
    let at = format!("localhost:{}", current.port);
    let strict = probe(&mut *target(&section(&at, "tls = true"))).await;
    assert_outcome(&strict.record, "tls", Hard, "tls");
    assert_eq!(value(&strict.frame, "probe_ssl_earliest_cert_expiry", &[]), Some(current.expiry()));
    let unnamed = probe(&mut *target(&section(&at, "tls = true\nserver_name = \"a b\""))).await;
    assert_outcome(&unnamed.record, "tls", Alive, "server_name");
    let banner = format!("tls = true\nexpect = \"220\"\ntls_ca_file = \"{}\"", current.certificate.display());
    let probed = probe(&mut *target(&section(&at, &banner))).await;
    assert_outcome(&probed.record, "banner", Fine, "");
}
