//! `holdfast import`: OpenMetrics text with timestamps into the history.
//!
//! The file is sent in pieces that end at a line, so a file of any size takes
//! little memory on both sides; every piece repeats the descriptions of the family
//! it begins in. What was accepted stays when a later piece fails.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::path::PathBuf;

use clap::Args;
use hyper::body::Bytes;

use super::Global;
use super::client::{Client, block_on};
use super::exit::{Done, FAILED, Failure, OK};
use super::output::{Table, print, print_json};
use super::surroundings::Surroundings;

/// Well below what the agent takes in one request.
const PIECE: usize = 512 << 10;
/// A line is one sample; more is no OpenMetrics.
const LONGEST_LINE: u64 = 64 << 10;

#[derive(Args, Debug)]
pub struct ImportArguments {
    /// The file, or - for standard input
    pub file: PathBuf,
}

/// # Errors
/// The file cannot be read, the agent cannot be reached or refuses a piece.
pub fn import(arguments: &ImportArguments, global: &Global, surroundings: &Surroundings) -> Done {
    let client = Client::new(global, surroundings)?;
    let shown = arguments.file.display().to_string();
    let (source, size): (Box<dyn Read>, Option<u64>) = if shown == "-" {
        (Box::new(std::io::stdin().lock()), None)
    } else {
        let file = std::fs::File::open(&arguments.file);
        let file = file.map_err(|error| Failure::io(format!("cannot read {shown}"), &error))?;
        let size = file.metadata().ok().map(|metadata| metadata.len());
        (Box::new(file), size)
    };
    let mut pieces = Pieces {
        lines: BufReader::new(source),
        read: 0,
        line: 1,
        begins: 1,
        heads: BTreeMap::new(),
        done: false,
    };
    let mut totals: BTreeMap<String, u64> = BTreeMap::new();
    let bar = Bar { total: size, shown: surroundings.error_terminal && !global.json };
    let sent = block_on(async {
        while let Some(piece) =
            pieces.next().map_err(|error| Failure::io(format!("cannot read {shown}"), &error))?
        {
            send(&client, piece, &mut totals).await?;
            bar.draw(pieces.read);
        }
        Ok(())
    });
    bar.clear();
    let report: Vec<_> = ["accepted", "out_of_range", "duplicate", "refused"]
        .map(|name| (name, totals.get(name).copied().unwrap_or_default()))
        .to_vec();
    if let Err(failure) = sent {
        let accepted = report[0].1;
        let message = format!(
            "{}\nin the part that begins at line {} of {shown}; {accepted} samples before it were accepted and stay",
            failure.message, pieces.begins
        );
        return Err(Failure::new(failure.code, message));
    }
    if global.json {
        print_json(&report.iter().map(|(name, count)| (*name, *count)).collect::<BTreeMap<_, _>>())?;
    } else {
        let mut table = Table::new(["SAMPLES", "COUNT"]);
        for (name, count) in &report {
            table.row([name.replace('_', " "), count.to_string()]);
        }
        print(&table.render())?;
    }
    Ok(if report[0].1 == 0 && report.iter().any(|(_, count)| *count > 0) { FAILED } else { OK })
}

async fn send(client: &Client, piece: String, totals: &mut BTreeMap<String, u64>) -> Result<(), Failure> {
    let content = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let answer = client.post("/api/v1/ingest/openmetrics", content, Bytes::from(piece)).await?;
    let answer = answer.success()?.json()?;
    for (name, count) in answer.as_object().into_iter().flatten() {
        *totals.entry(name.clone()).or_default() += count.as_u64().unwrap_or_default();
    }
    Ok(())
}

/// The pieces of a file.
struct Pieces<R> {
    lines: R,
    read: u64,
    /// The next line, and the first one of the last piece, from 1.
    line: u64,
    begins: u64,
    /// `# TYPE`, `# HELP`, `# UNIT` of the family at hand.
    heads: BTreeMap<String, String>,
    done: bool,
}

