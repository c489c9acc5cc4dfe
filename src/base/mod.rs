//! Words every other module speaks: time, names, units, secrets, texts for people.
//!
//! **Invariant:** nothing here performs I/O other than reading the clock, is
//! async, or imports another module of this crate.

pub mod backoff;
pub mod id;
pub mod prometheus_duration;
pub mod secret;
pub mod template;
pub mod time;
pub mod units;
pub mod words;
