//! From an older layout of the file to this one, step by step.
//!
//! Step `n` turns layout `n` into `n + 1` in a transaction of its own, which also
//! writes the new number: cut off in between, it runs again. One would get it
//! wrong by doing all steps in one transaction: a file of some hundred MB would
//! need its size twice.

use redb::{Database, ReadableDatabase, WriteTransaction};

use super::fault::Fault;
use super::tables::{META, META_SCHEMA};

/// Layout this version writes.
pub const SCHEMA_VERSION: u64 = 1;

/// Turns layout `n` into `n + 1`. Idempotent.
pub type Step = fn(&WriteTransaction) -> Result<(), Fault>;

/// `STEPS[0]` leads from layout 1 to 2.
pub const STEPS: &[Step] = &[];

/// The layout of the file; `None` when it has none, so is not ours.
pub fn schema_of(db: &Database) -> Result<Option<u64>, Fault> {
    let tx = db.begin_read()?;
    match tx.open_table(META) {
        Ok(meta) => Ok(meta.get(META_SCHEMA)?.map(|value| value.value())),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Runs the steps from layout `from` on.
pub fn run(db: &Database, from: u64, steps: &[Step]) -> Result<(), Fault> {
    let done = usize::try_from(from.saturating_sub(1)).unwrap_or(usize::MAX);
    for (index, step) in steps.iter().enumerate().skip(done) {
        let reached = index as u64 + 2;
        let tx = db.begin_write()?;
        step(&tx)?;
        tx.open_table(META)?.insert(META_SCHEMA, reached)?;
        tx.commit()?;
        tracing::info!(schema = reached, "the store was brought to a newer layout");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use redb::ReadableTable;
    use redb::backends::InMemoryBackend;

    use super::*;

    const OLD: redb::TableDefinition<&str, u64> = redb::TableDefinition::new("old-1");

    fn database() -> Database {
        let db = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
        let tx = db.begin_write().unwrap();
        tx.open_table(META).unwrap().insert(META_SCHEMA, 1).unwrap();
        tx.commit().unwrap();
        db
    }

    fn mark(tx: &WriteTransaction, name: &str) -> Result<(), Fault> {
        let mut table = tx.open_table(OLD)?;
        let before = table.get(name)?.map_or(0, |value| value.value());
        table.insert(name, before + 1)?;
        Ok(())
    }

    fn runs(db: &Database, name: &str) -> u64 {
        let tx = db.begin_read().unwrap();
        tx.open_table(OLD).ok().and_then(|t| t.get(name).unwrap().map(|v| v.value())).unwrap_or(0)
    }

    #[test]
    fn each_step_runs_once_and_a_failed_one_runs_again() {
        let db = database();
        let failing: [Step; 2] = [|tx| mark(tx, "first"), |_| Err(Fault::Broken(String::from("cut off")))];
        assert!(run(&db, 1, &failing).is_err());
        assert_eq!(schema_of(&db).unwrap(), Some(2), "the first step is done and stays done");
        let whole: [Step; 2] = [|tx| mark(tx, "first"), |tx| mark(tx, "second")];
        run(&db, 2, &whole).unwrap();
        assert_eq!(schema_of(&db).unwrap(), Some(3));
        assert_eq!((runs(&db, "first"), runs(&db, "second")), (1, 1));
        run(&db, 3, &whole).unwrap();
        assert_eq!(runs(&db, "second"), 1);
    }

    #[test]
    fn the_steps_lead_to_the_version_we_write() {
        assert_eq!(STEPS.len() as u64 + 1, SCHEMA_VERSION);
    }

    #[test]
    fn a_foreign_file_has_no_layout() {
        let db = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
        assert_eq!(schema_of(&db).unwrap(), None);
    }
}
