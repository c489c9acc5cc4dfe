//! What a failover group is by how it is shown.
//!
//! A group does its job while it has a route: what is wrong with it then makes it
//! degraded, not unhealthy, and takes the sting out of a member that is down. Wrong would
//! be to go by the state alone: a steady group may have no member left to take over.

use super::Health;
use crate::model::failover::group::{State, Tier};
use crate::model::failover::view::{GroupView, MemberState};
use crate::model::health::Component;

/// Name of a group's component, which no target can have.
pub fn component_name(group: &str) -> String {
    format!("failover:{group}")
}

/// Whether the group's endpoint leads nowhere though it should.
pub fn is_down(group: &GroupView) -> bool {
    group.active.is_none() && !matches!(group.state, State::Observing | State::Disabled)
}

/// Whether the group takes the place of a member that is down.
pub fn holds(group: &GroupView, target: &str) -> bool {
    group.active.is_some() && group.member(target).is_some()
}

/// What one group is.
pub fn of_group(group: &GroupView) -> Component {
    let (status, message) = match (&group.active, group.state) {
        (_, State::Disabled) => (Health::Unknown, String::from("switched off")),
        (None, State::Observing) => (Health::Unknown, String::from("its members were not looked at yet")),
        (None, state) => (Health::Unhealthy, with_reason(group, format!("no route, {}", state.word()))),
        (Some(active), State::Steady | State::Observing) => match wrong(group) {
            None => (Health::Healthy, format!("leads to {active}")),
            Some(wrong) => (Health::Degraded, format!("leads to {active}; {wrong}")),
        },
        (Some(active), state) => {
            (Health::Degraded, with_reason(group, format!("leads to {active}, {}", state.word())))
        }
    };
    let checked_at = group.members.iter().filter_map(|member| member.last_check).max();
    Component { name: component_name(&group.name), status, message, latency_ms: None, checked_at }
}

fn with_reason(group: &GroupView, what: String) -> String {
    match &group.refusal {
        Some(refusal) => format!("{what}: {}", refusal.detail),
        None => what,
    }
}

/// What is wrong with a group that has a route and does nothing.
fn wrong(group: &GroupView) -> Option<String> {
    let bad = group.members.iter().find(|member| {
        member.needs_rejoin || !matches!(member.state, MemberState::Active | MemberState::Standby)
    });
    if let Some(member) = bad {
        let reason = match (&member.problem, member.needs_rejoin) {
            (Some(problem), _) => problem.as_str(),
            (None, true) => "it was replaced and must rejoin",
            (None, false) => "it cannot take over",
        };
        return Some(format!("{}: {reason}", member.name));
    }
    let alone = group.tier == Tier::None && group.members.len() > 1;
    alone.then(|| String::from("no member could take over"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Timestamp;
    use crate::model::failover::group::{Mode, Refusal, RefusalCode};
    use crate::model::failover::view::Unseen;

    fn group() -> GroupView {
        let unseen = Unseen {
            name: "main",
            kind: "postgres",
            mode: Mode::Auto,
            enabled: true,
            endpoint: "127.0.0.1:6432",
            endpoint_read: None,
        };
        unseen.view(["pg1", "pg2"].into_iter())
    }

    fn steady() -> GroupView {
        let mut group = GroupView {
            state: State::Steady,
            tier: Tier::Sync,
            active: Some(String::from("pg1")),
            ..group()
        };
        group.members[0].state = MemberState::Active;
        group.members[1].state = MemberState::Standby;
        group
    }

    fn said(group: &GroupView) -> (Health, String) {
        let component = of_group(group);
        assert_eq!(component.name, "failover:main");
        (component.status, component.message)
    }

    #[test]
    fn a_group_with_a_route_is_never_worse_than_degraded() {
        assert_eq!(said(&steady()), (Health::Healthy, String::from("leads to pg1")));
        let mut group = steady();
        group.members[1].state = MemberState::Down;
        group.members[1].problem = Some(String::from("refused"));
        assert_eq!(said(&group), (Health::Degraded, String::from("leads to pg1; pg2: refused")));
        let none = GroupView { tier: Tier::None, ..steady() };
        assert_eq!(said(&none).1, "leads to pg1; no member could take over");
        let paused = GroupView { state: State::Paused, ..steady() };
        assert_eq!(said(&paused), (Health::Degraded, String::from("leads to pg1, paused")));
        assert!(holds(&group, "pg2") && !holds(&group, "pg3") && !is_down(&group));
    }

    #[test]
    fn a_group_without_a_route_is_down_once_it_was_looked_at() {
        assert_eq!(said(&group()).0, Health::Unknown);
        assert!(!is_down(&group()));
        let refusal = Refusal {
            code: RefusalCode::NoCandidate,
            detail: String::from("every member refuses"),
            at: Timestamp(1),
        };
        let down = GroupView { state: State::Refused, refusal: Some(refusal), ..group() };
        assert_eq!(said(&down), (Health::Unhealthy, String::from("no route, refused: every member refuses")));
        assert!(is_down(&down) && !holds(&down, "pg1"));
        let off = GroupView { state: State::Disabled, ..down };
        assert_eq!((said(&off).0, is_down(&off)), (Health::Unknown, false));
    }
}
