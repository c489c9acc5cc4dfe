//! `[[target.<kind>]]`: one list per kind, the kind's own keys in its own file.
//!
//! The kinds stand in one list at [`kinds!`]; whoever wants all of them goes through
//! [`Targets::sections`]. Wrong would be a second list: a kind that is in one of them
//! only would be probed and never checked, or the other way round.

pub mod breaker;
pub mod grpc;
pub mod http;
pub mod nostr;
pub mod object_store;
pub mod postgres;
pub mod redis;
pub mod systemd;
pub mod tcp;

use serde::{Deserialize, Serialize};

use self::breaker::Breaker;
use super::check::Checker;

use crate::base::id::Name;
use crate::base::secret::Secret;
use crate::base::units::Span;

/// What the section of every kind has.
#[derive(Clone, Copy, Debug)]
pub struct Common<'a> {
    pub name: &'a Name,
    /// Whether it is probed at all.
    pub enabled: bool,
    /// Between two probes.
    pub interval: Span,
    /// One deadline over all operations of a probe.
    pub timeout: Span,
    pub breaker: &'a Breaker,
}

/// One target as configured, whatever its kind.
pub trait Section {
    /// The word of the kind: section, file and label.
    fn kind(&self) -> &'static str;
    fn common(&self) -> Common<'_>;
    /// Secrets that are written into the section itself.
    fn secrets(&self) -> Vec<&Secret>;
    /// Says what is wrong with the kind's own keys; `key` is `target.<kind>[<name>]`.
    fn check(&self, key: &str, checker: &mut Checker<'_>);
}

/// The part of a [`Section`] that is the same for every kind: the keys have the same
/// names in each, and flattening a struct of them would hide unknown keys from serde.
macro_rules! common {
    ($kind:literal) => {
        fn kind(&self) -> &'static str {
            $kind
        }

        fn common(&self) -> $crate::config::target::Common<'_> {
            $crate::config::target::Common {
                name: &self.name,
                enabled: self.enabled,
                interval: self.interval,
                timeout: self.timeout,
                breaker: &self.breaker,
            }
        }
    };
}
use common;

macro_rules! kinds {
    ($($kind:ident: $section:ty),+ $(,)?) => {
        #[derive(Clone, Debug, Default, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Targets {
            $(pub $kind: Vec<$section>,)+
        }

        impl Targets {
            /// Every target, kind by kind, in the order of the configuration.
            pub fn sections(&self) -> Vec<&dyn Section> {
                let mut all: Vec<&dyn Section> = Vec::new();
                $(all.extend(self.$kind.iter().map(|section| section as &dyn Section));)+
                all
            }
        }

        /// The words of the kinds.
        pub const KINDS: &[&str] = &[$(stringify!($kind)),+];

        /// What the file holds of the targets it defines: name, address, credentials and
        /// trust, see [`super::listed`].
        pub(super) const PINNED: &[(&str, &[&str])] = &[$((stringify!($kind), &$kind::PINNED)),+];
    };
}

kinds! {
    postgres: postgres::Postgres,
    object_store: object_store::ObjectStore,
    redis: redis::Redis,
    grpc: grpc::Grpc,
    nostr: nostr::Nostr,
    http: http::Http,
    tcp: tcp::Tcp,
    systemd: systemd::Systemd,
}

/// The default of `enabled`.
fn yes() -> bool {
    true
}

/// The default of `interval`, for targets outside a failover group.
fn default_interval() -> Span {
    Span::from_secs(30)
}

/// The default of `timeout`.
fn default_timeout() -> Span {
    Span::from_secs(5)
}
