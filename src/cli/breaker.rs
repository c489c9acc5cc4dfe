//! `holdfast breaker`: the breaker of a target, and what an operator may tell it.

use clap::Subcommand;
use hyper::body::Bytes;
use serde_json::Value;

use super::Global;
use super::client::{Client, block_on, escape};
use super::exit::{Done, OK};
use super::output::{Table, coloured, millis_of, percent_of, print, print_json, text_of};
use super::surroundings::Surroundings;

#[derive(Subcommand, Debug)]
pub enum BreakerCommand {
    /// Show its state, its counts and its last transitions
    Show(Of),
    /// Close it, with nothing counted
    Reset(Of),
    /// Reject every call until it is released
    ForceOpen(Of),
    /// Let every call pass and count none, until it is released
    Disable(Of),
    /// Let every call pass and count them all, until it is released
    MetricsOnly(Of),
    /// End forced open, disabled and metrics only
    Release(Of),
}

#[derive(clap::Args, Debug)]
pub struct Of {
    /// Name of the target
    target: String,
}

/// # Errors
/// The agent cannot be reached or refused.
pub fn breaker(command: &BreakerCommand, global: &Global, surroundings: &Surroundings) -> Done {
    let client = Client::new(global, surroundings)?;
    let (of, action) = match command {
        BreakerCommand::Show(of) => (of, None),
        BreakerCommand::Reset(of) => (of, Some("reset")),
        BreakerCommand::ForceOpen(of) => (of, Some("force-open")),
        BreakerCommand::Disable(of) => (of, Some("disable")),
        BreakerCommand::MetricsOnly(of) => (of, Some("metrics-only")),
        BreakerCommand::Release(of) => (of, Some("release")),
    };
    let path = format!("/api/v1/targets/{}/breaker", escape(&of.target));
    let view = block_on(async {
        match action {
            None => client.fetch(&path).await,
            Some(action) => {
                let path = format!("{path}/{action}");
                let sent = client.post(&path, "application/json", Bytes::from_static(b"{}")).await?;
                sent.success()?.json()
            }
        }
    })?;
    if global.json {
        print_json(&view)?;
    } else {
        print(&text(&of.target, &view, surroundings))?;
    }
    Ok(OK)
}

fn text(target: &str, view: &Value, surroundings: &Surroundings) -> String {
    let state = text_of(&view["state"]);
    let class = match state.as_str() {
        "closed" => "ok",
        "open" | "forced_open" => "hard",
        _ => "soft",
    };
    let share = |key: &str| percent_of(&Value::from(view[key].as_f64().unwrap_or_default() * 100.0));
    let mut head =
        format!("{target}: {} since {}", coloured(&state, class, surroundings), text_of(&view["since"]));
    if let Some(next) = view["next_attempt"].as_str() {
        head.push_str(&format!(", next attempt {next}"));
    }
    let head = format!(
        "{head}\nfailures in a row {}, window of {} calls: {} failed, {} slow, average {}\n",
        text_of(&view["failure_count"]),
        text_of(&view["window_calls"]),
        share("failure_rate"),
        share("slow_rate"),
        millis_of(&view["average_response_ms"]),
    );
    let mut table = Table::new(["AT", "FROM", "TO", "REASON", "BY"]);
    for done in view["transitions"].as_array().into_iter().flatten() {
        table.row(["at", "from", "to", "reason", "by"].map(|key| text_of(&done[key])));
    }
    if table.is_empty() { head } else { head + &table.render() }
}
