//! Decisions without a world: plain functions and state machines over the
//! nouns of `model`.
//!
//! **Invariant:** nothing here reads a clock, waits, or performs I/O; time and
//! randomness are arguments.

pub mod alert;
pub mod breaker;
pub mod check;
pub mod container;
pub mod failover;
pub mod flame;
pub mod health;
pub mod latencies;
pub mod memory;
pub mod notify;
pub mod openmetrics;
pub mod operations;
pub mod password;
pub mod replay;
pub mod reports;
pub mod rule_file;
pub mod rule_test;
pub mod silence;
pub mod tasks;
pub mod token;
pub mod yaml;
