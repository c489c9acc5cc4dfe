//! The HTTP probe against a real server.

use holdfast::model::probe::OutcomeClass::{Alive, Hard, Ok as Fine, Soft};

use super::support::probing::{assert_fine, assert_outcome, probe, target, value};
use super::support::tls_door::TlsDoor;
use super::support::web::Web;

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_its_class_within_the_deadline() {
    let web = Web::start().await;
    for (path, more, class, code) in [
        ("", "", Fine, ""),
        ("/", "method = \"HEAD\"", Fine, ""),
        ("/status/204", "", Fine, ""),
        ("/status/204", "status = [200]", Alive, "http_204"),
        ("/status/404", "", Alive, "http_404"),
        ("/status/404", "status = [200, 404]", Fine, ""),
        ("/status/403", "", Alive, "http_403"),
        ("/status/429", "", Soft, "http_429"),
        ("/busy", "", Soft, "http_503"),
        ("/status/503", "", Hard, "http_503"),
        ("/status/500", "", Hard, "http_500"),
        ("/moved", "", Alive, "http_302"),
        ("/moved", "status = [302]", Fine, ""),
        ("/slow", "", Hard, "timeout"),
        ("/large", "", Alive, "too_large"),
        ("/large", "method = \"HEAD\"", Fine, ""),
        ("/", "body_contains = \"is well\"", Fine, ""),
        ("/", "body_contains = \"is ill\"", Hard, "body"),
    ] {
        let probed = probe(&mut *target(&web.section(path, more))).await;
        assert_outcome(&probed.record, "request", class, code);
    }
    let probed = probe(&mut *target(&web.section("/?key=geheim", ""))).await;
    let of = |name: &str| value(&probed.frame, name, &[("kind", "http"), ("target", "web")]);
    assert_eq!(of("probe_http_status_code"), Some(200.0));
    assert_eq!(of("probe_http_content_length"), Some(11.0));
    assert_eq!(of("probe_http_uncompressed_body_length"), Some(11.0));
    assert_eq!(of("probe_http_ssl"), Some(0.0));
    assert_eq!(of("probe_ssl_earliest_cert_expiry"), None);
    let shown = format!("{} {probed:?}", target(&web.section("/?key=geheim", "")).address());
    assert!(!shown.contains("geheim"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_read_again_and_a_missing_one_is_named() {
    let web = Web::start().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "wrong-token\n").unwrap();
    let more = format!("bearer_token_file = \"{}\"", file.path().display());
    let mut http = target(&web.section("/token", &more));
    assert_outcome(&probe(&mut *http).await.record, "request", Alive, "http_401");
    std::fs::write(file.path(), "right-token\n").unwrap();
    assert_fine(&probe(&mut *http).await.record);
    drop(file);
    assert_outcome(&probe(&mut *http).await.record, "request", Alive, "bearer_token");
    let broken = probe(&mut *target(&web.section("/token", "bearer_token = \"a\\nb\""))).await;
    assert_outcome(&broken.record, "request", Alive, "bearer_token");
}

#[tokio::test(flavor = "multi_thread")]
async fn https_tells_when_the_certificate_ends_whether_or_not_it_is_trusted() {
    let web = Web::start().await;
    let door = TlsDoor::to(web.port).await;
    let section = |more: &str| {
        web.section("/", more)
            .replace(&format!("http://127.0.0.1:{}", web.port), &format!("https://localhost:{}", door.port))
    };
    let trusting = section(&format!("tls_ca_file = \"{}\"", door.certificate.display()));
    for (section, class, verified) in [(trusting, Fine, 1.0), (section(""), Hard, 0.0)] {
        let probed = probe(&mut *target(&section)).await;
        assert_outcome(&probed.record, "request", class, if class == Fine { "" } else { "tls" });
        let ends = value(&probed.frame, "probe_ssl_earliest_cert_expiry", &[("target", "web")]);
        assert_eq!(ends, Some(door.expiry()));
        assert_eq!(value(&probed.frame, "holdfast_probe_tls_verified", &[]), Some(verified));
    }
}
