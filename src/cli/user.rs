//! `holdfast user`: who logs in to the page with a password.
//!
//! A password comes from standard input and never from an argument, which every user of
//! the host could read; a terminal does not show what is typed.

use std::io::BufRead as _;

use clap::Subcommand;
use hyper::body::Bytes;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde_json::{Value, json};

use super::Global;
use super::client::{Client, block_on, escape};
use super::exit::{Done, Failure, OK, USAGE};
use super::output::{Table, note, print, print_json, text_of};
use super::surroundings::Surroundings;
use crate::base::secret::Secret;

const USERS: &str = "/api/v1/users";

#[derive(Subcommand, Debug)]
pub enum UserCommand {
    /// Set the password of a user, read from standard input; adds the user if there is none
    SetPassword {
        name: String,
        /// viewer, operator or admin; of a new user, admin by default
        #[arg(long)]
        role: Option<String>,
    },
    /// Give a user another role
    SetRole {
        name: String,
        /// viewer, operator or admin
        role: String,
    },
    /// List the users
    Ls,
    /// Delete a user and end their sessions
    Rm { name: String },
}

/// # Errors
/// The agent cannot be reached or refused, or there is no password.
pub fn user(command: &UserCommand, global: &Global, surroundings: &Surroundings) -> Done {
    let client = Client::new(global, surroundings)?;
    match command {
        UserCommand::SetPassword { name, role } => {
            let password = ask(surroundings)?;
            let said = block_on(set_password(&client, name, role.as_deref(), &password))?;
            note(&said);
        }
        UserCommand::SetRole { name, role } => {
            block_on(set_role(&client, name, role))?;
            note(&format!("{name} is {role} now"));
        }
        UserCommand::Ls => {
            let answer = block_on(client.fetch_all(USERS, "items"))?;
            if global.json { print_json(&answer)? } else { print(&table(&answer))? }
        }
        UserCommand::Rm { name } => {
            block_on(async { client.delete(&place(name)).await?.success() })?;
            note(&format!("{name} is deleted"));
        }
    }
    Ok(OK)
}

fn place(name: &str) -> String {
    format!("{USERS}/{}", escape(name))
}

fn body(value: &Value) -> Bytes {
    Bytes::from(value.to_string())
}

/// Sets the password, adding the user if need be, and says what was done.
///
/// # Errors
/// The agent cannot be reached or refused.
pub async fn set_password(
    client: &Client,
    name: &str,
    role: Option<&str>,
    password: &Secret,
) -> Result<String, Failure> {
    let wanted = json!({ "password": password.expose() });
    let set = client.put(&format!("{}/password", place(name)), body(&wanted)).await?;
    if set.status == 404 {
        let role = role.unwrap_or("admin");
        let wanted = json!({ "name": name, "role": role, "password": password.expose() });
        client.post(USERS, "application/json", body(&wanted)).await?.success()?;
        return Ok(format!("{name} is added, with the role {role}"));
    }
    set.success()?;
    if let Some(role) = role {
        set_role(client, name, role).await?;
    }
    Ok(format!("the password of {name} is set, their sessions have ended"))
}

async fn set_role(client: &Client, name: &str, role: &str) -> Result<(), Failure> {
    let sent = client.patch(&place(name), body(&json!({ "role": role }))).await?;
    sent.success().map(drop)
}

/// A line of standard input.
///
/// # Errors
/// There is none, it is empty, or two tries of a person differ.
pub fn ask(surroundings: &Surroundings) -> Result<Secret, Failure> {
    if !surroundings.input_terminal {
        return line();
    }
    let first = hidden("password (not shown): ")?;
    let second = hidden("once more: ")?;
    if first.matches(second.expose()) {
        Ok(first)
    } else {
        Err(Failure::new(USAGE, "the two passwords differ"))
    }
}

fn hidden(question: &str) -> Result<Secret, Failure> {
    let input = std::io::stdin();
    let failed = |error: rustix::io::Errno| Failure::io("cannot ask the terminal", &error.into());
    let before = tcgetattr(&input).map_err(failed)?;
    let mut quiet = before.clone();
    quiet.local_modes.remove(LocalModes::ECHO);
    eprint(question);
    tcsetattr(&input, OptionalActions::Flush, &quiet).map_err(failed)?;
    let typed = line();
    tcsetattr(&input, OptionalActions::Flush, &before).map_err(failed)?;
    eprint("\n");
    typed
}

fn eprint(text: &str) {
    use std::io::Write as _;
    let mut error = std::io::stderr().lock();
    let _ = error.write_all(text.as_bytes()).and_then(|()| error.flush());
}

fn line() -> Result<Secret, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().lock().read_line(&mut text);
    read.map_err(|error| Failure::io("cannot read the password from standard input", &error))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(Failure::new(USAGE, "no password, expected it as a line on standard input"));
    }
    Ok(Secret::new(text))
}

fn table(answer: &Value) -> String {
    let mut table = Table::new(["NAME", "ROLE", "CREATED", "PASSWORD SET"]);
    for user in answer["items"].as_array().into_iter().flatten() {
        table.row(["name", "role", "created_at", "password_at"].map(|key| text_of(&user[key])));
    }
    table.render()
}
