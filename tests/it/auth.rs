//! Who may do what: tokens, loopback, the unix socket, hosts, origins, lock-out.

use std::time::Duration;

use crate::support::app::TestApp;
use crate::support::client::Ask;
use holdfast::model::access::Scope;

const READ: &str = "/api/v1/targets";
const WRITE: &str = "/api/v1/targets/none/probe";

#[tokio::test]
async fn loopback_reads_without_a_token_and_changes_nothing() {
    let app = TestApp::start().await;
    assert_eq!(app.get(READ).await.status, 200);
    let write = app.ask(Ask::post(WRITE, "application/json", "")).await;
    assert_eq!((write.status, write.problem().as_str()), (401, "unauthorized"));
    assert!(write.json()["hint"].as_str().unwrap().contains("targets:write"));
    assert_eq!(app.get("/api/v1/audit").await.status, 401);
}

#[tokio::test]
async fn a_request_that_was_passed_on_is_not_loopback() {
    let app = TestApp::start().await;
    for name in ["forwarded", "x-forwarded-for", "x-forwarded-proto", "x-real-ip"] {
        assert_eq!(app.ask(Ask::get(READ).header(name, "127.0.0.1")).await.status, 401, "{name}");
    }
    let trusting = TestApp::with("[http]\ntrusted_proxies = [\"127.0.0.1\"]\n").await;
    let from = |address: &str| Ask::get(READ).header("x-forwarded-for", address);
    assert_eq!(trusting.ask(from("203.0.113.9")).await.status, 401);
    assert_eq!(trusting.ask(from("127.0.0.2")).await.status, 401);
    let both = from("203.0.113.9").header("forwarded", "for=127.0.0.2");
    assert_eq!(trusting.ask(both).await.status, 401);
}

#[tokio::test]
async fn a_token_counts_in_each_header_with_its_scope_alone() {
    let app = TestApp::with("[auth]\nanonymous = \"none\"\n").await;
    assert_eq!(app.get("/livez").await.status, 200);
    for path in ["/health", "/readyz", "/metrics", READ] {
        assert_eq!(app.get(path).await.status, 401, "{path}");
    }
    let token = app.token(Scope::MonitoringRead).await;
    let bearer = format!("Bearer {}", token.expose());
    for (name, value) in
        [("authorization", bearer.as_str()), ("x-api-key", token.expose()), ("x-admin-key", token.expose())]
    {
        assert_eq!(app.ask(Ask::get(READ).header(name, value)).await.status, 200, "{name}");
    }
    let write = app.ask(Ask::post(WRITE, "application/json", "").bearer(token.expose())).await;
    assert_eq!((write.status, write.problem().as_str()), (403, "forbidden"));
    let admin = app.ask_as_admin(Ask::post(WRITE, "application/json", "")).await;
    assert_eq!(admin.status, 404);
    assert_eq!(app.ask(Ask::get(READ).header("authorization", "Basic eDp5")).await.status, 401);
}

#[tokio::test]
async fn a_wrong_token_is_refused_even_where_none_is_needed() {
    let app = TestApp::start().await;
    let mut wrong = app.admin.expose().to_owned();
    let last = if wrong.pop() == Some('0') { '1' } else { '0' };
    wrong.push(last);
    let answer = app.ask(Ask::get(READ).bearer(&wrong)).await;
    assert_eq!((answer.status, answer.problem().as_str()), (401, "bad_token"));
    assert!(!answer.text().contains(&wrong));
}

#[tokio::test]
async fn the_tenth_wrong_token_locks_out_but_never_the_right_one_from_loopback() {
    let app = TestApp::start().await;
    let wrong = || Ask::get(READ).bearer("hf_nonsense");
    for _ in 0..9 {
        assert_eq!(app.ask(wrong()).await.status, 401);
    }
    let tenth = app.ask(wrong()).await;
    assert_eq!((tenth.status, tenth.problem().as_str()), (429, "locked_out"));
    let wait = tenth.header("retry-after");
    assert!(wait.parse::<u64>().unwrap() <= 61);
    assert_eq!(tenth.header("ratelimit-policy"), "\"wrong-tokens\";q=10;w=60");
    assert_eq!(tenth.header("ratelimit"), format!("\"wrong-tokens\";r=0;t={wait}"));
    assert_eq!(app.ask_as_admin(Ask::get(READ)).await.status, 200);
    assert_eq!(app.ask(wrong()).await.status, 429);
    app.clock.advance(Duration::from_secs(61));
    assert_eq!(app.ask(wrong()).await.status, 401);
}

#[tokio::test]
async fn a_locked_out_address_of_the_network_is_not_even_asked() {
    let app = TestApp::with("[http]\ntrusted_proxies = [\"127.0.0.1\"]\n").await;
    let from = |ask: Ask| ask.header("x-forwarded-for", "203.0.113.9");
    for _ in 0..10 {
        app.ask(from(Ask::get(READ).bearer("hf_nonsense"))).await;
    }
    assert_eq!(app.ask_as_admin(from(Ask::get(READ))).await.status, 429);
    let other = Ask::get(READ).header("x-forwarded-for", "203.0.113.10");
    assert_eq!(app.ask_as_admin(other).await.status, 200);
}

