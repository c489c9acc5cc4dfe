//! Failover groups over the API, with the real store and configuration below; what the
//! supervision of groups would do is done by the test.

use http::Method;
use serde_json::{Value, json};

use holdfast::base::id::Name;
use holdfast::base::time::Timestamp;
use holdfast::config::failover::Group;
use holdfast::engine::failover::handle::{Ask, CommandError, Wiring};
use holdfast::logic::failover::Command;
use holdfast::model::access::Scope;
use holdfast::model::failover::durable::{Durable, JournalEntry};
use holdfast::model::failover::group::{LastFailover, Refusal, RefusalCode, State, Tier};
use holdfast::model::failover::view::{CheckReport, GroupView, MemberCheck, MemberState, Role, Unseen};
use holdfast::store::{Change, Write};

use super::support::app::{NOW, TestApp};
use super::support::client::{Answer, Ask as Request};

const TARGETS: &str = "[[target.postgres]]\nname = \"pg1\"\nhost = \"h1\"\n[[target.postgres]]\nname = \"pg2\"\nhost = \"h2\"\n";
const GROUP: &str =
    "[[failover.group]]\nname = \"main\"\nmembers = [\"pg1\", \"pg2\"]\nlisten = \"127.0.0.1:6432\"\n";
const MAIN: &str = "/api/v1/failover/groups/main";

async fn send(app: &TestApp, method: Method, path: &str, body: &Value) -> Answer {
    let mut ask = Request::new(method, path).header("content-type", "application/json");
    if !body.is_null() {
        ask.body = body.to_string().into();
    }
    app.ask_as_admin(ask).await
}

async fn post(app: &TestApp, path: &str, body: Value) -> Answer {
    send(app, Method::POST, path, &body).await
}

fn view(name: &str, members: &[&str], active: Option<&str>, state: State, epoch: u64) -> GroupView {
    let unseen = Unseen {
        name,
        kind: "postgres",
        mode: Default::default(),
        enabled: true,
        endpoint: "127.0.0.1:6432",
        endpoint_read: None,
    };
    let mut view = GroupView {
        tier: Tier::Async,
        guarantee: Tier::Async.guarantee().to_owned(),
        state,
        epoch,
        active: active.map(str::to_owned),
        ..unseen.view(members.iter().copied())
    };
    for member in &mut view.members {
        let is_active = active == Some(member.name.as_str());
        member.state = if is_active { MemberState::Active } else { MemberState::Standby };
        member.role = if is_active { Role::Primary } else { Role::Standby };
        member.last_check = Some(NOW);
    }
    view
}

fn main_view(active: Option<&str>, state: State, epoch: u64) -> GroupView {
    view("main", &["pg1", "pg2"], active, state, epoch)
}

fn refusal(code: RefusalCode, detail: &str) -> Refusal {
    Refusal { code, detail: detail.to_owned(), at: NOW }
}

fn switched(epoch: u64, to: &str) -> LastFailover {
    LastFailover {
        from: Some(String::from("pg1")),
        to: to.to_owned(),
        cause: String::from("asked for"),
        epoch,
        started_at: NOW,
        outage_ms: 321,
        by_operator: false,
        lost_bytes_bound: Some(0),
        lost_bytes_basis: Default::default(),
        diverged: false,
    }
}

/// Answers one command and gives it back.
async fn obey(wiring: &Wiring, answer: Result<(), CommandError>, shown: Vec<GroupView>) -> Command {
    let Some(Ask::Command { command, reply, .. }) = wiring.next_ask().await else {
        panic!("something else was asked")
    };
    if !shown.is_empty() {
        wiring.show(shown);
    }
    let _ = reply.send(answer);
    command
}

