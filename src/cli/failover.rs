//! `holdfast failover`: how the groups are, and what an operator may tell one.

use clap::{Args, Subcommand};
use hyper::body::Bytes;
use serde_json::{Map, Value, json};

use super::Global;
use super::client::{Client, block_on, escape};
use super::exit::{DEGRADED, Done, Failure, OK, UNHEALTHY, USAGE};
use super::output::{Table, bytes_of, coloured, note, print, print_json, text_of};
use super::surroundings::Surroundings;

/// A rejoin hook that works over ssh or locally.
const REJOIN: &str = include_str!("rejoin.sh");

#[derive(Subcommand, Debug)]
pub enum FailoverCommand {
    #[command(flatten)]
    Group(GroupCommand),
    /// Print a script that brings a superseded member back, to be used as `rejoin_hook`
    RejoinScript,
}

/// What the agent answers.
#[derive(Subcommand, Debug)]
pub enum GroupCommand {
    /// Show the groups, or one with its members: exit 0, 3 degraded, 4 without a route
    Status(Of),
    /// Say what a failover would do now; changes nothing unless it is a drill
    Test {
        #[command(flatten)]
        of: Of,
        /// Really switch over and back; needs a rejoin hook
        #[arg(long)]
        drill: bool,
        #[command(flatten)]
        wait: Wait,
    },
    /// Make another member active with the present one's help: nothing is lost
    Switchover {
        #[command(flatten)]
        of: Of,
        /// The member that becomes active [default: the one that would be promoted]
        #[arg(long, value_name = "MEMBER")]
        to: Option<String>,
        #[command(flatten)]
        wait: Wait,
    },
    /// Make another member active without waiting for the present one
    Failover {
        #[command(flatten)]
        of: Of,
        /// The member that becomes active [default: the one with the most of the log]
        #[arg(long, value_name = "MEMBER")]
        to: Option<String>,
        /// Whatever it lacks is lost: lag and a missing quorum do not hold it up
        #[arg(long, requires = "yes")]
        accept_data_loss: bool,
        /// Confirm that data may be lost
        #[arg(long, requires = "accept_data_loss")]
        yes: bool,
        #[command(flatten)]
        wait: Wait,
    },
    /// No failover by itself until then, for planned work on the servers
    Pause {
        #[command(flatten)]
        of: Of,
        /// How long, such as 30m [default: until `resume`]
        #[arg(long = "for", value_name = "TIME")]
        span: Option<String>,
    },
    /// End a pause
    Resume(Of),
    /// Show what the group made durable, newest first
    Journal {
        #[command(flatten)]
        of: Of,
        /// So many rows
        #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
    },
}

#[derive(Args, Debug)]
pub struct Of {
    /// Name of the group [default: the only one]
    group: Option<String>,
}

#[derive(Args, Debug)]
pub struct Wait {
    /// Return at once, with where to follow it
    #[arg(long)]
    no_wait: bool,
}

const PATH: &str = "/api/v1/failover/groups";

/// # Errors
/// The agent cannot be reached or refused.
pub fn failover(command: &FailoverCommand, global: &Global, surroundings: &Surroundings) -> Done {
    match command {
        FailoverCommand::RejoinScript => {
            print(REJOIN)?;
            Ok(OK)
        }
        FailoverCommand::Group(command) => ask(command, global, surroundings),
    }
}

fn ask(command: &GroupCommand, global: &Global, surroundings: &Surroundings) -> Done {
    let client = Client::new(global, surroundings)?;
    let tell = Teller { client: &client, global, surroundings };
    match command {
        GroupCommand::Status(of) => status(of, &client, global, surroundings),
        GroupCommand::Test { of, drill: false, .. } => {
            let report = tell.post(of, "test", "", &json!({"mode": "dry_run"}))?;
            if global.json {
                print_json(&report)?;
            } else {
                print(&report_text(&report, surroundings))?;
            }
            Ok(if report["would_promote"].is_string() { OK } else { DEGRADED })
        }
        GroupCommand::Test { of, drill: true, wait } => {
            tell.change(of, "test", &json!({"mode": "drill"}), wait)
        }
        GroupCommand::Switchover { of, to, wait } => {
            tell.change(of, "switchover", &said(&[("to", to)]), wait)
        }
        GroupCommand::Failover { of, to, accept_data_loss, wait, .. } => {
            let mut body = said(&[("to", to)]);
            if *accept_data_loss {
                body["force"] = Value::Bool(true);
                body["accept_data_loss"] = Value::Bool(true);
            }
            tell.change(of, "failover", &body, wait)
        }
        GroupCommand::Pause { of, span } => {
            let view = tell.post(of, "pause", "", &said(&[("for", span)]))?;
            tell.shown(&view)
        }
        GroupCommand::Resume(of) => {
            let view = tell.post(of, "resume", "", &json!({}))?;
            tell.shown(&view)
        }
        GroupCommand::Journal { of, limit } => journal(of, *limit, &client, global),
    }
}

