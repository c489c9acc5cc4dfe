//! Which channels are told, what shares a message, repeats and escalations.

use super::stage::*;
use crate::logic::notify::Policy;
use crate::model::alert::Happening::{Acknowledged, Eased, Rearmed, Resolved, Worsened};
use crate::model::notice::NoticeKind;
use crate::model::route::Route;
use crate::model::rule::{Compare, Escalation};
use crate::model::selector::{MatchOp, Matcher};
use crate::model::severity::Severity::{Critical, Emergency, High, Info, Low, Medium};

fn route(channels: &[&str]) -> Route {
    let channels = channels.iter().map(|name| (*name).to_owned()).collect();
    Route { severity: None, channels: Some(channels), ..Route::last() }
}

#[test]
fn the_first_route_that_matches_wins_and_nobody_is_forgotten() {
    let mut settings = settings(&["ops", "mail", "dev"]);
    let team = Matcher { label: "team".into(), op: MatchOp::Regex, value: "d.v".into() };
    settings.routes = vec![
        Route { matchers: vec![team], ..route(&["dev"]) },
        Route { severity: Some((Compare::AtLeast, High)), continues: true, ..route(&["ops"]) },
        Route { severity: Some((Compare::Equal, Emergency)), ..route(&["mail", "ops", "gone"]) },
    ];
    let mut stage = Stage::new(settings);
    stage.fire("1", "a", "team=dev", Emergency);
    stage.fire("2", "b", "", High);
    stage.fire("3", "c", "", Emergency);
    stage.fire("4", "d", "", Medium);
    stage.fire("5", "e", "", Low);
    stage.pass(minutes(1));
    let mut heard = stage.heard();
    heard.sort();
    assert_eq!(
        heard,
        [
            "dev firing 1",
            "dev firing 4",
            "mail firing 3",
            "mail firing 4",
            "ops firing 2",
            "ops firing 3",
            "ops firing 4"
        ]
    );
}

#[test]
fn a_rule_may_name_its_own_channels() {
    let mut stage = Stage::new(settings(&["ops", "mail"]));
    stage.policy("a", Policy { notify: vec!["mail".into(), "gone".into()], ..Policy::default() });
    stage.fire("1", "a", "", Info);
    stage.pass(minutes(1));
    assert_eq!(stage.heard(), ["mail firing 1"]);
}

#[test]
fn what_comes_within_the_window_shares_a_message() {
    let mut stage = Stage::new(settings(&["ops"]));
    for id in ["1", "2", "3"] {
        stage.fire(id, "a", &format!("n={id}"), High);
        stage.pass(secs(14));
    }
    stage.fire("4", "b", "", High);
    stage.pass(minutes(2));
    assert_eq!(stage.heard(), ["ops firing 1,2,3", "ops firing 4"]);
    assert_eq!(stage.sent[0].0, START.plus(secs(30)));
    for id in ["1", "2", "3"] {
        stage.then(id, Resolved);
    }
    stage.pass(minutes(1));
    assert_eq!(stage.heard().last().unwrap(), "ops resolved 1,2,3");
}

#[test]
fn a_message_holds_fifty_alerts() {
    let mut stage = Stage::new(settings(&["ops"]));
    for n in 0..120 {
        stage.fire(&format!("{n:03}"), "a", &format!("n={n}"), High);
    }
    stage.pass(minutes(1));
    let sizes: Vec<usize> = stage.sent.iter().map(|(_, notice)| notice.alerts.len()).collect();
    assert_eq!(sizes, [50, 50, 20]);
}

#[test]
fn it_is_repeated_until_somebody_has_seen_it() {
    let mut stage = Stage::new(settings(&["ops"]));
    stage.fire("1", "a", "", High);
    stage.pass(minutes(9 * 60));
    let ids: Vec<&str> = stage.sent.iter().map(|(_, notice)| notice.id.as_str()).collect();
    assert_eq!(ids, ["ops.1.1", "ops.1.1.repeat-1", "ops.1.1.repeat-2"]);
    stage.then("1", Acknowledged);
    stage.pass(minutes(24 * 60));
    assert_eq!(stage.sent.len(), 3);
    stage.then("1", Rearmed);
    stage.pass(minutes(1));
    assert_eq!(stage.kinds()[3..], [NoticeKind::Worsened]);
    stage.then("1", Acknowledged);
    stage.then("1", Resolved);
    stage.pass(minutes(1));
    assert_eq!(stage.kinds()[4..], [NoticeKind::Resolved]);
}

