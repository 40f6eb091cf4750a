//! SQLite's own trace: the few functions of its C interface that are needed, and a safe face for
//! them.
//!
//! They are declared here, rather than taken from `libsqlite3-sys`, whose declarations differ from
//! version to version; that crate is needed to link to the copy of SQLite that the program has.

use core::ffi::{CStr, c_char, c_int, c_uint, c_void};
use core::marker::PhantomData;
use core::ptr::{self, NonNull};
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use libsqlite3_sys as _;

const OK: c_int = 0;
const ERROR: c_int = 1;
const ROW: c_int = 100;
const TRACE_STMT: c_uint = 1;
const TRACE_PROFILE: c_uint = 2;
const TRACE_ROW: c_uint = 4;
const DBSTATUS_CACHE_USED: c_int = 1;
const DBSTATUS_CACHE_USED_SHARED: c_int = 11;
const STMTSTATUS_FULLSCAN_STEP: c_int = 1;
const STMTSTATUS_REPREPARE: c_int = 5;
const STMTSTATUS_RUN: c_int = 6;

#[repr(C)]
struct Sqlite([u8; 0]);
#[repr(C)]
struct Stmt([u8; 0]);
type Callback = unsafe extern "C" fn(c_uint, *mut c_void, *mut c_void, *mut c_void) -> c_int;
type Entry = unsafe extern "C" fn(*mut Sqlite, *mut *mut c_char, *const c_void) -> c_int;

unsafe extern "C" {
    fn sqlite3_auto_extension(entry: Entry) -> c_int;
    fn sqlite3_trace_v2(
        db: *mut Sqlite,
        mask: c_uint,
        call: Option<Callback>,
        context: *mut c_void,
    ) -> c_int;
    fn sqlite3_sql(stmt: *mut Stmt) -> *const c_char;
    fn sqlite3_expanded_sql(stmt: *mut Stmt) -> *mut c_char;
    fn sqlite3_free(memory: *mut c_void);
    fn sqlite3_db_handle(stmt: *mut Stmt) -> *mut Sqlite;
    fn sqlite3_changes(db: *mut Sqlite) -> c_int;
    fn sqlite3_total_changes(db: *mut Sqlite) -> c_int;
    fn sqlite3_db_filename(db: *mut Sqlite, name: *const c_char) -> *const c_char;
    fn sqlite3_stmt_readonly(stmt: *mut Stmt) -> c_int;
    fn sqlite3_column_count(stmt: *mut Stmt) -> c_int;
    fn sqlite3_bind_parameter_count(stmt: *mut Stmt) -> c_int;
    fn sqlite3_stmt_status(stmt: *mut Stmt, what: c_int, reset: c_int) -> c_int;
    fn sqlite3_db_status(
        db: *mut Sqlite,
        what: c_int,
        now: *mut c_int,
        highest: *mut c_int,
        reset: c_int,
    ) -> c_int;
    fn sqlite3_prepare_v2(
        db: *mut Sqlite,
        sql: *const c_char,
        length: c_int,
        stmt: *mut *mut Stmt,
        tail: *mut *const c_char,
    ) -> c_int;
    fn sqlite3_step(stmt: *mut Stmt) -> c_int;
    fn sqlite3_column_text(stmt: *mut Stmt, column: c_int) -> *const c_char;
    fn sqlite3_finalize(stmt: *mut Stmt) -> c_int;
    fn sqlite3_libversion_number() -> c_int;
}