/// An object of what was given.
fn said(given: &[(&str, &Option<String>)]) -> Value {
    let given = given.iter().filter_map(|(key, text)| Some(((*key).to_owned(), json!(text.as_ref()?))));
    Value::Object(given.collect::<Map<_, _>>())
}

impl Of {
    /// The group that is meant.
    fn name(&self, client: &Client) -> Result<String, Failure> {
        if let Some(name) = &self.group {
            return Ok(name.clone());
        }
        let answer = block_on(client.fetch(&format!("{PATH}?limit=1000")))?;
        let names: Vec<String> =
            answer["items"].as_array().into_iter().flatten().map(|group| text_of(&group["name"])).collect();
        match names.as_slice() {
            [only] => Ok(only.clone()),
            [] => Err(Failure::new(USAGE, "no failover group is configured")),
            several => Err(Failure::new(USAGE, format!("which group? There are: {}", several.join(", ")))),
        }
    }
}

/// Sends what an operator wants.
struct Teller<'a> {
    client: &'a Client,
    global: &'a Global,
    surroundings: &'a Surroundings,
}

impl Teller<'_> {
    fn post(&self, of: &Of, action: &str, query: &str, body: &Value) -> Result<Value, Failure> {
        let path = format!("{PATH}/{}/{action}{query}", escape(&of.name(self.client)?));
        let body = Bytes::from(body.to_string());
        block_on(async { self.client.post(&path, "application/json", body).await?.success()?.json() })
    }

    /// Something that changes the active member.
    fn change(&self, of: &Of, action: &str, body: &Value, wait: &Wait) -> Done {
        let query = if wait.no_wait { "" } else { "?wait=true" };
        let answer = self.post(of, action, query, body)?;
        if answer["operation"].is_string() && !self.global.json {
            let (operation, group) = (text_of(&answer["operation"]), text_of(&answer["group"]));
            print(&format!("{operation} of {group} begun\n"))?;
            note(&format!("follow it with `holdfast failover journal {group}`"));
            return Ok(OK);
        }
        if answer["there"].is_object() && !self.global.json {
            let outage =
                |way: &str| format!("{} after {} ms", text_of(&answer[way]["to"]), answer[way]["outage_ms"]);
            print(&format!("there: {}\nback:  {}\n", outage("there"), outage("back")))?;
            return Ok(OK);
        }
        self.shown(&answer)
    }

    fn shown(&self, view: &Value) -> Done {
        if self.global.json {
            print_json(view)?;
        } else {
            print(&head(view, self.surroundings))?;
        }
        Ok(OK)
    }
}

fn status(of: &Of, client: &Client, global: &Global, surroundings: &Surroundings) -> Done {
    let views = match &of.group {
        Some(name) => vec![block_on(client.fetch(&format!("{PATH}/{}", escape(name))))?],
        None => {
            let answer = block_on(client.fetch(&format!("{PATH}?limit=1000")))?;
            answer["items"].as_array().cloned().unwrap_or_default()
        }
    };
    let code = views.iter().map(code_of).max().unwrap_or(OK);
    if global.json {
        match (&of.group, views.as_slice()) {
            (Some(_), [view]) => print_json(view)?,
            _ => print_json(&views)?,
        }
    } else if views.is_empty() {
        note("no failover group is configured");
    } else {
        let texts: Vec<String> = views.iter().map(|view| details(view, surroundings)).collect();
        print(&texts.join("\n"))?;
    }
    Ok(code)
}

/// 0 where all is well, 3 where something is missing, 4 without a route.
fn code_of(view: &Value) -> u8 {
    let off = ["disabled", "observing"].contains(&text_of(&view["state"]).as_str());
    if view["active"].is_null() {
        return if off { DEGRADED } else { UNHEALTHY };
    }
    let members = || view["members"].as_array().into_iter().flatten();
    let bad = members().any(|member| member["needs_rejoin"] == true || !is_well(member));
    if view["state"] == "steady" && !bad { OK } else { DEGRADED }
}

