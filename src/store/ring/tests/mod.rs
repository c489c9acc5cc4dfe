//! What users of the ring rely on, against a naive oracle.

mod codecs;
mod damage;
mod golden;
mod memory;
mod queries;
mod rig;
mod samples;
