//! The notifier as its users see it: what is sent to whom, and when.

mod stage;

mod causes;
mod delivery;
mod mutes;
mod quiet;
mod routes;
