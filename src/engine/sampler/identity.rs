//! What host this is: name, operating system, kernel, processors, boot time.

use std::path::Path;

use crate::collectors::Roots;
use crate::collectors::source::read_trimmed;
use crate::model::host::HostIdentity;

/// Reads the identity; what cannot be read stays empty.
pub fn read(roots: &Roots) -> HostIdentity {
    let kernel = |name: &str| read_trimmed(&roots.procfs.join("sys/kernel").join(name)).unwrap_or_default();
    let stat = read_trimmed(&roots.procfs.join("stat")).unwrap_or_default();
    let cpus = stat.lines().filter(|line| line.starts_with("cpu") && !line.starts_with("cpu ")).count();
    let boot = stat.lines().find_map(|line| line.strip_prefix("btime "));
    HostIdentity {
        hostname: kernel("hostname"),
        os: os_name(&roots.rootfs).unwrap_or_default(),
        kernel: kernel("osrelease"),
        arch: rustix::system::uname().machine().to_string_lossy().into_owned(),
        cpus: u32::try_from(cpus).unwrap_or(0),
        boot_time_seconds: boot.and_then(|text| text.trim().parse().ok()),
    }
}

/// `PRETTY_NAME` of os-release(5).
fn os_name(rootfs: &Path) -> Option<String> {
    let files = ["etc/os-release", "usr/lib/os-release"];
    let text = files.into_iter().find_map(|file| read_trimmed(&rootfs.join(file)))?;
    let value = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(value.trim_matches(['"', '\'']).to_owned())
}
