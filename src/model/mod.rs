//! The nouns of the product, as plain data.
//!
//! One file per noun, no behaviour beyond what keeps a value valid.

pub mod access;
pub mod alert;
pub mod alert_view;
pub mod backup;
pub mod breaker;
pub mod check;
pub mod connections;
pub mod durations;
pub mod event;
pub mod failover;
pub mod frame;
pub mod health;
pub mod host;
pub mod memory;
pub mod message;
pub mod notice;
pub mod operation;
pub mod probe;
pub mod query;
pub mod report;
pub mod route;
pub mod rule;
pub mod selector;
pub mod series;
pub mod severity;
pub mod silence;
pub mod target;
pub mod task;
pub mod worker;
