//! What every kind of target must do, whatever it speaks: the list of kinds is the
//! configuration's own, so a new one fails here until it is added.

use std::sync::{Arc, Mutex};

use holdfast::config::target::Targets;
use holdfast::model::probe::OutcomeClass;

use super::support::free_port;
use super::support::probing::{probe, target};
use super::support::silent::Silent;

const SECRET: &str = "never-to-be-seen";

/// Kinds that have no peer on the network; they are tried in their own tests.
const LOCAL: [&str; 1] = ["systemd"];

/// A section of each other kind for a server at `port`.
fn sections(port: u16) -> Vec<(&'static str, String)> {
    let common = "name = \"t\"\ntimeout = \"300ms\"\n";
    let postgres = format!("host = \"127.0.0.1\"\nport = {port}\npassword = \"{SECRET}\"\n");
    let object_store = |scheme: &str| {
        format!(
            "endpoint = \"{scheme}://127.0.0.1:{port}\"\nbucket = \"b\"\naccess_key_id = \"k\"\n\
             secret_access_key = \"{SECRET}\"\n"
        )
    };
    let redis = |scheme: &str, more: &str| {
        format!("url = \"{scheme}://127.0.0.1:{port}/1\"\npassword = \"{SECRET}\"\n{more}")
    };
    // What is served there is HTTP, but not what is looked for.
    let http = |scheme: &str| {
        format!(
            "url = \"{scheme}://127.0.0.1:{port}\"\nbearer_token = \"{SECRET}\"\nbody_contains = \"bye\"\n"
        )
    };
    let address = format!("address = \"127.0.0.1:{port}\"\n");
    let nostr = |scheme: &str| format!("url = \"{scheme}://127.0.0.1:{port}/?key={SECRET}\"\n");
    [
        ("postgres", postgres.clone()),
        ("postgres", format!("{postgres}tls = \"disable\"\n")),
        ("postgres", format!("{postgres}tls = \"verify-full\"\n")),
        ("object_store", object_store("http")),
        ("object_store", object_store("https")),
        ("redis", redis("redis", "")),
        ("redis", redis("redis", "user = \"me\"\n")),
        ("redis", redis("rediss", "")),
        ("grpc", address.clone()),
        ("grpc", format!("{address}tls = true\n")),
        ("nostr", nostr("ws")),
        ("nostr", nostr("wss")),
        ("http", http("http")),
        ("http", http("https")),
        ("tcp", format!("{address}expect = \"SSH-\"\n")),
        ("tcp", format!("{address}tls = true\n")),
    ]
    .map(|(kind, more)| (kind, format!("[[target.{kind}]]\n{common}{more}")))
    .to_vec()
}

#[test]
fn every_kind_is_tried_here() {
    let shape = serde_json::to_value(Targets::default()).unwrap();
    let configured: Vec<_> = shape.as_object().unwrap().keys().cloned().collect();
    for kind in configured {
        let tried = sections(1).iter().any(|(tried, _)| *tried == kind);
        assert!(tried || LOCAL.contains(&kind.as_str()), "the kind {kind} is not tried");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_no_server_is_hard_within_the_deadline_and_shows_no_secret() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer({
            let log = log.clone();
            move || log.clone()
        })
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let mute = Silent::mute();
    let http = Silent::babbling(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
    let noise = Silent::babbling(b"\x00\xff\xfe garbage \r\n\r\n\x01\x02\x03 more garbage");
    for (what, port) in
        [("refusing", free_port()), ("mute", mute.port()), ("http", http.port()), ("noise", noise.port())]
    {
        for (kind, section) in sections(port) {
            let mut target = target(&section);
            assert_eq!(target.kind(), kind);
            // Twice: a failed probe must not make the next one fail differently.
            for _ in 0..2 {
                let probed = probe(&mut *target).await;
                assert_eq!(probed.record.class, OutcomeClass::Hard, "{what}: {section}\n{:?}", probed.record);
                for done in probed.record.operations.iter().filter(|done| done.class != OutcomeClass::Ok) {
                    assert!(!done.code.is_empty() && !done.detail.is_empty(), "{what}: {done:?}");
                }
                let shown = format!(
                    "{:?} {} {}",
                    probed,
                    target.address(),
                    serde_json::to_string(&probed.record).unwrap()
                );
                assert!(!shown.contains(SECRET), "{shown}");
                let keys: String = probed.frame.iter().map(|sample| sample.key).collect();
                assert!(!keys.contains(SECRET), "{keys}");
            }
        }
    }
    let logged = log.text();
    assert!(!logged.contains(SECRET), "{logged}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_does_not_resolve_is_called_that() {
    for (_, section) in sections(1) {
        // RFC 6761: `.invalid` never resolves. A resolver that is slow to say so is
        // not what is tried here.
        let section = section.replace("127.0.0.1", "nobody.invalid").replace("300ms", "20s");
        let probed = probe(&mut *target(&section)).await;
        assert!(probed.record.operations.iter().all(|done| done.code == "dns"), "{:?}", probed.record);
    }
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
