//! Brings the tables of a history to the present version, step by step.

use rusqlite::{Connection, TransactionBehavior};

/// The steps; after step `n` (from 1), `user_version` is `n`. Steps that were released are never
/// changed.
const STEPS: [&str; 3] = [
    include_str!("migrations/1.sql"),
    include_str!("migrations/2.sql"),
    include_str!("migrations/3.sql"),
];

/// Why a history could not be opened.
pub(super) enum Opening {
    Sqlite(rusqlite::Error),
    TooNew { found: i64, known: i64 },
}

impl From<rusqlite::Error> for Opening {
    fn from(error: rusqlite::Error) -> Self {
        Opening::Sqlite(error)
    }
}

pub(super) fn run(connection: &mut Connection) -> Result<(), Opening> {
    // Two may open a new history at once: one of them makes the tables.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = STEPS.len() as i64;
    if !(0..=known).contains(&found) {
        return Err(Opening::TooNew { found, known });
    }
    for (index, step) in STEPS.iter().enumerate().skip(found as usize) {
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", index as i64 + 1)?;
    }
    transaction.commit()?;
    Ok(())
}
