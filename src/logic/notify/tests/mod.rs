//! The notifier as its users see it: what is sent to whom, and when.

mod ledger;
mod stage;

mod causes;
mod delivery;
mod mutes;
mod properties;
mod quiet;
mod routes;
