//! The protocol of failover groups as a pure state machine.

mod event;

pub use self::event::*;
