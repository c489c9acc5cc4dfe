//! The integration tests: one binary, so that linking is paid once.

mod alerting;
mod applications;
mod support;

mod alertmanager;
mod api;
mod auth;
mod breaker;
mod channel_config;
mod channels;
mod checks;
mod cli;
mod cli_agent;
mod collectors;
mod config_errors;
mod families;
mod grpc;
mod http;
mod kill;
mod live;
mod mail;
mod nostr;
mod object_store;
mod openapi;
mod postgres;
mod redis;
mod reports;
mod seal;
mod settings;
mod start;
mod systemd;
mod target_changes;
mod targets;
mod tasks;
mod tcp;
mod tidy;