fn is_well(member: &Value) -> bool {
    member["state"] == "active" || member["state"] == "standby"
}

fn class(code: u8) -> &'static str {
    match code {
        OK => "ok",
        UNHEALTHY => "hard",
        _ => "soft",
    }
}

/// `main: steady, pg1 is active (epoch 7) at 127.0.0.1:6432`
fn head(view: &Value, surroundings: &Surroundings) -> String {
    let state = coloured(&text_of(&view["state"]), class(code_of(view)), surroundings);
    let active = match view["active"].as_str() {
        Some(active) => format!("{} is active", text_of(&json!(active))),
        None => String::from("no route"),
    };
    let (name, epoch, endpoint) = (text_of(&view["name"]), &view["epoch"], text_of(&view["endpoint"]));
    format!("{name}: {state}, {active} (epoch {epoch}) at {endpoint}\n")
}

fn details(view: &Value, surroundings: &Surroundings) -> String {
    let mut text = head(view, surroundings);
    text.push_str(&format!("tier {}: {}\n", text_of(&view["tier"]), text_of(&view["guarantee"])));
    let refusal = &view["refusal"];
    if refusal.is_object() {
        text.push_str(&format!("refused ({}): {}\n", text_of(&refusal["code"]), text_of(&refusal["detail"])));
    }
    text.push_str(&outlook(view));
    let mut table = Table::new(["MEMBER", "STATE", "ROLE", "LSN", "TIMELINE", "LAG", "BREAKER", "PROBLEM"]);
    for member in view["members"].as_array().into_iter().flatten() {
        let state = text_of(&member["state"]);
        table.row([
            text_of(&member["name"]),
            coloured(&state, if is_well(member) { "ok" } else { "soft" }, surroundings),
            text_of(&member["role"]),
            text_of(&member["lsn"]),
            text_of(&member["timeline"]),
            bytes_of(&member["lag_bytes"]),
            text_of(&member["breaker"]),
            text_of(&member["problem"]),
        ]);
    }
    text.push_str(&format!("\n{}", table.render()));
    for member in view["members"].as_array().into_iter().flatten() {
        if let Some(command) = member["pg_rewind"].as_str() {
            let name = text_of(&member["name"]);
            text.push_str(&format!("\n{name} must rejoin, on its host:\n  {}\n", text_of(&json!(command))));
        }
    }
    text + &findings(view)
}

fn outlook(view: &Value) -> String {
    let Some(next) = view["would_promote"].as_str() else {
        return String::from("nobody could take over now\n");
    };
    let (lost, outage) = (&view["expected_rpo_bytes"], &view["expected_rto_ms"]);
    let outage =
        outage.as_u64().map_or_else(String::new, |millis| format!(", without a route for {millis} ms"));
    let next = text_of(&json!(next));
    format!("{next} would take over, with at most {} lost{outage}\n", bytes_of(lost))
}

fn findings(view: &Value) -> String {
    let mut text = String::new();
    for finding in view["findings"].as_array().into_iter().flatten() {
        let place = match finding["member"].as_str() {
            Some(member) => format!("{}: ", text_of(&json!(member))),
            None => String::new(),
        };
        text.push_str(&format!("\n{place}{}\n", text_of(&finding["problem"])));
        for statement in finding["sql"].as_array().into_iter().flatten() {
            text.push_str(&format!("  {}\n", text_of(statement)));
        }
    }
    text
}

fn report_text(report: &Value, surroundings: &Surroundings) -> String {
    let mut text = format!(
        "{}: tier {}: {}\n",
        text_of(&report["group"]),
        text_of(&report["tier"]),
        text_of(&report["guarantee"])
    );
    text.push_str(&outlook(report));
    let refusal = &report["refusal"];
    if refusal.is_object() {
        text.push_str(&format!("refused ({}): {}\n", text_of(&refusal["code"]), text_of(&refusal["detail"])));
    }
    let yes_or_no = |value: &Value| match value.as_bool() {
        Some(true) => coloured("yes", "ok", surroundings),
        Some(false) => coloured("no", "soft", surroundings),
        None => String::from("-"),
    };
    let mut table = Table::new(["MEMBER", "REACHABLE", "ROLE", "LAG", "GRANTS", "ELIGIBLE", "REASON"]);
    for member in report["members"].as_array().into_iter().flatten() {
        table.row([
            text_of(&member["name"]),
            yes_or_no(&member["reachable"]),
            text_of(&member["role"]),
            bytes_of(&member["lag_bytes"]),
            yes_or_no(&member["grants"]),
            yes_or_no(&member["eligible"]),
            text_of(&member["reason"]),
        ]);
    }
    text.push_str(&format!("\n{}", table.render()));
    text + &findings(report)
}

