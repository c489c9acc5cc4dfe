//! `[[failover.group]]`: targets of which one is active, behind one address that holds.
//!
//! A group names targets and never describes servers itself, so that credentials, trust
//! and probes of a member stand in one place. What a value may be alone is checked here,
//! what it may be beside others in [`check`]. Wrong would be to take a program's name
//! from anybody but the file: whoever could set a hook over the API could run anything
//! as the agent's user, as with the channel `exec`.

mod check;
mod hook;

use serde::{Deserialize, Serialize};

pub use self::check::{check, is_loopback, listens};
pub use self::hook::expand;
use super::tree::{Key, Step};
use crate::base::id::Name;
use crate::base::units::{ByteSize, Span};
use crate::model::failover::group::Mode;

/// The section `failover`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Failover {
    pub group: Vec<Group>,
}

/// What the members are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    #[default]
    Postgres,
    ObjectStore,
}

impl Kind {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::ObjectStore => "object_store",
        }
    }
}

/// The guarantee that is wanted, see [`crate::model::failover::group::Tier`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TierChoice {
    /// The best that the servers give at the time.
    #[default]
    Auto,
    /// Independent databases, whatever they say of themselves.
    Switch,
    /// Asynchronous standbys may take over.
    Async,
    /// Only with a quorum of synchronous standbys.
    Sync,
    /// Only once the fence hook has proved the old primary off.
    Fenced,
}

/// Keys that the file holds, see [`crate::config::listed`].
pub const PINNED: [&str; 8] =
    ["name", "kind", "members", "listen", "listen_read", "open_to_network", "fence_hook", "rejoin_hook"];

/// Keys that name a program.
const HOOKS: [&str; 2] = ["fence_hook", "rejoin_hook"];

/// How long a server may take to come back by itself before it counts as dead, in a
/// group of independent databases: nothing is lost by waiting, and much by switching.
pub const SWITCH_RESTART_GRACE: Span = Span::from_secs(60);

/// One group.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    pub name: Name,
    #[serde(default)]
    pub kind: Kind,
    /// Targets in the order in which they are preferred; the first is active at first.
    pub members: Vec<Name>,
    /// The address that leads to the active member.
    pub listen: String,
    /// One that leads to standbys, in turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen_read: Option<String>,
    /// Whether these addresses may be ones that others on the network reach.
    #[serde(default)]
    pub open_to_network: bool,
    #[serde(default)]
    pub mode: Mode,
    #[serde(default)]
    pub tier: TierChoice,
    /// Without a synchronous quorum, a standby further behind than this does not take over.
    #[serde(default = "default_max_lag")]
    pub max_lag: ByteSize,
    /// Between two failovers that nobody asked for.
    #[serde(default = "default_cooldown")]
    pub cooldown: Span,
    /// So many of them at most in 24 h.
    #[serde(default = "default_max_per_day")]
    pub max_per_day: u32,
    /// For a server that said it is being stopped, to come back by itself.
    #[serde(default = "default_restart_grace")]
    pub restart_grace: Span,
    /// How long new connections wait for a route.
    #[serde(default = "default_hold_max")]
    pub hold_max: Span,
    /// While only the path from here to the primary is dead.
    #[serde(default = "default_path_hold")]
    pub path_hold: Span,
    /// Whether an asynchronous standby may take over then.
    #[serde(default)]
    pub allow_path_failover: bool,
    /// Independent databases only: whether one that comes back is made read-only.
    #[serde(default)]
    pub fence_on_return: bool,
    /// Whether a primary that reads and cannot write for 30 s is failed over.
    #[serde(default)]
    pub failover_on_read_only: bool,
    /// Connections through the endpoint at once.
    #[serde(default = "default_max_connections")]
    pub max_connections: u32,
    /// Program that exits with 0 once `{member}` is proved off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence_hook: Option<Vec<String>>,
    /// Program that makes `{member}` a standby of `{primary}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejoin_hook: Option<Vec<String>>,
    /// Targets that `POST /api/failover/enable` made for it: they go when it names others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub own_targets: Vec<Name>,
    /// Whether the group is supervised; when not, its route stays where it is.
    #[serde(default = "yes")]
    pub enabled: bool,
}

fn yes() -> bool {
    true
}

fn default_max_lag() -> ByteSize {
    ByteSize::mebibytes(1)
}

fn default_cooldown() -> Span {
    Span::from_secs(600)
}

fn default_max_per_day() -> u32 {
    2
}

fn default_restart_grace() -> Span {
    Span::from_secs(10)
}

fn default_hold_max() -> Span {
    Span::from_secs(5)
}

fn default_path_hold() -> Span {
    Span::from_secs(15)
}

fn default_max_connections() -> u32 {
    1000
}

/// Whether `key` names a program of a group: only the configuration file may.
pub fn from_file_only(key: &Key) -> bool {
    let [Step::Key(family), Step::Key(kind), Step::Item(_), Step::Key(name)] = key.0.as_slice() else {
        return false;
    };
    family == "failover" && kind == "group" && HOOKS.contains(&name.as_str())
}
