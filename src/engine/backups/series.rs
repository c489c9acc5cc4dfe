//! What the last attempts came to, and the series that tell of it.

use super::Backups;
use crate::base::time::{Monotonic, Timestamp};
use crate::model::frame::Frame;

/// See the module.
#[derive(Default)]
pub(super) struct Last {
    /// Of the newest backup there is.
    pub made_at: Option<Timestamp>,
    pub bytes: u64,
    pub duration_ms: u64,
    /// Whether the last scheduled one failed.
    pub failed: bool,
    pub failures: u64,
    pub tried: Option<Monotonic>,
    /// When the bucket was last seen to hold what it should.
    pub uploaded_at: Option<Timestamp>,
    pub upload_failed: bool,
    pub upload_failures: u64,
}

impl Backups {
    pub(super) fn frame(&self) -> Frame {
        let parts = &self.inner.parts;
        let (schedule, bucket) = {
            let config = parts.config.borrow();
            (config.backup.schedule, config.backup.target.is_some())
        };
        let last = self.last();
        let mut frame = Frame::new();
        if let Some(at) = last.made_at {
            frame.gauge("holdfast_backup_last_success_timestamp_seconds", "When the newest backup was made.");
            frame.push(&[], at.seconds());
            frame.gauge("holdfast_backup_size_bytes", "Length of the newest backup.");
            frame.push(&[], last.bytes as f64);
            frame.gauge("holdfast_backup_duration_seconds", "How long making the newest backup took.");
            frame.push(&[], last.duration_ms as f64 / 1000.0);
        }
        frame.counter("holdfast_backup_failures_total", "Backups that were not made.");
        frame.push(&[], last.failures as f64);
        if bucket {
            push_uploads(&last, &mut frame);
        }
        let Some(schedule) = schedule else { return frame };
        let running = parts.clock.monotonic().since(self.inner.started);
        let age = last.made_at.map_or(running, |at| parts.clock.now().since(at));
        frame.gauge("holdfast_backup_interval_seconds", "What the schedule says.");
        frame.push(&[], schedule.0.as_secs_f64());
        frame.gauge(
            "holdfast_backup_age_seconds",
            "Since the newest backup, or the start where there is none.",
        );
        frame.push(&[], age.as_secs_f64());
        frame.gauge("holdfast_backup_failed", "Whether the last scheduled backup failed.");
        frame.push(&[], f64::from(u8::from(last.failed)));
        frame
    }
}

fn push_uploads(last: &Last, frame: &mut Frame) {
    if let Some(at) = last.uploaded_at {
        frame.gauge(
            "holdfast_backup_upload_last_success_timestamp_seconds",
            "When the object store was last seen to hold the newest backups.",
        );
        frame.push(&[], at.seconds());
    }
    frame.counter("holdfast_backup_upload_failures_total", "Uploads of backups that failed.");
    frame.push(&[], last.upload_failures as f64);
    frame.gauge("holdfast_backup_upload_failed", "Whether the last upload failed.");
    frame.push(&[], f64::from(u8::from(last.upload_failed)));
}