fn journal(of: &Of, limit: u16, client: &Client, global: &Global) -> Done {
    let name = of.name(client)?;
    let answer = block_on(client.fetch(&format!("{PATH}/{}/journal?limit={limit}", escape(&name))))?;
    if global.json {
        print_json(&answer)?;
        return Ok(OK);
    }
    let mut table = Table::new(["NUMBER", "AT", "EPOCH", "STEP", "DETAIL"]);
    for row in answer["items"].as_array().into_iter().flatten() {
        table.row(["number", "at", "epoch", "step", "detail"].map(|key| text_of(&row[key])));
    }
    if table.is_empty() {
        note("nothing yet");
    } else {
        print(&table.render())?;
    }
    Ok(OK)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser, Debug)]
    struct Line {
        #[command(subcommand)]
        command: FailoverCommand,
    }

    fn parse(line: &str) -> Result<GroupCommand, clap::Error> {
        Line::try_parse_from(line.split(' ')).map(|line| match line.command {
            FailoverCommand::Group(command) => command,
            FailoverCommand::RejoinScript => panic!("{line:?}"),
        })
    }

    #[test]
    fn data_is_given_up_only_with_a_word_of_its_own() {
        assert!(parse("x failover --accept-data-loss").is_err());
        assert!(parse("x failover --yes").is_err());
        let Ok(GroupCommand::Failover { of, to, accept_data_loss: true, yes: true, wait }) =
            parse("x failover main --to pg2 --accept-data-loss --yes")
        else {
            panic!("not parsed")
        };
        assert_eq!((of.group.as_deref(), to.as_deref(), wait.no_wait), (Some("main"), Some("pg2"), false));
        assert!(matches!(parse("x failover"), Ok(GroupCommand::Failover { accept_data_loss: false, .. })));
        assert!(matches!(parse("x pause --for 30m"), Ok(GroupCommand::Pause { span: Some(_), .. })));
        let script = Line::try_parse_from(["x", "rejoin-script"]);
        assert!(matches!(script, Ok(Line { command: FailoverCommand::RejoinScript })));
        assert!(parse("x journal --limit 0").is_err() && parse("x journal --limit 1000").is_ok());
        assert_eq!(said(&[("to", &None), ("for", &Some(String::from("1m")))]), json!({"for": "1m"}));
    }

    #[test]
    fn the_exit_code_says_how_a_group_is() {
        let group = |state: &str, active: Value, member: &str| json!({"state": state, "active": active, "members": [{"state": "active"}, {"state": member}]});
        for (view, code) in [
            (group("steady", json!("pg1"), "standby"), OK),
            (group("steady", json!("pg1"), "fenced"), DEGRADED),
            (group("paused", json!("pg1"), "standby"), DEGRADED),
            (group("refused", Value::Null, "down"), UNHEALTHY),
            (group("observing", Value::Null, "unknown"), DEGRADED),
        ] {
            assert_eq!(code_of(&view), code, "{view}");
        }
    }

    #[test]
    fn what_must_be_done_is_shown_in_full() {
        let view = json!({
            "name": "main", "state": "steady", "active": "pg2", "epoch": 7, "endpoint": "127.0.0.1:6432",
            "tier": "none", "guarantee": "No member could take over.", "would_promote": null,
            "members": [{"name": "pg1", "state": "fenced", "role": "primary", "needs_rejoin": true,
                         "pg_rewind": "pg_rewind --target-pgdata=/d"}],
            "findings": [{"member": "pg2", "problem": "no slot for pg1", "sql": ["SELECT 1;"]}],
        });
        let surroundings = Surroundings {
            environment: std::collections::BTreeMap::new(),
            root: false,
            output_terminal: false,
            error_terminal: false,
            input_terminal: false,
        };
        let text = details(&view, &surroundings);
        for part in [
            "main: steady, pg2 is active (epoch 7) at 127.0.0.1:6432\n",
            "nobody could take over now\n",
            "pg1 must rejoin, on its host:\n  pg_rewind --target-pgdata=/d\n",
            "pg2: no slot for pg1\n  SELECT 1;\n",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}

#[cfg(test)]
#[path = "rejoin_tests.rs"]
mod rejoin_tests;
