//! The nouns of failover groups, as plain data.
//!
//! `lsn` and `sighting` are what servers say, `durable` is what the agent must
//! never forget, `group` holds the words that people read, `view` what they are shown. The protocol over
//! them is `logic/failover`; what asks the servers is `targets/postgres`.
//! Wrong would be to keep anything in the protocol's memory that these types do
//! not hold: it would be gone after a crash in the middle of a failover.

pub mod durable;
pub mod group;
pub mod lsn;
pub mod route;
pub mod sighting;
pub mod view;
