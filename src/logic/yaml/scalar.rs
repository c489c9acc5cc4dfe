//! What a scalar means to whoever asks: a text, a number, a truth, a duration.
//!
//! As the YAML reader of Prometheus does: a text may be written without quotes even if
//! it looks like a number, a number may not be written in quotes, and nothing (`~`,
//! `null`, or no value) is the zero of its kind.

use std::time::Duration;

use super::{Content, Entry, Fault, Node, Style};
use crate::base::prometheus_duration;

impl Node {
    /// Whether there is nothing.
    pub fn is_null(&self) -> bool {
        matches!(&self.content, Content::Scalar(text, Style::Plain)
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    fn found(&self) -> &'static str {
        match &self.content {
            Content::List(_) => "a list",
            Content::Map(_) => "a map",
            Content::Scalar(..) if self.is_null() => "nothing",
            Content::Scalar(..) => "a text",
        }
    }

    fn expected(&self, what: &str) -> Fault {
        let shown = match &self.content {
            Content::Scalar(text, _) if !self.is_null() => {
                let short: String = text.chars().take(40).collect();
                format!("`{}`", short.escape_debug())
            }
            _ => self.found().to_owned(),
        };
        Fault::new(self.place, format!("expected {what}, found {shown}"))
    }

    /// A text; nothing is the empty text.
    ///
    /// # Errors
    /// It is a list or a map.
    pub fn text(&self) -> Result<&str, Fault> {
        match &self.content {
            _ if self.is_null() => Ok(""),
            Content::Scalar(text, _) => Ok(text),
            _ => Err(self.expected("a text")),
        }
    }

    /// The words of a scalar without quotes.
    fn plain(&self, what: &str) -> Result<&str, Fault> {
        match &self.content {
            Content::Scalar(text, Style::Plain) => Ok(text),
            Content::Scalar(..) => {
                Err(Fault::new(self.place, format!("expected {what} without quotes, found a text")))
            }
            _ => Err(self.expected(what)),
        }
    }

    /// A whole number that is not negative.
    ///
    /// # Errors
    /// It is none.
    pub fn count(&self) -> Result<u64, Fault> {
        let what = "a whole number";
        if self.is_null() {
            return Ok(0);
        }
        self.plain(what)?.replace('_', "").parse().map_err(|_| self.expected(what))
    }

    /// A number; `.nan`, `.inf` and `-.inf` as YAML writes them.
    ///
    /// # Errors
    /// It is none.
    pub fn number(&self) -> Result<f64, Fault> {
        let what = "a number";
        if self.is_null() {
            return Ok(0.0);
        }
        let text = self.plain(what)?;
        match text.to_ascii_lowercase().as_str() {
            ".nan" => return Ok(f64::NAN),
            ".inf" | "+.inf" => return Ok(f64::INFINITY),
            "-.inf" => return Ok(f64::NEG_INFINITY),
            _ => {}
        }
        let digits = text.replace('_', "");
        let based = |prefix: &str, base| {
            digits.strip_prefix(prefix).and_then(|rest| i64::from_str_radix(rest, base).ok())
        };
        if let Some(whole) = based("0x", 16).or_else(|| based("0o", 8)).or_else(|| based("0b", 2)) {
            return Ok(whole as f64);
        }
        // Rust reads words such as `nan` and `infinity`, too; YAML does not.
        let numeric = digits.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
        match digits.parse() {
            Ok(number) if numeric => Ok(number),
            _ => Err(self.expected("a number such as `1.5`, `.nan` or `-.inf`")),
        }
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// It is neither.
    pub fn truth(&self) -> Result<bool, Fault> {
        let what = "`true` or `false`";
        if self.is_null() {
            return Ok(false);
        }
        match self.plain(what)?.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" => Ok(true),
            "false" | "no" | "off" | "n" => Ok(false),
            _ => Err(self.expected(what)),
        }
    }

    /// A duration in the writing of Prometheus, with or without quotes.
    ///
    /// # Errors
    /// It is none.
    pub fn duration(&self) -> Result<Duration, Fault> {
        if self.is_null() {
            return Ok(Duration::ZERO);
        }
        let text = self.text()?;
        prometheus_duration::parse(text).map_err(|error| Fault::new(self.place, error.to_string()))
    }

    /// The items of a list; nothing is an empty list.
    ///
    /// # Errors
    /// It is something else.
    pub fn list(&self, what: &str) -> Result<&[Self], Fault> {
        match &self.content {
            Content::List(items) => Ok(items),
            _ if self.is_null() => Ok(&[]),
            _ => Err(self.expected(&format!("a list of {what}"))),
        }
    }

    /// The entries of a map; nothing is an empty map.
    ///
    /// # Errors
    /// It is something else.
    pub fn map(&self, what: &str) -> Result<&[Entry], Fault> {
        match &self.content {
            Content::Map(entries) => Ok(entries),
            _ if self.is_null() => Ok(&[]),
            _ => Err(self.expected(what)),
        }
    }
}
