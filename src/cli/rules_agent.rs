//! `holdfast rules ls`, `import` and `replay`: the rules of the running agent.

use std::path::PathBuf;

use clap::Args;
use hyper::body::Bytes;
use serde_json::{Value, json};

use super::Global;
use super::client::{Client, block_on, escape};
use super::exit::{Done, Failure, OK};
use super::output::{Table, coloured, duration_of, note, print, print_json, text_of};
use super::surroundings::Surroundings;

#[derive(Args, Debug)]
pub struct ImportArguments {
    /// Rule files of Prometheus
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Only say what would be made
    #[arg(long)]
    dry_run: bool,
}

#[derive(Args, Debug)]
pub struct ReplayArguments {
    /// Name of the rule
    name: String,
    /// How far back, such as 7d
    #[arg(long, default_value = "7d", value_name = "TIME")]
    last: String,
}

/// # Errors
/// The agent cannot be reached or refused.
pub fn list(global: &Global, surroundings: &Surroundings) -> Done {
    let client = Client::new(global, surroundings)?;
    let answer = block_on(client.fetch_all("/api/v1/monitoring/rules", "items"))?;
    if global.json {
        print_json(&answer)?;
        return Ok(OK);
    }
    let mut table = Table::new(["RULE", "KIND", "SEVERITY", "FOR", "EVERY", "HEALTH", "ACTIVE", "FROM"]);
    for rule in answer["items"].as_array().into_iter().flatten() {
        let health = if rule["enabled"] == false { String::from("off") } else { text_of(&rule["health"]) };
        let class = if health == "error" { "hard" } else { health.as_str() };
        table.row([
            text_of(&rule["name"]),
            text_of(&rule["kind"]),
            text_of(&rule["severity"]),
            text_of(&rule["for"]),
            text_of(&rule["every"]),
            coloured(&health, class, surroundings),
            text_of(&rule["active"]),
            text_of(&rule["origin"]),
        ]);
    }
    print(&table.render())?;
    Ok(OK)
}

/// Every file is checked by the agent before the first is imported.
///
/// # Errors
/// A file cannot be read; the agent cannot be reached, or refused a file with all its faults.
pub fn import(arguments: &ImportArguments, global: &Global, surroundings: &Surroundings) -> Done {
    let client = Client::new(global, surroundings)?;
    let mut files = Vec::new();
    for path in &arguments.files {
        let file = path.display().to_string();
        let text = std::fs::read(path).map_err(|error| Failure::io(format!("cannot read {file}"), &error))?;
        files.push((file, Bytes::from(text)));
    }
    let mut answers = Vec::new();
    for dry_run in [true, false].into_iter().filter(|dry_run| *dry_run || !arguments.dry_run) {
        answers.clear();
        for (file, text) in &files {
            let path = format!("/api/v1/monitoring/rules/import?dry_run={dry_run}");
            let answer = block_on(async {
                client.post(&path, "application/yaml", text.clone()).await?.success()?.json()
            });
            let answer = answer
                .map_err(|failure| Failure::new(failure.code, format!("{file}: {}", failure.message)))?;
            answers.push((file, answer));
        }
    }
    for (file, answer) in &answers {
        for warning in answer["warnings"].as_array().into_iter().flatten() {
            let place = format!("{file}:{}:{}", warning["line"], warning["column"]);
            note(&format!("warning: {place}: {}", text_of(&warning["detail"])));
        }
    }
    if global.json {
        let files = answers.into_iter().map(|(file, answer)| json!({"file": file, "import": answer}));
        print_json(&json!({"files": files.collect::<Vec<_>>()}))?;
        return Ok(OK);
    }
    for (file, answer) in &answers {
        print(&imported(file, answer))?;
    }
    Ok(OK)
}

fn imported(file: &str, answer: &Value) -> String {
    let lead = if answer["dry_run"] == true { "would be " } else { "" };
    let mut text = format!(
        "{file}: {lead}{} created, {} changed, {} unchanged\n",
        answer["created"], answer["changed"], answer["unchanged"]
    );
    for rule in answer["rules"].as_array().into_iter().flatten() {
        if rule["result"] != "unchanged" {
            let (name, original) = (text_of(&rule["name"]), text_of(&rule["original"]));
            let from = if name == original { String::new() } else { format!(" ({original})") };
            text.push_str(&format!("  {} {name}{from}\n", text_of(&rule["result"])));
        }
    }
    text
}

/// # Errors
/// The agent cannot be reached or refused.
pub fn replay(arguments: &ReplayArguments, global: &Global, surroundings: &Surroundings) -> Done {
    let client = Client::new(global, surroundings)?;
    let (name, last) = (escape(&arguments.name), escape(&arguments.last));
    let path = format!("/api/v1/monitoring/rules/{name}/replay?last={last}");
    let answer = block_on(async {
        client.post(&path, "application/json", Bytes::from_static(b"{}")).await?.success()?.json()
    })?;
    for warning in answer["warnings"].as_array().into_iter().flatten() {
        note(&format!("warning: {}", text_of(warning)));
    }
    if global.json {
        print_json(&answer)?;
    } else {
        print(&replayed(&answer))?;
    }
    Ok(OK)
}

fn replayed(answer: &Value) -> String {
    let totals = &answer["totals"];
    let seconds = |counts: &Value| duration_of(counts["firing_seconds"].as_f64().unwrap_or_default());
    let wider = if answer["widened"] == true { ", wider than the rule's own" } else { "" };
    let mut text = format!(
        "{}: {} to {}, {} steps of {}{wider}\n",
        text_of(&answer["rule"]),
        text_of(&answer["start"]),
        text_of(&answer["end"]),
        answer["steps"],
        text_of(&answer["step"]),
    );
    if answer["samples"] == 0 {
        text.push_str("the expression answered nothing in this time\n");
    }
    text.push_str(&format!(
        "fired {} times, worsened {}, resolved {}, flapped {}, no data {}; firing for {} in all\n",
        totals["firings"],
        totals["worsened"],
        totals["resolves"],
        totals["flaps"],
        totals["nodata"],
        seconds(totals),
    ));
    let kinds = answer["notifications"].as_object().into_iter().flatten();
    let kinds: Vec<String> = kinds.map(|(kind, count)| format!("{count} {kind}")).collect();
    let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
    text.push_str(&format!("messages to one channel: {}{kinds}\n", answer["notifications_total"]));
    let mut table = Table::new(["LABELS", "FIRED", "RESOLVED", "FLAPPED", "FIRING", "PEAK", "LAST"]);
    for one in answer["instances"].as_array().into_iter().flatten() {
        let labels = one["labels"].as_object().into_iter().flatten();
        let labels = labels.filter(|(name, _)| *name != "alertname");
        let labels: Vec<String> = labels.map(|(name, value)| format!("{name}={}", text_of(value))).collect();
        table.row([
            labels.join(" "),
            text_of(&one["firings"]),
            text_of(&one["resolves"]),
            text_of(&one["flaps"]),
            seconds(one),
            text_of(&one["peak"]),
            text_of(&one["last_fired"]),
        ]);
    }
    if table.is_empty() { text } else { format!("{text}\n{}", table.render()) }
}
