//! `POST /api/v1/monitoring/rules/import`: a rule file of Prometheus becomes rules.
//!
//! All of it or nothing, as one change of the configuration: what was imported is shown,
//! changed and removed like any other rule. One would get it wrong by taking the good
//! rules of a bad file: nobody would notice which alerts are missing.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::config::origin::Origin;
use crate::engine::rule_import::{Import, Imported, sections};
use crate::engine::settings::Author;
use crate::http::auth::{Access, ConfigWrite};
use crate::http::error::Problem;
use crate::http::extract::{ApiQuery, BODY_LIMIT, media_type, read_body};
use crate::http::registry::{Registry, routes};
use crate::http::section::{Section, apply, whole_of_all};
use crate::http::state::{App, AppState};
use crate::logic::rule_file;
use crate::logic::yaml::Fault;
use crate::runtime::supervisor::Supervisor;

/// Faults that one answer names.
const MOST_FAULTS: usize = 100;

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(import))
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct How {
    /// Only say what would be made.
    #[serde(default)]
    dry_run: bool,
}

/// What an import does to a rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum Done {
    Created,
    Changed,
    Unchanged,
}

/// One rule of the file.
#[derive(Serialize, utoipa::ToSchema)]
struct ImportedRule {
    /// Of the rule here: unique, and the same whenever the file is imported.
    name: String,
    /// `alert` or `record`.
    kind: &'static str,
    /// The name in the file.
    original: String,
    group: String,
    line: usize,
    column: usize,
    result: Done,
}

/// Something in the file that is taken and means something else here.
#[derive(Serialize, utoipa::ToSchema)]
struct ImportRemark {
    line: usize,
    column: usize,
    detail: String,
}

#[derive(Serialize, utoipa::ToSchema)]
struct ImportAnswer {
    dry_run: bool,
    created: usize,
    changed: usize,
    unchanged: usize,
    /// In the order of the file.
    rules: Vec<ImportedRule>,
    warnings: Vec<ImportRemark>,
}

/// Takes over all rules of a rule file of Prometheus, or none. Rules that share a name in
/// the file get their severity or a number behind it. 422 names each bad rule with line and
/// column; importing the file again changes the same rules.
#[utoipa::path(
    post, path = "/api/v1/monitoring/rules/import", tag = "rules", params(How),
    request_body(content((String = "application/yaml"), (String = "text/plain"))),
    security(("token" = ["config:write"]), ("key" = ["config:write"])),
    responses((status = 200, body = ImportAnswer))
)]
async fn import(
    access: Access<ConfigWrite>,
    State(app): State<AppState>,
    ApiQuery(how): ApiQuery<How>,
    request: Request,
) -> Result<Json<ImportAnswer>, Problem> {
    let text = text_of(request).await?;
    // A file may take some tenths of a second to read.
    let read = move || rule_file::read(&text).and_then(|file| sections(&file));
    let Import { rules, warnings } =
        Supervisor::blocking(read).await.ok_or_else(Problem::internal)?.map_err(|faults| refused(&faults))?;
    if let Some(one) = rules.iter().find(|one| is_of_file(&app, one)) {
        return Err(section(one)
            .taken(&app)
            .hint("take the rule out of the file, or rename the imported one"));
    }
    let results: Vec<Done> = rules.iter().map(|one| result_of(&app, one)).collect();
    let changes = || rules.iter().zip(&results).filter(|(_, done)| **done != Done::Unchanged);
    if !how.dry_run && changes().next().is_some() {
        let bodies = || changes().map(|(one, _)| (one.name.as_str(), &one.keys));
        let patch = || Ok(json!({ "rule": whole_of_all(&app, "rule", bodies()) }));
        apply(&app, &Author::from(&access.principal), patch).await?;
        app.alerting()?.follow(&app.services.settings.config()).await;
    }
    Ok(Json(answer(how.dry_run, rules, &results, &warnings)))
}

async fn text_of(request: Request) -> Result<String, Problem> {
    let kind = media_type(request.headers());
    let yaml = ["", "application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml", "text/plain"];
    if !yaml.contains(&kind.as_str()) {
        let detail = format!("the body is `{kind}`, expected `application/yaml` or `text/plain`");
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail));
    }
    let body = read_body(request.into_body(), BODY_LIMIT).await?;
    String::from_utf8(body.into())
        .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "bad_body", "the rule file is not UTF-8"))
}

fn refused(faults: &[Fault]) -> Problem {
    let first = faults.first().map(ToString::to_string).unwrap_or_default();
    let detail = match faults.len() {
        1 => format!("the rule file is wrong at {first}"),
        count => format!("the rule file is wrong at {count} places, first at {first}"),
    };
    let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_rule_file", detail);
    let shown = faults.iter().take(MOST_FAULTS);
    shown.fold(problem, |problem, fault| problem.field(fault.place.to_string(), fault.to_string()))
}

fn section(one: &Imported) -> Section<'_> {
    Section { list: &["rule"], name: &one.name }
}

/// Whether the configuration file has a rule of this name: the two would become a mixture.
fn is_of_file(app: &App, one: &Imported) -> bool {
    let loaded = app.services.settings.loaded();
    let found = loaded.tree.find(&section(one).key());
    found.is_some_and(|node| !matches!(node.origin(), Origin::Runtime { .. }))
}

/// What the import comes to for a rule, by what is in force.
fn result_of(app: &App, one: &Imported) -> Done {
    match section(one).shown(app) {
        Value::Object(mut shown) => {
            shown.remove("name");
            if shown == one.keys { Done::Unchanged } else { Done::Changed }
        }
        _ => Done::Created,
    }
}

fn answer(dry_run: bool, rules: Vec<Imported>, results: &[Done], warnings: &[Fault]) -> ImportAnswer {
    let count = |wanted: Done| results.iter().filter(|done| **done == wanted).count();
    let rules = rules.into_iter().zip(results).map(|(one, result)| ImportedRule {
        name: one.name,
        kind: one.kind,
        original: one.original,
        group: one.group,
        line: one.place.line,
        column: one.place.column,
        result: *result,
    });
    let warning = |fault: &Fault| ImportRemark {
        line: fault.place.line,
        column: fault.place.column,
        detail: fault.message.clone(),
    };
    ImportAnswer {
        dry_run,
        created: count(Done::Created),
        changed: count(Done::Changed),
        unchanged: count(Done::Unchanged),
        rules: rules.collect(),
        warnings: warnings.iter().map(warning).collect(),
    }
}
