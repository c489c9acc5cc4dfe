//! Everything that speaks HTTP: one file per resource below `routes/`, one line
//! here to merge it.
//!
//! A request passes the [`front::Front`] (which host, which origin, panics,
//! errors, counters), the router, and the handler's extractors (who may, what was
//! sent). Handlers call the same functions as the command line.
//!
//! **Invariant:** only this module names axum; no handler writes a table.

pub mod alertmanager;
pub mod assets;
pub mod auth;
pub mod cache;
pub mod counters;
pub mod dialect;
pub mod error;
pub mod extract;
pub mod families;
pub mod front;
pub mod head_guard;
pub mod live;
pub mod number;
pub mod openapi;
pub mod page;
pub mod parameters;
pub mod places;
pub mod prometheus;
pub mod rate;
pub mod refusals;
pub mod registry;
pub mod routes;
pub mod section;
pub mod serve;
pub mod spare;
pub mod state;
pub mod write_deadline;

pub use front::Front;
pub use serve::{Listener, serve};
pub use state::{BuildInfo, ProbeNow, Services};