#[test]
fn a_rule_may_say_how_often() {
    let mut stage = Stage::new(settings(&["ops"]));
    stage.policy("a", Policy { repeat: Some(minutes(20)), ..Policy::default() });
    stage.fire("1", "a", "", High);
    stage.pass(minutes(65));
    assert_eq!(stage.sent.len(), 4);
}

#[test]
fn worse_is_told_and_better_is_not() {
    let mut stage = Stage::new(settings(&["ops"]));
    stage.fire("1", "a", "", Medium);
    stage.pass(minutes(1));
    stage.happen("1", "a", "", Critical, Worsened);
    stage.pass(minutes(1));
    stage.happen("1", "a", "", Medium, Eased);
    stage.pass(minutes(1));
    stage.happen("1", "a", "", Critical, Worsened);
    stage.pass(minutes(1));
    assert_eq!(stage.kinds(), [NoticeKind::Firing, NoticeKind::Worsened]);
    assert_eq!(stage.last_sent().severity(), Critical);
}

#[test]
fn worse_before_anybody_was_told_is_one_message() {
    let mut stage = Stage::new(settings(&["ops"]));
    stage.fire("1", "a", "", Medium);
    stage.pass(secs(10));
    stage.happen("1", "a", "", Critical, Worsened);
    stage.pass(minutes(1));
    assert_eq!(stage.kinds(), [NoticeKind::Firing]);
    assert_eq!((stage.last_sent().severity(), stage.last_sent().id.as_str()), (Critical, "ops.1.1"));
}

#[test]
fn a_level_that_rises_brings_in_the_channels_of_its_route() {
    let mut settings = settings(&["ops", "mail"]);
    settings.routes = vec![
        Route { severity: Some((Compare::AtLeast, Critical)), ..route(&["ops", "mail"]) },
        route(&["mail"]),
    ];
    let mut stage = Stage::new(settings);
    stage.fire("1", "a", "", Medium);
    stage.pass(minutes(1));
    stage.happen("1", "a", "", Critical, Worsened);
    stage.pass(minutes(1));
    stage.then("1", Resolved);
    stage.pass(minutes(1));
    assert_eq!(
        stage.heard(),
        ["mail firing 1", "mail worsened 1", "ops firing 1", "mail resolved 1", "ops resolved 1"]
    );
}

#[test]
fn an_alert_that_nobody_has_seen_escalates() {
    let mut settings = settings(&["ops", "mail", "boss"]);
    settings.routes = vec![route(&["ops"])];
    let mut stage = Stage::new(settings);
    let step = |after, channels: &[&str]| Escalation {
        after: minutes(after),
        channels: channels.iter().map(|name| (*name).to_owned()).collect(),
    };
    stage.policy("a", Policy { escalate: vec![step(15, &["mail"]), step(60, &[])], ..Policy::default() });
    stage.fire("1", "a", "", High);
    stage.pass(minutes(20));
    assert_eq!(stage.heard(), ["ops firing 1", "mail escalation 1"]);
    stage.restart();
    stage.pass(minutes(45));
    assert_eq!(stage.heard()[2..], ["boss escalation 1", "mail escalation 1", "ops escalation 1"]);
    stage.then("1", Acknowledged);
    stage.then("1", Resolved);
    stage.pass(minutes(1));
    assert_eq!(stage.heard()[5..], ["boss resolved 1", "mail resolved 1", "ops resolved 1"]);
}

#[test]
fn an_acknowledged_alert_does_not_escalate() {
    let mut settings = settings(&["ops", "mail"]);
    settings.routes = vec![route(&["ops"])];
    let mut stage = Stage::new(settings);
    let escalation = Escalation { after: minutes(15), channels: vec!["mail".into()] };
    stage.policy("a", Policy { escalate: vec![escalation], ..Policy::default() });
    stage.fire("1", "a", "", High);
    stage.pass(minutes(1));
    stage.then("1", Acknowledged);
    stage.pass(minutes(30));
    stage.then("1", Rearmed);
    stage.pass(minutes(14));
    assert_eq!(stage.heard(), ["ops firing 1", "ops worsened 1"]);
    stage.pass(minutes(2));
    assert_eq!(stage.heard()[2..], ["mail escalation 1"]);
}
