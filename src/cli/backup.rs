//! `holdfast backup`: copies of the agent's own store.
//!
//! A backup is named by its id, which the agent knows, or by a path. A path is read here:
//! no agent has to run, which is how a backup comes to new hardware. Putting one back here
//! takes the lock of the data directory, so it is refused while an agent has it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Global;
use super::client::{Client, block_on};
use super::exit::{DEGRADED, Done, FAILED, Failure, OK, UNREACHABLE};
use super::output::{Table, bytes_of, note, print, print_json, text_of};
use super::surroundings::Surroundings;
use crate::app::Directory;
use crate::base::secret::Secret;
use crate::base::time::{Clock as _, SystemClock};
use crate::config::load::load;
use crate::config::overlay::Overlay;
use crate::engine::backups::{beside, name_keys};
use crate::model::access::AuditEntry;
use crate::model::backup::{BackupId, Manifest, Plan};
use crate::runtime::credential::Credential;
use crate::runtime::seal::Sealer;
use crate::store::Beside;
use crate::store::backup::restore::{self, Present};
use crate::store::backup::shelf::{manifest_beside, read_manifest};
use crate::store::backup::{BackupError, Looked, Shelf, Unseal, is_sealed, look_into};

const PATH: &str = "/api/v1/backups";
const PASSPHRASE_DEADLINE: Duration = Duration::from_secs(10);

#[derive(Subcommand, Debug)]
pub enum BackupCommand {
    /// Make a backup of the running agent's store
    Create,
    /// List the backups
    Ls,
    /// Read a whole backup and compare it with its manifest: exit 0, or 3 when it is not valid
    Verify {
        /// Id of a backup, or the path of one, for which no agent has to run
        backup: String,
        /// The passphrase of a path that is sealed; else that of section [backup]
        #[arg(long, value_name = "PATH")]
        passphrase_file: Option<PathBuf>,
    },
    /// Put a backup in the place of the store; the store is kept beside it
    Restore {
        /// Id of a backup, or the path of one, for which no agent may run on the data directory
        backup: String,
        /// Only say what would change
        #[arg(long)]
        dry_run: bool,
        /// The passphrase of a path that is sealed; else that of section [backup]
        #[arg(long, value_name = "PATH")]
        passphrase_file: Option<PathBuf>,
    },
}

/// # Errors
/// The agent cannot be reached or refused, or the file cannot be read.
pub fn backup(command: &BackupCommand, global: &Global, surroundings: &Surroundings) -> Done {
    match command {
        BackupCommand::Create => {
            let made = post(global, surroundings, PATH, &json!({}))?;
            if global.json {
                print_json(&made)?;
            } else {
                print(&format!("{}  {}\n", text_of(&made["id"]), bytes_of(&made["bytes"])))?;
            }
            Ok(OK)
        }
        BackupCommand::Ls => list(global, surroundings),
        BackupCommand::Verify { backup, passphrase_file } => {
            verify(backup, passphrase_file.as_deref(), global, surroundings)
        }
        BackupCommand::Restore { backup, dry_run, passphrase_file } => {
            restore(backup, *dry_run, passphrase_file.as_deref(), global, surroundings)
        }
    }
}

/// What a sealed file is opened with: the passphrase that was named, or the configured one.
fn unseal(
    file: &Path,
    named: Option<&Path>,
    global: &Global,
    surroundings: &Surroundings,
) -> Result<Unseal, Failure> {
    let data_dir = surroundings.data_dir(global);
    let folder = if data_dir.is_dir() { &data_dir } else { file.parent().unwrap_or(Path::new(".")) };
    let scratch = folder.join(format!("holdfast-backup-{}.open", std::process::id()));
    if !is_sealed(file).map_err(failed)? {
        return Ok(Unseal { passphrase: None, scratch });
    }
    let configured = match named {
        Some(_) => None,
        None => load(surroundings.sources(global, Vec::new()), Overlay::default()).ok(),
    };
    let section = configured.map(|loaded| loaded.config.backup.clone()).unwrap_or_default();
    let environment = surroundings.environment.iter();
    let environment = environment.map(|(name, value)| (name.clone(), Secret::new(value.clone()))).collect();
    let place = named.or(section.passphrase_file.as_deref());
    let credential = Credential::of(None, place, section.passphrase_env.as_deref(), &environment);
    let passphrase = block_on(async {
        let read = credential.read(Instant::now() + PASSPHRASE_DEADLINE).await;
        read.map_err(|error| Failure::new(FAILED, error))
    })?;
    Ok(Unseal { passphrase, scratch })
}

fn post(global: &Global, surroundings: &Surroundings, path: &str, body: &Value) -> Result<Value, Failure> {
    let client = Client::new(global, surroundings)?;
    let body = Bytes::from(body.to_string());
    block_on(async { client.post(path, "application/json", body).await?.success()?.json() })
}