#[tokio::test]
async fn claiming_to_come_from_loopback_does_not_lift_the_lock_out() {
    let app = TestApp::with("[http]\ntrusted_proxies = [\"127.0.0.1\"]\n").await;
    let claimed = |ask: Ask| ask.header("x-forwarded-for", "127.0.0.2");
    for _ in 0..10 {
        app.ask(claimed(Ask::get(READ).bearer("hf_nonsense"))).await;
    }
    assert_eq!(app.ask_as_admin(claimed(Ask::get(READ))).await.status, 429);
    assert_eq!(app.ask_as_admin(Ask::get(READ)).await.status, 200);
}

#[tokio::test]
async fn the_owner_of_the_socket_is_admin_and_the_socket_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let app = TestApp::with("[auth]\nanonymous = \"none\"\n").await;
    assert_eq!(Ask::get("/api/v1/audit").over_unix(&app.socket).await.status, 200);
    let mode = std::fs::metadata(&app.socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // A second listener on a live socket is refused, so a second agent cannot steal it.
    let second = holdfast::http::Listener::unix(&app.socket).await.unwrap_err();
    assert_eq!(second.kind(), std::io::ErrorKind::AddrInUse);
    let left: Vec<_> = std::fs::read_dir(app.socket.parent().unwrap()).unwrap().flatten().collect();
    assert!(left.iter().all(|entry| !entry.path().is_dir()), "{left:?}");
}

#[tokio::test]
async fn a_dead_socket_is_replaced_and_another_file_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("holdfast.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    holdfast::http::Listener::unix(&path).await.unwrap();
    let file = directory.path().join("precious.db");
    std::fs::write(&file, "kept").unwrap();
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for other in [&file, &link] {
        let error = holdfast::http::Listener::unix(other).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains("not a socket"), "{error}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "kept");
}

#[tokio::test]
async fn foreign_hosts_and_origins_are_turned_away() {
    let app = TestApp::with("[auth]\nallowed_hosts = [\"nas.example\"]\n").await;
    let host = |name: &str| Ask::get(READ).header("host", name);
    for ours in ["localhost:3003", "box", "box.local:80", "nas.example", "127.0.0.1"] {
        assert_eq!(app.ask(host(ours)).await.status, 200, "{ours}");
    }
    for path in [READ, "/livez", "/ui/", "/metrics"] {
        let answer = app.ask(Ask::get(path).header("host", "evil.example")).await;
        assert_eq!((answer.status, answer.problem().as_str()), (421, "foreign_host"), "{path}");
        assert!(answer.json()["hint"].as_str().unwrap().contains("allowed_hosts"));
    }
    let origin = |value: &str| Ask::get(READ).header("origin", value);
    for foreign in ["https://evil.example", "null", "http://127.0.0.1:1"] {
        let answer = app.ask(origin(foreign)).await;
        assert_eq!((answer.status, answer.problem().as_str()), (403, "foreign_origin"), "{foreign}");
        assert!(answer.headers.get("access-control-allow-origin").is_none());
    }
    assert_eq!(app.ask(origin(&format!("http://{}", app.address))).await.status, 200);
}

#[tokio::test]
async fn origins_that_are_listed_may_call() {
    let app = TestApp::with("[http]\ncors = [\"https://grafana.lan\"]\n").await;
    let answer = app.ask(Ask::get(READ).header("origin", "https://grafana.lan")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), "https://grafana.lan");
}

#[tokio::test]
async fn a_page_of_another_site_can_lead_to_the_page_and_ask_nothing() {
    let app = TestApp::with("[http]\ncors = [\"https://grafana.lan\"]\n").await;
    let fetch = |path: &str, site: &str, mode: &str, dest: &str| {
        let ask = Ask::get(path).header("sec-fetch-site", site);
        ask.header("sec-fetch-mode", mode).header("sec-fetch-dest", dest)
    };
    for site in ["cross-site", "same-site"] {
        for path in [READ, "/health", "/metrics", "/ui/"] {
            let answer = app.ask(fetch(path, site, "no-cors", "image")).await;
            assert_eq!((answer.status, answer.problem().as_str()), (403, "foreign_site"), "{site} {path}");
        }
        for (path, status) in [("/", 303), ("/dashboard.html", 303), ("/ui/", 200), (READ, 403)] {
            let answer = app.ask(fetch(path, site, "navigate", "document")).await;
            assert_eq!(answer.status, status, "{site} {path}");
        }
        assert_eq!(app.ask(fetch("/ui/", site, "navigate", "iframe")).await.status, 403);
        let listed = fetch(READ, site, "cors", "empty").header("origin", "https://grafana.lan");
        assert_eq!(app.ask(listed).await.status, 200);
    }
    for site in ["same-origin", "none"] {
        assert_eq!(app.ask(fetch(READ, site, "cors", "empty")).await.status, 200, "{site}");
    }
}
