//! The shipped rules of failover groups, on the series that their supervision writes.

use holdfast::model::notice::NoticeKind::{Firing, Resolved};

use crate::support::app::One;
use crate::support::story::{Probed, Story};

const MINUTE: u32 = 12;
const GROUP: &[(&str, &str)] = &[("group", "g")];

/// So many steps with the series that supervision writes of a group.
async fn group(story: &mut Story, steps: u32, code: &str, routed: f64, isolated: f64) {
    let codes = ["cooldown", "no_candidate"];
    let labels = codes.map(|code| [("group", "g"), ("code", code)]);
    let mut series: Vec<One<'_>> = vec![("holdfast_failover_agent_isolated", GROUP, isolated)];
    for labels in &labels {
        let refused = f64::from(u8::from(labels[1].1 == code));
        series.push(("holdfast_failover_refused", labels, refused));
    }
    series.push(("holdfast_failover_routed", GROUP, routed));
    for _ in 0..steps {
        story.step(&series).await;
    }
}

fn told(story: &Story) -> Vec<String> {
    let lines = story.told().into_iter().map(|(kind, rules)| match kind {
        Firing => format!("+{rules}"),
        Resolved => format!("-{rules}"),
        other => format!("{other:?} {rules}"),
    });
    lines.collect()
}

#[tokio::test]
async fn a_refusal_says_its_code_and_a_group_that_is_down_is_one_message() {
    let mut story = Story::with("").await;
    group(&mut story, MINUTE, "", 1.0, 0.0).await;
    group(&mut story, 5 * MINUTE, "cooldown", 1.0, 0.0).await;
    let refused = story.alert("failover_refused").unwrap().alert;
    assert_eq!(refused.title, "The group g does not fail over: cooldown");
    group(&mut story, 5 * MINUTE, "", 1.0, 0.0).await;
    group(&mut story, 5 * MINUTE, "no_candidate", 0.0, 0.0).await;
    group(&mut story, 5 * MINUTE, "", 1.0, 0.0).await;
    assert_eq!(told(&story), ["+failover_refused", "-failover_refused", "+group_down", "-group_down"]);
}

#[tokio::test]
async fn a_failover_that_takes_seconds_is_no_group_that_is_down() {
    let mut story = Story::with("").await;
    group(&mut story, MINUTE, "", 1.0, 0.0).await;
    group(&mut story, 2, "", 0.0, 0.0).await;
    group(&mut story, 5 * MINUTE, "", 1.0, 0.0).await;
    assert!(story.sent.is_empty(), "{:?}", story.told());
}

#[tokio::test]
async fn an_agent_that_sees_nobody_says_only_that() {
    let mut story = Story::with("").await;
    group(&mut story, MINUTE, "", 1.0, 0.0).await;
    group(&mut story, 5 * MINUTE, "no_candidate", 0.0, 1.0).await;
    assert!(story.muted.contains("group_down"), "{:?}", story.fired);
    group(&mut story, 5 * MINUTE, "", 1.0, 0.0).await;
    assert_eq!(told(&story), ["+agent_isolated", "-agent_isolated"]);
}

#[tokio::test]
async fn a_replaced_primary_is_down_first_and_must_rejoin_once_it_is_back() {
    let mut story = Story::with("").await;
    let target = Probed::new(&story, "postgres", &["connect", "query"]);
    let labels: &[(&str, &str)] = &[("group", "g"), ("member", "main")];
    for (minutes, answers, needs) in [(10, true, 0.0), (10, false, 1.0), (10, true, 1.0), (10, true, 0.0)] {
        for step in 0..minutes * MINUTE {
            if step % 6 == 0 {
                target.probe(&story, answers, 0.01);
            }
            story.step(&[("holdfast_failover_needs_rejoin", labels, needs)]).await;
        }
    }
    assert!(story.muted.contains("needs_rejoin"));
    assert_eq!(
        told(&story),
        ["+circuit_breaker_open", "-circuit_breaker_open", "+needs_rejoin", "-needs_rejoin"]
    );
}

#[tokio::test]
async fn blocked_commits_and_clients_that_go_around_are_told_of() {
    let mut story = Story::with("").await;
    let labels: &[(&str, &str)] = &[("group", "g"), ("member", "pg1")];
    for (blocked, bypass) in [(0.0, 0.0), (1.0, 3.0), (0.0, 0.0)] {
        for _ in 0..5 * MINUTE {
            let series: [One<'_>; 2] = [
                ("holdfast_failover_bypass_clients", labels, bypass),
                ("holdfast_failover_sync_blocked", GROUP, blocked),
            ];
            story.step(&series).await;
        }
    }
    let mut told = told(&story);
    // Both end at once, in no order that anybody relies on.
    told[2..].sort();
    assert_eq!(told, ["+sync_blocked", "+bypass_clients", "-bypass_clients", "-sync_blocked"]);
}

#[tokio::test]
async fn a_member_whose_name_resolves_no_more_is_told_of_once() {
    let mut story = Story::with("").await;
    let target = Probed::new(&story, "postgres", &["connect", "query"]);
    let labels: &[(&str, &str)] = &[("group", "g"), ("kind", "postgres"), ("target", "main")];
    for (minutes, answers, wrong) in [(10, true, 0.0), (10, true, 1.0), (10, true, 0.0)] {
        for step in 0..minutes * MINUTE {
            if step % 6 == 0 {
                target.probe(&story, answers, 0.01);
            }
            story.step(&[("holdfast_failover_member_misconfigured", labels, wrong)]).await;
        }
    }
    assert_eq!(told(&story), ["+service_down", "-service_down"]);
}