fn list(global: &Global, surroundings: &Surroundings) -> Done {
    let client = Client::new(global, surroundings)?;
    let answer = block_on(client.fetch_all(PATH, "items"))?;
    if global.json {
        print_json(&answer)?;
        return Ok(OK);
    }
    let mut table = Table::new(["ID", "CREATED", "SIZE", "TOOK", "BY", "VERSION", "SEALED", "WHERE"]);
    for item in answer["items"].as_array().into_iter().flatten() {
        table.row([
            text_of(&item["id"]),
            text_of(&item["created_at"]),
            bytes_of(&item["bytes"]),
            format!("{} ms", item["duration_ms"]),
            text_of(&item["by"]),
            text_of(&item["version"]),
            String::from(if item["sealed"] == true { "yes" } else { "no" }),
            places_of(item),
        ]);
    }
    if let Some(problem) = answer["problem"].as_str() {
        note(&format!("holdfast: those of the object store are not shown: {problem}"));
    }
    if table.is_empty() {
        note("there is no backup: `holdfast backup create` makes one");
    } else {
        print(&table.render())?;
    }
    Ok(OK)
}

fn places_of(item: &Value) -> String {
    let places = item["places"].as_array().into_iter().flatten();
    places.map(text_of).collect::<Vec<_>>().join(", ")
}

/// Where a backup is read.
enum Place {
    Agent(BackupId),
    Here(PathBuf),
}

/// An id goes to the agent; where none runs, to the folder of backups below its data.
fn place_of(backup: &str, global: &Global, surroundings: &Surroundings) -> Result<Place, Failure> {
    let Some(id) = BackupId::parse(backup).filter(|_| !Path::new(backup).exists()) else {
        return Ok(Place::Here(PathBuf::from(backup)));
    };
    let client = Client::new(global, surroundings)?;
    match block_on(client.get("/livez")) {
        Err(Failure { code: UNREACHABLE, message }) => {
            let file = Shelf::new(surroundings.data_dir(global).join("backups")).file(&id);
            if client.is_local() && file.exists() {
                note(&format!("holdfast: no agent runs: {} is read here", file.display()));
                return Ok(Place::Here(file));
            }
            Err(Failure::new(UNREACHABLE, message))
        }
        Err(failure) => Err(failure),
        Ok(_) => Ok(Place::Agent(id)),
    }
}

fn failed(error: BackupError) -> Failure {
    Failure::new(FAILED, error)
}

/// The file and its manifest, read whole.
fn looked(file: &Path, unseal: &Unseal) -> Result<(Looked, Option<Manifest>), Failure> {
    let manifest = read_manifest(&manifest_beside(file)).map_err(failed)?;
    if manifest.is_none() {
        note("holdfast: there is no manifest beside it: only what the file says of itself is checked");
    }
    let clock = SystemClock::new();
    let began = clock.monotonic();
    let mut looked = look_into(file, manifest.as_ref(), unseal, &|| true).map_err(failed)?;
    looked.verdict.duration_ms = clock.monotonic().since(began).as_millis() as u64;
    Ok((looked, manifest))
}

fn verify(backup: &str, named: Option<&Path>, global: &Global, surroundings: &Surroundings) -> Done {
    let verdict = match place_of(backup, global, surroundings)? {
        Place::Agent(id) => post(global, surroundings, &format!("{PATH}/{id}/verify"), &json!({}))?,
        Place::Here(file) => {
            let unseal = unseal(&file, named, global, surroundings)?;
            json!(looked(&file, &unseal)?.0.verdict)
        }
    };
    let valid = verdict["valid"] == true;
    if global.json {
        print_json(&verdict)?;
    } else {
        print(&verdict_text(&verdict))?;
    }
    Ok(if valid { OK } else { DEGRADED })
}

fn verdict_text(verdict: &Value) -> String {
    let rows: u64 = verdict["rows"]
        .as_object()
        .into_iter()
        .flat_map(|rows| rows.values())
        .filter_map(Value::as_u64)
        .sum();
    let word = if verdict["valid"] == true { "valid" } else { "NOT VALID" };
    let mut text =
        format!("{word}: {}, {rows} rows, {} ms\n", bytes_of(&verdict["bytes"]), verdict["duration_ms"]);
    if verdict["sealed"] == true && verdict["opened"] != true {
        text.push_str("  it is sealed: without the passphrase only its sha256 was checked\n");
    }
    for problem in verdict["problems"].as_array().into_iter().flatten() {
        text.push_str(&format!("  {}\n", text_of(problem)));
    }
    text
}

