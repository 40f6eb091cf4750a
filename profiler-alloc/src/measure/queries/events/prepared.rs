//! The SQL of statements that were prepared, for libraries that give it no second time.
//!
//! A program may prepare a statement long before the scope that runs it: mysql_async keeps 32 for
//! each connection. So the SQL is kept outside of scopes too, of the statements used last.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How many uses of statements a statement is kept for, at least: its own, and those of others.
const KEPT: u64 = 4096;

#[derive(Default)]
struct PreparedStatements {
    by_number: HashMap<[u64; 2], PreparedStatement>,
    /// Uses so far.
    uses: u64,
}

struct PreparedStatement {
    sql: Arc<str>,
    /// The use that was its last.
    used: u64,
}

static STATEMENTS: Mutex<Option<PreparedStatements>> = Mutex::new(None);

fn with<R>(work: impl FnOnce(&mut PreparedStatements) -> R) -> R {
    let mut statements = STATEMENTS.lock().unwrap_or_else(PoisonError::into_inner);
    let statements = statements.get_or_insert_default();
    statements.uses += 1;
    work(statements)
}

/// The statement of these numbers is this one from now on.
pub fn remember(number: [u64; 2], sql: &str) {
    with(|statements| {
        let used = statements.uses;
        let sql = Arc::from(sql);
        statements
            .by_number
            .insert(number, PreparedStatement { sql, used });
        // At most half of them were used within that time, so this is rare.
        if statements.by_number.len() as u64 >= 2 * KEPT {
            statements
                .by_number
                .retain(|_, kept| used - kept.used < KEPT);
        }
    });
}

/// Its SQL. Of one that was prepared before anybody listened, that is not known.
pub fn recall(number: [u64; 2]) -> Option<Arc<str>> {
    with(|statements| {
        let used = statements.uses;
        let statement = statements.by_number.get_mut(&number)?;
        statement.used = used;
        Some(Arc::clone(&statement.sql))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_in_use_are_kept_and_others_are_not() {
        let (often, never) = ([1 << 40, 1], [1 << 40, 2]);
        remember(often, "SELECT 1");
        remember(never, "SELECT 2");
        for other in 0..4 * KEPT {
            remember([1 << 41, other], "SELECT 3");
            assert_eq!(recall(often).as_deref(), Some("SELECT 1"));
        }
        assert_eq!(recall(never), None);
        assert!(with(|statements| statements.by_number.len()) as u64 <= 2 * KEPT);
        remember(often, "SELECT 4");
        assert_eq!(recall(often).as_deref(), Some("SELECT 4"));
    }
}
