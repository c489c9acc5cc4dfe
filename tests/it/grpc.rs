//! The gRPC probe against real servers.

use holdfast::model::probe::OutcomeClass::{Alive, Hard, Ok as Fine, Recovering, Soft};
use holdfast::targets::Depth;
use rustix::process::Signal;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::support::certificate::self_signed;
use super::support::grpc::Grpc;
use super::support::probing::{assert_fine, assert_outcome, probe, target, value};

#[tokio::test(flavor = "multi_thread")]
async fn every_state_of_a_server_has_its_class_within_the_deadline() {
    let mut server = Grpc::start("health");
    let mut grpc = target(&server.section(""));
    let probed = probe(&mut *grpc).await;
    assert_outcome(&probed.record, "connect", Fine, "");
    assert_outcome(&probed.record, "check", Fine, "");
    assert_eq!(value(&probed.frame, "probe_grpc_status_code", &[("target", "rpc")]), Some(0.0));
    let response = |status| [("serving_status", status), ("kind", "grpc")];
    let health = "probe_grpc_healthcheck_response";
    assert_eq!(value(&probed.frame, health, &response("SERVING")), Some(1.0));
    assert_eq!(value(&probed.frame, health, &response("NOT_SERVING")), Some(0.0));
    assert!(value(&probed.frame, "probe_grpc_duration_seconds", &[("phase", "check")]).unwrap() > 0.0);
    assert_eq!(value(&probed.frame, "probe_grpc_ssl", &[]), Some(0.0));
    assert_fine(&grpc.probe(Depth::Light).await.record);

    server.set("", "NOT_SERVING");
    let probed = probe(&mut *grpc).await;
    assert_outcome(&probed.record, "check", Hard, "NOT_SERVING");
    assert_eq!(value(&probed.frame, health, &response("NOT_SERVING")), Some(1.0));
    server.set("", "UNKNOWN");
    assert_outcome(&probe(&mut *grpc).await.record, "check", Alive, "UNKNOWN");
    server.set("", "SERVING");

    server.set("db", "SERVING");
    assert_fine(&probe(&mut *target(&server.section("service = \"db\""))).await.record);
    let unknown = probe(&mut *target(&server.section("service = \"nobody\""))).await;
    assert_outcome(&unknown.record, "check", Alive, "unknown_service");
    assert_eq!(value(&unknown.frame, "probe_grpc_status_code", &[]), Some(5.0));

    // Hung: the system still accepts the connection, nobody answers.
    server.signal(Signal::STOP);
    assert_outcome(&probe(&mut *grpc).await.record, "check", Hard, "timeout");
    server.signal(Signal::CONT);
    assert_fine(&probe(&mut *grpc).await.record);

    server.kill();
    assert_outcome(&probe(&mut *grpc).await.record, "connect", Hard, "refused");
    server.launch();
    assert_fine(&probe(&mut *grpc).await.record);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_health_service_is_reachable() {
    let server = Grpc::start("bare");
    let probed = probe(&mut *target(&server.section(""))).await;
    assert_outcome(&probed.record, "check", Alive, "no_health_service");
    assert_eq!(value(&probed.frame, "probe_grpc_status_code", &[]), Some(12.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_needs_an_authority_that_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let (key, certificate) = (folder.path().join("key.pem"), folder.path().join("certificate.pem"));
    self_signed("localhost", &key, &certificate);
    let server = Grpc::encrypted(&key, &certificate);
    let section =
        |more: &str| server.section(&format!("tls = true\n{more}")).replace("\"127.0.0.1:", "\"localhost:");
    let trusting = section(&format!("tls_ca_file = \"{}\"", certificate.display()));
    let probed = probe(&mut *target(&trusting)).await;
    assert_fine(&probed.record);
    assert_eq!(value(&probed.frame, "probe_grpc_ssl", &[]), Some(1.0));
    assert!(value(&probed.frame, "probe_ssl_earliest_cert_expiry", &[("kind", "grpc")]).unwrap() > 1.7e9);
    assert_outcome(&probe(&mut *target(&section(""))).await.record, "tls", Hard, "tls");
    // No TLS where TLS is spoken.
    assert_eq!(probe(&mut *target(&server.section(""))).await.record.class, Hard);
}

/// A server over HTTP/2 that refuses every call for `reason`, or says goodbye.
async fn refusing(reason: Option<h2::Reason>) -> (u16, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(async move {
                let Ok(mut connection) = h2::server::handshake(stream).await else { return };
                if reason.is_none() {
                    connection.abrupt_shutdown(h2::Reason::NO_ERROR);
                }
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    if let Some(reason) = reason {
                        respond.send_reset(reason);
                    }
                }
                // A socket closed with something unread in it would reset what was said.
                std::future::pending::<()>().await;
            });
        }
    });
    (port, serving)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_for_load_or_says_goodbye_is_told_apart() {
    for (reason, class, code) in [
        (Some(h2::Reason::REFUSED_STREAM), Soft, "REFUSED_STREAM"),
        (Some(h2::Reason::ENHANCE_YOUR_CALM), Soft, "ENHANCE_YOUR_CALM"),
        (Some(h2::Reason::INTERNAL_ERROR), Hard, "protocol"),
        (None, Recovering, "GOAWAY"),
    ] {
        let (port, _serving) = refusing(reason).await;
        let section = format!("[[target.grpc]]\nname = \"rpc\"\naddress = \"127.0.0.1:{port}\"\n");
        assert_outcome(&probe(&mut *target(&section)).await.record, "check", class, code);
    }
}
