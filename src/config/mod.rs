//! The configuration: one tree of typed sections.
//!
//! A section is a struct in a file of its own, named like its key, and one field
//! of [`Config`]; nothing else lists keys. Loading goes from text to a [`tree`] in
//! which every leaf knows its [`origin`], lays the layers over each other
//! ([`load`]), reads the result into the structs ([`read`]) and checks what types
//! cannot say ([`check`]). Wrong would be to read a setting anywhere else: it
//! would have no origin, no pin and no place in `config show`.

pub mod address;
pub mod admin;
pub mod alerting;
pub mod auth;
pub mod backup;
pub mod cache;
pub mod channel;
pub mod check;
pub mod collect;
pub mod environment;
pub mod failover;
pub mod file;
pub mod heartbeat;
pub mod http;
pub mod listed;
pub mod load;
pub mod log;
pub mod memory;
pub mod metrics;
pub mod origin;
pub mod overlay;
pub mod problem;
pub mod quiet_hours;
pub mod read;
pub mod reserved;
pub mod route;
pub mod rule;
pub mod schema;
pub mod services;
pub mod storage;
pub mod target;
pub mod tls;
pub mod tree;
pub mod view;

#[cfg(test)]
mod example_tests;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Everything the agent is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub listen: Vec<String>,
    pub data_dir: PathBuf,
    pub auth: auth::Auth,
    pub tls: tls::Tls,
    pub alerting: alerting::Alerting,
    pub collect: collect::Collect,
    pub storage: storage::Storage,
    pub target: target::Targets,
    pub failover: failover::Failover,
    pub rule: Vec<rule::RuleSection>,
    pub check: Vec<heartbeat::Check>,
    pub channel: channel::Channels,
    pub route: Vec<route::Route>,
    pub quiet_hours: quiet_hours::QuietHours,
    pub backup: backup::Backup,
    pub http: http::Http,
    pub log: log::Log,
    pub metrics: metrics::Metrics,
    pub admin: admin::Admin,
    pub cache: cache::Cache,
    pub memory: memory::Memory,
    pub services: services::Services,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![String::from("127.0.0.1:3003")],
            data_dir: PathBuf::from("/var/lib/holdfast"),
            auth: auth::Auth::default(),
            tls: tls::Tls::default(),
            alerting: alerting::Alerting::default(),
            collect: collect::Collect::default(),
            storage: storage::Storage::default(),
            target: target::Targets::default(),
            failover: failover::Failover::default(),
            rule: Vec::new(),
            check: Vec::new(),
            channel: channel::Channels::default(),
            route: Vec::new(),
            quiet_hours: quiet_hours::QuietHours::default(),
            backup: backup::Backup::default(),
            http: http::Http::default(),
            log: log::Log::default(),
            metrics: metrics::Metrics::default(),
            admin: admin::Admin::default(),
            cache: cache::Cache::default(),
            memory: memory::Memory::default(),
            services: services::Services::default(),
        }
    }
}
