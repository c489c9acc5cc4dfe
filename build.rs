//! Bundles the web page into `$OUT_DIR/web`, and writes `openapi.json` compressed and
//! without its white space beside it; `http` embeds both.
//!
//! The bundle is made from `web/` by node and never committed, so the page in the
//! binary is always the page in the tree. `HOLDFAST_WEB=skip` writes a one-line page
//! instead, for builds that only test the rest. Going wrong would be to write outside
//! `OUT_DIR` or to depend on a file without saying so to cargo: the page would then
//! lag behind its sources.

use std::env;
use std::error::Error;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// What the page is made of; cargo runs this again when one of them changes.
const SOURCES: [&str; 7] = [
    "web/build.mjs",
    "web/index.html",
    "web/package.json",
    "web/package-lock.json",
    "web/tsconfig.json",
    "web/src",
    "web/static",
];

const PLACEHOLDER: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>holdfast</title>\
<p>This build has no page: it was made with HOLDFAST_WEB=skip.</p></html>\n";

fn main() -> ExitCode {
    println!("cargo::rerun-if-env-changed=HOLDFAST_WEB");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    println!("cargo::rerun-if-changed=openapi.json");
    identify();
    match page().and_then(|()| document()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            for line in problem.to_string().lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Tells the binary what it was built from: an abbreviated commit, and the target.
/// Only a release names its commit; a build for tests would be made anew after each one.
fn identify() {
    let release = variable("PROFILE").is_ok_and(|profile| profile == "release");
    let commit = if release { commit() } else { None };
    println!("cargo::rustc-env=HOLDFAST_COMMIT={}", commit.as_deref().unwrap_or("unknown"));
    println!("cargo::rustc-env=HOLDFAST_TARGET={}", variable("TARGET").unwrap_or_default().to_string_lossy());
}

/// The commit that is checked out. Cargo watches where git notes every change of it; a
/// file that does not exist would count as changed each time.
fn commit() -> Option<String> {
    if let Some(noted) =
        git(&["rev-parse", "--git-path", "logs/HEAD"]).filter(|path| Path::new(path).exists())
    {
        println!("cargo::rerun-if-changed={noted}");
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let said = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    String::from_utf8(said.stdout).ok().map(|text| text.trim().to_owned())
}

/// A line break or an indent never stands inside a text of JSON.
fn document() -> Result<(), Box<dyn Error>> {
    let path = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join("openapi.json");
    let text = fs::read_to_string(&path).map_err(|problem| format!("{}: {problem}", path.display()))?;
    let compact: String = text.lines().map(str::trim_start).collect();
    fs::write(PathBuf::from(variable("OUT_DIR")?).join("openapi.json.gz"), gzip(compact.as_bytes()))?;
    Ok(())
}

/// RFC 1952: a head without name and time, the deflated text, its sum and its length.
fn gzip(text: &[u8]) -> Vec<u8> {
    const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255];
    const SMALLEST: u8 = 10;
    let mut out = HEAD.to_vec();
    out.extend(miniz_oxide::deflate::compress_to_vec(text, SMALLEST));
    out.extend(crc32fast::hash(text).to_le_bytes());
    out.extend((text.len() as u32).to_le_bytes());
    out
}

fn page() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(variable("OUT_DIR")?).join("web");
    if env::var_os("HOLDFAST_WEB").is_some_and(|value| value == "skip") {
        return placeholder(&out);
    }
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    bundle(&root.join("web"), &out)
}

fn variable(name: &str) -> Result<std::ffi::OsString, String> {
    env::var_os(name).ok_or_else(|| format!("{name} is not set: this runs from cargo"))
}

/// A page that says why there is none, in a directory without anything older.
fn placeholder(out: &Path) -> Result<(), Box<dyn Error>> {
    if let Err(problem) = fs::remove_dir_all(out)
        && problem.kind() != ErrorKind::NotFound
    {
        return Err(format!("cannot empty {}: {problem}", out.display()).into());
    }
    fs::create_dir_all(out)?;
    fs::write(out.join("index.html"), PLACEHOLDER)?;
    Ok(())
}

fn bundle(web: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    let answer = Command::new("node").arg("build.mjs").arg(out).current_dir(web).output();
    let answer = match answer {
        Ok(answer) => answer,
        Err(problem) if problem.kind() == ErrorKind::NotFound => {
            return Err("the web page is built with node (20 or later), which was not found on PATH\n\
                        install nodejs and npm, or set HOLDFAST_WEB=skip to build without the page"
                .into());
        }
        Err(problem) => return Err(format!("node could not be started: {problem}").into()),
    };
    if answer.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&answer.stderr);
    Err(format!("the web page could not be built (node {}):\n{}", answer.status, said.trim_end()).into())
}
