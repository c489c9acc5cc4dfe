//! `/api/v1/series`: which series there are.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::query::{SelectorText, selectors, split};
use crate::base::time::Timestamp;
use crate::http::auth::{Access, MonitoringRead};
use crate::http::error::Problem;
use crate::http::extract::ApiQuery;
use crate::http::number::Number;
use crate::http::page::{List, Paging};
use crate::http::registry::{Registry, routes};
use crate::http::state::AppState;
use crate::model::query::SeriesInfo;
use crate::model::series::Kind;
use crate::runtime::supervisor::Supervisor;

/// Series looked at for one answer; the store's own cap is lower by default.
const MOST: usize = 100_000;

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(series))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Selectors, at most 64; a series that matches any of them is listed. All
    /// series when there are none.
    #[serde(default, rename = "match")]
    #[param(inline, rename = "match", value_type = Vec<SelectorText>, max_items = 64)]
    matching: Vec<String>,
    /// Series to answer, 100 by default, 1000 at most.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Series to leave out at the start.
    offset: Option<usize>,
    /// `next` of an earlier answer; in place of `offset`.
    #[param(min_length = 1)]
    cursor: Option<String>,
}

/// One series, as far as samples of it are still held.
#[derive(Serialize, utoipa::ToSchema)]
struct SeriesItem {
    name: String,
    labels: BTreeMap<String, String>,
    kind: Kind,
    help: String,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    first: Timestamp,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    last: Timestamp,
    last_value: Number,
}

impl From<SeriesInfo> for SeriesItem {
    fn from(info: SeriesInfo) -> Self {
        let (name, labels) = split(&info.key);
        Self {
            name,
            labels,
            kind: info.kind,
            help: info.help,
            first: info.first,
            last: info.last,
            last_value: Number(info.last_value),
        }
    }
}

/// The series that match any of the selectors, in the order of their names.
#[utoipa::path(
    get, path = "/api/v1/series", tag = "series", params(Wanted),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = List<SeriesItem>))
)]
async fn series(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiQuery(wanted): ApiQuery<Wanted>,
) -> Result<Json<List<SeriesItem>>, Problem> {
    let selectors = selectors("match", &wanted.matching)?;
    let paging = Paging { limit: wanted.limit, offset: wanted.offset, cursor: wanted.cursor };
    let window = paging.window()?;
    let store = app.store()?.clone();
    // Matching looks at every series: on a thread that may take its time.
    let work = move || store.series(&selectors, MOST);
    let found = Supervisor::blocking(work).await.ok_or_else(Problem::internal)??;
    let total = found.len() as u64;
    let items = found.into_iter().skip(window.offset).take(window.limit).map(SeriesItem::from).collect();
    Ok(Json(List::cut(items, total, window)))
}
