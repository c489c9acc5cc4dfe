//! `holdfast targets`: what is probed and how it is.

use clap::Subcommand;
use hyper::body::Bytes;
use serde_json::Value;

use super::Global;
use super::client::{Client, block_on, escape};
use super::exit::{DEGRADED, Done, OK, UNHEALTHY};
use super::output::{Table, coloured, millis_of, note, percent_of, print, print_json, text_of};
use super::surroundings::Surroundings;

#[derive(Subcommand, Debug)]
pub enum TargetsCommand {
    /// List the targets
    Ls,
    /// Probe a target now: exit 0, 3 or 4 by the outcome
    Probe {
        /// Name of the target
        name: String,
    },
}

/// # Errors
/// The agent cannot be reached or refused.
pub fn targets(command: &TargetsCommand, global: &Global, surroundings: &Surroundings) -> Done {
    let client = Client::new(global, surroundings)?;
    match command {
        TargetsCommand::Ls => {
            let answer = block_on(client.fetch_all("/api/v1/targets", "items"))?;
            if global.json {
                print_json(&answer)?;
                return Ok(OK);
            }
            let table = table(&answer, surroundings);
            if table.is_empty() {
                note("no target is configured");
            } else {
                print(&table)?;
            }
            Ok(OK)
        }
        TargetsCommand::Probe { name } => {
            let path = format!("/api/v1/targets/{}/probe", escape(name));
            let record = block_on(async {
                client.post(&path, "application/json", Bytes::from_static(b"{}")).await?.success()?.json()
            })?;
            if global.json {
                print_json(&record)?;
            } else {
                print(&operations(&record, surroundings))?;
            }
            Ok(code_of(&record["class"]))
        }
    }
}

fn code_of(class: &Value) -> u8 {
    match class.as_str() {
        Some("ok") => OK,
        Some("hard") => UNHEALTHY,
        _ => DEGRADED,
    }
}

/// One line per target of `/api/v1/targets`; empty without targets.
pub fn table(answer: &Value, surroundings: &Surroundings) -> String {
    let mut table =
        Table::new(["TARGET", "KIND", "ADDRESS", "LATENCY", "P95", "FAILED", "CLASS", "BREAKER", "DETAIL"]);
    for item in answer["items"].as_array().into_iter().flatten() {
        let class = item["class"].as_str().unwrap_or("not probed yet");
        let class = if item["enabled"] == false { "off" } else { class };
        let operations = item["last"]["operations"].as_array();
        let problem = operations.into_iter().flatten().find(|operation| operation["class"] != "ok");
        let detail = problem
            .map(|problem| format!("{}: {}", text_of(&problem["operation"]), text_of(&problem["detail"])));
        table.row([
            text_of(&item["name"]),
            text_of(&item["kind"]),
            text_of(&item["address"]),
            millis_of(&item["last"]["latency_ms"]),
            millis_of(&item["p95_ms"]),
            percent_of(&Value::from(item["error_share"].as_f64().unwrap_or_default() * 100.0)),
            coloured(class, class, surroundings),
            text_of(&item["breaker"]),
            detail.unwrap_or_default(),
        ]);
    }
    if table.is_empty() { String::new() } else { table.render() }
}

fn operations(record: &Value, surroundings: &Surroundings) -> String {
    let class = text_of(&record["class"]);
    let head = format!(
        "{} ({}): {} in {}\n",
        text_of(&record["target"]),
        text_of(&record["kind"]),
        coloured(&class, &class, surroundings),
        millis_of(&record["latency_ms"]),
    );
    let mut table = Table::new(["OPERATION", "LATENCY", "CLASS", "CODE", "DETAIL"]);
    for operation in record["operations"].as_array().into_iter().flatten() {
        table.row([
            text_of(&operation["operation"]),
            millis_of(&operation["latency_ms"]),
            text_of(&operation["class"]),
            text_of(&operation["code"]),
            text_of(&operation["detail"]),
        ]);
    }
    format!("{head}{}", table.render())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_worst_class_decides_the_exit_code() {
        assert_eq!(
            [json!("ok"), json!("soft"), json!("hard"), Value::Null].map(|class| code_of(&class)),
            [0, 3, 4, 3]
        );
    }
}
