//! Another program, run once, with every bound it could lack.
//!
//! The pattern: a program is looked for in the system's own folders and gets its
//! arguments as a list, no shell between; it inherits no environment and no input but
//! what it is given, its output is bounded, and at one total deadline it and everything
//! it started is killed. Wrong would be to reap it before its group is killed: its number is free
//! from then on, and somebody else may have it.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
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
    let path = find(program)?;
    let bounds = Bounds { limit, cut: false, deadline };
    start(program, &path, arguments, &Input::default(), bounds).await
}

/// What a program gets besides its arguments.
#[derive(Clone, Copy, Default)]
pub struct Input<'a> {
    /// Written to its standard input, which then ends.
    pub bytes: &'a [u8],
    /// Added to its environment.
    pub variables: &'a [(&'a str, String)],
}

/// Runs the program at `path`, which the configuration names, with `input`; of its output,
/// and of its errors, the first `limit` bytes are kept and the rest is dropped.
///
/// # Errors
/// [`CommandError`]; any exit status is a result, not an error.
pub async fn run_with(
    path: &Path,
    arguments: &[&str],
    input: &Input<'_>,
    limit: usize,
    deadline: Instant,
) -> Result<Finished, CommandError> {
    start(&path.display().to_string(), path, arguments, input, Bounds { limit, cut: true, deadline }).await
}

/// How much may be said until when; `cut` whether what is beyond is dropped, or the end.
#[derive(Clone, Copy)]
struct Bounds {
    limit: usize,
    cut: bool,
    deadline: Instant,
}

async fn start(
    program: &str,
    path: &Path,
    arguments: &[&str],
    input: &Input<'_>,
    bounds: Bounds,
) -> Result<Finished, CommandError> {
    let started = Instant::now();
    let failed = |source| CommandError::Run { program: path.to_owned(), source };
    let mut child = Command::new(path)
        .args(arguments)
        .env_clear()
        .env("LC_ALL", "C")
        .env("PATH", FOLDERS.join(":"))
        .envs(input.variables.iter().map(|(name, value)| (name, value)))
        .current_dir("/")
        .stdin(if input.bytes.is_empty() { Stdio::null() } else { Stdio::piped() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    // Dropped before the child: also when nobody waits any more.
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
    match timeout_at(bounds.deadline, attend(&mut child, input.bytes, bounds)).await {
        Ok(Ok((Some(status), output, error))) => {
            group.0 = None;
            Ok(Finished { status, output, error })
        }
        ended => {
            drop(group);
            // Reaped here and now where it can be; else by the runtime.
            let _ = timeout_at(Instant::now() + DYING, child.wait()).await;
            let (program, limit) = (program.to_owned(), bounds.limit);
            match ended {
                Ok(Err(source)) => Err(failed(source)),
                Ok(Ok(_)) => Err(CommandError::TooLong { program, limit }),
                Err(_) => Err(CommandError::Timeout { program, waited: started.elapsed() }),
            }
        }
    }
}

type Said = (Option<ExitStatus>, Vec<u8>, Vec<u8>);

/// Writes `input` and reads all that is said, then waits for the end; the end is not
/// waited for, and is `None`, once more was said than the bounds allow.
async fn attend(child: &mut Child, input: &[u8], bounds: Bounds) -> io::Result<Said> {
    let (stdin, output, error) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let writing = async {
        if let Some(mut stdin) = stdin {
            // Who does not want to know closes it, and may be right.
            let _ = stdin.write_all(input).await;
        }
        Ok(())
    };
    let reading = async { tokio::try_join!(read(output, bounds), read(error, bounds), writing) };
    let (output, error, ()) = match reading.await {
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

async fn read(from: Option<impl AsyncRead + Unpin>, bounds: Bounds) -> Result<Vec<u8>, Stopped> {
    let mut bytes = Vec::new();
    let Some(mut from) = from else { return Ok(bytes) };
    let most = u64::try_from(bounds.limit).unwrap_or(u64::MAX).saturating_add(1);
    (&mut from).take(most).read_to_end(&mut bytes).await.map_err(Stopped::Io)?;
    if bytes.len() > bounds.limit {
        if !bounds.cut {
            return Err(Stopped::TooLong);
        }
        bytes.truncate(bounds.limit);
        tokio::io::copy(&mut from, &mut tokio::io::sink()).await.map_err(Stopped::Io)?;
    }
    Ok(bytes)
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

/// Where `program`, a plain name, lies in the system's own folders.
///
/// # Errors
/// [`CommandError::Missing`]
pub fn find(program: &str) -> Result<PathBuf, CommandError> {
    let executable = |path: &PathBuf| {
        let found = std::fs::metadata(path);
        found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    let mut places = FOLDERS.iter().map(|folder| Path::new(folder).join(program));
    let found = if program.contains('/') { None } else { places.find(executable) };
    found.ok_or_else(|| CommandError::Missing { program: program.to_owned() })
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
    async fn what_is_given_arrives_and_only_the_beginning_of_an_answer_is_kept() {
        let (shell, variables) = (Path::new("/bin/sh"), [("HOLDFAST_KIND", String::from("test"))]);
        let script = "cat; echo $HOLDFAST_KIND; head -c 100000 /dev/zero; exit 3";
        let input = Input { bytes: b"hello ", variables: &variables };
        let ran = run_with(shell, &["-c", script], &input, 11, within(20_000)).await.unwrap();
        assert_eq!((ran.status.code(), ran.output.as_slice()), (Some(3), b"hello test\n".as_slice()));
        // Nobody reads what is written.
        let input = Input { bytes: &[b'x'; 1 << 20], variables: &[] };
        let ran = run_with(shell, &["-c", "exit 0"], &input, 11, within(20_000)).await.unwrap();
        assert!(ran.status.success());
        let missing = run_with(Path::new("/nonexistent/x"), &[], &input, 11, within(1000)).await.unwrap_err();
        assert!(missing.to_string().starts_with("cannot run /nonexistent/x: "), "{missing}");
    }

    #[tokio::test]
    async fn what_never_stops_talking_is_cut_off() {
        let long = run("yes", &[], 1 << 16, within(20_000)).await.unwrap_err();
        assert!(matches!(long, CommandError::TooLong { limit: 65536, .. }), "{long}");
    }
}