#[tokio::test]
async fn a_group_is_created_changed_replaced_and_removed() {
    let app = TestApp::with(TARGETS).await;
    let body = json!({"name": "main", "members": ["pg1"], "listen": "127.0.0.1:6432", "max_lag": "2MiB"});
    let created = post(&app, "/api/v1/failover/groups", body.clone()).await;
    assert_eq!((created.status, created.header("location")), (201, MAIN), "{created:?}");
    assert_eq!((&created.json()["kind"], &created.json()["max_lag"]), (&json!("postgres"), &json!("2MiB")));
    assert_eq!(post(&app, "/api/v1/failover/groups", body).await.problem(), "exists");

    let shown = app.get(MAIN).await.json();
    assert_eq!((&shown["state"], &shown["active"]), (&json!("observing"), &Value::Null));
    assert_eq!(
        (&shown["members"][0]["name"], &shown["members"][0]["state"]),
        (&json!("pg1"), &json!("unknown"))
    );
    assert_eq!(app.get("/api/v1/failover/groups").await.json()["total"], 1);
    // Its member is a member now, and its breaker is patient no longer.
    assert_eq!(app.get("/api/v1/targets/pg1/config").await.json()["breaker"]["open_for"], "1s");

    let patched = send(&app, Method::PATCH, MAIN, &json!({"mode": "manual"})).await.json();
    assert_eq!((&patched["mode"], &patched["max_lag"]), (&json!("manual"), &json!("2MiB")));
    let body = json!({"members": ["pg2", "pg1"], "listen": "127.0.0.1:6433"});
    let replaced = send(&app, Method::PUT, MAIN, &body).await.json();
    assert_eq!((&replaced["mode"], &replaced["max_lag"]), (&json!("auto"), &json!("1MiB")));
    assert_eq!(replaced, app.get(&format!("{MAIN}/config")).await.json());
    assert_eq!(send(&app, Method::DELETE, MAIN, &Value::Null).await.status, 204);
    let gone = app.get(MAIN).await;
    assert_eq!(
        (gone.problem().as_str(), gone.json()["hint"].as_str()),
        ("not_found", Some("no failover group is configured"))
    );
}

#[tokio::test]
async fn what_is_wrong_is_named_and_changes_nothing() {
    let app =
        TestApp::with(&format!("{TARGETS}{GROUP}[[target.postgres]]\nname = \"pg3\"\nhost = \"h3\"\n")).await;
    let with = |key: &str, value: Value| {
        let mut body = json!({"name": "other", "members": ["pg3"], "listen": "127.0.0.1:6440"});
        body[key] = value;
        body
    };
    for (body, status, pointer) in [
        (with("name", json!("Not A Name")), 422, "/name"),
        (with("kind", json!("object_store")), 422, "/kind"),
        (with("members", json!(["pg9"])), 422, "/members"),
        (with("members", json!(["pg2"])), 422, "/members"),
        (with("listen", json!("0.0.0.0:6440")), 422, "/listen"),
        (with("listen", json!("127.0.0.1:6432")), 422, "/listen"),
        (with("membres", json!([])), 422, "/membres"),
        (with("fence_hook", json!(["/bin/sh"])), 409, "/fence_hook"),
        (with("rejoin_hook", json!(["/bin/sh"])), 409, "/rejoin_hook"),
        (with("name", json!("main")), 409, "/name"),
    ] {
        let answer = post(&app, "/api/v1/failover/groups", body).await;
        answer.problem();
        let problem = answer.json();
        assert_eq!((answer.status, &problem["errors"][0]["pointer"]), (status, &json!(pointer)), "{problem}");
    }
    for (method, body) in [
        (Method::PATCH, json!({"listen": "127.0.0.1:1"})),
        (Method::PUT, json!({"members": ["pg1"]})),
        (Method::DELETE, Value::Null),
    ] {
        let answer = send(&app, method.clone(), MAIN, &body).await;
        assert_eq!((answer.status, answer.problem().as_str()), (409, "pinned"), "{method}");
        assert!(answer.text().contains("test.toml:"), "{}", answer.text());
    }
    let patched = send(&app, Method::PATCH, MAIN, &json!({"cooldown": "1m"})).await;
    assert_eq!((patched.status, &patched.json()["cooldown"]), (200, &json!("1m")));
}

