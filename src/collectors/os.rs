//! The operating system's name and version, from os-release(5).

use std::time::Duration;

use super::source::Source;
use super::{CollectError, Collector, Roots, Tick};
use crate::model::frame::Frame;

/// Labels and their keys in the file, in the order of the labels.
const KEYS: [(&str, &str); 12] = [
    ("build_id", "BUILD_ID"),
    ("id", "ID"),
    ("id_like", "ID_LIKE"),
    ("image_id", "IMAGE_ID"),
    ("image_version", "IMAGE_VERSION"),
    ("name", "NAME"),
    ("pretty_name", "PRETTY_NAME"),
    ("variant", "VARIANT"),
    ("variant_id", "VARIANT_ID"),
    ("version", "VERSION"),
    ("version_codename", "VERSION_CODENAME"),
    ("version_id", "VERSION_ID"),
];

/// See the module.
pub struct OsCollector {
    files: [Source; 2],
}

impl OsCollector {
    pub fn new(roots: &Roots) -> Self {
        let files = ["etc/os-release", "usr/lib/os-release"];
        Self { files: files.map(|file| Source::new(roots.rootfs.join(file))) }
    }
}

impl Collector for OsCollector {
    fn name(&self) -> &'static str {
        "os"
    }

    fn every(&self) -> Duration {
        Duration::from_secs(15)
    }

    fn collect(&mut self, _tick: Tick, frame: &mut Frame) -> Result<(), CollectError> {
        let [first, second] = &mut self.files;
        let text = match first.text() {
            Ok(text) => text,
            Err(CollectError::Absent) => second.text()?,
            Err(error) => return Err(error),
        };
        let value = |key: &str| {
            let pair = text.lines().filter_map(|line| line.split_once('=')).find(|(name, _)| *name == key);
            pair.map_or("", |(_, value)| value.trim().trim_matches(['"', '\'']))
        };
        let labels = KEYS.map(|(label, key)| (label, value(key)));
        let help = "A metric with a constant '1' value labeled by build_id, id, id_like, image_id, \
                    image_version, name, pretty_name, variant, variant_id, version, version_codename, \
                    version_id.";
        frame.gauge("node_os_info", help).push(&labels, 1.0);
        if let Some(version) = major_minor(value("VERSION_ID")) {
            let labels = [("id", value("ID")), ("id_like", value("ID_LIKE")), ("name", value("NAME"))];
            frame
                .gauge("node_os_version", "Metric containing the major.minor part of the OS version.")
                .push(&labels, version);
        }
        Ok(())
    }
}

/// `22.04.1` is 22.04.
fn major_minor(version: &str) -> Option<f64> {
    let mut dots = 0;
    let end = version.find(|c: char| {
        dots += usize::from(c == '.');
        !(c.is_ascii_digit() || c == '.' && dots == 1)
    });
    version[..end.unwrap_or(version.len())].parse().ok().filter(|value: &f64| value.is_finite())
}

#[cfg(test)]
mod tests {
    #[test]
    fn versions_are_cut_to_major_and_minor() {
        let cases = [("12", Some(12.0)), ("22.04.1", Some(22.04)), ("39-beta", Some(39.0)), ("", None)];
        for (text, value) in cases {
            assert_eq!(super::major_minor(text), value, "{text}");
        }
    }
}
