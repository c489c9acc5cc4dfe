//! `holdfast config`: what is in force, why, and as a file.
//!
//! The running agent is asked, because only it knows what was changed at run time.
//! Where none runs, `show` and `export` say what one would start with.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use hyper::body::Bytes;
use serde_json::{Map, Value, json};

use super::Global;
use super::client::{Client, block_on};
use super::exit::{CONFIGURATION, Done, Failure, OK, UNREACHABLE};
use super::flat_config;
use super::output::{Table, note, print, print_json, text_of};
use super::surroundings::Surroundings;
use crate::config::load::{Loaded, Sources, load, load_text};
use crate::config::overlay::Overlay;
use crate::config::tree::{Key, Step};
use crate::config::view;

/// Every option with its default and a comment.
pub const EXAMPLE: &str = include_str!("../../holdfast.example.toml");

#[derive(Subcommand, Debug)]
pub enum ConfigCommand {
    /// Print every option with its default and a comment
    Example,
    /// Show the values in force
    Show {
        /// Also where each value comes from
        #[arg(long)]
        origin: bool,
    },
    /// Show what was changed at run time against the file
    Diff,
    /// Print a file that says what is in force, without secrets
    Export,
    /// Make a configuration of the flat JSON of the orchestrator family, or of a file of ours
    Import {
        /// JSON, or TOML as `export` prints it
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Put it in force in the running agent instead of printing it
        #[arg(long)]
        apply: bool,
    },
    /// Make a new key and seal the secrets that were set at run time with it
    RotateKey,
}

/// # Errors
/// The agent is not reachable where only it knows, or the configuration is wrong.
pub fn config(command: &ConfigCommand, global: &Global, surroundings: &Surroundings) -> Done {
    match command {
        ConfigCommand::Example => print(EXAMPLE)?,
        ConfigCommand::Show { origin } => {
            let shown = agent_or_file(
                global,
                surroundings,
                async |client| client.fetch("/api/v1/config").await,
                |loaded| json!({"values": view::values(loaded), "warnings": loaded.warnings}),
            )?;
            show(&shown, *origin, global)?;
        }
        ConfigCommand::Diff => {
            let client = Client::new(global, surroundings)?;
            diff(&block_on(client.fetch("/api/v1/config/diff"))?, global)?;
        }
        ConfigCommand::Export => {
            let exported = agent_or_file(
                global,
                surroundings,
                async |client| Ok(client.get("/api/v1/config/export").await?.success()?.text()),
                view::export,
            )?;
            print(&exported)?;
        }
        ConfigCommand::Import { file, apply } => import(file, *apply, global, surroundings)?,
        ConfigCommand::RotateKey => {
            let client = Client::new(global, surroundings)?;
            let path = "/api/v1/config/rotate-key";
            let rotated = block_on(async {
                client.post(path, "application/json", Default::default()).await?.success()?.json()
            })?;
            rotation(&rotated, global)?;
        }
    }
    Ok(OK)
}

/// Prints what `file` says as a configuration of ours, or puts it in force.
fn import(file: &Path, apply: bool, global: &Global, surroundings: &Surroundings) -> Result<(), Failure> {
    let name = file.display().to_string();
    let text =
        std::fs::read_to_string(file).map_err(|error| Failure::io(format!("cannot read {name}"), &error))?;
    let wrong = |error: String| Failure::new(CONFIGURATION, format!("{name}: {error}"));
    let document = match serde_json::from_str::<Value>(&text) {
        Ok(document) => document,
        // Ours; what it says is checked below.
        Err(_) if !text.trim_start().starts_with('{') => Value::Null,
        Err(error) => return Err(wrong(format!("this is not JSON: {error}"))),
    };
    let imported = if flat_config::is_flat(&document) {
        flat_config::convert(&document).map_err(wrong)?
    } else if document.is_null() {
        flat_config::Imported { text: text.clone(), ..Default::default() }
    } else {
        return Err(wrong(String::from("it has none of the keys of the orchestrator family")));
    };
    let sources = Sources { data_dir: Some(surroundings.data_dir(global)), ..Sources::default() };
    let loaded = load_text(sources, &name, &imported.text, Overlay::default())
        .map_err(|problems| Failure::new(CONFIGURATION, problems))?;
    for remark in &imported.remarks {
        note(&format!("left out: {remark}"));
    }
    if !apply {
        return print(&imported.text);
    }
    let patch = if document.is_null() { patch_of(&loaded) } else { Value::Object(imported.sections) };
    let client = Client::new(global, surroundings)?;
    let body = Bytes::from(patch.to_string());
    let applied = block_on(async {
        client.put_any("/api/v1/config", "application/json", body).await?.success()?.json()
    })?;
    if global.json {
        return print_json(&applied);
    }
    let changed = applied["changed"].as_array().map_or(0, Vec::len);
    print(&format!("changed: {changed} values\n"))
}

