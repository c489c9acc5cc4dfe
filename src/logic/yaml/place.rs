//! Where a character of a scalar stands in the file.
//!
//! An expression over several lines is one text to PromQL, but its error should point at
//! the line of the file. YAML changes only blanks and escapes between the two (folding,
//! indentation, doubled quotes), so both are walked side by side over everything that is
//! no blank. Wrong would be to add the column of the error to that of the scalar: block
//! scalars begin on another line.

use super::{Content, Node, Place, Style};

/// The place of the byte `offset` of the text of `node`, which was read from `file`.
pub fn locate(file: &str, node: &Node, offset: usize) -> Place {
    let Content::Scalar(text, style) = &node.content else { return node.place };
    let before = text.get(..offset).unwrap_or(text);
    let mut wanted = before.chars().filter(|c| !c.is_whitespace()).count();
    let mut walk = Walk { place: node.place, rest: after(file, node.start) };
    walk.skip_properties();
    let quote = walk.rest.chars().next().filter(|c| matches!(c, '"' | '\'') && *style != Style::Plain);
    let quote = quote.filter(|quote| !text.starts_with(*quote) || text.len() < 2);
    if quote.is_some() {
        walk.step();
    }
    // After the last character there is nothing to point at but what follows it.
    let at_end = text.get(offset..).is_none_or(|rest| rest.trim().is_empty());
    loop {
        if wanted == 0 && at_end {
            return walk.place;
        }
        match walk.rest.chars().next() {
            None => return walk.place,
            Some(c) if c.is_whitespace() => {
                walk.step();
            }
            Some(_) if wanted == 0 => return walk.place,
            Some(_) => wanted -= usize::from(walk.one(quote)),
        }
    }
}

fn after(file: &str, characters: usize) -> &str {
    let at = file.char_indices().nth(characters).map_or(file.len(), |(at, _)| at);
    &file[at..]
}

struct Walk<'a> {
    place: Place,
    rest: &'a str,
}

impl Walk<'_> {
    fn step(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        if c == '\n' {
            self.place = Place { line: self.place.line + 1, column: 1 };
        } else {
            self.place.column += 1;
        }
        Some(c)
    }

    /// Passes over tags and anchors.
    fn skip_properties(&mut self) {
        while self.rest.starts_with("!!") || self.rest.starts_with('&') {
            while self.rest.starts_with(|c: char| !c.is_whitespace()) {
                self.step();
            }
            while self.rest.starts_with(char::is_whitespace) {
                self.step();
            }
        }
    }

    /// Passes over what is one character of the text; whether that is no blank.
    fn one(&mut self, quote: Option<char>) -> bool {
        match (self.step(), quote) {
            (Some('\''), Some('\'')) => {
                self.step();
                true
            }
            (Some('\\'), Some('"')) => match self.step() {
                Some('n' | 't' | 'r' | ' ' | '\n' | '_' | 'N' | 'L' | 'P' | 'v') => false,
                Some(length @ ('x' | 'u' | 'U')) => {
                    let digits = match length {
                        'x' => 2,
                        'u' => 4,
                        _ => 8,
                    };
                    for _ in 0..digits {
                        self.step();
                    }
                    true
                }
                _ => true,
            },
            _ => true,
        }
    }
}

/// The byte of `text` at a line and column, both counted from 1.
pub fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let rest = text.get(start..).unwrap_or_default();
    start + rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at)
}
