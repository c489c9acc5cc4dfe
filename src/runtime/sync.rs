//! The lock of what is also run under loom, which brings its own.
//!
//! `tests/loom` compiles the same source with loom's lock in place of this module.

pub use std::sync::Mutex;
