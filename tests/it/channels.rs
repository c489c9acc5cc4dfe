//! Every kind of channel that speaks HTTP, against a server that keeps what it gets; and
//! what every kind must do, whatever it speaks.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use holdfast::base::time::Timestamp;
use holdfast::channels::heartbeat::ping;
use holdfast::channels::{Context, Verdict};
use holdfast::config::channel::Channels;
use holdfast::model::notice::{Notice, NoticeKind};
use serde_json::{Value, json};

use super::support::delivering::{NOW, deliver, deliver_with, notice, plan, plan_in};
use super::support::free_port;
use super::support::receiver::{Received, Receiver};
use super::support::silent::Silent;
use super::support::tls_door::TlsDoor;

const AGAIN: Verdict = Verdict::Retry { after: None };
const fn again_in(seconds: u64) -> Verdict {
    Verdict::Retry { after: Some(Duration::from_secs(seconds)) }
}

fn webhook(receiver: &Receiver, path: &str, more: &str) -> String {
    format!(
        "[[channel.webhook]]\nname = \"ops\"\nurl = \"{}\"\ntimeout = \"1s\"\n{more}\n",
        receiver.url(path)
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_its_verdict_within_the_deadline() {
    let receiver = Receiver::start().await;
    for (path, verdict, answer) in [
        ("/", Verdict::Delivered, "HTTP 200 OK"),
        ("/status/202", Verdict::Delivered, "HTTP 202 Accepted"),
        ("/stalling", Verdict::Delivered, "HTTP 200 OK"),
        ("/large", Verdict::Delivered, "HTTP 200 OK"),
        ("/status/500", AGAIN, "HTTP 500 Internal Server Error: as you wish"),
        ("/status/408", AGAIN, "HTTP 408 Request Timeout: as you wish"),
        ("/status/425", AGAIN, "HTTP 425 Too Early: as you wish"),
        ("/wait/120", again_in(120), "HTTP 429 Too Many Requests, try again in 2 min"),
        ("/wait/Fri, 01 Jan 1999 00:00:00 GMT", again_in(0), "HTTP 429 Too Many Requests, try again in 0 ms"),
        ("/status/400", Verdict::Refused, "HTTP 400 Bad Request: as you wish"),
        ("/status/410", Verdict::Refused, "HTTP 410 Gone: as you wish"),
        ("/moved", AGAIN, "HTTP 302 Found, which leads to http://127.0.0.1:1/"),
        ("/slow", AGAIN, "no complete answer within "),
    ] {
        let path = path.replace(' ', "%20");
        let outcome = deliver(&webhook(&receiver, &path, ""), &notice(NoticeKind::Firing)).await;
        assert_eq!(outcome.verdict, verdict, "{path}: {outcome:?}");
        assert!(outcome.answer.starts_with(answer), "{path}: {outcome:?}");
        receiver.take();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_gets_the_document_and_a_signature_that_it_can_check() {
    let receiver = Receiver::start().await;
    let more = "secret = \"whsec_c2VjcmV0LWJ5dGVz\"\nheaders = [\"X-Team: storage\"]\n\
                secret_headers = \"Authorization: Bearer hidden-token\\nX-Key: hidden-key\"";
    let outcome =
        deliver(&webhook(&receiver, "/hook?key=hidden-query", more), &notice(NoticeKind::Firing)).await;
    assert_eq!(outcome.verdict, Verdict::Delivered);
    let received = receiver.only();
    assert_eq!((received.method.as_str(), received.path.as_str()), ("POST", "/hook?key=hidden-query"));
    let document = received.json();
    assert_eq!(document["id"], "ops-sample-1795166565250");
    assert_eq!(document["title"], "Critical on nas: /data is nearly full");
    assert_eq!((&document["kind"], &document["status"]), (&json!("firing"), &json!("firing")));
    assert_eq!(document["alerts"][0]["labels"]["mountpoint"], "/data");
    assert_eq!(document["alerts"][0]["value"], 96.25);
    assert_eq!(document["alerts"][0]["link"], "http://nas:3003/ui/alerts/sample-1795166565250");
    for (name, value) in [
        ("content-type", "application/json"),
        ("webhook-id", "ops-sample-1795166565250"),
        ("x-team", "storage"),
        ("authorization", "Bearer hidden-token"),
        ("x-key", "hidden-key"),
    ] {
        assert_eq!(received.header(name), value);
    }
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"secret-bytes");
    let signed = [received.header("webhook-id"), ".", received.header("webhook-timestamp"), "."].concat();
    let signed = [signed.as_bytes(), &received.body].concat();
    let signature = received.header("webhook-signature").strip_prefix("v1,").expect("version 1");
    let signature = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, signature).unwrap();
    ring::hmac::verify(&key, &signed, &signature).unwrap();
    // What the test action shows is the real thing, without the secrets.
    let shown = format!("{outcome:?}");
    for part in
        ["POST http://127.0.0.1:", "/hook?***", "x-key: ***", "webhook-id: ops-sample", "HTTP 200 OK", "ok"]
    {
        assert!(shown.to_lowercase().contains(&part.to_lowercase()), "{part}: {shown}");
    }
    assert!(!shown.contains("hidden") && !shown.contains("secret-bytes"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_make_the_body_and_one_that_fails_does_not_cost_the_message() {
    let receiver = Receiver::start().await;
    let more = "content_type = \"text/plain\"\nmethod = \"PUT\"\n\
                body = '''{% for a in alerts %}{{ a.rule }}={{ a.value|number }} {{ a.labels.mountpoint }};{% endfor %}'''";
    deliver(&webhook(&receiver, "/", more), &notice(NoticeKind::Firing)).await;
    let received = receiver.only();
    assert_eq!((received.method.as_str(), received.header("content-type")), ("PUT", "text/plain"));
    assert_eq!(received.body, "storage_capacity=96.25 /data;");
    let mut valueless = notice(NoticeKind::Firing);
    valueless.alerts[0].value = None;
    let outcome = deliver(&webhook(&receiver, "/", "body = \"{{ alerts[0].value * 2 }}\""), &valueless).await;
    assert_eq!(outcome.verdict, Verdict::Delivered);
    assert!(outcome.answer.contains("the template `body` was not used: line 1, column 4: "), "{outcome:?}");
    assert_eq!(receiver.only().json()["rule"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_read_anew_and_a_missing_one_is_named() {
    let receiver = Receiver::start().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let more = format!("secret_headers_file = \"{}\"", file.path().display());
    let plan = plan(&webhook(&receiver, "/", &more));
    let mut channel = plan.make();
    for key in ["first", "second"] {
        std::fs::write(file.path(), format!("X-Key: {key}\n")).unwrap();
        deliver_with(&plan, &mut *channel, &notice(NoticeKind::Firing)).await;
        assert_eq!(receiver.only().header("x-key"), key);
    }
    std::fs::write(file.path(), "nonsense\n").unwrap();
    let outcome = deliver_with(&plan, &mut *channel, &notice(NoticeKind::Firing)).await;
    assert_eq!(
        (outcome.verdict, outcome.answer.as_str()),
        (AGAIN, "a line of `secret_headers` is no header")
    );
    let path = file.path().to_owned();
    drop(file);
    let outcome = deliver_with(&plan, &mut *channel, &notice(NoticeKind::Firing)).await;
    assert_eq!(outcome.verdict, AGAIN);
    assert!(outcome.answer.contains(&path.display().to_string()), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn https_peers_are_verified_by_the_file_that_is_named() {
    let receiver = Receiver::start().await;
    let door = TlsDoor::to(receiver.port).await;
    let section = format!(
        "[[channel.webhook]]\nname = \"ops\"\nurl = \"https://localhost:{}/\"\ntimeout = \"5s\"\n",
        door.port
    );
    let trusting = format!("{section}tls_ca_file = \"{}\"\n", door.certificate.display());
    assert_eq!(deliver(&trusting, &notice(NoticeKind::Firing)).await.verdict, Verdict::Delivered);
    assert_eq!(receiver.take().len(), 1);
    let outcome = deliver(&section, &notice(NoticeKind::Firing)).await;
    assert_eq!(outcome.verdict, AGAIN);
    assert!(outcome.answer.contains("certificate"), "{outcome:?}");
    assert_eq!(receiver.take().len(), 0);
}

/// The one request of a channel with these keys.
async fn sent(receiver: &Receiver, kind: &str, keys: &str, notice: &Notice) -> Received {
    let outcome = deliver(&format!("[[channel.{kind}]]\nname = \"ops\"\n{keys}\n"), notice).await;
    assert_eq!(outcome.verdict, Verdict::Delivered, "{outcome:?}");
    receiver.only()
}

#[tokio::test(flavor = "multi_thread")]
async fn chats_get_text_in_their_own_form() {
    let receiver = Receiver::start().await;
    let (firing, url) =
        (notice(NoticeKind::Firing), |path: &str| format!("url = \"{}\"", receiver.url(path)));
    let title = "Critical on nas: /data is nearly full";

    let mut odd = firing.clone();
    odd.alerts[0].title = String::from("<!channel> a & b");
    let slack = sent(&receiver, "slack", &url("/services/T0/B0/x"), &odd).await;
    assert_eq!(slack.path, "/services/T0/B0/x");
    let document = slack.json();
    assert_eq!(document["text"], "Critical on nas: &lt;!channel&gt; a &amp; b");
    assert_eq!(document["attachments"][0]["color"], "#c62828");
    assert!(document["attachments"][0]["text"].as_str().unwrap().contains("\nValue: 96.25 (limit 95)\n"));

    let document = sent(&receiver, "discord", &url("/api/webhooks/1/x"), &firing).await.json();
    assert_eq!(document["content"], title);
    assert_eq!(document["allowed_mentions"], json!({"parse": []}));
    let text = document["embeds"][0]["description"].as_str().unwrap();
    assert!(text.contains("Rule: storage\\_capacity\n"), "{text}");
    assert!(text.contains("Runbook: http://127.0.0.1:3003/ui/help/storage_capacity\n"), "{text}");

    let keys = format!("{}\ntopic = \"nas\"\ntoken = \"tk_1\"", url(""));
    let ntfy = sent(&receiver, "ntfy", &keys, &firing).await;
    assert_eq!((ntfy.path.as_str(), ntfy.header("authorization")), ("/", "Bearer tk_1"));
    let document = ntfy.json();
    assert_eq!(
        (&document["topic"], &document["title"], &document["priority"]),
        (&json!("nas"), &json!(title), &json!(5))
    );
    assert_eq!(document["click"], "http://nas:3003/ui/alerts/sample-1795166565250");

    let gotify = sent(&receiver, "gotify", &format!("{}\ntoken = \"A1\"", url("/push/")), &firing).await;
    assert_eq!((gotify.path.as_str(), gotify.header("x-gotify-key")), ("/push/message", "A1"));
    assert_eq!(gotify.json()["priority"], 9);

    let keys = format!("{}\nchat_id = \"-100\"\ntoken = \"1:AA\"", url(""));
    let telegram = sent(&receiver, "telegram", &keys, &notice(NoticeKind::Resolved)).await;
    assert_eq!(telegram.path, "/bot1:AA/sendMessage");
    let text = telegram.json()["text"].as_str().unwrap().to_owned();
    assert!(text.starts_with("Resolved on nas: /data is nearly full\n\nThe filesystem /data"), "{text}");
    let keys = format!(
        "[[channel.telegram]]\nname = \"ops\"\nurl = \"{}\"\nchat_id = \"1\"\ntoken = \"t\"",
        receiver.url("/flood")
    );
    assert_eq!(deliver(&keys, &firing).await.verdict, again_in(7));
}

#[tokio::test(flavor = "multi_thread")]
async fn pagerduty_gets_an_event_per_alert_and_an_interrupted_notice_goes_on_where_it_was() {
    let receiver = Receiver::start().await;
    let section = |path: &str| {
        format!(
            "[[channel.pagerduty]]\nname = \"ops\"\nrouting_key = \"hidden-key\"\nurl = \"{}\"\n",
            receiver.url(path)
        )
    };
    let mut group = notice(NoticeKind::Firing);
    let mut second = group.alerts[0].clone();
    (second.id, second.title) = (String::from("second"), String::from("pg1 does not answer"));
    (second.resolved_at, second.severity) = (Some(NOW), holdfast::model::severity::Severity::High);
    group.alerts.push(second);
    let outcome = deliver(&section(""), &group).await;
    assert_eq!(outcome.verdict, Verdict::Delivered);
    assert!(!format!("{outcome:?}").contains("hidden"), "{outcome:?}");
    let [first, second] = &receiver.take()[..] else { panic!("two events") };
    assert_eq!(first.path, "/v2/enqueue");
    let (first, second) = (first.json(), second.json());
    assert_eq!((&first["routing_key"], &first["event_action"]), (&json!("hidden-key"), &json!("trigger")));
    assert_eq!(first["dedup_key"], "sample-1795166565250");
    assert_eq!(first["payload"]["summary"], "/data is nearly full");
    assert_eq!(
        (&first["payload"]["severity"], &first["payload"]["source"]),
        (&json!("critical"), &json!("nas"))
    );
    assert_eq!(
        second,
        json!({"routing_key": "hidden-key", "event_action": "resolve", "dedup_key": "second"})
    );
    // The server stops taking: what it took is not sent again.
    let plan = plan(&section("/status/503"));
    let mut channel = plan.make();
    assert_eq!(deliver_with(&plan, &mut *channel, &group).await.verdict, AGAIN);
    assert_eq!(receiver.take().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_pings_and_shows_no_address() {
    let receiver = Receiver::start().await;
    let url = receiver.url("/ping/0123456789abcdef");
    let plan =
        plan(&format!("[[channel.heartbeat]]\nname = \"alive\"\nurl = \"{url}\"\nmethod = \"POST\"\n"));
    assert_eq!((plan.heartbeat, plan.send_resolved), (Some(Duration::from_secs(60)), false));
    let outcome = deliver_with(&plan, &mut *plan.make(), &ping("alive", NOW)).await;
    assert_eq!(outcome.verdict, Verdict::Delivered);
    let received = receiver.only();
    assert_eq!(
        (received.path.as_str(), received.json()["host"].clone()),
        ("/ping/0123456789abcdef", json!("nas"))
    );
    let shown = format!("{outcome:?} {plan:?}");
    assert!(!shown.contains("0123456789abcdef") && shown.contains("/***"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_and_the_log_get_every_notice() {
    let home = tempfile::tempdir().unwrap();
    let plan = plan_in("[[channel.file]]\nname = \"f\"\npath = \"n.jsonl\"\n", home.path());
    let mut channel = plan.make();
    for kind in [NoticeKind::Firing, NoticeKind::Resolved] {
        assert_eq!(deliver_with(&plan, &mut *channel, &notice(kind)).await.verdict, Verdict::Delivered);
    }
    let text = std::fs::read_to_string(home.path().join("notices/n.jsonl")).unwrap();
    let kinds: Vec<Value> =
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["kind"].clone()).collect();
    assert_eq!(kinds, ["firing", "resolved"]);
    let unwritable =
        deliver("[[channel.file]]\nname = \"f\"\npath = \"/nonexistent/x\"\n", &notice(NoticeKind::Firing))
            .await;
    assert_eq!(unwritable.verdict, AGAIN);
    assert!(unwritable.answer.starts_with("cannot write /nonexistent/x: "), "{unwritable:?}");

    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.subscriber());
    deliver("[[channel.console]]\nname = \"c\"\n", &notice(NoticeKind::Firing)).await;
    assert!(
        log.text().contains("ERROR") && log.text().contains("Critical on nas: /data is nearly full"),
        "{}",
        log.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_gets_the_message_and_its_exit_decides() {
    let home = tempfile::tempdir().unwrap();
    let (seen, section) = (home.path().join("seen"), |script: &str| {
        format!(
            "[[channel.exec]]\nname = \"e\"\ncommand = [\"sh\", \"-c\", '''{script}''', \"x\"]\ntimeout = \"1s\"\n"
        )
    });
    let script =
        format!("cat > {0}; echo \"$HOLDFAST_KIND $HOLDFAST_TITLE\" >> {0}; echo noted", seen.display());
    let outcome = deliver(&section(&script), &notice(NoticeKind::Firing)).await;
    assert_eq!((outcome.verdict, outcome.answer.as_str()), (Verdict::Delivered, "exit status: 0: noted"));
    let text = std::fs::read_to_string(seen).unwrap();
    assert!(text.starts_with("{\"id\":\"ops-sample-1795166565250\","), "{text}");
    assert!(text.ends_with("firing Critical on nas: /data is nearly full\n"), "{text}");
    for (script, verdict, answer) in [
        ("echo no such user >&2; exit 67", Verdict::Refused, "exit status: 67: no such user"),
        ("exit 1", AGAIN, "exit status: 1"),
        ("kill -9 $$", AGAIN, "signal: 9 (SIGKILL)"),
        ("sleep 98713", AGAIN, "/usr/bin/sh did not end within 1"),
    ] {
        let outcome = deliver(&section(script), &notice(NoticeKind::Firing)).await;
        assert_eq!(outcome.verdict, verdict, "{outcome:?}");
        assert!(outcome.answer.starts_with(answer), "{outcome:?}");
    }
    let missing = "[[channel.exec]]\nname = \"e\"\ncommand = [\"holdfast-no-such-program\"]\n";
    assert!(deliver(missing, &notice(NoticeKind::Firing)).await.answer.contains("holdfast-no-such-program"));
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(48))]
    #[test]
    fn no_notice_makes_a_channel_panic(
        title in "(\\PC|\n|\r|\0|<|\\*|\\{\\{){0,80}",
        text in "(.|\n){0,300}",
        id in "\\PC{0,20}",
        host in "\\PC{0,10}",
        value in proptest::option::of(proptest::num::f64::ANY),
        times in (proptest::num::i64::ANY, proptest::option::of(proptest::num::i64::ANY)),
        count in 0usize..4,
        kind in proptest::sample::select(vec![NoticeKind::Firing, NoticeKind::Resolved, NoticeKind::Digest, NoticeKind::Test]),
    ) {
        let mut odd = notice(kind);
        let mut alert = odd.alerts[0].clone();
        alert.labels.insert(title.clone(), text.clone());
        alert.annotations.insert(text.clone(), title.clone());
        (alert.id, alert.rule, alert.title, alert.message) = (id.clone(), id.clone(), title, text);
        (alert.value, alert.threshold) = (value, value);
        (alert.fired_at, alert.resolved_at) = (Timestamp(times.0), times.1.map(Timestamp));
        odd.alerts = vec![alert; count];
        (odd.id, odd.created_at) = (id, Timestamp(times.0));
        let context = Context { host, url: Some(String::from("http://nas:3003")) };
        let home = tempfile::tempdir().unwrap();
        let local = ["console", "file", "exec"].map(|kind| {
            let more = match kind {
                "file" => "path = \"f\"",
                "exec" => "command = [\"true\"]",
                _ => "",
            };
            (kind, format!("[[channel.{kind}]]\nname = \"l\"\n{more}\n"))
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            // Nobody listens at port 1.
            for (kind, section) in sections(1, "http").into_iter().chain(local) {
                let outcome = plan_in(&section, home.path()).make().deliver(&odd, &context).await;
                let expected = if LOCAL.contains(&kind) { Verdict::Delivered } else { AGAIN };
                assert_eq!(outcome.verdict, expected, "{section}\n{outcome:?}");
            }
        });
    }
}

const SECRET: &str = "never-to-be-seen";

/// Kinds that have no peer on the network; they are tried above.
const LOCAL: [&str; 3] = ["console", "file", "exec"];

/// A section of each other kind for a server at `port`.
fn sections(port: u16, scheme: &str) -> Vec<(&'static str, String)> {
    let url = format!("url = \"{scheme}://127.0.0.1:{port}/echo\"\n");
    let hidden = format!("url = \"{scheme}://127.0.0.1:{port}/echo/{SECRET}?k={SECRET}\"\n");
    let token = format!("token = \"{SECRET}\"\n");
    let headers = format!("secret_headers = \"Authorization: Bearer {SECRET}\"\n");
    let signed = format!("secret_headers = \"X-Key: {SECRET}\"\nsecret = \"{SECRET}\"\n");
    let mail = |tls: &str| {
        let login =
            if tls == "none" { String::new() } else { format!("user = \"me\"\npassword = \"{SECRET}\"\n") };
        format!(
            "host = \"127.0.0.1\"\nport = {port}\ntls = \"{tls}\"\nfrom = \"a@b.example\"\nto = [\"c@d.example\"]\n{login}"
        )
    };
    [
        ("webhook", format!("{url}{headers}")),
        ("webhook", format!("{url}{signed}")),
        ("slack", hidden.clone()),
        ("discord", hidden.clone()),
        ("ntfy", format!("{url}{token}topic = \"t\"\n")),
        ("gotify", format!("{url}{token}")),
        ("telegram", format!("{url}{token}chat_id = \"1\"\n")),
        ("pagerduty", format!("{url}routing_key = \"{SECRET}\"\n")),
        ("alertmanager", format!("{url}{token}")),
        ("heartbeat", hidden),
        ("email", mail("none")),
        ("email", mail("tls")),
        ("email", mail("starttls")),
    ]
    .map(|(kind, more)| (kind, format!("[[channel.{kind}]]\nname = \"t\"\ntimeout = \"300ms\"\n{more}")))
    .to_vec()
}

#[test]
fn every_kind_is_tried_here() {
    let shape = serde_json::to_value(Channels::default()).unwrap();
    for kind in shape.as_object().unwrap().keys() {
        let tried = sections(1, "http").iter().any(|(tried, _)| tried == kind);
        assert!(tried || LOCAL.contains(&kind.as_str()), "the kind {kind} is not tried");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_none_is_tried_again_within_the_deadline_and_no_secret_shows() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.subscriber());
    let receiver = Receiver::start().await;
    let mute = Silent::mute();
    let noise = Silent::babbling(b"\x00\xff\xfe garbage \r\n\r\n\x01\x02\x03 more garbage");
    let greeting = Silent::greeting(b"220 hello\r\n");
    let peers = [
        ("refusing", free_port()),
        ("mute", mute.port()),
        ("noise", noise.port()),
        ("greeting", greeting.port()),
        ("echoing", receiver.port),
    ];
    for (what, port) in peers {
        let all = sections(port, "http").into_iter().chain(sections(port, "https"));
        let tried = all.map(|(kind, section)| async move {
            let plan = plan(&section);
            let mut channel = plan.make();
            // Twice: a failed delivery must not make the next one fail differently.
            for _ in 0..2 {
                let outcome = deliver_with(&plan, &mut *channel, &notice(NoticeKind::Firing)).await;
                let echoed = what == "echoing" && kind != "email" && section.contains("http://");
                let expected = if echoed { Verdict::Refused } else { AGAIN };
                assert_eq!(outcome.verdict, expected, "{what}: {section}\n{outcome:?}");
                let shown = format!("{outcome:?} {plan:?} {}", plan.address);
                assert!(!shown.contains(SECRET), "{what} {kind}: {shown}");
            }
        });
        futures_util::future::join_all(tried).await;
    }
    assert!(!log.text().contains(SECRET), "{}", log.text());
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }

    fn subscriber(&self) -> impl tracing::Subscriber + Send + Sync + use<> {
        let log = self.clone();
        tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || log.clone())
            .finish()
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