/// What a file says as a change of the configuration: lists of tables by their names.
fn patch_of(loaded: &Loaded) -> Value {
    let mut patch = Value::Object(Map::new());
    let mut said: Vec<Key> = Vec::new();
    loaded.file.leaves(&mut |key, _| said.push(key.clone()));
    loaded.file.leaves(&mut |key, leaf| {
        let is_name =
            key.0.len() > 1 && matches!(key.0[key.0.len() - 2], Step::Item(_)) && key.last() == "name";
        // What has other keys is made by them; a name that the file holds is not to be set.
        let above = Key(key.0[..key.0.len().saturating_sub(1)].to_vec());
        if is_name && said.iter().any(|other| other != key && other.is_within(&above)) {
            return;
        }
        let place = key.0.iter().fold(&mut patch, |at, step| &mut at[step.text()]);
        *place = leaf.value.clone();
    });
    patch
}

/// What the agent says; where none runs on this host, what one would start with.
fn agent_or_file<T>(
    global: &Global,
    surroundings: &Surroundings,
    ask: impl AsyncFnOnce(&Client) -> Result<T, Failure>,
    make: impl FnOnce(&Loaded) -> T,
) -> Result<T, Failure> {
    let client = Client::new(global, surroundings)?;
    match block_on(ask(&client)) {
        Err(failure) if failure.code == UNREACHABLE && client.is_local() => {
            Ok(make(&offline(global, surroundings)?))
        }
        other => other,
    }
}

fn offline(global: &Global, surroundings: &Surroundings) -> Result<Loaded, Failure> {
    let sources = surroundings.sources(global, Vec::new());
    let loaded =
        load(sources, Overlay::default()).map_err(|problems| Failure::new(CONFIGURATION, problems))?;
    note("holdfast: no agent is running here: this is what one would start with, without run-time values");
    Ok(loaded)
}

fn show(shown: &Value, origin: bool, global: &Global) -> Result<(), Failure> {
    if global.json {
        return print_json(shown);
    }
    let mut table = if origin { Table::new(["KEY", "VALUE", "FROM"]) } else { Table::new(["KEY", "VALUE"]) };
    for value in shown["values"].as_array().into_iter().flatten() {
        let (key, text) = (text_of(&value["key"]), value_text(&value["value"]));
        if origin {
            table.row([key, text, origin_text(&value["origin"], value["pinned"] == true)]);
        } else {
            table.row([key, text]);
        }
    }
    for problem in shown["problems"].as_array().into_iter().flatten() {
        note(&format!("not in force, since the file was changed: {}", text_of(problem)));
    }
    for warning in shown["warnings"].as_array().into_iter().flatten() {
        note(&format!("warning: {}", text_of(warning)));
    }
    print(&table.render())
}

fn diff(shown: &Value, global: &Global) -> Result<(), Failure> {
    if global.json {
        return print_json(shown);
    }
    let items = shown["items"].as_array().or_else(|| shown.as_array());
    let mut table = Table::new(["KEY", "FILE", "RUN TIME", "IN FORCE", "CHANGED"]);
    for item in items.into_iter().flatten() {
        table.row([
            text_of(&item["key"]),
            value_text(&item["file"]),
            value_text(&item["runtime"]),
            value_text(&item["effective"]),
            origin_text(&item["origin"], false),
        ]);
    }
    if table.is_empty() {
        note("nothing was changed at run time");
        return Ok(());
    }
    print(&table.render())
}

fn rotation(rotated: &Value, global: &Global) -> Result<(), Failure> {
    if global.json {
        return print_json(rotated);
    }
    let part = |name: &str| text_of(&rotated[name]);
    if rotated["former_keys"].as_u64().is_some_and(|kept| kept > 0) {
        note(&format!("former keys that are kept: {}", part("former_keys")));
    }
    print(&format!("secrets sealed with key {}: {}\n", part("key"), part("sealed")))
}

fn value_text(value: &Value) -> String {
    if value.is_null() { String::from("-") } else { value.to_string() }
}

/// An origin of the API in words.
fn origin_text(origin: &Value, pinned: bool) -> String {
    let part = |name: &str| text_of(&origin[name]);
    let text = match origin["source"].as_str().unwrap_or_default() {
        "file" => format!("{}:{}:{}", part("file"), part("line"), part("column")),
        "runtime" => format!("run time, by {} at {}", part("by"), part("at")),
        "environment" => format!("environment {}", part("name")),
        "flag" => format!("flag {}", part("name")),
        other => other.to_owned(),
    };
    if pinned { format!("{text} (pinned)") } else { text }
}
