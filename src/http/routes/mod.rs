//! One file per resource; each says its paths, and this list merges them.

pub mod alert_actions;
pub mod alerts;
pub mod audit;
pub mod backups;
pub mod breaker;
pub mod channels;
pub mod check_changes;
pub mod checks;
pub mod config;
pub mod deliveries;
pub mod document;
pub mod events;
pub mod failover;
pub mod failover_changes;
pub mod failover_commands;
pub mod health;
pub mod ingest;
pub mod metrics;
pub mod monitoring;
pub mod pings;
pub mod query;
pub mod replay;
pub mod reports;
pub mod rule_import;
pub mod rules;
pub mod series;
pub mod session;
pub mod silences;
pub mod storage;
pub mod store;
pub mod system;
pub mod target_changes;
pub mod targets;
pub mod tasks;
pub mod tokens;
pub mod users;

use super::registry::Registry;

/// Every route with what it says about itself.
pub fn all<R: Registry>(registry: R) -> R {
    registry
        .routes(health::routes)
        .routes(metrics::routes)
        .routes(monitoring::routes)
        .routes(alerts::routes)
        .routes(alert_actions::routes)
        .routes(deliveries::routes)
        .routes(rules::routes)
        .routes(silences::routes)
        .routes(rule_import::routes)
        .routes(replay::routes)
        .routes(channels::routes)
        .routes(events::routes)
        .routes(series::routes)
        .routes(query::routes)
        .routes(targets::routes)
        .routes(target_changes::routes)
        .routes(breaker::routes)
        .routes(failover::routes)
        .routes(failover_changes::routes)
        .routes(failover_commands::routes)
        .routes(checks::routes)
        .routes(check_changes::routes)
        .routes(pings::routes)
        .routes(tasks::routes)
        .routes(reports::routes)
        .routes(system::routes)
        .routes(storage::routes)
        .routes(store::routes)
        .routes(config::routes)
        .routes(audit::routes)
        .routes(tokens::routes)
        .routes(users::routes)
        .routes(session::routes)
        .routes(backups::routes)
        .routes(ingest::routes)
        .routes(super::families::routes)
        .routes(super::prometheus::routes)
        .routes(super::alertmanager::routes)
        .routes(document::routes)
        .routes(super::assets::routes)
}
