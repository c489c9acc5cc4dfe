//! What enabling failover in the facility family asks of the configuration: targets for
//! the servers, and the group `default` over them, in one patch.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use super::facility_failover::{DEFAULT, DbConfig, EnableBody, EnableConfig};
use crate::base::id::Name;
use crate::config::Config;
use crate::config::failover::{Group, listens};
use crate::config::target::postgres::Postgres;
use crate::engine::settings::Author;
use crate::http::auth::{Access, TargetsWrite};
use crate::http::error::Problem;
use crate::http::routes::failover::{configured, view};
use crate::http::section::{Section, apply, wrong};
use crate::http::state::App;
use crate::model::failover::view::{GroupView, MemberState};

/// Name of the member that comes first.
const PRIMARY: &str = "primary";
/// Ports that are tried in order; outside of what the system hands to outgoing connections.
const PORTS: std::ops::Range<u16> = 6432..6532;
/// For every member to be looked at once.
const FIRST_LOOKS: Duration = Duration::from_secs(5);

/// Puts the group in force that `body` describes. What is so already is left alone.
///
/// # Errors
/// 422 for what is wrong with the body, 409 for what the file defines.
pub async fn enable_group(
    app: &App,
    access: &Access<TargetsWrite>,
    body: &EnableBody,
) -> Result<(), Problem> {
    let names = names(body)?;
    let port = match configured(app, DEFAULT) {
        Some(_) => None,
        None => {
            let config = app.config.borrow().clone();
            Some(free_port(&config).await?)
        }
    };
    let loaded = app.services.settings.loaded();
    let in_file = |name: &Name| {
        let section = Section { list: &["target", "postgres"], name: name.as_str() };
        loaded.file.find(&section.key()).is_some()
    };
    let wanted = || patch(&app.config.borrow(), body, &names, port, &in_file);
    if wanted()?.is_none() {
        return Ok(());
    }
    let author = Author::from(&access.principal);
    let put = apply(app, &author, || Ok(wanted()?.unwrap_or_else(|| json!({})))).await;
    put.map_err(|problem| own_pointers(problem, &names))
}

/// The names of the servers, each a name and there once.
fn names(body: &EnableBody) -> Result<Vec<Name>, Problem> {
    let mut names: Vec<Name> = Vec::new();
    for (index, config) in body.configs.iter().enumerate() {
        let pointer = format!("/configs/{index}/name");
        let name = Name::new(config.name.as_str()).map_err(|error| wrong(&pointer, error.to_string()))?;
        if names.contains(&name) {
            return Err(wrong(&pointer, format!("`{name}` is there twice, expected another name")));
        }
        names.push(name);
    }
    Ok(names)
}

/// What must change; `None`: nothing.
fn patch(
    config: &Config,
    body: &EnableBody,
    names: &[Name],
    port: Option<u16>,
    in_file: &dyn Fn(&Name) -> bool,
) -> Result<Option<Value>, Problem> {
    let members = members(config, names)?;
    let mut targets = Map::new();
    for (name, EnableConfig { db_config, .. }) in names.iter().zip(&body.configs) {
        let known = config.target.postgres.iter().find(|target| target.name == *name);
        if let Some(section) = target(known, db_config) {
            targets.insert(name.to_string(), section);
        }
    }
    let mut group = Map::new();
    let known = config.failover.group.iter().find(|group| group.name.as_str() == DEFAULT);
    if known.is_none_or(|known| known.members != members) {
        group.insert(String::from("members"), json!(members));
    }
    let (own, leaving) = own_targets(config, known, names, &members);
    if known.map_or(!own.is_empty(), |known| known.own_targets != own) {
        group.insert(String::from("own_targets"), json!(own));
    }
    targets.extend(leaving.filter(|name| !in_file(name)).map(|name| (name.to_string(), Value::Null)));
    if known.is_some_and(|known| !known.enabled) {
        group.insert(String::from("enabled"), Value::Bool(true));
    }
    if let Some(port) = port.filter(|_| known.is_none()) {
        group.insert(String::from("listen"), json!(format!("{}:{port}", Ipv4Addr::LOCALHOST)));
    }
    let mut patch = Map::new();
    if !targets.is_empty() {
        patch.insert(String::from("target"), json!({ "postgres": targets }));
    }
    if !group.is_empty() {
        patch.insert(String::from("failover"), json!({ "group": { DEFAULT: group } }));
    }
    Ok((!patch.is_empty()).then_some(Value::Object(patch)))
}

/// The targets that were or are made for the group and stay in it, and those that leave:
/// nobody asked for them otherwise, and no other group names them.
fn own_targets<'a>(
    config: &'a Config,
    known: Option<&'a Group>,
    names: &[Name],
    members: &'a [Name],
) -> (Vec<Name>, impl Iterator<Item = &'a Name>) {
    let exists = |name: &Name| config.target.postgres.iter().any(|target| target.name == *name);
    let before = known.map_or(&[][..], |known| &known.own_targets);
    let new = names.iter().filter(|name| !exists(name) && !before.contains(name));
    let own = before.iter().filter(|name| members.contains(name)).chain(new).cloned().collect();
    let elsewhere = move |name: &Name| {
        let groups = config.failover.group.iter().filter(|group| group.name.as_str() != DEFAULT);
        groups.flat_map(|group| &group.members).any(|member| member == name)
    };
    let leaving = before
        .iter()
        .filter(move |name| !members.contains(name) && !elsewhere(name))
        .filter(|name| config.target.postgres.iter().any(|target| target.name == **name));
    (own, leaving)
}

