//! `holdfast status`: the verdict, the host, the store and the targets on one
//! screen, and the verdict as exit code.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Global;
use super::client::{Client, block_on};
use super::exit::{DEGRADED, Done, Failure, OK, UNHEALTHY};
use super::output::{bytes_of, coloured, duration_of, percent_of, print, print_json, text_of};
use super::surroundings::Surroundings;
use super::targets;

/// # Errors
/// The agent cannot be reached or refused.
pub fn status(global: &Global, surroundings: &Surroundings) -> Done {
    let client = Client::new(global, surroundings)?;
    let [health, system, figures, targets] = block_on(ask(&client))?;
    if global.json {
        print_json(
            &json!({"health": health, "system": system, "host": figures["system"], "targets": targets["items"]}),
        )?;
    } else {
        print(&screen(&health, &system, &figures, &targets, surroundings))?;
    }
    Ok(match health["status"].as_str() {
        Some("healthy") => OK,
        Some("unhealthy") => UNHEALTHY,
        _ => DEGRADED,
    })
}

async fn ask(client: &Client) -> Result<[Value; 4], Failure> {
    let health = client.get("/api/v1/health").await?;
    // An unhealthy agent answers 503, and that answer is the one wanted here.
    let health = if health.status == 503 { health.json()? } else { health.success()?.json()? };
    let system = client.fetch("/api/v1/system").await?;
    let figures = client.fetch("/api/v1/monitoring/metrics").await?;
    let targets = client.fetch_all("/api/v1/targets", "items").await?;
    Ok([health, system, figures, targets])
}

fn screen(
    health: &Value,
    system: &Value,
    figures: &Value,
    targets: &Value,
    surroundings: &Surroundings,
) -> String {
    let verdict = text_of(&health["status"]);
    let host = &system["host"];
    let mut text = format!(
        "{}  holdfast {} on {}, running for {}\n",
        coloured(&verdict, &verdict, surroundings),
        text_of(&system["version"]),
        text_of(&host["hostname"]),
        duration_of(system["uptime_seconds"].as_f64().unwrap_or_default()),
    );
    for part in health["components"].as_array().into_iter().flatten() {
        let word = text_of(&part["status"]);
        if word != "healthy" {
            let shown = coloured(&word, &word, surroundings);
            let _ = writeln!(text, "  {shown}  {}: {}", text_of(&part["name"]), text_of(&part["message"]));
        }
    }
    let figures = &figures["system"];
    let _ = writeln!(
        text,
        "host    {}, {} cpus: cpu {}, memory {} of {}, disk {} of {}, up for {}",
        text_of(&host["os"]),
        text_of(&host["cpus"]),
        percent_of(&figures["cpu_usage_percent"]),
        percent_of(&figures["memory_usage_percent"]),
        bytes_of(&figures["memory_total_bytes"]),
        percent_of(&figures["disk_usage_percent"]),
        bytes_of(&figures["disk_total_bytes"]),
        duration_of(figures["uptime_seconds"].as_f64().unwrap_or_default()),
    );
    let store = &system["store"];
    let _ = writeln!(
        text,
        "store   {} of {}, {} series, {} samples waiting to be written",
        bytes_of(&store["used_bytes"]),
        bytes_of(&store["cap_bytes"]),
        text_of(&store["series"]),
        text_of(&store["samples_pending"]),
    );
    let own = &system["self"];
    let _ = writeln!(
        text,
        "agent   cpu {}, memory {}",
        percent_of(&own["cpu_percent"]),
        bytes_of(&own["rss_bytes"])
    );
    let table = targets::table(targets, surroundings);
    if !table.is_empty() {
        let _ = write!(text, "\n{table}");
    }
    text
}
