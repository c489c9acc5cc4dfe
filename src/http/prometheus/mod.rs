//! `/prometheus/api/v1`: Prometheus' HTTP API, so that Grafana, promtool and vmalert take
//! the agent for a Prometheus server.
//!
//! A view over the store, the evaluator and the rules. Answers have the shapes of
//! Prometheus, errors its types and status codes (see [`super::dialect`]), and a parameter
//! that is not known does no harm: clients send some for other servers.

mod form;
mod query;
mod rules;
mod series;
mod status;
mod write;

pub use form::Given;
use serde::Serialize;

use super::registry::Registry;

/// Every route below the prefix.
pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(query::routes).routes(series::routes).routes(rules::routes).routes(status::routes)
}

/// What all good answers have around them.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = PrometheusSuccess)]
pub struct Success<T> {
    /// `success`
    status: &'static str,
    data: T,
    /// Left out when there is nothing to say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    warnings: Vec<String>,
    /// Which resolution was used, where not every sample was.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    infos: Vec<String>,
}

/// The warning of Prometheus where `limit` left something out.
const TRUNCATED: &str = "results truncated due to limit";

impl<T> Success<T> {
    fn of(data: T) -> Self {
        Self { status: "success", data, warnings: Vec::new(), infos: Vec::new() }
    }

    #[must_use]
    fn truncated(mut self, truncated: bool) -> Self {
        if truncated {
            self.warnings.push(TRUNCATED.to_owned());
        }
        self
    }
}
