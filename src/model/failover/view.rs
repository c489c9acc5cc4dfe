//! What people and programs are shown of a failover group.
//!
//! One value per group, made by whoever supervises it and never changed by who shows it,
//! so the API, the command line and the page say the same. Wrong would be to derive a
//! word here from others in it: which member would be promoted, for example, is decided
//! in one place only.

use serde::Serialize;

use super::group::{LastFailover, Mode, Refusal, State, Tier};
use crate::base::time::Timestamp;
use crate::model::breaker::BreakerState;

/// A group as it is now.
#[derive(Clone, PartialEq, Debug, Serialize, utoipa::ToSchema)]
pub struct GroupView {
    pub name: String,
    /// `postgres`
    pub kind: String,
    /// What a failover would guarantee now, which may be less than what is configured.
    pub tier: Tier,
    /// The same in words.
    pub guarantee: String,
    pub mode: Mode,
    pub state: State,
    /// Where the endpoint leads; null without a route.
    pub active: Option<String>,
    /// Grows with every change of the active member.
    pub epoch: u64,
    pub endpoint: String,
    pub endpoint_read: Option<String>,
    pub members: Vec<MemberView>,
    /// Why no failover happens, while that is so.
    pub refusal: Option<Refusal>,
    /// Until when the group is paused; null where it is not, or until an operator resumes.
    #[serde(with = "crate::model::event::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub paused_until: Option<Timestamp>,
    pub last_failover: Option<LastFailover>,
    /// Who would take over if the active member died now; null: nobody.
    pub would_promote: Option<String>,
    /// What would be lost then at most, bytes; 0 where the tier excludes it, null where unknown.
    pub expected_rpo_bytes: Option<u64>,
    /// How long the endpoint would have no route then, ms.
    pub expected_rto_ms: Option<u64>,
    /// What the check at enrolment found wanting, each with what to do about it.
    pub findings: Vec<Finding>,
    /// Independent databases: what was written to the former active member is not in this one.
    pub diverged: bool,
}

/// Which part a member plays by what it says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Primary,
    Standby,
    /// It has not answered yet.
    Unknown,
}

/// How a member is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MemberState {
    /// The endpoint leads to it.
    Active,
    /// It follows the active member and may take its place.
    Standby,
    /// It answers, and may not take the active member's place; `problem` says why.
    Ineligible,
    /// It was replaced, and is kept from writes until it is a standby again.
    Fenced,
    /// It does not answer.
    Down,
    /// It was not looked at yet.
    Unknown,
}

#[derive(Clone, PartialEq, Debug, Serialize, utoipa::ToSchema)]
pub struct MemberView {
    pub name: String,
    pub role: Role,
    pub state: MemberState,
    /// Of the target, for what else uses it; supervision looks whatever it says.
    pub breaker: BreakerState,
    /// Whether a write went through when it was last tried; null where it was not.
    pub writable: Option<bool>,
    /// The furthest position of the log that it has, as Postgres writes it: `16/B374D848`.
    pub lsn: Option<String>,
    pub timeline: Option<u32>,
    /// Behind the active member, bytes of the log.
    pub lag_bytes: Option<u64>,
    /// It streams from the active member under its own name and was seen to replay.
    pub attached: bool,
    /// The agent made it read-only.
    pub fenced: bool,
    /// It was replaced, and its data must be brought to the head's history first.
    pub needs_rejoin: bool,
    /// The command that does it.
    pub pg_rewind: Option<String>,
    #[serde(with = "crate::model::event::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_check: Option<Timestamp>,
    /// What is wrong with it, in words.
    pub problem: Option<String>,
}

/// Something that stands in the way of a better guarantee.
#[derive(Clone, PartialEq, Debug, Serialize, utoipa::ToSchema)]
pub struct Finding {
    /// Where; null for the group as a whole.
    pub member: Option<String>,
    /// A stable word for it: `promote`, `slot`, `wal_level`, ...
    pub code: String,
    /// Whether a failover is impossible because of it.
    pub blocks: bool,
    pub problem: String,
    /// What to run there as a superuser; empty where nothing of the kind helps.
    pub sql: Vec<String>,
}

/// What a dry run found. It asked every member and changed nothing.
#[derive(Clone, PartialEq, Debug, Serialize, utoipa::ToSchema)]
pub struct CheckReport {
    pub group: String,
    pub tier: Tier,
    pub guarantee: String,
    pub active: Option<String>,
    pub members: Vec<MemberCheck>,
    pub would_promote: Option<String>,
    /// Why nobody would be promoted.
    pub refusal: Option<Refusal>,
    pub expected_rpo_bytes: Option<u64>,
    pub expected_rto_ms: Option<u64>,
    pub findings: Vec<Finding>,
}

#[derive(Clone, PartialEq, Debug, Serialize, utoipa::ToSchema)]
pub struct MemberCheck {
    pub name: String,
    pub reachable: bool,
    pub role: Role,
    pub lag_bytes: Option<u64>,
    /// Whether the agent's role may do all that a failover takes; null where it was not asked.
    pub grants: Option<bool>,
    /// Whether it could take over now.
    pub eligible: bool,
    /// Why it could not.
    pub reason: Option<String>,
}

impl GroupView {
    pub fn member(&self, name: &str) -> Option<&MemberView> {
        self.members.iter().find(|member| member.name == name)
    }
}

/// What is known of a group before anybody looked at it: its configuration.
#[derive(Clone, Copy, Debug)]
pub struct Unseen<'a> {
    pub name: &'a str,
    pub kind: &'a str,
    pub mode: Mode,
    pub enabled: bool,
    pub endpoint: &'a str,
    pub endpoint_read: Option<&'a str>,
}

impl Unseen<'_> {
    /// The group with nothing known of its members.
    pub fn view<'m>(&self, members: impl Iterator<Item = &'m str>) -> GroupView {
        GroupView {
            name: self.name.to_owned(),
            kind: self.kind.to_owned(),
            tier: Tier::None,
            guarantee: Tier::None.guarantee().to_owned(),
            mode: self.mode,
            state: if self.enabled { State::Observing } else { State::Disabled },
            active: None,
            epoch: 0,
            endpoint: self.endpoint.to_owned(),
            endpoint_read: self.endpoint_read.map(str::to_owned),
            members: members.map(MemberView::unseen).collect(),
            refusal: None,
            paused_until: None,
            last_failover: None,
            would_promote: None,
            expected_rpo_bytes: None,
            expected_rto_ms: None,
            findings: Vec::new(),
            diverged: false,
        }
    }
}

impl MemberView {
    /// One that nobody looked at yet.
    pub fn unseen(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            role: Role::Unknown,
            state: MemberState::Unknown,
            breaker: BreakerState::Closed,
            writable: None,
            lsn: None,
            timeline: None,
            lag_bytes: None,
            attached: false,
            fenced: false,
            needs_rejoin: false,
            pg_rewind: None,
            last_check: None,
            problem: None,
        }
    }
}
