//! How a command ends: a code that scripts can rely on, and one message.

use std::fmt;

/// All is well.
pub const OK: u8 = 0;
/// The command did not do what it was asked to.
pub const FAILED: u8 = 1;
/// The arguments make no sense.
pub const USAGE: u8 = 2;
/// The agent answers and something it watches is not well.
pub const DEGRADED: u8 = 3;
/// The agent answers and something that matters is down.
pub const UNHEALTHY: u8 = 4;
/// The agent cannot be reached (`EX_UNAVAILABLE` of sysexits.h).
pub const UNREACHABLE: u8 = 69;
/// Not permitted (`EX_NOPERM`).
pub const NOT_PERMITTED: u8 = 77;
/// The configuration is wrong (`EX_CONFIG`).
pub const CONFIGURATION: u8 = 78;

/// A command that failed. The message goes to standard error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    pub code: u8,
    pub message: String,
}

impl Failure {
    pub fn new(code: u8, message: impl fmt::Display) -> Self {
        Self { code, message: message.to_string() }
    }

    /// What an error of the file system means for `what`, e.g. `cannot write /x`.
    pub fn io(what: impl fmt::Display, error: &std::io::Error) -> Self {
        let denied = error.kind() == std::io::ErrorKind::PermissionDenied;
        Self::new(if denied { NOT_PERMITTED } else { FAILED }, format!("{what}: {error}"))
    }
}

/// The exit code, or why there is nothing to show.
pub type Done = Result<u8, Failure>;