#[tokio::test]
async fn a_command_is_written_down_told_and_its_refusal_has_a_code() {
    let app = TestApp::with(&format!("{TARGETS}{GROUP}")).await;
    app.failover.show(vec![main_view(Some("pg1"), State::Steady, 1)]);
    for (path, body, expected) in [
        ("pause", json!({"for": "30m"}), Command::Pause { until: Some(Timestamp(NOW.0 + 1_800_000)) }),
        ("pause", Value::Null, Command::Pause { until: None }),
        ("resume", json!({}), Command::Resume),
        ("enable", Value::Null, Command::Enable),
        ("disable", Value::Null, Command::Disable),
        ("members/pg2/unfence", Value::Null, Command::Unfence { member: Name::new("pg2").unwrap() }),
    ] {
        let path = format!("{MAIN}/{path}");
        let paused = main_view(Some("pg1"), State::Paused, 1);
        let (answer, command) =
            tokio::join!(post(&app, &path, body), obey(&app.failover, Ok(()), vec![paused]));
        assert_eq!((answer.status, &answer.json()["state"]), (200, &json!("paused")), "{path}");
        assert_eq!(command, expected);
    }
    let refused = CommandError::Refused(refusal(RefusalCode::Cooldown, "the last one was 3 min ago"));
    let path = format!("{MAIN}/failover");
    let (answer, command) = tokio::join!(
        post(&app, &path, json!({"to": "pg2", "force": true, "accept_data_loss": true})),
        obey(&app.failover, Err(refused), Vec::new())
    );
    assert_eq!((answer.status, answer.problem().as_str()), (409, "cooldown"));
    assert_eq!(answer.json()["detail"], "the last one was 3 min ago");
    let to = Name::new("pg2").ok();
    assert_eq!(command, Command::Failover { to, force: true, accept_data_loss: true });

    let audit = app.ask_as_admin(Request::get("/api/v1/audit?limit=7")).await.json();
    let rows = audit["items"].as_array().unwrap().iter();
    let rows: Vec<String> = rows
        .map(|row| format!("{} {} {}", row["action"], row["object"], row["detail"]).replace('"', ""))
        .collect();
    assert_eq!(rows[0], "failover.failover main to pg2, force, accept_data_loss");
    assert_eq!(rows[1], "failover.unfence main pg2");
    assert_eq!(rows[6], format!("failover.pause main until {}", Timestamp(NOW.0 + 1_800_000).rfc3339()));
}

#[tokio::test]
async fn a_switchover_is_followed_in_the_journal_or_waited_for() {
    let app = TestApp::with(&format!("{TARGETS}{GROUP}")).await;
    let path = format!("{MAIN}/switchover");
    let before = || main_view(Some("pg1"), State::Steady, 1);
    app.failover.show(vec![before()]);
    let switching = || vec![main_view(None, State::Switching, 1)];
    let (begun, command) =
        tokio::join!(post(&app, &path, Value::Null), obey(&app.failover, Ok(()), switching()));
    assert_eq!(command, Command::Switchover { to: None });
    assert_eq!((begun.status, begun.header("location")), (202, format!("{MAIN}/journal").as_str()));
    let begun = begun.json();
    assert_eq!((&begun["operation"], &begun["epoch"]), (&json!("switchover"), &json!(1)));

    app.failover.show(vec![before()]);
    let wait = format!("{path}?wait=true");
    let (ended, ()) = tokio::join!(post(&app, &wait, json!({"to": "pg2"})), async {
        obey(&app.failover, Ok(()), switching()).await;
        let after = main_view(Some("pg2"), State::Steady, 2);
        app.failover.show(vec![GroupView { last_failover: Some(switched(2, "pg2")), ..after }]);
    });
    assert_eq!((ended.status, &ended.json()["active"]), (200, &json!("pg2")), "{ended:?}");
    let last = &ended.json()["last_failover"];
    assert_eq!((&last["started_at"], &last["outage_ms"]), (&json!(NOW.rfc3339()), &json!(321)));

    let (rolled_back, ()) = tokio::join!(post(&app, &wait, json!({"to": "pg1"})), async {
        obey(&app.failover, Ok(()), switching()).await;
        let refusal = Some(refusal(RefusalCode::RolledBack, "pg2 did not drain"));
        app.failover.show(vec![GroupView { refusal, ..main_view(Some("pg2"), State::Steady, 2) }]);
    });
    assert_eq!((rolled_back.status, rolled_back.problem().as_str()), (409, "rolled_back"));
}

#[tokio::test]
async fn what_no_group_can_do_is_refused_before_it_is_told() {
    let app = TestApp::with(&format!("{TARGETS}{GROUP}enabled = false\n")).await;
    for (path, body, status, code) in [
        ("switchover", json!({"to": "pg9"}), 422, "config_invalid"),
        ("failover", json!({"force": true}), 422, "config_invalid"),
        ("failover", json!({"accept_data_loss": true}), 422, "config_invalid"),
        ("failover", json!({"forced": true}), 400, "bad_json"),
        ("pause", json!({"for": "0s"}), 422, "config_invalid"),
        ("pause", json!({"for": 5}), 400, "bad_json"),
        ("members/pg9/unfence", Value::Null, 404, "not_found"),
        ("test", json!({"mode": "drill"}), 409, "no_rejoin_hook"),
        ("test", json!({"mode": "real"}), 400, "bad_json"),
        ("enable", Value::Null, 409, "switched_off"),
    ] {
        let answer = post(&app, &format!("{MAIN}/{path}"), body.clone()).await;
        assert_eq!((answer.status, answer.problem().as_str()), (status, code), "{path} {body}");
    }
    assert_eq!(post(&app, "/api/v1/failover/groups/none/pause", Value::Null).await.status, 404);
    let reader = app.token(Scope::MonitoringWrite).await;
    for path in ["switchover", "failover", "test", "pause"] {
        let ask = Request::new(Method::POST, &format!("{MAIN}/{path}")).bearer(reader.expose());
        assert_eq!(app.ask(ask).await.status, 403, "{path}");
    }
}

