//! holdfast watches one host and the Postgres servers and object stores it
//! depends on, from one static binary whose whole state is one redb file.
//!
//! The modules are layers; a module may use only what stands before it in this
//! list. `tests/it/tidy.rs` reads the sources and fails on an upward or a
//! sideways import. ARCHITECTURE.md has the reasons.

#![forbid(unsafe_code)]

pub mod base;
pub mod model;

pub mod config;
pub mod logic;
pub mod promql;

pub mod runtime;
pub mod store;

pub mod channels;
pub mod collectors;
pub mod targets;

pub mod engine;
pub mod http;

pub mod app;
pub mod cli;
