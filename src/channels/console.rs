//! `[[channel.console]]`: lines in the agent's own log, at the level that fits.

use super::outcome::{Exchange, Mask};
use super::wording::Wording;
use super::{Channel, Context, Delivery, Made, Outcome, Surroundings, Verdict};
use crate::config::channel::Section as _;
use crate::config::channel::console::Console;
use crate::model::message::Message;
use crate::model::notice::Notice;
use crate::model::severity::Severity;

struct Log {
    wording: Wording,
}

/// See the module.
pub(super) fn make(section: &Console, _surroundings: &Surroundings) -> Made {
    let channel = Box::new(Log { wording: Wording::of(&section.common()) });
    Made { address: String::from("the log of the agent"), channel }
}

impl Channel for Log {
    fn kind(&self) -> &'static str {
        Console::KIND
    }

    fn deliver<'a>(&'a mut self, notice: &'a Notice, context: &'a Context) -> Delivery<'a> {
        let (mut message, mut notes) = (Message::of(notice, context), Vec::new());
        self.wording.put(&mut message, &mut notes);
        let Message { id, title, text, kind, .. } = &message;
        let (kind, critical) = (kind.word(), message.severity >= Severity::Critical);
        match message.severity {
            _ if message.status == "resolved" => tracing::info!(%id, kind, text, "{title}"),
            Severity::Info | Severity::Low => tracing::info!(%id, kind, text, "{title}"),
            Severity::Medium => tracing::warn!(%id, kind, text, "{title}"),
            _ => tracing::error!(%id, kind, critical, text, "{title}"),
        }
        let request = format!("{title}\n\n{text}");
        let exchange = Exchange { request, response: String::from("written to the log") };
        let outcome = Outcome::new(Verdict::Delivered, "written to the log", exchange, &Mask::default());
        Box::pin(std::future::ready(outcome.with_notes(&notes)))
    }
}
