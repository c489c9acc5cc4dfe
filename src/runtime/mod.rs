//! What tasks run on: the supervisor that spawns them, the bus they publish to,
//! the ticks they wait for.

pub mod bus;
pub mod supervisor;
pub mod ticker;
