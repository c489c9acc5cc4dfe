//! `holdfast token`: makes, lists and revokes what programs prove themselves with.

use clap::Subcommand;
use hyper::body::Bytes;
use serde_json::{Value, json};

use super::Global;
use super::client::{Client, block_on, escape};
use super::exit::{Done, OK};
use super::output::{Table, note, print, print_json, text_of};
use super::surroundings::Surroundings;

const TOKENS: &str = "/api/v1/tokens";

#[derive(Subcommand, Debug)]
pub enum TokenCommand {
    /// Make a token and print it, the only time that it is shown
    New(New),
    /// List the tokens; never what proves them
    Ls,
    /// Revoke a token at once
    Revoke {
        /// Its id, as `ls` shows it
        id: String,
    },
}

#[derive(clap::Args, Debug)]
pub struct New {
    /// For people, and for the audit log
    #[arg(long, default_value = "cli")]
    name: String,
    /// monitoring:read, monitoring:write, targets:write, config:write or admin; may be repeated
    #[arg(long, value_name = "S", required_unless_present = "role", conflicts_with = "role", num_args = 1..)]
    scope: Vec<String>,
    /// viewer, operator or admin: the scopes that go with it
    #[arg(long)]
    role: Option<String>,
    /// How long it lasts, e.g. 30d; without end when left out
    #[arg(long, value_name = "DURATION")]
    expires: Option<String>,
}

/// # Errors
/// The agent cannot be reached or refused.
pub fn token(command: &TokenCommand, global: &Global, surroundings: &Surroundings) -> Done {
    let client = Client::new(global, surroundings)?;
    match command {
        TokenCommand::New(new) => make(new, &client, global),
        TokenCommand::Ls => {
            let answer = block_on(client.fetch_all(TOKENS, "items"))?;
            if global.json {
                print_json(&answer)?
            } else {
                print(&table(&answer))?
            }
            Ok(OK)
        }
        TokenCommand::Revoke { id } => {
            block_on(async { client.delete(&format!("{TOKENS}/{}", escape(id))).await?.success() })?;
            note(&format!("{id} is revoked"));
            Ok(OK)
        }
    }
}

fn make(new: &New, client: &Client, global: &Global) -> Done {
    let mut body = json!({ "name": new.name });
    let given = [
        ("role", new.role.as_deref().map(Value::from)),
        ("expires_in", new.expires.as_deref().map(Value::from)),
        ("scopes", (!new.scope.is_empty()).then(|| Value::from(new.scope.clone()))),
    ];
    for (key, value) in given {
        value.into_iter().for_each(|value| body[key] = value);
    }
    let made = block_on(async {
        let sent = client.post(TOKENS, "application/json", Bytes::from(body.to_string())).await?;
        sent.success()?.json()
    })?;
    if global.json {
        print_json(&made)?;
    } else {
        note(&format!("token {} ({}); it is shown only now:", text_of(&made["name"]), text_of(&made["id"])));
        print(&format!("{}\n", text_of(&made["token"])))?;
    }
    Ok(OK)
}

fn table(answer: &Value) -> String {
    let mut table = Table::new(["ID", "NAME", "SCOPES", "CREATED", "LAST USED", "EXPIRES"]);
    for token in answer["items"].as_array().into_iter().flatten() {
        let scopes: Vec<String> = token["scopes"].as_array().into_iter().flatten().map(text_of).collect();
        let time = |key: &str| match text_of(&token[key]) {
            text if text.is_empty() => String::from("never"),
            text => text,
        };
        table.row([
            text_of(&token["id"]),
            text_of(&token["name"]),
            scopes.join(","),
            time("created_at"),
            time("last_used_at"),
            time("expires_at"),
        ]);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_was_not_used_says_so() {
        let token = json!({"id": "a", "name": "ci", "scopes": ["admin"], "created_at": "then",
                           "last_used_at": null, "expires_at": null});
        let text = table(&json!({ "items": [token] }));
        assert_eq!(text.lines().nth(1), Some("a   ci    admin   then     never      never"));
    }
}
