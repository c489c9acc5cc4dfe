//! The command line: one file per noun.
//!
//! Data goes to standard output, everything else to standard error; `--json` turns
//! data into JSON. A command that needs the running agent asks it through the API,
//! so whatever a command shows can be had by any client. Exit codes are in
//! [`exit`].

pub mod alerts;
pub mod backup;
pub mod breaker;
pub mod client;
pub mod config;
pub mod exit;
pub mod failover;
pub mod flat_config;
pub mod glob;
pub mod import;
pub mod output;
pub mod query;
pub mod rules;
pub mod rules_agent;
pub mod run;
pub mod setup;
pub mod status;
pub mod surroundings;
pub mod targets;
pub mod token;
pub mod user;
pub mod validate;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};
use serde_json::json;

use self::exit::{Done, Failure, OK, USAGE};
use self::surroundings::Surroundings;

/// holdfast watches this host and the Postgres servers and object stores it depends on.
#[derive(Parser, Debug)]
#[command(name = "holdfast", version, disable_help_subcommand = true, max_term_width = 100)]
struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// Configuration file [default: $HOLDFAST_CONFIG, else /etc/holdfast/holdfast.toml if there]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Directory of the store and of the agent's socket
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Ask the agent at this URL instead of its socket; the token is taken from HOLDFAST_TOKEN
    #[arg(long, global = true, value_name = "URL")]
    pub url: Option<String>,
    /// Write data as JSON
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Start the agent
    Run(run::RunArguments),
    /// Write a first configuration and create the data directory
    Setup(setup::SetupArguments),
    /// Check the configuration: exit 0, or 78 with every error and its place
    Validate(validate::ValidateArguments),
    /// Show the configuration
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// How the host, the targets and the agent are: exit 0, 3 degraded, 4 unhealthy
    Status,
    /// List the targets or probe one
    #[command(subcommand)]
    Targets(targets::TargetsCommand),
    /// Show the breaker of a target, or tell it what to do
    #[command(subcommand)]
    Breaker(breaker::BreakerCommand),
    /// Show the failover groups, or tell one what to do
    #[command(subcommand)]
    Failover(failover::FailoverCommand),
    /// Make, list, verify or put back backups of the agent's own store
    #[command(subcommand)]
    Backup(backup::BackupCommand),
    /// Ask for series by a selector
    Query(query::QueryArguments),
    /// List alerts, acknowledge or resolve one, or raise one as a test
    #[command(subcommand)]
    Alerts(alerts::AlertsCommand),
    /// Check and test rule files of Prometheus; list, import and replay the agent's rules
    #[command(subcommand)]
    Rules(rules::RulesCommand),
    /// Make, list and revoke tokens
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Set the password of a user of the page; list and delete users
    #[command(subcommand)]
    User(user::UserCommand),
    /// Put OpenMetrics text with timestamps into the history
    Import(import::ImportArguments),
    /// Write a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Say which holdfast this is
    Version,
}

/// Runs the command that `arguments` (with the program's name) ask for and returns
/// the exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let parsed = match Arguments::try_parse_from(arguments) {
        Ok(parsed) => parsed,
        Err(error) => {
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(USAGE);
        }
    };
    let surroundings = Surroundings::look();
    match dispatch(&parsed, &surroundings) {
        Ok(code) => code,
        Err(Failure { code, message }) => {
            if !message.is_empty() {
                output::note(&format!("holdfast: {message}"));
            }
            code
        }
    }
}

fn dispatch(arguments: &Arguments, surroundings: &Surroundings) -> Done {
    let global = &arguments.global;
    match &arguments.command {
        Command::Run(run) => run::run(run, global, surroundings),
        Command::Setup(setup) => setup::setup(setup, global, surroundings),
        Command::Validate(validate) => validate::validate(validate, global, surroundings),
        Command::Config(command) => config::config(command, global, surroundings),
        Command::Status => status::status(global, surroundings),
        Command::Targets(command) => targets::targets(command, global, surroundings),
        Command::Breaker(command) => breaker::breaker(command, global, surroundings),
        Command::Failover(command) => failover::failover(command, global, surroundings),
        Command::Backup(command) => backup::backup(command, global, surroundings),
        Command::Query(query) => query::query(query, global, surroundings),
        Command::Alerts(command) => alerts::alerts(command, global, surroundings),
        Command::Rules(command) => rules::rules(command, global, surroundings),
        Command::Token(command) => token::token(command, global, surroundings),
        Command::User(command) => user::user(command, global, surroundings),
        Command::Import(import) => import::import(import, global, surroundings),
        Command::Completions { shell } => completions(*shell),
        Command::Version => version(global),
    }
}

fn completions(shell: clap_complete::Shell) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "holdfast", &mut script);
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(OK)
}

fn version(global: &Global) -> Done {
    let version = env!("CARGO_PKG_VERSION");
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    let target = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    if global.json {
        output::print_json(&json!({"version": version, "target": target, "profile": profile}))?;
    } else {
        output::print(&format!("holdfast {version} ({target}, {profile})\n"))?;
    }
    Ok(OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }
}
