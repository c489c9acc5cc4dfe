//! Every row of every table, decoded: what a checksum over pages cannot tell.

use std::collections::BTreeMap;

use redb::{
    Key, ReadTransaction, ReadableTable as _, ReadableTableMetadata as _, TableDefinition, TableError,
    TableHandle as _,
};

use crate::store::fault::Fault;
use crate::store::tables::{self, Checked, Visitor};

/// Faults that are told one by one; further ones are counted.
const MOST_TOLD: usize = 20;

/// What the rows are.
#[derive(Debug, Default)]
pub struct Walked {
    pub rows: BTreeMap<String, u64>,
    pub problems: Vec<String>,
}

struct Walk<'a> {
    tx: &'a ReadTransaction,
    walked: Walked,
    untold: usize,
}

impl Visitor for Walk<'_> {
    fn table<K: Key + 'static, V: Checked + 'static>(
        &mut self,
        table: TableDefinition<'static, K, V>,
    ) -> Result<(), Fault> {
        let rows = match self.tx.open_table(table) {
            Ok(rows) => rows,
            // Of an older version: it is made at the start.
            Err(TableError::TableDoesNotExist(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let mut count = 0u64;
        for row in rows.iter()? {
            let (_, value) = row?;
            count += 1;
            if let Some(fault) = V::fault(&value.value()) {
                if self.walked.problems.len() < MOST_TOLD {
                    self.walked.problems.push(format!("table {}, row {count}: {fault}", table.name()));
                } else {
                    self.untold += 1;
                }
            }
        }
        self.walked.rows.insert(table.name().to_owned(), count);
        Ok(())
    }
}

struct Count<'a> {
    tx: &'a ReadTransaction,
    rows: BTreeMap<String, u64>,
}

impl Visitor for Count<'_> {
    fn table<K: Key + 'static, V: Checked + 'static>(
        &mut self,
        table: TableDefinition<'static, K, V>,
    ) -> Result<(), Fault> {
        match self.tx.open_table(table) {
            Ok(rows) => drop(self.rows.insert(table.name().to_owned(), rows.len()?)),
            Err(TableError::TableDoesNotExist(_)) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// Rows of each table, as the tables count them.
pub fn count(tx: &ReadTransaction) -> Result<BTreeMap<String, u64>, Fault> {
    let mut count = Count { tx, rows: BTreeMap::new() };
    tables::visit(&mut count)?;
    Ok(count.rows)
}

/// Reads everything.
pub fn walk(tx: &ReadTransaction) -> Result<Walked, Fault> {
    let mut walk = Walk { tx, walked: Walked::default(), untold: 0 };
    tables::visit(&mut walk)?;
    if walk.untold > 0 {
        walk.walked.problems.push(format!("and {} more rows", walk.untold));
    }
    Ok(walk.walked)
}
