//! `holdfast failover` against the real API over a real socket.

use holdfast::engine::failover::handle::Ask;
use holdfast::logic::failover::Command;
use holdfast::model::failover::group::State;
use holdfast::model::failover::view::{GroupView, MemberState, Unseen};
use holdfast::runtime::supervisor::Supervisor;

use crate::support::app::TestApp;
use crate::support::command::{Home, Ran};

const FILE: &str = "[[target.postgres]]\nname = \"pg1\"\nhost = \"h1\"\n[[target.postgres]]\nname = \"pg2\"\nhost = \"h2\"\n[[failover.group]]\nname = \"main\"\nmembers = [\"pg1\", \"pg2\"]\nlisten = \"127.0.0.1:6432\"\n";

async fn run(app: &TestApp, home: &Home, arguments: &str) -> Ran {
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let mut command = home.command(&arguments);
    command.env("HOLDFAST_DATA_DIR", app.socket.parent().unwrap());
    let ran = Supervisor::blocking(move || command.output().unwrap()).await;
    Ran::of(ran.unwrap())
}

fn view(active: &str, epoch: u64) -> GroupView {
    let unseen = Unseen {
        name: "main",
        kind: "postgres",
        mode: Default::default(),
        enabled: true,
        endpoint: "127.0.0.1:6432",
        endpoint_read: None,
    };
    let mut view = unseen.view(["pg1", "pg2"].into_iter());
    (view.state, view.active, view.epoch) = (State::Steady, Some(active.to_owned()), epoch);
    for member in &mut view.members {
        member.state = if member.name == active { MemberState::Active } else { MemberState::Standby };
    }
    view
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_looks_switches_and_reads_the_journal() {
    let app = TestApp::with(FILE).await;
    let home = Home::new();
    let unseen = run(&app, &home, "failover status").await;
    assert!(unseen.code == 3 && unseen.output.starts_with("main: observing, no route"), "{unseen:?}");
    app.failover.show(vec![view("pg1", 1)]);
    let status = run(&app, &home, "failover status main").await;
    assert_eq!(status.code, 0, "{status:?}");
    assert!(
        status.output.starts_with("main: steady, pg1 is active (epoch 1) at 127.0.0.1:6432\n"),
        "{status:?}"
    );

    let obey = async {
        let Some(Ask::Command { command, reply, .. }) = app.failover.next_ask().await else { panic!() };
        assert!(matches!(command, Command::Switchover { to: Some(to) } if to.as_str() == "pg2"));
        reply.send(Ok(())).unwrap();
        app.failover.show(vec![view("pg2", 2)]);
    };
    let (ran, ()) = tokio::join!(run(&app, &home, "failover switchover --to pg2"), obey);
    assert!(ran.code == 0 && ran.output.starts_with("main: steady, pg2 is active (epoch 2)"), "{ran:?}");

    let none = run(&app, &home, "failover journal").await;
    assert_eq!((none.code, none.error.as_str()), (0, "nothing yet\n"));
    let json = run(&app, &home, "failover status --json").await.json();
    assert_eq!((&json[0]["name"], &json[0]["epoch"]), (&"main".into(), &2.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_says_why() {
    let app = TestApp::with(FILE).await;
    let home = Home::new();
    let drill = run(&app, &home, "failover test --drill").await;
    assert!(drill.code == 1 && drill.error.contains("no `rejoin_hook`"), "{drill:?}");
    let unconfirmed = run(&app, &home, "failover failover main --accept-data-loss").await;
    assert!(unconfirmed.code == 2 && unconfirmed.error.contains("--yes"), "{unconfirmed:?}");
    let unknown = run(&app, &home, "failover pause other").await;
    assert!(unknown.code == 1 && unknown.error.contains("groups are main"), "{unknown:?}");
    let member = run(&app, &home, "failover switchover --to pg9").await;
    assert!(member.code == 1 && member.error.contains("expected one of pg1, pg2"), "{member:?}");
    let empty = TestApp::start().await;
    let none = run(&empty, &home, "failover resume").await;
    assert_eq!((none.code, none.error.as_str()), (2, "holdfast: no failover group is configured\n"));
}
