//! Another program, run once, with every bound it could lack.
//!
//! The pattern: a program is looked for in the system's own folders and gets its
//! arguments as a list, no shell between; it inherits no environment and no input,
//! its output is bounded, and at one total deadline it and everything it started is
//! killed. Wrong would be to reap it before its group is killed: its number is free
//! from then on, and somebody else may have it.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout_at};

/// Where programs are looked for, in this order.
const FOLDERS: [&str; 7] = [
    "/usr/bin",
    "/bin",
    "/usr/sbin",
    "/sbin",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/run/current-system/sw/bin",
];

/// What a killed program may take to be gone.
const DYING: Duration = Duration::from_millis(250);

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error("there is no {program} in {}", FOLDERS.join(", "))]
    Missing { program: String },
    #[error("cannot run {}: {source}", program.display())]
    Run { program: PathBuf, source: io::Error },
    #[error("{program} did not end within {}ms", waited.as_millis())]
    Timeout { program: String, waited: Duration },
    #[error("{program} said more than {limit} bytes")]
    TooLong { program: String, limit: usize },
}

/// How a program ended, and what it said.
#[derive(Debug)]
pub struct Finished {
    pub status: ExitStatus,
    pub output: Vec<u8>,
    pub error: Vec<u8>,
}

/// Runs `program` with `arguments` and waits for its end until `deadline`; at most
/// `limit` bytes of output, and of errors, are read.
///
/// # Errors
/// [`CommandError`]; any exit status is a result, not an error.
pub async fn run(
    program: &str,
    arguments: &[&str],
    limit: usize,
    deadline: Instant,
) -> Result<Finished, CommandError> {
    let path = find(program).ok_or_else(|| CommandError::Missing { program: program.to_owned() })?;
    let started = Instant::now();
    let failed = |source| CommandError::Run { program: path.clone(), source };
    let mut child = Command::new(&path)
        .args(arguments)
        .env_clear()
        .env("LC_ALL", "C")
        .env("PATH", FOLDERS.join(":"))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    // Dropped before the child: also when nobody waits any more.
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
    match timeout_at(deadline, attend(&mut child, limit)).await {
        Ok(Ok((Some(status), output, error))) => {
            group.0 = None;
            Ok(Finished { status, output, error })
        }
        ended => {
            drop(group);
            // Reaped here and now where it can be; else by the runtime.
            let _ = timeout_at(Instant::now() + DYING, child.wait()).await;
            let program = program.to_owned();
            match ended {
                Ok(Err(source)) => Err(failed(source)),
                Ok(Ok(_)) => Err(CommandError::TooLong { program, limit }),
                Err(_) => Err(CommandError::Timeout { program, waited: started.elapsed() }),
            }
        }
    }
}

type Said = (Option<ExitStatus>, Vec<u8>, Vec<u8>);

/// Reads all that is said, then waits for the end; the end is not waited for, and is
/// `None`, once more than `limit` bytes were said.
async fn attend(child: &mut Child, limit: usize) -> io::Result<Said> {
    let (output, error) = (child.stdout.take(), child.stderr.take());
    let reading = async { tokio::try_join!(read(output, limit), read(error, limit)) };
    let (output, error) = match reading.await {
        Ok(said) => said,
        // What was said does not matter any more.
        Err(Stopped::TooLong) => return Ok((None, Vec::new(), Vec::new())),
        Err(Stopped::Io(error)) => return Err(error),
    };
    Ok((Some(child.wait().await?), output, error))
}

enum Stopped {
    TooLong,
    Io(io::Error),
}

async fn read(from: Option<impl AsyncRead + Unpin>, limit: usize) -> Result<Vec<u8>, Stopped> {
    let mut bytes = Vec::new();
    let Some(from) = from else { return Ok(bytes) };
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    from.take(most).read_to_end(&mut bytes).await.map_err(Stopped::Io)?;
    if bytes.len() > limit { Err(Stopped::TooLong) } else { Ok(bytes) }
}

/// Kills the group of a program that was not reaped yet.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // It may be gone already, which is what is wanted.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

fn find(program: &str) -> Option<PathBuf> {
    let executable = |path: &PathBuf| {
        let found = std::fs::metadata(path);
        found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        return None;
    }
    FOLDERS.iter().map(|folder| Path::new(folder).join(program)).find(executable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(milliseconds: u64) -> Instant {
        Instant::now() + Duration::from_millis(milliseconds)
    }

    #[tokio::test]
    async fn a_program_ends_with_its_output_and_without_our_environment() {
        let ran = run("env", &[], 1 << 10, within(20_000)).await.unwrap();
        let said = String::from_utf8(ran.output).unwrap();
        assert!(ran.status.success() && said.starts_with("LC_ALL=C\nPATH=/usr/bin:"), "{said}");
        assert_eq!(said.lines().count(), 2, "{said}");
        let ran = run("cat", &["/nonexistent"], 1 << 10, within(20_000)).await.unwrap();
        assert_eq!((ran.status.code(), ran.output.len()), (Some(1), 0));
        assert!(String::from_utf8_lossy(&ran.error).contains("/nonexistent"));
    }

    #[tokio::test]
    async fn what_is_missing_is_named_and_no_path_is_taken() {
        for program in ["holdfast-no-such-program", "../bin/env", "/bin/env"] {
            let missing = run(program, &[], 10, within(1000)).await.unwrap_err().to_string();
            assert!(missing.contains(program), "{missing}");
        }
    }

    #[tokio::test]
    async fn what_never_ends_is_killed_with_all_it_started() {
        let (asked, script) = (Instant::now(), "sleep 98712 & sleep 98712");
        let late = run("sh", &["-c", script], 1 << 10, within(300)).await.unwrap_err();
        assert!(matches!(late, CommandError::Timeout { .. }), "{late}");
        assert!(asked.elapsed() < Duration::from_secs(5));
        // A child that its parent left behind, and that holds the output open.
        let late = run("sh", &["-c", "sleep 98712 & exit 0"], 1 << 10, within(300)).await.unwrap_err();
        assert!(matches!(late, CommandError::Timeout { .. }), "{late}");
        for _ in 0..1000 {
            // A killed process takes a moment to be gone.
            let left = run("pgrep", &["-f", "^sleep 98712$"], 1 << 10, within(20_000)).await.unwrap();
            if left.output.is_empty() {
                return;
            }
        }
        panic!("something was left behind");
    }

    #[tokio::test]
    async fn what_never_stops_talking_is_cut_off() {
        let long = run("yes", &[], 1 << 16, within(20_000)).await.unwrap_err();
        assert!(matches!(long, CommandError::TooLong { limit: 65536, .. }), "{long}");
    }
}