/// The primary, then the others in the order of the body.
fn members(config: &Config, names: &[Name]) -> Result<Vec<Name>, Problem> {
    let primary = primary(config, names).ok_or_else(|| {
        let detail =
            "none of them is named `primary`, and there is not exactly one other Postgres target to be it";
        wrong("/configs", detail.to_owned())
    })?;
    let others = names.iter().filter(|name| **name != primary).cloned();
    Ok(std::iter::once(primary.clone()).chain(others).collect())
}

fn primary(config: &Config, names: &[Name]) -> Option<Name> {
    let targets = || config.target.postgres.iter().map(|target| &target.name);
    if let Some(named) = names.iter().chain(targets()).find(|name| name.as_str() == PRIMARY) {
        return Some(named.clone());
    }
    // Enabling once more must not take a backup of the last time for another target.
    let group = config.failover.group.iter().find(|group| group.name.as_str() == DEFAULT);
    let first = group.and_then(|group| group.members.first());
    if let Some(first) = first.filter(|first| !names.contains(first)) {
        return Some(first.clone());
    }
    let mut others = targets().filter(|target| !names.contains(target));
    let only = others.next()?;
    others.next().is_none().then(|| only.clone())
}

/// The keys of the server's section that are to be different; `None`: none.
fn target(known: Option<&Postgres>, wanted: &DbConfig) -> Option<Value> {
    let mut section = Map::new();
    let mut put = |key: &str, same: bool, value: Value| {
        if !same {
            section.insert(key.to_owned(), value);
        }
    };
    let is = |differs: bool| known.is_some() && !differs;
    put("host", is(known.is_some_and(|known| known.host != wanted.host)), json!(wanted.host));
    if let Some(port) = wanted.port {
        put("port", is(known.is_some_and(|known| known.port != port)), json!(port));
    }
    if let Some(database) = &wanted.database {
        put("database", is(known.is_some_and(|known| known.database != *database)), json!(database));
    }
    if let Some(user) = &wanted.user {
        put("user", is(known.is_some_and(|known| known.user != *user)), json!(user));
    }
    let moved = !section.is_empty();
    if let Some(password) = &wanted.password {
        let same = known.and_then(|known| known.password.as_ref());
        let same = same.is_some_and(|same| same.matches(password.expose()));
        // A secret goes to a new address only with whoever knows it.
        if !same || moved {
            section.insert(String::from("password"), json!(password.expose()));
        }
    }
    (!section.is_empty()).then_some(Value::Object(section))
}

/// A port on which nobody listens and that no group has.
async fn free_port(config: &Config) -> Result<u16, Problem> {
    let taken: Vec<&str> = config.failover.group.iter().flat_map(listens).map(|(_, listen)| listen).collect();
    for port in PORTS {
        let own = |listen: &&str| listen.rsplit_once(':').is_some_and(|(_, last)| last == port.to_string());
        if !taken.iter().any(own) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.is_ok() {
            return Ok(port);
        }
    }
    let detail = format!("no port from {} to {} is free on loopback", PORTS.start, PORTS.end - 1);
    Err(Problem::new(axum::http::StatusCode::SERVICE_UNAVAILABLE, "no_port", detail)
        .hint("create the group with a `listen` of your own at /api/v1/failover/groups"))
}

/// The group once every member was looked at, or as it is when that takes too long.
pub async fn opened(app: &App, group: &Group) -> GroupView {
    let looked_at = |view: &GroupView| {
        let named = view.members.iter().map(|member| member.name.as_str());
        named.eq(group.members.iter().map(Name::as_str))
            && view.members.iter().all(|member| member.state != MemberState::Unknown)
    };
    let seen = app.services.failovers.until(group.name.as_str(), FIRST_LOOKS, looked_at).await;
    seen.unwrap_or_else(|| view(app, group))
}

/// `/target/postgres[b]/host` is `/configs/0/db_config/host` in the body that was sent.
fn own_pointers(mut problem: Problem, names: &[Name]) -> Problem {
    for error in &mut problem.errors {
        for (index, name) in names.iter().enumerate() {
            let prefix = format!("/target/postgres[{name}]");
            if let Some(rest) = error.pointer.strip_prefix(&prefix) {
                let rest = if rest == "/name" { String::from(rest) } else { format!("/db_config{rest}") };
                error.pointer = format!("/configs/{index}{rest}");
                break;
            }
        }
        if error.pointer.starts_with("/failover/group[default]/members") {
            error.pointer = String::from("/configs");
        }
    }
    problem
}
