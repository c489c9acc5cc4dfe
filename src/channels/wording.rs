//! The texts that a channel's own templates put in place of a message's.
//!
//! A template that fails must not cost the message: then the text stays that which the
//! message has by itself, and the outcome says so.

use crate::base::template;
use crate::base::words::{clip, one_line};
use crate::config::channel::Common;
use crate::model::message::Message;

/// Longest title that is sent, characters.
const LONGEST_TITLE: usize = 250;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Wording {
    title: Option<String>,
    body: Option<String>,
}

impl Wording {
    pub fn of(common: &Common<'_>) -> Self {
        Self { title: common.title.map(str::to_owned), body: common.body.map(str::to_owned) }
    }

    /// Puts what the templates say in place and returns it as it is; what went wrong goes
    /// to `notes`.
    pub fn put(&self, message: &mut Message, notes: &mut Vec<String>) -> (Option<String>, Option<String>) {
        let title = rendered("title", self.title.as_deref(), message, notes);
        let title = title.map(|title| clip(&one_line(&title), LONGEST_TITLE));
        let body = rendered("body", self.body.as_deref(), message, notes);
        if let Some(title) = &title {
            message.title.clone_from(title);
        }
        if let Some(body) = &body {
            body.trim_end().clone_into(&mut message.text);
        }
        (title, body)
    }
}

fn rendered(key: &str, text: Option<&str>, message: &Message, notes: &mut Vec<String>) -> Option<String> {
    match template::render(text?, message) {
        Ok(rendered) => Some(rendered),
        Err(error) => {
            notes.push(format!("the template `{key}` was not used: {error}"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_that_fails_leaves_the_default_and_a_note() {
        let wording = Wording {
            title: Some(String::from("{{ host }}:\n{{ alerts[0].labels.mountpoint }}")),
            body: Some(String::from("{{ count / 0 }}")),
        };
        let (mut message, mut notes) = (Message::sample(), Vec::new());
        let default = message.text.clone();
        wording.put(&mut message, &mut notes);
        assert_eq!((message.title.as_str(), message.text), ("nas: /data", default));
        assert_eq!(notes.len(), 1);
        assert!(notes[0].starts_with("the template `body` was not used: line 1, column 4: "), "{notes:?}");
    }
}
