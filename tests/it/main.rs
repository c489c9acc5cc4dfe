//! The integration tests: one binary, so that linking is paid once.

mod support;

mod api;
mod auth;
mod breaker;
mod cli;
mod cli_agent;
mod collectors;
mod config_errors;
mod families;
mod kill;
mod live;
mod object_store;
mod openapi;
mod postgres;
mod settings;
mod start;
mod target_changes;
mod targets;
mod tidy;
