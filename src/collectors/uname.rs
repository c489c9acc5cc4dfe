//! Name and kernel of the host, as uname(2) tells them, from `/proc/sys/kernel`.
//!
//! The files hold what the system call answers, and they move with the root.
//! Only the machine has no file on kernels before 6.1.

use super::source::{Source, read_trimmed};
use super::{CollectError, Collector, Roots, Tick};
use crate::model::frame::Frame;

/// See the module.
pub struct UnameCollector {
    files: [Source; 5],
    machine: String,
}

/// Files in the order of [`UnameCollector::files`].
const FILES: [&str; 5] = ["domainname", "hostname", "osrelease", "ostype", "version"];

impl UnameCollector {
    pub fn new(roots: &Roots) -> Self {
        let dir = roots.procfs.join("sys/kernel");
        let machine = read_trimmed(&dir.join("arch"))
            .unwrap_or_else(|| rustix::system::uname().machine().to_string_lossy().into_owned());
        Self { files: FILES.map(|name| Source::new(dir.join(name))), machine }
    }
}

impl Collector for UnameCollector {
    fn name(&self) -> &'static str {
        "uname"
    }

    fn collect(&mut self, _tick: Tick, frame: &mut Frame) -> Result<(), CollectError> {
        let [domain, node, release, system, version] = &mut self.files;
        let texts = [domain.text()?, node.text()?, release.text()?, system.text()?, version.text()?];
        let [domain, node, release, system, version] = texts.each_ref().map(|text| text.trim());
        let labels = [
            ("domainname", domain),
            ("machine", &self.machine),
            ("nodename", node),
            ("release", release),
            ("sysname", system),
            ("version", version),
        ];
        frame
            .gauge("node_uname_info", "Labeled system information as provided by the uname system call.")
            .push(&labels, 1.0);
        Ok(())
    }
}
