//! What tasks run on: the supervisor that spawns them, the bus they publish to,
//! the ticks they wait for, the ways out to the network and to other programs, the
//! breakers in front of them, and the keys that seal secrets.

pub mod breaker;
pub mod breakers;
pub mod bus;
pub mod certificate;
pub mod command;
pub mod cpu;
pub mod credential;
pub mod crew;
pub mod dial;
pub mod http_client;
pub mod memory;
pub mod network_failure;
pub mod proxy;
pub mod seal;
pub mod server_tls;
pub mod solitary;
pub mod supervisor;
pub mod sync;
pub mod threads;
pub mod ticker;
pub mod timed;
pub mod tls;
