//! Texts for people and for programs.

use std::fmt::Write as _;
use std::io::Write as _;

use serde::Serialize;
use serde_json::Value;

use super::exit::{FAILED, Failure};
use super::surroundings::Surroundings;

/// Writes to standard output. A reader that went away (`| head`) is no error.
///
/// # Errors
/// The output cannot be written.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut output = std::io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::io("cannot write the output", &error))
        }
        _ => Ok(()),
    }
}

/// Writes a line to standard error; whether anybody reads it does not matter.
pub fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Writes `value` as JSON.
///
/// # Errors
/// The output cannot be written.
pub fn print_json<T: Serialize>(value: &T) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::new(FAILED, error))?;
    print(&format!("{text}\n"))
}

/// A table whose columns are as wide as their widest cell.
#[derive(Clone, Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new<const N: usize>(heading: [&str; N]) -> Self {
        Self { rows: vec![heading.map(String::from).to_vec()] }
    }

    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }

    /// Rows without the heading.
    pub fn is_empty(&self) -> bool {
        self.rows.len() <= 1
    }

    /// The text, each line ending in a newline.
    pub fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                let _ = write!(line, "{cell:width$}  ");
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// `text` in the colour of a health or outcome word.
pub fn coloured(text: &str, word: &str, surroundings: &Surroundings) -> String {
    let code = match word {
        "healthy" | "ok" => 32,
        "unhealthy" | "hard" => 31,
        _ => 33,
    };
    if surroundings.colour() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// A text of an answer, empty when it is absent; other values as they are.
pub fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => printable(text),
        other => other.to_string(),
    }
}

/// Control characters could move a terminal's cursor.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// `18.4MiB`; a dash when it is absent.
pub fn bytes_of(value: &Value) -> String {
    let Some(bytes) = value.as_f64() else { return String::from("-") };
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut unit = 0;
    let mut scaled = bytes;
    while scaled >= 1024.0 && unit + 1 < units.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    let decimals = usize::from(unit > 0 && scaled < 100.0);
    format!("{scaled:.decimals$}{}", units[unit])
}

/// `12.5ms`; a dash when it is absent.
pub fn millis_of(value: &Value) -> String {
    value.as_f64().map_or_else(|| String::from("-"), |millis| format!("{millis:.1}ms"))
}

/// `3.2 %`; a dash when it is absent.
pub fn percent_of(value: &Value) -> String {
    value.as_f64().map_or_else(|| String::from("-"), |percent| format!("{percent:.1} %"))
}

/// `2d3h`, `5m10s`: the two largest units.
pub fn duration_of(seconds: f64) -> String {
    let seconds = seconds.max(0.0) as u64;
    let units = [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)];
    let at = units.iter().position(|(_, scale)| seconds >= *scale).unwrap_or(3);
    let (unit, scale) = units[at];
    let mut text = format!("{}{unit}", seconds / scale);
    if let Some((unit, smaller)) = units.get(at + 1).filter(|(_, smaller)| seconds % scale >= *smaller) {
        let _ = write!(text, "{}{unit}", seconds % scale / smaller);
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_line_up_and_no_line_ends_in_blanks() {
        let mut table = Table::new(["NAME", "VALUE"]);
        table.row(["a".into(), "1".into()]);
        table.row(["longer".into(), String::new()]);
        assert_eq!(table.render(), "NAME    VALUE\na       1\nlonger\n");
    }

    #[test]
    fn figures_for_people() {
        assert_eq!(bytes_of(&json!(512)), "512B");
        assert_eq!(bytes_of(&json!(19_293_798)), "18.4MiB");
        assert_eq!(bytes_of(&json!(536_870_912)), "512MiB");
        assert_eq!(bytes_of(&Value::Null), "-");
        assert_eq!(duration_of(59.9), "59s");
        assert_eq!(duration_of(3600.0), "1h");
        assert_eq!(duration_of(183_600.0), "2d3h");
    }

    #[test]
    fn an_answer_cannot_move_the_cursor() {
        assert_eq!(text_of(&json!("a\u{1b}[2Jb\n")), "a [2Jb ");
    }
}
