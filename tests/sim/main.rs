//! A simulation of failover groups: the real protocol, simulated servers, links, disk
//! and clock.
//!
//! `HOLDFAST_SCHEDULES=n` runs so many random schedules, `HOLDFAST_SEED=n` one of them
//! with its trace. See `check` for what must hold.

mod agent;
mod check;
mod clients;
mod corners;
mod delays;
mod faults;
mod node;
mod random;
mod scenarios;
mod schedules;
mod server;
mod sessions;
mod small_scope;
mod world;
