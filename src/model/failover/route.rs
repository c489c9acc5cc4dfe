//! Where the connections of a failover group's endpoint go.
//!
//! The one thing that the engine of a group tells its proxy: a whole value each
//! time, so that a proxy that missed one in between is right again with the next.
//! Wrong would be orders ("reset these", "hold those"): one that is lost or comes
//! late leaves a client on a server that is no longer the primary.

use crate::base::id::Name;

/// One server that connections may be sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub member: Name,
    /// A name or an address, without a port and without brackets.
    pub host: String,
    pub port: u16,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Route {
    /// Connections begun under an older epoch are reset.
    pub epoch: u64,
    /// Where new connections go: the first for the writing endpoint, in turn for
    /// the reading one. Empty: they wait.
    pub to: Vec<Address>,
    /// Connections to other members are reset.
    pub keep: Vec<Name>,
    /// Why there is no route, as the clients are told: `promoting pg2`.
    pub reason: String,
}
