//! The nouns of the product, as plain data.
//!
//! One file per noun, no behaviour beyond what keeps a value valid.

pub mod access;
pub mod breaker;
pub mod event;
pub mod frame;
pub mod health;
pub mod host;
pub mod operation;
pub mod probe;
pub mod query;
pub mod selector;
pub mod series;
pub mod severity;
pub mod target;
pub mod worker;
