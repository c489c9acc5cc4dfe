//! Open files of the whole kernel and their limit, from `/proc/sys/fs/file-nr`.

use super::source::{Source, fields, malformed, next_number};
use super::{CollectError, Collector, Roots, Tick};
use crate::model::frame::Frame;

/// See the module.
pub struct FilefdCollector {
    file_nr: Source,
}

impl FilefdCollector {
    pub fn new(roots: &Roots) -> Self {
        Self { file_nr: Source::new(roots.procfs.join("sys/fs/file-nr")) }
    }
}

impl Collector for FilefdCollector {
    fn name(&self) -> &'static str {
        "filefd"
    }

    fn collect(&mut self, _tick: Tick, frame: &mut Frame) -> Result<(), CollectError> {
        let text = self.file_nr.text()?.into_owned();
        let mut fields = fields(&text);
        // The second number is always 0 since Linux 2.6.
        let (allocated, _, maximum) =
            (next_number(&mut fields), next_number(&mut fields), next_number(&mut fields));
        let Some((allocated, maximum)) = allocated.zip(maximum) else {
            return Err(malformed(self.file_nr.path(), "three numbers"));
        };
        frame
            .gauge("node_filefd_allocated", "File descriptor statistics: allocated.")
            .push(&[], allocated)
            .gauge("node_filefd_maximum", "File descriptor statistics: maximum.")
            .push(&[], maximum);
        Ok(())
    }
}
