//! Runs kept in an SQLite file: their totals, and the figures of every function, line and context.
//!
//! The file is in WAL mode, so that several may save at once while others read. Its version is
//! SQLite's `user_version`; each step to the next is a file in `migrations`.

mod migrations;
pub mod plot;
mod restore;
mod save;
mod shape;
mod trend;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use thiserror::Error;

pub use save::Label;
pub use trend::{Point, Subject, Trend};

use crate::report::Report;
use crate::report::diff::ContextParts;
use migrations::Opening;

/// How long to wait for another that writes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why the history could not be used.
#[derive(Debug, Error)]
pub enum HistoryError {
    /// SQLite says no.
    #[error("cannot use the history {}: {error}; name another with --db", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        error: rusqlite::Error,
    },
    /// There is no such file.
    #[error("there is no history {}: `memprof history save PROFILE` begins one, --db names another", path.display())]
    None {
        /// The file.
        path: PathBuf,
    },
    /// A later memprof wrote it.
    #[error("the history {} was written by a newer memprof (version {found} of its tables, {known} is known): update memprof, or name another with --db", path.display())]
    TooNew {
        /// The file.
        path: PathBuf,
        /// The version found.
        found: i64,
        /// The latest version known.
        known: i64,
    },
    /// No run is called that.
    #[error(
        "the history has no run `{0}`: write a number, a tag, the beginning of a commit, `last` or `last~1`; `memprof history list` lists them"
    )]
    NoRun(String),
    /// A figure in the file cannot be read.
    #[error("run {run} of the history is damaged: {reason}; `memprof history rm {run}` removes it")]
    Damaged {
        /// Its number.
        run: i64,
        /// What is wrong.
        reason: String,
    },
}

/// An open history.
#[derive(Debug)]
pub struct History {
    path: PathBuf,
    connection: Connection,
}

/// A run in the history, at a glance.
#[derive(Clone, PartialEq, Debug)]
pub struct Run {
    /// Its number.
    pub id: i64,
    /// When it was recorded, nanoseconds since 1970 (UTC).
    pub started_unix_ns: u64,
    /// The program's file name.
    pub program: String,
    /// Commit of the source; empty if unknown.
    pub commit: String,
    /// Whether there were changes that were not committed.
    pub dirty: bool,
    /// Tags, sorted.
    pub tags: Vec<String>,
    /// Exact peak of the whole heap, in bytes.
    pub peak: i64,
    /// Exact heap in use at the end, in bytes.
    pub heap: i64,
    /// Exact bytes allocated.
    pub allocated: i64,
}

impl History {
    /// Opens the history at `path`, made if it is not there.
    pub fn open(path: &Path) -> Result<History, HistoryError> {
        Self::connect(path).map_err(|error| match error {
            Opening::Sqlite(error) => HistoryError::Sqlite {
                path: path.to_owned(),
                error,
            },
            Opening::TooNew { found, known } => HistoryError::TooNew {
                path: path.to_owned(),
                found,
                known,
            },
        })
    }

    /// Opens the history at `path`, which has to be there.
    pub fn open_existing(path: &Path) -> Result<History, HistoryError> {
        if !path.exists() {
            return Err(HistoryError::None {
                path: path.to_owned(),
            });
        }
        Self::open(path)
    }

    fn connect(path: &Path) -> Result<History, Opening> {
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(PATIENCE)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        migrations::run(&mut connection)?;
        Ok(History {
            path: path.to_owned(),
            connection,
        })
    }

    fn fault(&self, error: rusqlite::Error) -> HistoryError {
        HistoryError::Sqlite {
            path: self.path.clone(),
            error,
        }
    }

    /// Keeps `report` and what was done in each context, and gives the run's number.
    pub fn save(
        &mut self,
        report: &Report,
        contexts: &[ContextParts],
        label: &Label,
    ) -> Result<i64, HistoryError> {
        let saved = (self.connection)
            // Asks for the right to write at once: two that read first and write then would be in
            // each other's way.
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .and_then(|transaction| {
                let id = save::save(&transaction, report, contexts, label)?;
                transaction.commit()?;
                Ok(id)
            });
        saved.map_err(|error| self.fault(error))
    }

    /// All runs, the oldest first.
    pub fn runs(&self) -> Result<Vec<Run>, HistoryError> {
        self.query_runs().map_err(|error| self.fault(error))
    }