#[tokio::test]
async fn a_dry_run_says_what_would_happen() {
    let app = TestApp::with(&format!("{TARGETS}{GROUP}")).await;
    let report = CheckReport {
        group: String::from("main"),
        tier: Tier::Async,
        guarantee: Tier::Async.guarantee().to_owned(),
        active: Some(String::from("pg1")),
        members: vec![MemberCheck {
            name: String::from("pg2"),
            reachable: true,
            role: Role::Standby,
            lag_bytes: Some(100),
            grants: Some(true),
            eligible: true,
            reason: None,
        }],
        would_promote: Some(String::from("pg2")),
        refusal: None,
        expected_rpo_bytes: Some(100),
        expected_rto_ms: Some(500),
        findings: Vec::new(),
    };
    for path in [format!("{MAIN}/test"), String::from("/api/failover/test")] {
        let (answer, ()) = tokio::join!(post(&app, &path, Value::Null), async {
            let Some(Ask::Check { group, reply }) = app.failover.next_ask().await else { panic!() };
            assert_eq!(group.as_str(), "main");
            reply.send(Ok(report.clone())).unwrap();
        });
        let answer = (answer.status, answer.json());
        assert_eq!((answer.0, &answer.1["would_promote"]), (200, &json!("pg2")));
        assert_eq!(answer.1["members"][0]["eligible"], true);
    }
}

#[tokio::test]
async fn the_journal_is_paged_newest_first() {
    let app = TestApp::with(&format!("{TARGETS}{GROUP}")).await;
    let entries = ["begin", "cut", "route"].map(|step| JournalEntry {
        epoch: 2,
        step: step.to_owned(),
        detail: format!("{step} of pg1"),
        at: NOW,
    });
    let put = Write::PutFailover {
        group: Name::new("main").unwrap(),
        durable: Box::new(Durable { epoch: 2, ..Durable::default() }),
        entries: entries.to_vec(),
    };
    app.store().commit(Change { writes: vec![put], audit: None }).await.unwrap();
    let page = app.get(&format!("{MAIN}/journal?limit=2")).await.json();
    let steps = |page: &Value| {
        let rows = page["items"].as_array().unwrap().iter();
        rows.map(|row| (row["number"].as_u64().unwrap(), row["step"].clone())).collect::<Vec<_>>()
    };
    assert_eq!((steps(&page), &page["total"]), (vec![(3, json!("route")), (2, json!("cut"))], &json!(3)));
    assert_eq!(page["items"][0]["at"], NOW.rfc3339());
    let next = page["next"].as_str().unwrap();
    let page = app.get(&format!("{MAIN}/journal?limit=2&cursor={next}")).await.json();
    assert_eq!((steps(&page), &page["next"]), (vec![(1, json!("begin"))], &Value::Null));
    let status = app.get("/api/failover/status").await.json();
    assert_eq!(
        (&status["history"][0]["step"], status["history"].as_array().unwrap().len()),
        (&json!("route"), 3)
    );
}

#[tokio::test]
async fn a_group_without_a_route_makes_the_whole_unhealthy() {
    let app = TestApp::with(&format!("{TARGETS}{GROUP}")).await;
    let component = |body: &Value| {
        let all = body["components"].as_array().unwrap().iter();
        all.clone().find(|part| part["name"] == "failover:main").cloned().unwrap()
    };
    let unseen = app.get("/api/v1/health").await;
    assert_eq!((unseen.status, &component(&unseen.json())["status"]), (200, &json!("unknown")));
    app.failover.show(vec![main_view(Some("pg1"), State::Steady, 1)]);
    let well = app.get("/api/v1/health").await.json();
    assert_eq!(component(&well)["message"], "leads to pg1");
    let refusal = Some(refusal(RefusalCode::NoCandidate, "every member refuses"));
    app.failover.show(vec![GroupView { refusal, ..main_view(None, State::Refused, 1) }]);
    let down = app.get("/api/v1/health").await;
    assert_eq!((down.status, &down.json()["status"]), (503, &json!("unhealthy")));
    let all = app.get("/health/comprehensive").await;
    assert_eq!((all.status, &all.json()["failover"][0]["group"]["state"]), (503, &json!("refused")));
}

