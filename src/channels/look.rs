//! What the programs that show a message know besides its text: a colour, an urgency.
//!
//! They stand in one table, so that an alert is as red in one chat as in the next.

use crate::model::message::Message;
use crate::model::severity::Severity;

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Look {
    /// Red, green and blue.
    pub colour: u32,
    /// 1 to 5, of ntfy.
    pub urgency: u8,
    /// 0 to 10, of Gotify.
    pub priority: u8,
    /// Name of an emoji.
    pub emblem: &'static str,
}

const RESOLVED: Look = Look { colour: 0x2e_7d32, urgency: 3, priority: 4, emblem: "white_check_mark" };

impl Look {
    pub fn of(message: &Message) -> Self {
        let look = |colour, urgency, priority, emblem| Self { colour, urgency, priority, emblem };
        if message.status == "resolved" {
            return RESOLVED;
        }
        match message.severity {
            Severity::Info => look(0x15_65c0, 2, 2, "information_source"),
            Severity::Low => look(0x00_838f, 2, 3, "information_source"),
            Severity::Medium => look(0xf9_a825, 3, 5, "warning"),
            Severity::High => look(0xef_6c00, 4, 7, "warning"),
            Severity::Critical => look(0xc6_2828, 5, 9, "rotating_light"),
            Severity::Emergency => look(0x6a_1b9a, 5, 10, "rotating_light"),
        }
    }

    /// `#c62828`
    pub fn hex(&self) -> String {
        format!("#{:06x}", self.colour)
    }
}
