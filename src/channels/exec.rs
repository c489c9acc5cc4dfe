//! `[[channel.exec]]`: a program that takes the message as JSON on its input, and its most
//! important parts as `HOLDFAST_*` variables.
//!
//! Only the configuration file can name it. No shell stands between, so nothing in an
//! alert becomes a command. Exit 0 means delivered; 65 to 68 of `sysexits.h` (the message,
//! its form or its recipient is not taken) refused; anything else that it is to be tried
//! again.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use super::outcome::{Exchange, Mask, SHOWN_BODY};
use super::wording::Wording;
use super::{Channel, Context, Delivery, Made, Outcome, Surroundings, Verdict};
use crate::config::channel::Section as _;
use crate::config::channel::exec::Exec;
use crate::model::message::Message;
use crate::model::notice::Notice;
use crate::runtime::command::{self, CommandError, Input};

/// Longest text in a variable, bytes; the system takes 128 KiB.
const LONGEST_VARIABLE: usize = 32 << 10;

struct Program {
    command: Vec<String>,
    wording: Wording,
    timeout: Duration,
}

/// See the module.
pub(super) fn make(section: &Exec, _surroundings: &Surroundings) -> Made {
    let channel = Box::new(Program {
        command: section.command.clone(),
        wording: Wording::of(&section.common()),
        timeout: section.timeout.0,
    });
    Made { address: section.command.first().cloned().unwrap_or_default(), channel }
}

impl Channel for Program {
    fn kind(&self) -> &'static str {
        Exec::KIND
    }

    fn deliver<'a>(&'a mut self, notice: &'a Notice, context: &'a Context) -> Delivery<'a> {
        Box::pin(self.run(notice, context))
    }
}

impl Program {
    async fn run(&mut self, notice: &Notice, context: &Context) -> Outcome {
        let deadline = Instant::now() + self.timeout;
        let (mut message, mut notes) = (Message::of(notice, context), Vec::new());
        self.wording.put(&mut message, &mut notes);
        let input = serde_json::to_vec(&message).unwrap_or_default();
        let variables = variables(&message);
        let mut exchange = Exchange { request: self.shown(&variables, &input), response: String::new() };
        let input = Input { bytes: &input, variables: &variables };
        let (verdict, answer) = match self.start(&input, deadline).await {
            Err(error) => (Verdict::Retry { after: None }, error.to_string()),
            Ok(finished) => {
                let said = String::from_utf8_lossy(&finished.output).into_owned();
                let complained = String::from_utf8_lossy(&finished.error).into_owned();
                let end = finished.status.to_string();
                exchange.response = format!("{end}\n\n{said}{complained}");
                let verdict = match finished.status.code() {
                    Some(0) => Verdict::Delivered,
                    Some(65..=68) => Verdict::Refused,
                    _ => Verdict::Retry { after: None },
                };
                let words = if complained.trim().is_empty() { said } else { complained };
                let words = words.trim();
                (verdict, if words.is_empty() { end } else { format!("{end}: {words}") })
            }
        };
        Outcome::new(verdict, &answer, exchange, &Mask::default()).with_notes(&notes)
    }

    async fn start(&self, input: &Input<'_>, deadline: Instant) -> Result<command::Finished, CommandError> {
        let program = self.command.first().map(String::as_str).unwrap_or_default();
        let path = if program.starts_with('/') { PathBuf::from(program) } else { command::find(program)? };
        let arguments: Vec<&str> = self.command.iter().skip(1).map(String::as_str).collect();
        command::run_with(&path, &arguments, input, SHOWN_BODY, deadline).await
    }

    fn shown(&self, variables: &[(&str, String)], input: &[u8]) -> String {
        let mut text = format!("{}\n", self.command.join(" "));
        for (name, value) in variables {
            text.push_str(&format!("{name}={value}\n"));
        }
        text.push('\n');
        text.push_str(&String::from_utf8_lossy(input));
        text
    }
}

fn variables(message: &Message) -> Vec<(&'static str, String)> {
    let all = [
        ("HOLDFAST_ID", message.id.as_str()),
        ("HOLDFAST_KIND", message.kind.word()),
        ("HOLDFAST_STATUS", message.status),
        ("HOLDFAST_SEVERITY", message.severity.word()),
        ("HOLDFAST_CHANNEL", &message.channel),
        ("HOLDFAST_HOST", &message.host),
        ("HOLDFAST_TITLE", &message.title),
        ("HOLDFAST_TEXT", &message.text),
    ];
    let fit =
        |text: &str| crate::base::words::clip_by(&text.replace('\0', ""), LONGEST_VARIABLE, char::len_utf8);
    all.map(|(name, text)| (name, fit(text))).to_vec()
}
