//! Readers of the host: one file per metric family, below relocatable roots.
//!
//! The pattern: a collector owns its open files and buffers, is called by the
//! sampler at its interval and appends to a frame. Names, labels, kinds, help
//! and values are those of node_exporter 1.5, so that dashboards and rules written
//! for it hold; a test compares them with the real one. What the host does not
//! have is [`CollectError::Absent`], never a zero. Wrong would be a collector that
//! trusts its files: their bytes are outside input, so nothing may panic on them.
//!
//! A new collector is one file and one line in [`REGISTERED`]; help, status,
//! documentation and the conformance tests read that list.

pub mod agent;
pub mod arp;
pub mod conntrack;
pub mod cpu;
pub mod cpufreq;
pub mod diskstats;
pub mod entropy;
pub mod filefd;
pub mod filesystem;
pub mod hwmon;
pub mod loadavg;
pub mod mdraid;
pub mod meminfo;
pub mod netclass;
pub mod netdev;
pub mod netstat;
pub mod os;
pub mod pressure;
pub mod processes;
pub mod schedstat;
pub mod sockstat;
pub mod softnet;
pub mod source;
pub mod stat;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;
pub mod thermal_zone;
pub mod time;
pub mod udp_queues;
pub mod uname;
pub mod vmstat;

use std::path::PathBuf;
use std::time::Duration;

use crate::base::time::{Monotonic, Timestamp};
use crate::model::frame::Frame;
use crate::model::host::TopProcesses;

/// Where the host's trees are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    pub procfs: PathBuf,
    pub sysfs: PathBuf,
    pub rootfs: PathBuf,
}

/// What a tick gives a collector.
#[derive(Clone, Copy, Debug)]
pub struct Tick {
    pub at: Timestamp,
    pub monotonic: Monotonic,
}

/// Why a collector has nothing.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The host does not have this subsystem: not an error.
    #[error("absent")]
    Absent,
    #[error("{0}")]
    Failed(String),
}

/// Reads one metric family of the host.
pub trait Collector: Send {
    /// The word for configuration, labels and docs; also the file name.
    fn name(&self) -> &'static str;
    /// Time between two runs; the default is every tick.
    fn every(&self) -> Duration {
        Duration::ZERO
    }
    /// After this long the tick goes on without it.
    fn deadline(&self) -> Duration {
        Duration::from_millis(500)
    }
    /// Appends the samples of now to `frame`. What was appended before an error
    /// is thrown away.
    ///
    /// # Errors
    /// [`CollectError::Absent`] when the host does not have the subsystem.
    fn collect(&mut self, tick: Tick, frame: &mut Frame) -> Result<(), CollectError>;
    /// The top lists, if this collector looked at the processes in its last run.
    fn take_processes(&mut self) -> Option<TopProcesses> {
        None
    }
}

/// One kind of collector.
pub struct Registration {
    /// As in `collect.disable` and in the label `collector`.
    pub name: &'static str,
    /// One line for help and documentation.
    pub about: &'static str,
    make: fn(&Roots) -> Box<dyn Collector>,
}

impl Registration {
    /// A collector of this kind; nothing is opened yet.
    pub fn make(&self, roots: &Roots) -> Box<dyn Collector> {
        (self.make)(roots)
    }
}

macro_rules! registered {
    ($($name:literal, $type:path, $about:literal;)*) => {
        /// Every kind of collector, in the order in which a tick runs them.
        pub const REGISTERED: &[Registration] = &[
            $(Registration { name: $name, about: $about, make: |roots| Box::new(<$type>::new(roots)) },)*
        ];
    };
}

registered! {
    "cpu", cpu::CpuCollector, "seconds of each processor in each mode";
    "stat", stat::StatCollector, "interrupts, context switches, forks, boot time";
    "loadavg", loadavg::LoadavgCollector, "load averages";
    "meminfo", meminfo::MeminfoCollector, "memory, every field of the kernel";
    "vmstat", vmstat::VmstatCollector, "paging and out-of-memory kills";
    "pressure", pressure::PressureCollector, "time in which tasks waited for processor, disk or memory";
    "diskstats", diskstats::DiskstatsCollector, "reads, writes and their times of each block device";
    "filesystem", filesystem::FilesystemCollector, "space and inodes of each filesystem";
    "netdev", netdev::NetdevCollector, "traffic of each network device";
    "netstat", netstat::NetstatCollector, "counters of the network protocols";
    "sockstat", sockstat::SockstatCollector, "sockets of each protocol";
    "filefd", filefd::FilefdCollector, "open files of the whole host";
    "mdraid", mdraid::MdraidCollector, "software RAID arrays and their disks";
    "hwmon", hwmon::HwmonCollector, "temperatures, fans, voltages and power of the sensors";
    "thermal_zone", thermal_zone::ThermalZoneCollector, "temperatures of the thermal zones, cooling";
    "processes", processes::ProcessesCollector, "processes and threads by state, the largest of them";
    "uname", uname::UnameCollector, "name and kernel of the host";
    "time", time::TimeCollector, "system time, time zone, clock source";
    "os", os::OsCollector, "name and version of the operating system";
    "arp", arp::ArpCollector, "neighbours on each network device";
    "conntrack", conntrack::ConntrackCollector, "tracked connections and their limit";
    "cpufreq", cpufreq::CpufreqCollector, "clock frequencies of the processors";
    "entropy", entropy::EntropyCollector, "the entropy pool of the kernel";
    "netclass", netclass::NetclassCollector, "state and properties of each network device";
    "schedstat", schedstat::SchedstatCollector, "time tasks ran on each processor and waited for it";
    "softnet", softnet::SoftnetCollector, "network softirq work of each processor";
    "udp_queues", udp_queues::UdpQueuesCollector, "bytes waiting in UDP sockets";
    "agent", agent::AgentCollector, "what this agent itself costs";
}

/// One collector of every kind.
pub fn all(roots: &Roots) -> Vec<Box<dyn Collector>> {
    REGISTERED.iter().map(|kind| kind.make(roots)).collect()
}
