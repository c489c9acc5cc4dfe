//! The handle against a supervision that the tests play.

use super::*;
use crate::model::failover::group::Mode;
use crate::model::failover::view::{MemberState, Unseen};

const NOW: Timestamp = Timestamp(1_795_166_565_000);

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn view(state: State, active: &str, epoch: u64) -> GroupView {
    let unseen = Unseen {
        name: "main",
        kind: "postgres",
        mode: Mode::Auto,
        enabled: true,
        endpoint: "127.0.0.1:6432",
        endpoint_read: None,
    };
    let other = if active == "pg1" { "pg2" } else { "pg1" };
    GroupView {
        state,
        epoch,
        active: Some(active.to_owned()),
        would_promote: Some(other.to_owned()),
        ..unseen.view(["pg1", "pg2"].into_iter())
    }
}

fn refusal(code: RefusalCode) -> Refusal {
    Refusal { code, detail: format!("because of {}", code.word()), at: NOW }
}

/// Obeys every switchover: the epoch grows, and the former active member follows when
/// `rejoins`.
async fn obey(wiring: Wiring, rejoins: bool) {
    let mut epoch = 1;
    while let Some(ask) = wiring.next_ask().await {
        let Ask::Command { command: Command::Switchover { to: Some(to) }, reply, .. } = ask else { continue };
        epoch += 1;
        let from = if to.as_str() == "pg1" { "pg2" } else { "pg1" };
        wiring.show(vec![view(State::Switching, from, epoch)]);
        let _ = reply.send(Ok(()));
        let mut after = view(State::Steady, to.as_str(), epoch);
        after.last_failover = Some(LastFailover {
            from: Some(from.to_owned()),
            to: to.to_string(),
            cause: String::from("drill"),
            epoch,
            started_at: NOW,
            outage_ms: 300,
            by_operator: false,
            lost_bytes_bound: Some(0),
            lost_bytes_basis: Default::default(),
            diverged: false,
        });
        for member in after.members.iter_mut().filter(|member| member.name == from) {
            (member.attached, member.state) = (rejoins, MemberState::Standby);
        }
        wiring.show(vec![after]);
    }
}

#[tokio::test]
async fn an_ask_is_answered_by_whoever_supervises_or_there_is_nobody() {
    let ((failovers, wiring), main) = (Failovers::new(1), name("main"));
    let asked = failovers.command(&main, Command::Resume);
    let answered = async {
        let Some(Ask::Command { group, command, reply }) = wiring.next_ask().await else { panic!() };
        assert_eq!((group, command), (name("main"), Command::Resume));
        reply.send(Err(CommandError::Refused(refusal(RefusalCode::Busy)))).unwrap();
    };
    let (result, ()) = tokio::join!(asked, answered);
    assert_eq!(result, Err(CommandError::Refused(refusal(RefusalCode::Busy))));
    drop(wiring);
    let gone = failovers.check(&name("main")).await.unwrap_err();
    assert_eq!(gone, CommandError::Unavailable("it is not running"));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_ever() {
    let ((failovers, wiring), main) = (Failovers::new(1), name("main"));
    // The second does not even find a place in the queue.
    let (first, second) = tokio::join!(failovers.command(&main, Command::Enable), failovers.check(&main));
    let late = CommandError::Unavailable("no answer within its deadline");
    assert_eq!((first.unwrap_err(), second.unwrap_err()), (late.clone(), late));
    wiring.show(vec![view(State::Steady, "pg1", 1)]);
    let before = failovers.group("main").unwrap();
    assert_eq!(failovers.settled(&before, NOW, Duration::from_secs(30)).await, None);
}

#[tokio::test]
async fn what_was_begun_has_ended_at_rest_in_a_newer_epoch_or_with_a_refusal() {
    let (failovers, wiring) = Failovers::new(1);
    let before = view(State::Steady, "pg1", 1);
    let within = Duration::from_secs(30);
    wiring.show(vec![before.clone()]);
    let waiting = failovers.settled(&before, NOW, within);
    let shown = async {
        wiring.show(vec![view(State::Unrouted, "pg1", 2)]);
        wiring.show(vec![view(State::Steady, "pg2", 2)]);
    };
    assert_eq!(tokio::join!(waiting, shown).0.unwrap().active.as_deref(), Some("pg2"));
    let rolled_back =
        GroupView { refusal: Some(refusal(RefusalCode::RolledBack)), ..view(State::Steady, "pg1", 1) };
    wiring.show(vec![rolled_back.clone()]);
    assert_eq!(failovers.settled(&before, NOW, within).await, Some(rolled_back));
}

#[tokio::test]
async fn a_look_is_told_only_of_changes() {
    let (failovers, wiring) = Failovers::new(1);
    let mut told = failovers.subscribe();
    wiring.show(vec![view(State::Steady, "pg1", 1)]);
    assert!(told.has_changed().unwrap());
    told.mark_unchanged();
    wiring.show(vec![view(State::Steady, "pg1", 1)]);
    assert!(!told.has_changed().unwrap());
    assert_eq!((failovers.groups().len(), failovers.group("other")), (1, None));
}

#[tokio::test(start_paused = true)]
async fn a_drill_goes_there_and_back_when_the_former_active_member_follows() {
    for rejoins in [true, false] {
        let (failovers, wiring) = Failovers::new(1);
        wiring.show(vec![view(State::Steady, "pg1", 1)]);
        let main = name("main");
        let drill = async {
            let report = failovers.drill(&main, || NOW).await;
            (report, failovers.group("main").unwrap())
        };
        let (report, after) = tokio::select! {
            done = drill => done,
            () = obey(wiring, rejoins) => panic!("the supervision ended"),
        };
        if rejoins {
            let report = report.unwrap();
            assert_eq!((report.there.to.as_str(), report.back.to.as_str()), ("pg2", "pg1"));
            assert_eq!((after.active.as_deref(), after.epoch), (Some("pg1"), 3));
        } else {
            let CommandError::Refused(refusal) = report.unwrap_err() else { panic!() };
            assert_eq!(refusal.code, RefusalCode::NotAttached);
            assert!(refusal.detail.contains("pg2 is active, and pg1 did not follow"), "{}", refusal.detail);
        }
    }
}
