//! The words of a failover group that people read: tier, mode, state, refusal.

use serde::{Deserialize, Serialize};

use crate::base::time::Timestamp;

/// What a failover of the group guarantees now; see the words in [`Tier::guarantee`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Nothing could take over.
    None,
    /// T0: independent databases.
    Switch,
    /// T1: asynchronous standbys.
    Async,
    /// T2: a quorum of synchronous standbys, all of them members.
    Sync,
    /// T3: one of the two above, and a hook that proves the old primary off.
    Fenced,
}

impl Tier {
    pub const fn guarantee(self) -> &'static str {
        match self {
            Self::None => "No member could take over: a failure of the active one is an outage.",
            Self::Switch => "One route at a time between independent databases; no continuity of data.",
            Self::Async => {
                "The standby with the most of the log takes over, within the configured lag limit (max_lag); what it had not received is lost. Clients that go around the endpoint can still write to an unreachable old primary."
            }
            Self::Sync => {
                "No commit acknowledged under the server's default settings is lost: a quorum of members holds each of them."
            }
            Self::Fenced => "As below, and the old primary was proved off before another is promoted.",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    #[default]
    Auto,
    /// Waits for an operator's word.
    Manual,
    /// Follows whoever is writable, and never changes a server.
    Router,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Steady,
    Suspect,
    Confirmed,
    Unrouted,
    Cut,
    Promoting,
    Verifying,
    Switching,
    Refused,
    Paused,
    Manual,
    SplitBrain,
    Observing,
    Disabled,
}

impl State {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Suspect => "suspect",
            Self::Confirmed => "confirmed",
            Self::Unrouted => "unrouted",
            Self::Cut => "cut",
            Self::Promoting => "promoting",
            Self::Verifying => "verifying",
            Self::Switching => "switching",
            Self::Refused => "refused",
            Self::Paused => "paused",
            Self::Manual => "manual",
            Self::SplitBrain => "split_brain",
            Self::Observing => "observing",
            Self::Disabled => "disabled",
        }
    }
}

/// Why no failover happens, in the order in which they are judged.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    Paused,
    Manual,
    AnotherAgent,
    AgentIsolated,
    Cooldown,
    PathHold,
    Lineage,
    SystemId,
    Quorum,
    LagExceeded,
    NotAttached,
    NoCandidate,
    /// An operation runs already.
    Busy,
    /// Of a switchover: the active member did not drain, or the candidate did not catch up in time.
    RolledBack,
    /// The servers did not do as they were told.
    Failed,
    /// Only a drill: it would leave the old primary behind.
    NoRejoinHook,
}

impl RefusalCode {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::Manual => "manual",
            Self::AnotherAgent => "another_agent",
            Self::AgentIsolated => "agent_isolated",
            Self::Cooldown => "cooldown",
            Self::PathHold => "path_hold",
            Self::Lineage => "lineage",
            Self::SystemId => "system_id",
            Self::Quorum => "quorum",
            Self::LagExceeded => "lag_exceeded",
            Self::NotAttached => "not_attached",
            Self::NoCandidate => "no_candidate",
            Self::Busy => "busy",
            Self::RolledBack => "rolled_back",
            Self::Failed => "failed",
            Self::NoRejoinHook => "no_rejoin_hook",
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Refusal {
    pub code: RefusalCode,
    /// What exactly, naming members and numbers.
    pub detail: String,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// What the bound of a loss stands on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LossBasis {
    /// Synchronous standbys, or the old primary's own help: no acknowledged commit is lost.
    Excluded,
    /// The furthest position that was seen, and the greatest pace of the log since then until the
    /// route was taken away. Nobody saw what was written last, so a burst may exceed it.
    #[default]
    Estimated,
    /// The end of the log of the old primary, which came back and is fenced.
    Measured,
}

/// The last change of the active member.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LastFailover {
    pub from: Option<String>,
    pub to: String,
    /// The evidence or the operator's command.
    pub cause: String,
    #[serde(default)]
    pub by_operator: bool,
    pub epoch: u64,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// From the first sign of trouble to the new route, ms.
    pub outage_ms: u64,
    /// At most so much of the log was lost, bytes; 0 where the tier excludes it, `None` when unknown.
    pub lost_bytes_bound: Option<u64>,
    /// What that figure stands on.
    #[serde(default)]
    pub lost_bytes_basis: LossBasis,
    /// T0: no common history from then on.
    pub diverged: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guarantee_is_plain_text() {
        for tier in [Tier::None, Tier::Switch, Tier::Async, Tier::Sync, Tier::Fenced] {
            assert!(!tier.guarantee().contains(['`', '*', '<']), "{}", tier.guarantee());
        }
    }
}
