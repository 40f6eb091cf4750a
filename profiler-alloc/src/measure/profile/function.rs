//! The measured function, as the macro described it.

use core::sync::atomic::{AtomicU32, Ordering};

use crate::counters::heap;
use crate::measure::report::profile::Columns;
use crate::session::line_tables::Profiled;

/// What the macro knows of a function.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// Path of the function: `app::module::name`.
    pub function: &'static str,
    /// What the compiler calls an item inside the table's static, whose path has the function's
    /// type too: `app::module::Type::name::__MEMPROF_TABLE::here`.
    pub here: Option<fn() -> &'static str>,
    /// As `file!()` gives it.
    pub file: &'static str,
    /// Folder of the package's Cargo.toml when it was built.
    pub manifest_dir: Option<&'static str>,
    /// First and last line of the function.
    pub span: (u32, u32),
    /// False if a macro has made the function, and no statement of it is written there.
    pub is_written: bool,
    /// The line of each slot; that of slot 0 is the `fn`.
    pub lines: &'static [u32],
    /// The function's text, if embedded.
    pub source: Option<&'static str>,
    /// FNV-1a hash of the function's lines when it was built; 0 if unknown.
    pub source_hash: u64,
    /// Columns beside mem usage and increment.
    pub columns: Columns,
    /// Decimal places of bytes.
    pub precision: usize,
    /// A table after each call, instead of one at the end.
    pub each_call: bool,
}

impl About {
    /// Path of the function, with its type if it is a method.
    pub fn name(&self) -> &'static str {
        let whole = self
            .here
            .and_then(|here| here().strip_suffix("::__MEMPROF_TABLE::here"));
        // The body of an `async fn` is a closure to the compiler.
        whole.map_or(self.function, |whole| {
            whole.trim_end_matches("::{{closure}}")
        })
    }
}

/// A function with the attribute.
#[derive(Debug)]
pub struct Function {
    pub about: About,
    /// Number of the function in the process, from 1.
    number: AtomicU32,
}

impl Function {
    pub const fn new(about: About) -> Function {
        Function {
            about,
            number: AtomicU32::new(0),
        }
    }

    pub fn set_number(&self, number: u32) {
        self.number.store(number, Ordering::Relaxed);
    }

    pub fn number(&self) -> u32 {
        self.number.load(Ordering::Relaxed)
    }

    /// What a recording's file says of the function.
    pub fn profiled(&self) -> Profiled {
        let about = &self.about;
        Profiled {
            number: self.number(),
            name: about.name(),
            file: about.file,
            folder: about.manifest_dir.unwrap_or_default(),
            source: about.source.unwrap_or_default(),
            source_hash: about.source_hash,
            span: about.span,
            lines: about.lines,
            heap: heap::heap(),
        }
    }
}
