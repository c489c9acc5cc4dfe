//! What a hostile or broken client sends, and that the agent lives on.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::json;

use crate::support::app::TestApp;
use crate::support::client::Ask;
use holdfast::runtime::supervisor::Supervisor;

/// Runs what blocks, so that the agent beside it goes on.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    Supervisor::blocking(work).await.unwrap()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

const CLOSE: &[u8] = b"Connection: close";

/// Sends `bytes` as they are and reads until the end of the connection.
async fn raw(address: SocketAddr, bytes: impl Into<Vec<u8>>) -> String {
    let bytes = bytes.into();
    aside(move || {
        let mut stream = connect(address);
        // The agent may have refused the beginning of it already.
        let _ = stream.write_all(&bytes);
        // Who says that nothing follows waits for the answer; else it would count as gone.
        if !bytes.windows(CLOSE.len()).any(|part| part == CLOSE) {
            let _ = stream.shutdown(Shutdown::Write);
        }
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    })
    .await
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

async fn lives(app: &TestApp) {
    let asked = tokio::time::timeout(Duration::from_secs(10), app.get("/livez"));
    assert_eq!(asked.await.expect("an answer of /livez").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_two_lengths_is_refused_and_nothing_behind_it_is_read() {
    let app = TestApp::start().await;
    let smuggled = "GET /api/v1/system HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let body = format!("0\r\n\r\n{smuggled}");
    let length = body.len();
    for lengths in [
        format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n"),
        format!("Content-Length: 5\r\nTransfer-Encoding: chunked\r\nContent-Length: {length}\r\n"),
        format!("Content-Length: 5\r\nContent-Length: {length}\r\n"),
        String::from("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"),
        String::from("Transfer-Encoding: xchunked\r\n"),
        String::from("Content-Length: +5\r\n"),
        String::from("Content-Length: 5, 6\r\n"),
        String::from("Content-Length : 5\r\n"),
    ] {
        let request = format!("POST /ingest/metrics HTTP/1.1\r\nHost: localhost\r\n{lengths}\r\n{body}");
        let answer = raw(app.address, request).await;
        assert_eq!(status(&answer), 400, "{lengths}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{lengths}: {answer}");
    }
    // Chunks alone are fine, and the last that the connection is for.
    let chunked = "POST /test-alert HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    let answer = raw(app.address, format!("{chunked}{body}")).await;
    assert!(status(&answer) == 401 && answer.matches("HTTP/1.1 ").count() == 1, "{answer}");
    assert!(answer.to_lowercase().contains("connection: close"), "{answer}");
    // Two requests with lengths are two.
    let plain = "GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc";
    let answer = raw(app.address, format!("{plain}{smuggled}")).await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 2, "{answer}");
    lives(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_and_too_deep_is_refused_by_its_kind() {
    let app = TestApp::start().await;
    let token = app.admin.expose().to_owned();
    let answer = app.ask(Ask::get("/livez").header("x-long", &"a".repeat(40_000))).await;
    assert_eq!((answer.status, answer.problem().as_str()), (431, "headers_too_large"));
    let answer = raw(
        app.address,
        format!("GET /livez HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "a".repeat(200_000)),
    );
    assert!([431, 0].contains(&status(&answer.await)));
    let answer = app.get(&format!("/livez?{}", "a".repeat(20_000))).await;
    assert_eq!((answer.status, answer.problem().as_str()), (414, "uri_too_long"));
    let many = "X: y\r\n".repeat(500);
    let answer = raw(app.address, format!("GET /livez HTTP/1.1\r\nHost: localhost\r\n{many}\r\n")).await;
    assert_eq!(status(&answer), 431, "{answer}");

    let deep = "[".repeat(200_000);
    for body in [deep.clone(), format!("{{\"severity\":{deep}")] {
        let answer = app.ask_as_admin(Ask::post("/test-alert", "application/json", body)).await;
        assert_eq!((answer.status, answer.problem().as_str()), (400, "bad_json"));
    }
    for body in [&b"{\"severity\":\"\xff\xfe\"}"[..], b"\xff", b"{\"a\":\"\xed\xa0\x80\"}"] {
        let answer = app.ask_as_admin(Ask::post("/test-alert", "application/json", body.to_vec())).await;
        assert_eq!(answer.status, 400);
        answer.problem();
    }
    for path in ["/api/v1/targets/%ff%fe", "/api/v1/targets?limit=%ff", "/api/v1/targets/%00"] {
        let answer = app.get(path).await;
        assert!([400, 404].contains(&answer.status), "{path}: {}", answer.status);
        answer.problem();
    }
    for line in ["GET /\u{0} HTTP/1.1", "GET", "\u{1}\u{2}\u{3}", "GET / HTTP/9.9", "G\u{e9}T / HTTP/1.1"] {
        let answer = raw(app.address, format!("{line}\r\nHost: localhost\r\n\r\n")).await;
        assert!(![200, 500].contains(&status(&answer)), "{line:?}: {answer}");
    }
    let large = aside(move || {
        let mut stream = connect(app.address);
        let head = format!(
            "POST /test-alert HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: 104857600\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let chunk = vec![b' '; 64 * 1024];
        let sent = (0..1600).take_while(|_| stream.write_all(&chunk).is_ok()).count();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        (app, sent, String::from_utf8_lossy(&answer).into_owned())
    });
    let (app, sent, answer) = large.await;
    assert!(sent < 400, "{sent} of 1600 pieces were taken");
    // Whoever goes on sending may lose the answer to the reset of the connection.
    assert!([413, 0].contains(&status(&answer)), "{answer}");
    lives(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_while_sending_is_told_that_it_is_too_much() {
    let app = TestApp::start().await;
    let body = vec![b' '; (1 << 20) + 1];
    let answer = app.ask_as_admin(Ask::post("/test-alert", "application/json", body)).await;
    assert_eq!((answer.status, answer.problem().as_str()), (413, "too_large"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_a_little_too_much_before_reading_is_told() {
    let app = TestApp::start().await;
    let token = app.admin.expose().to_owned();
    let told = aside(move || {
        let mut stream = connect(app.address);
        let body = vec![b' '; 5 << 20];
        let head = format!(
            "POST /test-alert HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        (app, String::from_utf8_lossy(&answer).into_owned())
    });
    let (app, answer) = told.await;
    assert_eq!(status(&answer), 413, "{answer}");
    lives(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_path_leads_out_of_the_page() {
    let app = TestApp::start().await;
    for path in [
        "/ui/../../etc/passwd",
        "/ui/..%2f..%2fetc%2fpasswd",
        "/ui/%2e%2e/%2e%2e/etc/passwd",
        "/ui/assets/../../../etc/passwd",
        "/ui/assets/..%5c..%5cetc%5cpasswd",
        "/ui//etc/passwd",
        "/ui/%00/etc/passwd",
        "/ui/assets/%c0%ae%c0%ae/etc/passwd",
        "/ui/..;/etc/passwd.html",
    ] {
        let answer =
            raw(app.address, format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
        let answer = answer.await;
        assert!(!answer.contains("root:"), "{path}: {answer}");
        // A place inside the page, or nothing at all.
        let is_page = answer.contains("<!doctype html") || answer.contains("<!DOCTYPE html");
        assert!(is_page || [400, 404].contains(&status(&answer)), "{path}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_tells_browsers_what_they_may_not() {
    let app = TestApp::start().await;
    for path in ["/livez", "/api/v1/targets", "/api/v1/audit", "/nothing", "/metrics", "/ui/", "/ui/x.js"] {
        let answer = app.get(path).await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), value, "{name} of {path}");
        }
        assert!(["no-referrer", "same-origin"].contains(&answer.header("referrer-policy")), "{path}");
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert!(answer.headers.get("access-control-allow-origin").is_none(), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_asks_too_often_waits_and_health_does_not() {
    let app = TestApp::with("[http]\ntrusted_proxies = [\"127.0.0.1\"]\nrate_limit = 3\n").await;
    let from = |path: &str, address: &str| Ask::get(path).header("x-forwarded-for", address);
    let read = || from("/api/v1/targets", "203.0.113.9");
    for left in [2, 1, 0] {
        let answer = app.ask_as_admin(read()).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("ratelimit-policy"), "\"requests\";q=3;w=60");
        assert_eq!(answer.header("ratelimit"), format!("\"requests\";r={left};t=60"));
    }
    let refused = app.ask_as_admin(read()).await;
    assert_eq!((refused.status, refused.problem().as_str()), (429, "too_many_requests"));
    assert_eq!((refused.header("retry-after"), refused.header("ratelimit")), ("60", "\"requests\";r=0;t=60"));
    for path in ["/livez", "/readyz", "/health", "/api/v1/health"] {
        let answer = app.ask_as_admin(from(path, "203.0.113.9")).await;
        assert!(answer.status != 429 && answer.headers.get("ratelimit").is_none(), "{path}");
    }
    assert_eq!(app.ask_as_admin(from("/api/v1/targets", "203.0.113.8")).await.status, 200);
    for _ in 0..10 {
        let own = app.get("/api/v1/targets").await;
        assert!(own.status == 200 && own.headers.get("ratelimit").is_none());
    }
    app.clock.advance(Duration::from_secs(60));
    assert_eq!(app.ask_as_admin(read()).await.status, 200);
}

/// Connections that say nothing, and some that say a little: as many as descriptors
/// allow, each of which needs two here.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_idle_connections_keep_nobody_out() {
    let app = TestApp::start().await;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(65_536);
    let wanted = 10_000.min(usize::try_from(limit).unwrap_or(1024).saturating_sub(1500) / 2);
    let address = app.address;
    let memory = || {
        let text = std::fs::read_to_string("/proc/self/statm").unwrap();
        text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
    };
    let before = memory();
    let mut held = Vec::new();
    for round in 0..10 {
        let opened = aside(move || {
            let open = |number: usize| {
                let mut stream = connect(address);
                // A head that never ends, on every second one.
                if number.is_multiple_of(2) {
                    let _ = stream.write_all(b"GET /livez HTTP/1.1\r\nHost: loc");
                }
                stream
            };
            (0..wanted / 10).map(open).collect::<Vec<_>>()
        });
        held.extend(opened.await);
        lives(&app).await;
        assert_eq!(app.get("/health").await.status, 200, "round {round}");
    }
    let grown = memory().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes for {} connections", held.len());
    // Drip on: none of them gets anywhere, and the agent answers.
    let dripped = aside(move || {
        let mut alive = 0;
        for stream in &mut held {
            alive += usize::from(stream.write_all(b"a").is_ok());
        }
        (held, alive)
    });
    let (held, _) = dripped.await;
    lives(&app).await;
    assert_eq!(held.len(), wanted / 10 * 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_opens_no_socket_for_another_page() {
    let app = TestApp::with("[auth]\nanonymous = \"none\"\n").await;
    let login = json!({"token": app.admin.expose()}).to_string();
    let login = app.ask(Ask::post("/api/v1/session", "application/json", login)).await;
    let cookie = login.header("set-cookie").split(';').next().unwrap().to_owned();
    let own = format!("http://{}", app.address);
    for (origin, expected) in [
        (Some("https://evil.example"), 403),
        (Some("null"), 403),
        (Some("http://127.0.0.1:1"), 403),
        (None, 403),
        (Some(own.as_str()), 101),
    ] {
        let origin = origin.map(|origin| format!("Origin: {origin}\r\n")).unwrap_or_default();
        let request = format!(
            "GET /api/v1/monitoring/events HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\n{origin}Upgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            app.address
        );
        let address = app.address;
        let answer = aside(move || {
            let mut stream = connect(address);
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = [0; 12];
            stream.read_exact(&mut answer).unwrap();
            String::from_utf8_lossy(&answer).into_owned()
        });
        let answer = answer.await;
        assert_eq!(status(&format!("{answer} ")), expected, "{origin}: {answer}");
    }
}
