//! Failover groups at work: what is asked of them and what they show.

pub mod handle;
