//! Sockets by protocol from `/proc/net/sockstat` and `/proc/net/sockstat6`.
//!
//! Memory is counted in pages; `_mem_bytes` is the same in bytes.

use std::fmt::Write as _;

use super::source::{Source, fields, next_number};
use super::{CollectError, Collector, Roots, Tick};
use crate::model::frame::Frame;
use crate::model::series::is_metric_name;

const STATES: [&str; 6] = ["inuse", "orphan", "tw", "alloc", "mem", "memory"];

/// See the module.
pub struct SockstatCollector {
    files: [Source; 2],
    page_size: f64,
    name: String,
}

impl SockstatCollector {
    pub fn new(roots: &Roots) -> Self {
        let net = roots.procfs.join("net");
        Self {
            files: ["sockstat", "sockstat6"].map(|name| Source::new(net.join(name))),
            page_size: rustix::param::page_size() as f64,
            name: String::new(),
        }
    }
}

impl Collector for SockstatCollector {
    fn name(&self) -> &'static str {
        "sockstat"
    }

    fn collect(&mut self, _tick: Tick, frame: &mut Frame) -> Result<(), CollectError> {
        let mut answered = false;
        for file in &mut self.files {
            let text = match file.text() {
                Ok(text) => text,
                // A kernel without IPv6, or without IPv4.
                Err(CollectError::Absent) => continue,
                Err(error) => return Err(error),
            };
            answered = true;
            for line in text.lines() {
                let Some((protocol, rest)) = line.split_once(':') else { continue };
                let mut rest = fields(rest);
                while let Some((state, value)) = rest.next().zip(next_number(&mut rest)) {
                    if (protocol, state) == ("sockets", "used") {
                        frame
                            .gauge("node_sockstat_sockets_used", "Number of IPv4 sockets in use.")
                            .push(&[], value);
                    } else if STATES.contains(&state) {
                        push(frame, &mut self.name, protocol, state, value);
                        if state == "mem" {
                            push(frame, &mut self.name, protocol, "mem_bytes", value * self.page_size);
                        }
                    }
                }
            }
        }
        if answered { Ok(()) } else { Err(CollectError::Absent) }
    }
}

fn push(frame: &mut Frame, name: &mut String, protocol: &str, state: &str, value: f64) {
    name.clear();
    let _ = write!(name, "node_sockstat_{protocol}_{state}");
    if is_metric_name(name) {
        frame.gauge(name, format!("Number of {protocol} sockets in state {state}.")).push(&[], value);
    }
}
