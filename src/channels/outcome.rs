//! What became of a delivery, in words that hold no secret.
//!
//! The pattern: whoever makes an outcome has a [`Mask`] of every secret that went out, and
//! every text of the other side goes through it: a server that repeats a token in its
//! error would otherwise carry it into the delivery log. All texts are bounded.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::base::secret::{MASK, Secret};
use crate::base::words::{clip, one_line};

/// Longest line about a delivery, characters.
const LONGEST_ANSWER: usize = 400;
/// Longest shown request and answer, characters. Of a body the first
/// [`SHOWN_BODY`] bytes are kept before that.
const LONGEST_SHOWN: usize = 24 << 10;
/// Bytes of an answer's body that are read and shown.
pub const SHOWN_BODY: usize = 2 << 10;

/// What is to happen next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Delivered,
    /// It did not take it now; not to be tried again before `after`, if the other side
    /// said when.
    Retry {
        after: Option<Duration>,
    },
    /// It will never take it: trying again would only annoy.
    Refused,
}

/// What really went out and came back, for the test of a channel.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Exchange {
    pub request: String,
    pub response: String,
}

impl Exchange {
    /// Adds what followed.
    pub fn add(&mut self, next: &Self) {
        for (text, more) in [(&mut self.request, &next.request), (&mut self.response, &next.response)] {
            if !text.is_empty() && !more.is_empty() {
                text.push_str("\n\n");
            }
            text.push_str(more);
        }
    }
}

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// One line: what was answered, or why there was no answer.
    pub answer: String,
    pub verdict: Verdict,
    pub exchange: Exchange,
}

impl Outcome {
    /// `answer` and the texts of `exchange` are masked and cut here.
    pub fn new(verdict: Verdict, answer: &str, exchange: Exchange, mask: &Mask) -> Self {
        let shown = |text: String| clip(&mask.over(&text), LONGEST_SHOWN);
        Self {
            answer: clip(&one_line(&mask.over(answer)), LONGEST_ANSWER),
            verdict,
            exchange: Exchange { request: shown(exchange.request), response: shown(exchange.response) },
        }
    }

    pub const fn is_delivered(&self) -> bool {
        matches!(self.verdict, Verdict::Delivered)
    }

    /// Says `notes` beside the answer.
    #[must_use]
    pub fn with_notes(mut self, notes: &[String]) -> Self {
        for note in notes {
            self.answer = clip(&format!("{}; {}", self.answer, one_line(note)), 2 * LONGEST_ANSWER);
        }
        self
    }
}

/// Every text that must not be seen, longest first.
#[derive(Clone, Default)]
pub struct Mask(Vec<String>);

/// Parts of a secret address that are shorter are words, not secrets.
const SHORTEST_PART: usize = 12;

impl Mask {
    /// Hides `secret` wherever it stands, as it is and as Base64 or JSON write it.
    pub fn hide(&mut self, secret: &Secret) {
        let text = secret.expose();
        self.add(text.to_owned());
        self.add(STANDARD.encode(text));
        let quoted = serde_json::to_string(text).unwrap_or_default();
        self.add(quoted.trim_matches('"').to_owned());
    }

    /// Hides an address and what follows its host, which is how servers repeat it.
    pub fn hide_address(&mut self, url: &Secret) {
        self.hide(url);
        let after_scheme = url.expose().split_once("://").map_or("", |(_, rest)| rest);
        let Some((_, path)) = after_scheme.split_once('/') else { return };
        self.add(format!("/{path}"));
        for part in path.split(['/', '?', '&', '=']).filter(|part| part.len() >= SHORTEST_PART) {
            self.add(part.to_owned());
        }
    }

    fn add(&mut self, text: String) {
        if text.len() > 1 && !self.0.contains(&text) {
            self.0.push(text);
            self.0.sort_by_key(|text| std::cmp::Reverse(text.len()));
        }
    }

    /// `text` without what must not be seen.
    pub fn over(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, MASK))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_however_it_comes_back() {
        let mut mask = Mask::default();
        mask.hide(&Secret::new("pa\"ss word"));
        mask.hide_address(&Secret::new("https://hooks.example/services/T0/B0/abcdefghijkl?key=mnopqrstuvwx"));
        let said = format!(
            "pa\"ss word {} {} https://hooks.example/services/T0/B0/abcdefghijkl?key=mnopqrstuvwx \
             POST /services/T0/B0/abcdefghijkl?key=mnopqrstuvwx abcdefghijkl mnopqrstuvwx",
            STANDARD.encode("pa\"ss word"),
            serde_json::json!("pa\"ss word"),
        );
        let shown = mask.over(&said);
        assert_eq!(shown, "*** *** \"***\" *** POST *** *** ***");
        let outcome = Outcome::new(Verdict::Refused, &said, Exchange::default(), &mask);
        assert_eq!(outcome.answer, shown);
    }

    #[test]
    fn an_answer_is_one_line_with_a_bound() {
        let long =
            Outcome::new(Verdict::Delivered, &"x\n".repeat(9000), Exchange::default(), &Mask::default());
        assert_eq!((long.answer.chars().count(), long.answer.contains('\n')), (LONGEST_ANSWER, false));
    }
}
