//! `holdfast alerts`: what is wrong, and what an operator says about it.

use clap::Subcommand;
use hyper::body::Bytes;
use serde_json::{Map, Value, json};

use super::Global;
use super::client::{Client, block_on, escape};
use super::exit::{Done, Failure, OK};
use super::output::{Table, coloured, note, print, print_json, text_of};
use super::surroundings::Surroundings;

#[derive(Subcommand, Debug)]
pub enum AlertsCommand {
    /// List the active alerts, newest first
    Ls(Which),
    /// Show one alert with its history and what was sent about it
    Show {
        /// Its id
        id: String,
    },
    /// Say that somebody has seen it: reminders stop
    Ack {
        /// Its id
        id: String,
        /// What to say about it
        #[arg(long, value_name = "TEXT")]
        comment: Option<String>,
        /// When the acknowledgement ends by itself: RFC 3339 or epoch seconds
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
    },
    /// End it; it comes back only after its condition was false once
    Resolve {
        /// Its id
        id: String,
        /// What to say about it
        #[arg(long, value_name = "TEXT")]
        notes: Option<String>,
    },
    /// Raise a synthetic alert that goes the whole way, to the channels too
    Test {
        /// info, low, medium, high, critical or emergency
        #[arg(long, default_value = "medium", value_name = "WORD")]
        severity: String,
        /// What it says
        #[arg(long, default_value = "Test alert", value_name = "TEXT")]
        title: String,
    },
}

#[derive(clap::Args, Debug)]
pub struct Which {
    /// active, all, or one state: pending, firing, recovering, resolved, nodata, error
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// info, warning, critical, or a level: low, medium, high, emergency
    #[arg(long, value_name = "WORD")]
    severity: Option<String>,
}

const PATH: &str = "/api/v1/monitoring/alerts";

/// # Errors
/// The agent cannot be reached or refused.
pub fn alerts(command: &AlertsCommand, global: &Global, surroundings: &Surroundings) -> Done {
    let client = Client::new(global, surroundings)?;
    match command {
        AlertsCommand::Ls(which) => {
            let answer = block_on(client.fetch_all(&which.path(), "alerts"))?;
            if global.json {
                print_json(&answer)?;
                return Ok(OK);
            }
            let table = table(&answer, surroundings);
            if table.is_empty() {
                note("no such alert")
            } else {
                print(&table.render())?
            }
            rest(&answer);
            Ok(OK)
        }
        AlertsCommand::Show { id } => {
            let alert = block_on(client.fetch(&format!("{PATH}/{}", escape(id))))?;
            shown(&alert, global, || details(&alert, surroundings))
        }
        AlertsCommand::Ack { id, comment, until } => {
            let body = remark(comment.as_ref(), until.as_ref());
            let alert = send(&client, &format!("{PATH}/{}/acknowledge", escape(id)), &body)?;
            let by = text_of(&alert["acknowledged_by"]);
            shown(&alert, global, || format!("{} acknowledged by {by}\n", head(&alert, surroundings)))
        }
        AlertsCommand::Resolve { id, notes } => {
            let body = remark(notes.as_ref(), None);
            let alert = send(&client, &format!("{PATH}/{}/resolve", escape(id)), &body)?;
            shown(&alert, global, || format!("{} {}\n", head(&alert, surroundings), text_of(&alert["state"])))
        }
        AlertsCommand::Test { severity, title } => {
            let alert = send(&client, "/test-alert", &json!({"severity": severity, "title": title}))?;
            shown(&alert, global, || {
                let id = text_of(&alert["id"]);
                format!("{id}\nfollow it with `holdfast alerts show {id}`\n")
            })
        }
    }
}

impl Which {
    fn path(&self) -> String {
        let given = [("state", &self.state), ("severity", &self.severity)].into_iter();
        let given = given.filter_map(|(name, text)| Some(format!("{name}={}", escape(text.as_ref()?))));
        let given: Vec<String> = given.collect();
        if given.is_empty() { PATH.to_owned() } else { format!("{PATH}?{}", given.join("&")) }
    }
}