    fn query_runs(&self) -> rusqlite::Result<Vec<Run>> {
        let mut query = self.connection.prepare(
            "SELECT id, started_unix_ns, program, commit_id, dirty, peak, heap, alloc_bytes,
                    (SELECT json_group_array(tag) FROM (SELECT tag FROM tags WHERE run = runs.id ORDER BY tag))
             FROM runs ORDER BY id",
        )?;
        let runs = query.query_map([], |row| {
            let tags: String = row.get(8)?;
            Ok(Run {
                id: row.get(0)?,
                started_unix_ns: row.get::<_, i64>(1)? as u64,
                program: row.get(2)?,
                commit: row.get(3)?,
                dirty: row.get(4)?,
                tags: serde_json::from_str(&tags).unwrap_or_default(),
                peak: row.get(5)?,
                heap: row.get(6)?,
                allocated: row.get(7)?,
            })
        })?;
        runs.collect()
    }

    /// The number of the run called `name`: a number, a tag (its latest), the beginning of a
    /// commit, `last` or `last~N`.
    pub fn find(&self, name: &str) -> Result<i64, HistoryError> {
        let runs = self.runs()?;
        let back = match name.strip_prefix("last") {
            Some("") => Some(0),
            Some(back) => back.strip_prefix('~').and_then(|back| back.parse().ok()),
            None => None,
        };
        if let Some(back) = back {
            let found = runs.iter().rev().nth(back).map(|run| run.id);
            return found.ok_or_else(|| HistoryError::NoRun(name.to_owned()));
        }
        let number = name.trim_start_matches('#').parse::<i64>().ok();
        let by_number = runs.iter().find(|run| Some(run.id) == number);
        let newest = |is: &dyn Fn(&Run) -> bool| runs.iter().rev().find(|run| is(run));
        let by_tag = || newest(&|run| run.tags.iter().any(|tag| tag == name));
        let by_commit = || newest(&|run| name.len() >= 4 && run.commit.starts_with(name));
        (by_number.or_else(by_tag).or_else(by_commit))
            .map(|run| run.id)
            .ok_or_else(|| HistoryError::NoRun(name.to_owned()))
    }

    /// The report of a run, as it was saved.
    pub fn report(&self, run: i64) -> Result<Report, HistoryError> {
        match restore::report(&self.connection, run) {
            Err(restore::Fault::Sqlite(rusqlite::Error::QueryReturnedNoRows)) => {
                Err(HistoryError::NoRun(run.to_string()))
            }
            restored => self.whole(run, restored),
        }
    }

    /// What was done in each context of a run, key by key.
    pub fn contexts(&self, run: i64) -> Result<Vec<ContextParts>, HistoryError> {
        self.whole(run, restore::contexts(&self.connection, run))
    }

    fn whole<T>(&self, run: i64, restored: Result<T, restore::Fault>) -> Result<T, HistoryError> {
        restored.map_err(|fault| match fault {
            restore::Fault::Sqlite(error) => self.fault(error),
            restore::Fault::Damaged(reason) => HistoryError::Damaged { run, reason },
        })
    }

    /// Removes a run; false if there is none.
    pub fn remove(&mut self, run: i64) -> Result<bool, HistoryError> {
        let removed = self
            .connection
            .execute("DELETE FROM runs WHERE id = ?1", [run]);
        removed
            .map(|rows| rows > 0)
            .map_err(|error| self.fault(error))
    }

    /// How a figure developed over the runs.
    pub fn trend(&self, trend: &Trend) -> Result<Vec<Point>, HistoryError> {
        trend::points(&self.connection, trend).map_err(|error| self.fault(error))
    }

    /// Text and function of a line of the newest run that has it.
    pub fn line(&self, file: &str, number: u32) -> Result<Option<(String, String)>, HistoryError> {
        let found = self
            .connection
            .query_row(
                "SELECT coalesce(trim(lines.contents), ''), functions.name
                 FROM lines JOIN functions ON functions.id = lines.function
                 WHERE functions.file = ?1 AND lines.number = ?2 ORDER BY functions.run DESC LIMIT 1",
                rusqlite::params![file, number],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional();
        found.map_err(|error| self.fault(error))
    }
}