fn restore(
    backup: &str,
    dry_run: bool,
    named: Option<&Path>,
    global: &Global,
    surroundings: &Surroundings,
) -> Done {
    match place_of(backup, global, surroundings)? {
        Place::Agent(id) => {
            let body = json!({ "dry_run": dry_run });
            let answer = post(global, surroundings, &format!("{PATH}/{id}/restore"), &body)?;
            if global.json {
                print_json(&answer)?;
            } else {
                print(&plan_text(&answer["plan"]))?;
                note(if dry_run {
                    "nothing was changed"
                } else {
                    "the agent starts again on the restored store"
                });
            }
        }
        Place::Here(file) => {
            let unseal = unseal(&file, named, global, surroundings)?;
            let plan = restore_here(&file, dry_run, &unseal, global, surroundings)?;
            let plan = json!(plan);
            if global.json {
                print_json(&json!({ "dry_run": dry_run, "restarting": false, "plan": plan }))?;
            } else {
                print(&plan_text(&plan))?;
                note(if dry_run { "nothing was changed" } else { "restored: `holdfast run` starts on it" });
            }
        }
    }
    Ok(OK)
}

/// Without an agent.
fn restore_here(
    file: &Path,
    dry_run: bool,
    unseal: &Unseal,
    global: &Global,
    surroundings: &Surroundings,
) -> Result<Plan, Failure> {
    let (looked, manifest) = looked(file, unseal)?;
    if !looked.verdict.valid {
        let problems = looked.verdict.problems.join("\n  ");
        return Err(Failure::new(FAILED, format!("{} is not valid:\n  {problems}", file.display())));
    }
    if !looked.verdict.opened {
        let message = format!("{} is sealed: expected --passphrase-file", file.display());
        return Err(Failure::new(FAILED, message));
    }
    let data_dir = surroundings.data_dir(global);
    // Nothing is made for a look.
    let _ours = if dry_run && !data_dir.exists() {
        None
    } else {
        Some(Directory::claim(&data_dir).map_err(|error| Failure::new(FAILED, error))?)
    };
    let store = data_dir.join("holdfast.redb");
    let present = Present::at(&store).map_err(failed);
    if let Err(failure) = &present {
        note(&format!("holdfast: nothing is taken along from the present store: {}", failure.message));
    }
    let files = beside(&Beside::new(&data_dir));
    let mut plan = restore::plan(&looked, present.unwrap_or_default().as_ref(), &files);
    plan.created_at = manifest.map(|manifest| manifest.created_at);
    let credentials = surroundings.variable("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let sealer = Sealer::new(&data_dir, credentials.as_deref());
    name_keys(&mut plan, &looked, &sealer);
    if !dry_run {
        if let Some(opened) = &looked.opened {
            sealer.take_in(&opened.keys).map_err(|error| Failure::new(FAILED, error))?;
        }
        let now = SystemClock::new().now();
        let audit = AuditEntry {
            at: now,
            who: format!("user:{}", rustix::process::getuid().as_raw()),
            action: String::from("backup.restore"),
            object: file.display().to_string(),
            detail: format!("sha256 {}", looked.verdict.sha256),
        };
        let (inside, sha256) = looked.store(file);
        restore::stage(inside, sha256, &store, &audit).map_err(failed)?;
        let finished = restore::finish(&store, now).map_err(failed)?;
        if let Some(kept) = finished.and_then(|finished| finished.kept) {
            note(&format!("the store before is kept as {}", kept.display()));
        }
    }
    Ok(plan)
}

fn plan_text(plan: &Value) -> String {
    let mut table = Table::new(["TABLE", "NOW", "BACKUP"]);
    for change in
        plan["tables"].as_array().into_iter().flatten().filter(|change| change["now"] != change["backup"])
    {
        table.row([text_of(&change["table"]), text_of(&change["now"]), text_of(&change["backup"])]);
    }
    let mut text = match plan["created_at"].as_str() {
        Some(at) => format!("backup of {at}\n"),
        None => String::new(),
    };
    text.push_str(&if table.is_empty() {
        String::from("every table has as many rows\n")
    } else {
        table.render()
    });
    let carried = &plan["carried"];
    text.push_str(&format!(
        "taken along: {} active alerts, {} owed messages, what channels know of {} alerts\n",
        carried["alerts"], carried["outbox"], carried["tellings"]
    ));
    for group in plan["groups"].as_array().into_iter().flatten() {
        let (name, backup, after) =
            (text_of(&group["group"]), text_of(&group["backup"]), text_of(&group["after"]));
        text.push_str(&format!("group {name}: epoch {backup} in the backup, {after} after it\n"));
    }
    for key in plan["keys_missing"].as_array().into_iter().flatten() {
        text.push_str(&format!(
            "key {} is missing: secrets sealed with it have to be set anew\n",
            text_of(key)
        ));
    }
    text
}
