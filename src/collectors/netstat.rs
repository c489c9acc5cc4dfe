//! Protocol counters from `/proc/net/netstat`, `/proc/net/snmp` and `/proc/net/snmp6`.
//!
//! The first two come as pairs of lines, names and values; the third as one name
//! and value per line, with the protocol up to the digit 6. The kernel has
//! hundreds of them; the selection is node_exporter's default.

use std::fmt::Write as _;

use super::source::{Source, fields, number};
use super::{CollectError, Collector, Roots, Tick};
use crate::model::frame::Frame;
use crate::model::series::{Kind, is_metric_name};

/// See the module.
pub struct NetstatCollector {
    netstat: Source,
    snmp: Source,
    snmp6: Source,
    name: String,
}

impl NetstatCollector {
    pub fn new(roots: &Roots) -> Self {
        let net = roots.procfs.join("net");
        Self {
            netstat: Source::new(net.join("netstat")),
            snmp: Source::new(net.join("snmp")),
            snmp6: Source::new(net.join("snmp6")),
            name: String::new(),
        }
    }
}

/// node_exporter's default:
/// `^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)|`
/// `TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts)|`
/// `Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)|`
/// `Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$`
fn is_wanted(protocol: &str, field: &str) -> bool {
    if matches!(field, "InErrors" | "InErrs") {
        return true;
    }
    match protocol {
        "Ip" => field == "Forwarding",
        "Ip6" | "IpExt" => matches!(field, "InOctets" | "OutOctets"),
        "Icmp" | "Icmp6" => matches!(field, "InMsgs" | "OutMsgs"),
        "TcpExt" => {
            field.starts_with("Listen")
                || field.starts_with("Syncookies")
                || matches!(field, "TCPSynRetrans" | "TCPTimeouts")
        }
        "Tcp" => matches!(
            field,
            "ActiveOpens" | "InSegs" | "OutSegs" | "OutRsts" | "PassiveOpens" | "RetransSegs" | "CurrEstab"
        ),
        "Udp" | "Udp6" => {
            matches!(field, "InDatagrams" | "OutDatagrams" | "NoPorts" | "RcvbufErrors" | "SndbufErrors")
        }
        _ => false,
    }
}

impl Collector for NetstatCollector {
    fn name(&self) -> &'static str {
        "netstat"
    }

    fn collect(&mut self, _tick: Tick, frame: &mut Frame) -> Result<(), CollectError> {
        for source in [&mut self.netstat, &mut self.snmp] {
            pairs(&source.text()?, &mut self.name, frame);
        }
        match self.snmp6.text() {
            Ok(text) => single(&text, &mut self.name, frame),
            // IPv6 is off.
            Err(CollectError::Absent) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

fn pairs(text: &str, name: &mut String, frame: &mut Frame) {
    let mut lines = text.lines();
    while let Some((names, values)) = lines.next().zip(lines.next()) {
        let Some((protocol, names)) = names.split_once(':') else { continue };
        let Some((same, values)) = values.split_once(':') else { continue };
        // MPTCP and others have nothing that is wanted, and many fields.
        if protocol != same || protocol == "MPTcpExt" {
            continue;
        }
        for (field, value) in fields(names).zip(fields(values)) {
            if is_wanted(protocol, field) {
                push(frame, name, protocol, field, value);
            }
        }
    }
}

fn single(text: &str, name: &mut String, frame: &mut Frame) {
    for line in text.lines() {
        let mut fields = fields(line);
        let Some((full, value)) = fields.next().zip(fields.next()) else { continue };
        let Some(six) = full.find('6') else { continue };
        let (protocol, field) = full.split_at(six + 1);
        if is_wanted(protocol, field) {
            push(frame, name, protocol, field, value);
        }
    }
}

fn push(frame: &mut Frame, name: &mut String, protocol: &str, field: &str, value: &str) {
    let Some(value) = number(value) else { return };
    name.clear();
    let _ = write!(name, "node_netstat_{protocol}_{field}");
    if is_metric_name(name) {
        frame.family(name, Kind::Unknown, format!("Statistic {protocol}{field}.")).push(&[], value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::testing::{self, Tree};

    #[test]
    fn names_and_values_are_matched_by_place() {
        let tree = Tree::new();
        tree.write("proc/net/netstat", "TcpExt: A SyncookiesSent TCPTimeouts\nTcpExt: 1 2 3\n");
        tree.write("proc/net/snmp", "Tcp: MaxConn CurrEstab\nTcp: -1 5\nUdpLite: InErrors\nUdpLite: 7\n");
        tree.write("proc/net/snmp6", "Ip6InOctets 9\nUdpLite6InErrors \t 4\nIp6InReceives 1\n");
        let frame = testing::collect(&mut NetstatCollector::new(&tree.roots())).unwrap();
        for (name, expected) in [
            ("TcpExt_SyncookiesSent", 2.0),
            ("TcpExt_TCPTimeouts", 3.0),
            ("Tcp_CurrEstab", 5.0),
            ("UdpLite_InErrors", 7.0),
            ("Ip6_InOctets", 9.0),
            ("UdpLite6_InErrors", 4.0),
        ] {
            let key = format!("node_netstat_{name}");
            assert_eq!(testing::value(&frame, &key), Some(expected), "{key}");
        }
        assert_eq!(frame.len(), 6);
    }
}