impl<R: BufRead> Pieces<R> {
    /// The next piece, complete with `# EOF`.
    fn next(&mut self) -> std::io::Result<Option<String>> {
        if self.done {
            return Ok(None);
        }
        let mut piece: String = self.heads.values().cloned().collect();
        let start = piece.len();
        self.begins = self.line;
        while piece.len() < PIECE {
            let mut line = String::new();
            let read = self.lines.by_ref().take(LONGEST_LINE).read_line(&mut line)?;
            self.read += read as u64;
            if read as u64 == LONGEST_LINE && !line.ends_with('\n') {
                return Err(std::io::Error::new(
                    std::io::ErrorKind::InvalidData,
                    "a line is longer than 64 KiB",
                ));
            }
            if read == 0 || line.trim_end() == "# EOF" {
                self.done = true;
                break;
            }
            if !line.ends_with('\n') {
                line.push('\n');
            }
            self.line += 1;
            self.remember(&line);
            piece.push_str(&line);
        }
        if piece.len() == start {
            return Ok(None);
        }
        piece.push_str("# EOF\n");
        Ok(Some(piece))
    }

    /// Keeps what describes the current family for the piece after this.
    fn remember(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        if let (Some("#"), Some(word @ ("TYPE" | "HELP" | "UNIT")), Some(family)) =
            (words.next(), words.next(), words.next())
        {
            let other = |kept: &String| kept.split_whitespace().nth(2) != Some(family);
            if self.heads.values().any(other) {
                self.heads.clear();
            }
            self.heads.insert(word.to_owned(), line.to_owned());
        }
    }
}

/// A line of progress on a terminal.
struct Bar {
    total: Option<u64>,
    shown: bool,
}

impl Bar {
    fn draw(&self, read: u64) {
        if !self.shown {
            return;
        }
        let mut error = std::io::stderr().lock();
        let _ = match self.total.filter(|total| *total > 0) {
            Some(total) => {
                let percent = (read.min(total) * 100 / total) as usize;
                let filled = percent * 40 / 100;
                write!(error, "\r[{}{}] {percent:3} %", "=".repeat(filled), " ".repeat(40 - filled))
            }
            None => write!(error, "\r{} KiB", read / 1024),
        };
        let _ = error.flush();
    }

    fn clear(&self) {
        if self.shown {
            let _ = write!(std::io::stderr().lock(), "\r\u{1b}[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str) -> Vec<String> {
        let mut pieces = Pieces {
            lines: text.as_bytes(),
            read: 0,
            line: 1,
            begins: 1,
            heads: BTreeMap::new(),
            done: false,
        };
        std::iter::from_fn(|| pieces.next().unwrap()).collect()
    }

    #[test]
    fn a_small_file_is_one_piece_with_one_end() {
        let all = pieces("# TYPE a gauge\na 1 1\n# EOF\nnot read");
        assert_eq!(all, ["# TYPE a gauge\na 1 1\n# EOF\n"]);
        assert!(pieces("").is_empty());
        assert_eq!(pieces("a 1 1"), ["a 1 1\n# EOF\n"]);
    }

    #[test]
    fn every_piece_knows_its_family_and_no_sample_is_lost() {
        let mut text = String::from("# TYPE a gauge\n# HELP a One.\n");
        (0..40_000).for_each(|n| text.push_str(&format!("a{{x=\"{n}\"}} 1 1\n")));
        text.push_str("# TYPE b counter\n");
        (0..40_000).for_each(|n| text.push_str(&format!("b_total{{x=\"{n}\"}} 1 1\n")));
        let all = pieces(&text);
        assert!(all.len() >= 3);
        for piece in &all {
            assert!(piece.starts_with('#') && piece.ends_with("# EOF\n") && piece.len() < PIECE + 200);
        }
        assert!(all.last().unwrap().starts_with("# TYPE b counter\nb_total"));
        let samples = all.iter().flat_map(|piece| piece.lines()).filter(|line| !line.starts_with('#'));
        assert_eq!(samples.count(), 80_000);
    }

    #[test]
    fn an_endless_line_is_refused() {
        let text = "a".repeat(100_000);
        let mut pieces = Pieces {
            lines: text.as_bytes(),
            read: 0,
            line: 1,
            begins: 1,
            heads: BTreeMap::new(),
            done: false,
        };
        assert!(pieces.next().unwrap_err().to_string().contains("longer than"));
    }
}
