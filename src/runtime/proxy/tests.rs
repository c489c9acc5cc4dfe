//! The proxy between clients and servers that are threads of the test: what is
//! passed on, what waits, what is told and what is reset.

mod flow;
mod limits;
mod opening;
mod road;
