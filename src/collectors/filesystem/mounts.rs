//! The mount table, `/proc/PID/mountinfo`, as proc_pid_mountinfo(5) describes it.
//!
//! `36 35 98:0 /mnt1 /mnt/parent rw,noatime master:1 - ext3 /dev/root rw,errors=continue`:
//! the fifth field is the mount point, the sixth its options, after the lone dash
//! come type, device and options of the filesystem. Blanks, tabs, newlines and
//! backslashes in names are written as octal escapes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// More mounts than this are not looked at.
const MOST: usize = 2000;

/// One mount that is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    pub device: String,
    /// As the host sees it.
    pub mountpoint: String,
    pub fstype: String,
    pub readonly: bool,
    /// Where this process finds it.
    pub path: PathBuf,
}

/// The mounts that node_exporter's defaults leave.
pub fn parse(text: &str, rootfs: &Path) -> Vec<Mount> {
    let mut seen = BTreeSet::new();
    let mut mounts = Vec::new();
    for line in text.lines() {
        let Some(mount) = parse_line(line, rootfs) else { continue };
        if is_excluded_type(&mount.fstype) || is_excluded_path(&mount.mountpoint) {
            continue;
        }
        if seen.insert((mount.device.clone(), mount.mountpoint.clone(), mount.fstype.clone())) {
            mounts.push(mount);
        }
        if mounts.len() == MOST {
            break;
        }
    }
    mounts
}

fn parse_line(line: &str, rootfs: &Path) -> Option<Mount> {
    let (first, second) = line.split_once(" - ")?;
    let mut first = first.split(' ').skip(4);
    let (path, options) = (unescape(first.next()?), first.next()?);
    let mut second = second.split(' ');
    let (fstype, device, super_options) = (second.next()?, second.next()?, second.next().unwrap_or(""));
    let readonly = |options: &str| options.split(',').any(|option| option == "ro");
    let mountpoint = strip_root(&path, rootfs);
    Some(Mount {
        device: unescape(device),
        fstype: fstype.to_owned(),
        readonly: readonly(options) || readonly(super_options),
        path: rootfs.join(mountpoint.trim_start_matches('/')),
        mountpoint,
    })
}

/// In a container the host's root may be mounted below `rootfs`; the host knows nothing of that.
fn strip_root(path: &str, rootfs: &Path) -> String {
    match Path::new(path).strip_prefix(rootfs) {
        Ok(rest) if rootfs != Path::new("/") => format!("/{}", rest.display()),
        _ => path.to_owned(),
    }
}

fn unescape(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 4).filter(|_| bytes[at] == b'\\');
        let octal = digits
            .filter(|digits| digits.iter().all(|b| (b'0'..=b'7').contains(b)))
            .map(|digits| digits.iter().fold(0u32, |value, b| value * 8 + u32::from(b - b'0')))
            .and_then(|value| u8::try_from(value).ok());
        match octal {
            Some(byte) => {
                out.push(byte);
                at += 4;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Debian's default:
/// `^/(dev|proc|run|sys|mnt|media|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)`.
fn is_excluded_path(path: &str) -> bool {
    const TREES: [&str; 6] = ["/dev", "/proc", "/run", "/sys", "/mnt", "/media"];
    const BELOW: [&str; 2] = ["/var/lib/docker/", "/var/lib/containers/storage/"];
    let inside =
        |tree: &str| path.strip_prefix(tree).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let below = |tree: &str| path.strip_prefix(tree).is_some_and(|rest| !rest.is_empty());
    TREES.into_iter().any(inside) || BELOW.into_iter().any(below)
}

fn is_excluded_type(fstype: &str) -> bool {
    matches!(
        fstype,
        "autofs"
            | "binfmt_misc"
            | "bpf"
            | "cgroup"
            | "cgroup2"
            | "configfs"
            | "debugfs"
            | "devpts"
            | "devtmpfs"
            | "fusectl"
            | "hugetlbfs"
            | "iso9660"
            | "mqueue"
            | "nsfs"
            | "overlay"
            | "proc"
            | "procfs"
            | "pstore"
            | "rpc_pipefs"
            | "securityfs"
            | "selinuxfs"
            | "squashfs"
            | "sysfs"
            | "tracefs"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
28 27 8:1 / /srv/my\\040data\\134x rw,noatime shared:5 master:3 - xfs /dev/sda1 ro,attr2
28 27 8:1 / /srv/my\\040data\\134x rw,noatime shared:5 - xfs /dev/sda1 ro,attr2
29 27 0:21 / /proc rw - proc proc rw
30 27 0:44 / /mnt/share ro - nfs4 nas:/share rw
31 27 0:45 / /devices rw - tmpfs tmpfs rw
broken line
32 27 0:46 / /x - tmpfs
";

    #[test]
    fn names_are_unescaped_and_exclusions_hold() {
        let mounts = parse(TEXT, Path::new("/"));
        let points: Vec<_> = mounts.iter().map(|mount| mount.mountpoint.as_str()).collect();
        assert_eq!(points, ["/", "/srv/my data\\x", "/devices"]);
        assert_eq!(mounts[1].path, Path::new("/srv/my data\\x"));
        assert!(mounts[1].readonly && !mounts[0].readonly);
    }

    #[test]
    fn below_another_root_the_labels_are_the_hosts() {
        let text = "1 0 8:1 / /host/srv rw - ext4 /dev/a rw\n2 0 8:2 / /opt rw - ext4 /dev/b rw\n";
        let mounts = parse(text, Path::new("/host"));
        assert_eq!(
            (mounts[0].mountpoint.as_str(), mounts[0].path.as_path()),
            ("/srv", Path::new("/host/srv"))
        );
        assert_eq!(
            (mounts[1].mountpoint.as_str(), mounts[1].path.as_path()),
            ("/opt", Path::new("/host/opt"))
        );
    }

    #[test]
    fn escapes_that_are_none_stay() {
        for text in ["\\", "\\0", "\\999", "a\\08", "\\777"] {
            assert_eq!(unescape(text), text);
        }
        assert_eq!(unescape("\\011\\040"), "\t ");
    }

    #[test]
    fn trees_are_excluded_with_what_is_below_them_only() {
        for excluded in ["/run", "/run/user/0", "/mnt/a", "/var/lib/docker/overlay2/x/merged"] {
            assert!(is_excluded_path(excluded), "{excluded}");
        }
        for kept in ["/", "/runner", "/var/lib/docker", "/home/mnt", "/srv/media"] {
            assert!(!is_excluded_path(kept), "{kept}");
        }
    }
}