/// What is told of every statement, on the thread that runs it.
pub trait Trace: Sync {
    /// A statement begins to run.
    fn begins(&self, statement: &Statement<'_>);
    /// It gives a row.
    fn gives_row(&self, statement: &Statement<'_>);
    /// It is over.
    fn ends(&self, statement: &Statement<'_>);
}

static TRACE: OnceLock<&'static dyn Trace> = OnceLock::new();

/// Has every connection that is opened from now on tell `trace`.
pub fn install(trace: &'static dyn Trace) -> Result<(), c_int> {
    let _ = TRACE.set(trace);
    // SAFETY: takes nothing and gives a number.
    if unsafe { sqlite3_libversion_number() } < 3_014_000 {
        return Err(ERROR);
    }
    // SAFETY: `on_open` is a function, which lives as long as the process, and has the type that
    // SQLite calls it by. Asking twice for the same function is asking once.
    match unsafe { sqlite3_auto_extension(on_open) } {
        OK => Ok(()),
        code => Err(code),
    }
}

unsafe extern "C" fn on_open(db: *mut Sqlite, _: *mut *mut c_char, _: *const c_void) -> c_int {
    let mask = TRACE_STMT | TRACE_PROFILE | TRACE_ROW;
    // SAFETY: SQLite calls this with the connection that it opens; the callback lives as long as
    // the process.
    unsafe { sqlite3_trace_v2(db, mask, Some(on_event), ptr::null_mut()) };
    // A connection is opened whether it can be traced or not.
    OK
}

unsafe extern "C" fn on_event(
    event: c_uint,
    _: *mut c_void,
    p: *mut c_void,
    x: *mut c_void,
) -> c_int {
    let (Some(trace), Some(stmt)) = (TRACE.get(), NonNull::new(p.cast::<Stmt>())) else {
        return OK;
    };
    let statement = Statement {
        stmt,
        _during: PhantomData,
    };
    // A panic must not go through SQLite's own frames.
    let _ = catch_unwind(AssertUnwindSafe(|| match event {
        // A step of a trigger comes with a text of its own.
        TRACE_STMT if x.cast_const().cast() == statement.text() => trace.begins(&statement),
        TRACE_ROW => trace.gives_row(&statement),
        TRACE_PROFILE => trace.ends(&statement),
        _ => {}
    }));
    OK
}

/// Bytes of the cache of a connection, counted as `what` says.
fn cache(db: *mut Sqlite, what: c_int) -> c_int {
    let (mut now, mut highest) = (0, 0);
    // SAFETY: the connection is that of a statement that lives, and both numbers live while SQLite
    // writes them.
    unsafe { sqlite3_db_status(db, what, &mut now, &mut highest, 0) };
    now
}

/// What the main database of a connection is.
pub enum Database<'a> {
    File(&'a CStr),
    /// In memory, and other connections have it too.
    Shared,
    /// In memory, for this connection alone.
    OfConnection(usize),
}

/// A statement, while SQLite tells of it.
pub struct Statement<'a> {
    stmt: NonNull<Stmt>,
    _during: PhantomData<&'a Stmt>,
}

impl Statement<'_> {
    /// Tells statements apart that live at the same time.
    pub fn address(&self) -> usize {
        self.stmt.as_ptr() as usize
    }

    fn text(&self) -> *const c_char {
        // SAFETY: the statement lives while SQLite tells of it.
        unsafe { sqlite3_sql(self.stmt.as_ptr()) }
    }

    /// The SQL that it was made of.
    pub fn sql(&self) -> Option<Cow<'_, str>> {
        let text = self.text();
        // SAFETY: a text of SQLite ends with 0; this one lives as long as the statement.
        (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy())
    }

    /// The SQL with its values in the places of parameters.
    pub fn expanded_sql(&self) -> Option<String> {
        // SAFETY: the statement lives; what SQLite gives is ours until it is freed, which is after
        // the copy was made.
        unsafe {
            let text = sqlite3_expanded_sql(self.stmt.as_ptr());
            if text.is_null() {
                return None;
            }
            let copy = CStr::from_ptr(text).to_string_lossy().into_owned();
            sqlite3_free(text.cast());
            Some(copy)
        }
    }

    /// True if values are bound to it.
    pub fn has_parameters(&self) -> bool {
        // SAFETY: the statement lives.
        unsafe { sqlite3_bind_parameter_count(self.stmt.as_ptr()) > 0 }
    }

