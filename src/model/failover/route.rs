//! Where the connections of a failover group's endpoint go.

use crate::base::id::Name;

/// One server that connections may be sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub member: Name,
    pub host: String,
    pub port: u16,
}

/// What the proxy of an endpoint obeys. It is derived from what is durable, never ahead of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Route {
    /// Connections begun under an older epoch are reset.
    pub epoch: u64,
    /// Where new connections go: the first for the writing endpoint, in turn for the
    /// reading one. Empty: they wait.
    pub to: Vec<Address>,
    /// Connections to other members are reset.
    pub keep: Vec<Name>,
    /// Why there is no route, as clients are told: `promoting pg2`.
    pub reason: String,
}