fn config(name: &str, host: &str) -> Value {
    json!({"name": name, "db_config": {"host": host, "port": 5433, "database": "app", "user": "u", "password": "geheim"}})
}

/// The group `default` as it is configured.
async fn default_group(app: &TestApp) -> Group {
    let shown = app.get("/api/v1/failover/groups/default/config").await;
    serde_json::from_value(shown.json()).unwrap()
}

#[tokio::test]
async fn the_facility_family_enables_a_group_and_the_same_again_changes_nothing() {
    let app = TestApp::with("[[target.postgres]]\nname = \"main-db\"\nhost = \"h1\"\n").await;
    let none = app.get("/api/failover/status").await.json();
    assert_eq!((&none["enabled"], &none["members"]), (&json!(false), &json!([])));
    let members = ["main-db", "b1", "b2"];
    // Looked at before it is asked for: the answer waits for the first looks.
    app.failover.show(vec![view("default", &members, Some("main-db"), State::Steady, 1)]);
    let body = json!({"configs": [config("b1", "h2"), config("b2", "h3")]});
    let enabled = post(&app, "/api/failover/enable", body.clone()).await;
    assert_eq!(enabled.status, 200, "{enabled:?}");
    let status = enabled.json();
    assert_eq!((&status["enabled"], &status["primary"]), (&json!(true), &json!("main-db")));
    let group = default_group(&app).await;
    assert_eq!(group.members.iter().map(Name::as_str).collect::<Vec<_>>(), members);
    assert!(group.listen.starts_with("127.0.0.1:64"), "{}", group.listen);
    assert!(status["endpoint"]["postgres"].is_string(), "{status}");
    let target = app.get("/api/v1/targets/b1/config").await.json();
    assert_eq!(
        (&target["host"], &target["port"], &target["password"]),
        (&json!("h2"), &json!(5433), &json!("***"))
    );
    assert!(!app.store().overlay().to_string().contains("geheim"), "the password is sealed");

    let audit = async || app.ask_as_admin(Request::get("/api/v1/audit")).await.json()["total"].clone();
    let (before, overlay) = (audit().await, app.store().overlay());
    assert_eq!(post(&app, "/api/failover/enable", body).await.status, 200);
    assert_eq!((audit().await, app.store().overlay()), (before, overlay));

    // Others replace the membership; the address stays.
    app.failover.show(vec![view("default", &["main-db", "b3"], Some("main-db"), State::Steady, 1)]);
    let answer = post(&app, "/api/failover/enable", json!({"configs": [config("b3", "h4")]})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let other = default_group(&app).await;
    assert_eq!((other.members.len(), &other.listen), (2, &group.listen));
    assert_eq!(other.members[1].as_str(), "b3");
}

#[tokio::test]
async fn targets_that_enabling_made_go_with_their_membership_and_others_stay() {
    let app = TestApp::with("[[target.postgres]]\nname = \"main-db\"\nhost = \"h1\"\n").await;
    let enable = async |names: &[&str]| {
        let members: Vec<&str> = std::iter::once("main-db").chain(names.iter().copied()).collect();
        app.failover.show(vec![view("default", &members, Some("main-db"), State::Steady, 1)]);
        let configs: Vec<Value> = names.iter().map(|name| config(name, "h2")).collect();
        let answer = post(&app, "/api/failover/enable", json!({ "configs": configs })).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    let targets = async || {
        let mut there = Vec::new();
        for name in ["b1", "b2", "b3", "b4", "main-db", "mine"] {
            if app.get(&format!("/api/v1/targets/{name}/config")).await.status == 200 {
                there.push(name);
            }
        }
        there.join(" ")
    };
    enable(&["b1", "b2"]).await;
    let mine = json!({"kind": "postgres", "name": "mine", "host": "h2", "port": 5433, "database": "app", "user": "u", "password": "geheim"});
    assert_eq!(post(&app, "/api/v1/targets", mine).await.status, 201);
    enable(&["mine", "b2"]).await;
    assert_eq!(targets().await, "b2 main-db mine");
    enable(&["b3"]).await;
    assert_eq!(targets().await, "b3 main-db mine", "what somebody else made stays");
    let group = default_group(&app).await;
    assert_eq!(group.own_targets.iter().map(Name::as_str).collect::<Vec<_>>(), ["b3"]);

    // One that another group uses by now stays, too.
    let left = json!({"members": ["main-db"]});
    let patched = send(&app, Method::PATCH, "/api/v1/failover/groups/default", &left).await;
    assert_eq!(patched.status, 200, "{patched:?}");
    let other = json!({"name": "other", "members": ["b3"], "listen": "127.0.0.1:6999"});
    let made = post(&app, "/api/v1/failover/groups", other).await;
    assert_eq!(made.status, 201, "{made:?}");
    enable(&["b4"]).await;
    assert_eq!(targets().await, "b3 b4 main-db mine");
}

#[tokio::test]
async fn the_facility_family_switches_supervision_off_and_on() {
    let app = TestApp::with("[[target.postgres]]\nname = \"main-db\"\nhost = \"h1\"\n").await;
    let off = post(&app, "/api/failover/disable", Value::Null).await;
    assert_eq!((off.status, &off.json()["enabled"]), (200, &json!(false)));
    let members = ["main-db", "b1"];
    let shown = |state| vec![view("default", &members, Some("main-db"), state, 1)];
    app.failover.show(shown(State::Steady));
    let body = json!({"configs": [config("b1", "h2")]});
    post(&app, "/api/failover/enable", body.clone()).await;
    let (off, command) = tokio::join!(
        post(&app, "/api/failover/disable", Value::Null),
        obey(&app.failover, Ok(()), shown(State::Disabled))
    );
    assert_eq!(command, Command::Disable);
    assert_eq!((&off.json()["enabled"], &off.json()["active"]), (&json!(false), &json!("main-db")));
    let (on, command) = tokio::join!(
        post(&app, "/api/failover/enable", body),
        obey(&app.failover, Ok(()), shown(State::Steady))
    );
    assert_eq!(command, Command::Enable);
    assert_eq!(on.json()["enabled"], true);
}

#[tokio::test]
async fn enabling_says_what_is_wrong_with_the_body() {
    let two = "[[target.postgres]]\nname = \"a\"\nhost = \"h1\"\n[[target.postgres]]\nname = \"b\"\nhost = \"h2\"\n";
    for (file, body, status, pointer) in [
        ("", json!({"configs": [config("b1", "h")]}), 422, "/configs"),
        (two, json!({"configs": [config("b1", "h")]}), 422, "/configs"),
        ("", json!({"configs": []}), 422, "/configs"),
        ("", json!({"configs": [config("primary", "")]}), 422, "/configs/0/db_config/host"),
        ("", json!({"configs": [config("primary", "h"), config("primary", "h")]}), 422, "/configs/1/name"),
        ("", json!({"configs": [config("Not A Name", "h")]}), 422, "/configs/0/name"),
        ("", json!({"configs": [config("primary", "/run/pg")]}), 422, "/configs"),
        (two, json!({"configs": [config("a", "elsewhere")]}), 409, "/configs/0/db_config/database"),
        ("", json!({"configs": [{"name": "primary"}]}), 400, "/configs/0"),
        ("", json!({"servers": []}), 400, "/servers"),
    ] {
        let app = TestApp::with(file).await;
        let answer = post(&app, "/api/failover/enable", body.clone()).await;
        answer.problem();
        let problem = answer.json();
        assert_eq!(
            (answer.status, &problem["errors"][0]["pointer"]),
            (status, &json!(pointer)),
            "{body} {problem}"
        );
        assert!(!problem.to_string().contains("geheim"), "{problem}");
        assert_eq!(app.get("/api/v1/failover/groups").await.json()["total"], 0);
    }
}

#[tokio::test]
async fn one_named_primary_comes_first() {
    let app = TestApp::start().await;
    let members = ["primary", "b1"];
    app.failover.show(vec![view("default", &members, Some("primary"), State::Steady, 1)]);
    let body = json!({"configs": [config("b1", "h2"), config("primary", "h1")]});
    let answer = post(&app, "/api/failover/enable", body).await;
    assert_eq!((answer.status, &answer.json()["primary"]), (200, &json!("primary")), "{answer:?}");
    let group = default_group(&app).await;
    assert_eq!(group.members.iter().map(Name::as_str).collect::<Vec<_>>(), members);
    // Several groups: which one is meant must be said, unless one is the default.
    let listed = app.get("/api/failover/status?group=none").await;
    assert_eq!(listed.problem(), "not_found");
}