    /// Rows that it changed, when it is over, of a statement that may change rows and gives none.
    /// `changed_before` is [`Statement::changed_so_far`] when it began: SQLite goes on telling of
    /// the last statement that changed any.
    pub fn changes(&self, changed_before: i32) -> Option<u64> {
        let stmt = self.stmt.as_ptr();
        // SAFETY: the statement lives, and so does its connection.
        let (may_change, changes) = unsafe {
            let may_change = sqlite3_stmt_readonly(stmt) == 0 && sqlite3_column_count(stmt) == 0;
            (may_change, sqlite3_changes(sqlite3_db_handle(stmt)))
        };
        let has_changed = self.changed_so_far() != changed_before;
        let changes = if has_changed { changes } else { 0 };
        may_change.then_some(u64::try_from(changes).unwrap_or(0))
    }

    /// Rows that its connection has changed, with all its statements.
    pub fn changed_so_far(&self) -> i32 {
        // SAFETY: the statement lives, and so does its connection.
        unsafe { sqlite3_total_changes(sqlite3_db_handle(self.stmt.as_ptr())) }
    }

    /// The database that its connection asks.
    pub fn database(&self) -> Database<'_> {
        // SAFETY: the statement lives, and so does its connection, whose name of the file ends with
        // 0 and lives as long.
        let (db, file) = unsafe {
            let db = sqlite3_db_handle(self.stmt.as_ptr());
            let file = sqlite3_db_filename(db, c"main".as_ptr());
            (db, (!file.is_null()).then(|| CStr::from_ptr(file)))
        };
        match file.filter(|file| !file.is_empty()) {
            Some(file) => Database::File(file),
            // A cache that is shared counts in full, or with the part of this connection.
            None if cache(db, DBSTATUS_CACHE_USED) != cache(db, DBSTATUS_CACHE_USED_SHARED) => {
                Database::Shared
            }
            None => Database::OfConnection(db as usize),
        }
    }

    /// Steps through whole tables so far, in all its runs.
    pub fn full_scan_steps(&self) -> i32 {
        self.status(STMTSTATUS_FULLSCAN_STEP)
    }

    /// How often it has begun so far; what it does for a foreign key counts too.
    pub fn runs(&self) -> i32 {
        self.status(STMTSTATUS_RUN)
    }

    /// How often SQLite has prepared it again, since the schema had changed.
    pub fn times_prepared_again(&self) -> i32 {
        self.status(STMTSTATUS_REPREPARE)
    }

    fn status(&self, what: c_int) -> i32 {
        // SAFETY: the statement lives.
        unsafe { sqlite3_stmt_status(self.stmt.as_ptr(), what, 0) }
    }

    /// How SQLite runs it, one step a text. Empty for what has no plan.
    pub fn plan(&self) -> Vec<String> {
        let Some(sql) = self.sql() else {
            return Vec::new();
        };
        let sql = format!("EXPLAIN QUERY PLAN {sql}");
        let Ok(length) = c_int::try_from(sql.len()) else {
            return Vec::new();
        };
        let mut steps = Vec::new();
        let mut plan = ptr::null_mut();
        // SAFETY: the connection lives, and the thread may use it: it is inside it. `sql` has
        // `length` bytes. The new statement is used before it is finalized, and a column's text
        // before the next step.
        unsafe {
            let db = sqlite3_db_handle(self.stmt.as_ptr());
            let code =
                sqlite3_prepare_v2(db, sql.as_ptr().cast(), length, &mut plan, ptr::null_mut());
            while code == OK && sqlite3_step(plan) == ROW {
                let text = sqlite3_column_text(plan, 3);
                if !text.is_null() {
                    steps.push(CStr::from_ptr(text).to_string_lossy().into_owned());
                }
            }
            sqlite3_finalize(plan);
        }
        steps
    }
}