fn send(client: &Client, path: &str, body: &Value) -> Result<Value, Failure> {
    block_on(async {
        client.post(path, "application/json", Bytes::from(body.to_string())).await?.success()?.json()
    })
}

fn remark(comment: Option<&String>, until: Option<&String>) -> Value {
    let given = [("comment", comment), ("until", until)];
    let given = given.into_iter().filter_map(|(key, text)| Some((key.to_owned(), json!(text?))));
    Value::Object(given.collect::<Map<_, _>>())
}

fn shown(alert: &Value, global: &Global, text: impl FnOnce() -> String) -> Done {
    if global.json {
        print_json(alert)?;
    } else {
        print(&text())?;
    }
    Ok(OK)
}

/// Says that a list shows not all there is.
fn rest(answer: &Value) {
    let shown = answer["alerts"].as_array().map_or(0, Vec::len) as u64;
    let total = answer["total"].as_u64().unwrap_or(shown);
    if total > shown {
        note(&format!("the newest {shown} of {total} alerts"));
    }
}

fn level(alert: &Value, surroundings: &Surroundings) -> String {
    let level = text_of(&alert["severity_level"]);
    let class = match level.as_str() {
        "critical" | "emergency" => "hard",
        "info" => "ok",
        _ => "soft",
    };
    coloured(&level, class, surroundings)
}

fn table(answer: &Value, surroundings: &Surroundings) -> Table {
    let mut table = Table::new(["ID", "SEVERITY", "STATE", "SINCE", "RULE", "TITLE", ""]);
    for alert in answer["alerts"].as_array().into_iter().flatten() {
        table.row([
            text_of(&alert["id"]),
            level(alert, surroundings),
            text_of(&alert["state"]),
            text_of(&alert["created_at"]),
            text_of(&alert["rule"]),
            text_of(&alert["title"]),
            flags(alert).join(", "),
        ]);
    }
    table
}

/// Why nobody is told of it.
fn flags(alert: &Value) -> Vec<&'static str> {
    let any = |key: &str| alert[key].as_array().is_some_and(|list| !list.is_empty());
    let flags = [
        (alert["acknowledged"] == true, "acknowledged"),
        (alert["flapping"] == true, "flapping"),
        (any("silenced_by"), "silenced"),
        (any("inhibited_by"), "explained by another"),
        (alert["maintenance"] == true, "maintenance"),
    ];
    flags.into_iter().filter(|(holds, _)| *holds).map(|(_, word)| word).collect()
}

fn head(alert: &Value, surroundings: &Surroundings) -> String {
    format!("{} {}: {}", text_of(&alert["id"]), level(alert, surroundings), text_of(&alert["title"]))
}

fn details(alert: &Value, surroundings: &Surroundings) -> String {
    let mut text = format!("{}\n", head(alert, surroundings));
    for key in ["state", "rule", "source", "message", "value", "threshold", "resource_id", "error"] {
        let value = text_of(&alert[key]);
        if !value.is_empty() {
            text.push_str(&format!("{key:<10} {value}\n"));
        }
    }
    let labels = alert["labels"].as_object().into_iter().flatten();
    let labels: Vec<String> = labels.map(|(name, value)| format!("{name}={}", text_of(value))).collect();
    text.push_str(&format!("{:<10} {}\n", "labels", labels.join(" ")));
    let flags = flags(alert);
    if !flags.is_empty() {
        text.push_str(&format!("{:<10} {}\n", "muted", flags.join(", ")));
    }
    let mut steps = Table::new(["AT", "WHAT", "SEVERITY", "VALUE", "BY", "NOTE"]);
    for step in alert["timeline"].as_array().into_iter().flatten() {
        steps.row(["at", "what", "severity", "value", "by", "note"].map(|key| text_of(&step[key])));
    }
    let mut sent = Table::new(["CHANNEL", "KIND", "STATE", "TRIES", "DUE"]);
    for row in alert["deliveries"].as_array().into_iter().flatten() {
        sent.row(["channel", "kind", "state", "tries", "due_at"].map(|key| text_of(&row[key])));
    }
    for table in [steps, sent].into_iter().filter(|table| !table.is_empty()) {
        text.push_str(&format!("\n{}", table.render()));
    }
    text
}
