//! One file per resource; each says its paths, and this list merges them.

pub mod alert_actions;
pub mod alerts;
pub mod audit;
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
pub mod silences;
pub mod system;
pub mod target_changes;
pub mod targets;
pub mod tasks;

use utoipa_axum::router::OpenApiRouter;

use super::state::AppState;

/// Every route with what it says about itself.
pub fn all() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(super::openapi::base())
        .merge(health::routes())
        .merge(metrics::routes())
        .merge(monitoring::routes())
        .merge(alerts::routes())
        .merge(alert_actions::routes())
        .merge(deliveries::routes())
        .merge(rules::routes())
        .merge(silences::routes())
        .merge(rule_import::routes())
        .merge(replay::routes())
        .merge(channels::routes())
        .merge(events::routes())
        .merge(series::routes())
        .merge(query::routes())
        .merge(targets::routes())
        .merge(target_changes::routes())
        .merge(breaker::routes())
        .merge(failover::routes())
        .merge(failover_changes::routes())
        .merge(failover_commands::routes())
        .merge(checks::routes())
        .merge(check_changes::routes())
        .merge(pings::routes())
        .merge(tasks::routes())
        .merge(reports::routes())
        .merge(system::routes())
        .merge(config::routes())
        .merge(audit::routes())
        .merge(ingest::routes())
        .merge(super::families::routes())
        .merge(super::prometheus::routes())
        .merge(super::alertmanager::routes())
        .merge(document::routes())
        .merge(super::assets::routes())
}
