//! The tasks that join collectors, targets, store and bus.
//!
//! **Invariant:** the modules here do not import each other; they meet through
//! channels, `watch` values and the nouns of the model.

pub mod alerting;
pub mod backups;
pub mod breaker_keeper;
pub mod failover;
pub mod flusher;
pub mod last_values;
pub mod memory_keeper;
pub mod operations;
pub mod performance;
pub mod prober;
pub mod reports;
pub mod rule_import;
pub mod sampler;
pub mod services;
pub mod settings;
pub mod task_keeper;
pub mod trends;
