//! Memory from `/proc/meminfo`, every field the kernel shows.
//!
//! `Active(anon)` becomes `Active_anon`; fields with the unit kB (1,024 bytes)
//! are shown in bytes and say so in their name.

use std::fmt::Write as _;

use super::source::{Source, fields, malformed, next_number};
use super::{CollectError, Collector, Roots, Tick};
use crate::model::frame::Frame;
use crate::model::series::is_metric_name;

/// See the module.
pub struct MeminfoCollector {
    meminfo: Source,
    name: String,
}

impl MeminfoCollector {
    pub fn new(roots: &Roots) -> Self {
        Self { meminfo: Source::new(roots.procfs.join("meminfo")), name: String::new() }
    }
}

const PREFIX: &str = "node_memory_";

impl Collector for MeminfoCollector {
    fn name(&self) -> &'static str {
        "meminfo"
    }

    fn collect(&mut self, _tick: Tick, frame: &mut Frame) -> Result<(), CollectError> {
        let mut found = false;
        for line in self.meminfo.text()?.lines() {
            let Some((field, rest)) = line.split_once(':') else { continue };
            let mut rest = fields(rest);
            let Some(mut value) = next_number(&mut rest) else { continue };
            self.name.clear();
            self.name.push_str(PREFIX);
            self.name.extend(field.chars().filter(|c| *c != ')').map(|c| if c == '(' { '_' } else { c }));
            if rest.next() == Some("kB") {
                value *= 1024.0;
                self.name.push_str("_bytes");
            }
            if !is_metric_name(&self.name) {
                continue;
            }
            let mut help = String::with_capacity(64);
            let _ = write!(help, "Memory information field {}.", &self.name[PREFIX.len()..]);
            frame.gauge(&self.name, help).push(&[], value);
            found = true;
        }
        if found { Ok(()) } else { Err(malformed(self.meminfo.path(), "lines such as `MemTotal: 1024 kB`")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::testing::{self, Tree};

    #[test]
    fn units_and_brackets() {
        let tree = Tree::new();
        tree.write(
            "proc/meminfo",
            "MemTotal: 2 kB\nActive(file): 3 kB\nHugePages_Free: 4\nbad name: 5 kB\nNoNumber: x\n",
        );
        let frame = testing::collect(&mut MeminfoCollector::new(&tree.roots())).unwrap();
        assert_eq!(testing::value(&frame, "node_memory_MemTotal_bytes"), Some(2048.0));
        assert_eq!(testing::value(&frame, "node_memory_Active_file_bytes"), Some(3072.0));
        assert_eq!(testing::value(&frame, "node_memory_HugePages_Free"), Some(4.0));
        assert_eq!(frame.len(), 3);
    }
}
