//! `/alertmanager/api/v2`: Alertmanager's API, so that amtool works and Prometheus servers
//! send their alerts here.
//!
//! A view: what is posted becomes an event alert like any other and takes the same routes,
//! silences are the one list of silences, receivers are the channels. Errors are texts, as
//! its clients show them (see [`super::dialect`]).

mod alerts;
mod post;
mod shapes;
mod silences;
mod status;

use super::error::Problem;
use super::registry::Registry;
use crate::logic::notify::Matching;
use crate::logic::silence;

/// Every route below the prefix.
pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(alerts::routes).routes(silences::routes).routes(status::routes)
}

/// Every alert has a receiver there; here an alert may have no channel.
const NOBODY: &str = "nobody";

/// Matchers of `filter`, at most so many.
const MOST_FILTERS: usize = 32;

fn bad_request(message: impl Into<String>) -> Problem {
    Problem::new(axum::http::StatusCode::BAD_REQUEST, "bad_request", message)
}

/// Every `filter=` of a request, ready to be asked.
fn filters<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Matching, Problem> {
    let matchers: Vec<_> = texts
        .take(MOST_FILTERS + 1)
        .map(silence::matcher)
        .collect::<Result<_, _>>()
        .map_err(|error| bad_request(error.to_string()))?;
    if matchers.len() > MOST_FILTERS {
        return Err(bad_request(format!("more than {MOST_FILTERS} filters")));
    }
    Matching::new(&matchers).map_err(bad_request)
}
