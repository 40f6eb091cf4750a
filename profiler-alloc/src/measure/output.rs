//! Where reports go. One report is one write, so that those of threads and of nested calls never
//! mix.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::report::Report;
use crate::counters::thread_counts::{Lent, Untracked};

/// Where reports go.
#[derive(Clone)]
#[non_exhaustive]
pub enum Output {
    /// The standard error stream.
    Stderr,
    /// A stream of the program's own.
    Writer(Arc<Mutex<dyn Write + Send>>),
    /// A function that takes the values themselves. What it allocates is the program's, but not
    /// charged to the functions that are measured.
    Callback(Arc<dyn Fn(&Report) + Send + Sync>),
}

impl Output {
    /// To a new file at `path`; what was there is overwritten.
    ///
    /// # Errors
    /// If the file cannot be created.
    pub fn file(path: impl AsRef<std::path::Path>) -> io::Result<Output> {
        Ok(Output::writer(File::create(path)?))
    }

    /// To a stream.
    pub fn writer(writer: impl Write + Send + 'static) -> Output {
        Output::Writer(Arc::new(Mutex::new(writer)))
    }

    /// To a function.
    pub fn callback(callback: impl Fn(&Report) + Send + Sync + 'static) -> Output {
        Output::Callback(Arc::new(callback))
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Output::Stderr => "Stderr",
            Output::Writer(_) => "Writer",
            Output::Callback(_) => "Callback",
        })
    }
}

/// How reports are written to streams.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object per report, each on a line of its own.
    Json,
}

static TARGET: RwLock<(Output, Format)> = RwLock::new((Output::Stderr, Format::Text));

/// Sends all reports from now on to `output`.
///
/// ```
/// use profiler_alloc::measure::{Output, set_output};
///
/// # fn main() -> std::io::Result<()> {
/// # let path = std::env::temp_dir().join(format!("reports-{}.txt", std::process::id()));
/// set_output(Output::file(&path)?);
/// profiler_alloc::elapsed_timer("sum", || (1..1000).sum::<u64>());
/// assert!(std::fs::read_to_string(&path)?.contains("===== sum elapsed time check ====="));
/// # std::fs::remove_file(path)
/// # }
/// ```
pub fn set_output(output: Output) {
    TARGET.write().unwrap_or_else(PoisonError::into_inner).0 = output;
}

/// Writes all reports from now on in `format`.
pub fn set_format(format: Format) {
    TARGET.write().unwrap_or_else(PoisonError::into_inner).1 = format;
}

/// Sends a report off. Never fails and never panics: a stream that does not take it loses it.
pub(super) fn send(report: &Report) {
    // Measured functions that the output itself calls are not measured: they would report without
    // end.
    let _untracked = Untracked::begin();
    let (output, format) = {
        let target = TARGET.read().unwrap_or_else(PoisonError::into_inner);
        target.clone()
    };
    let text = || match format {
        Format::Text => report.to_string(),
        Format::Json => report.to_json() + "\n",
    };
    match output {
        Output::Stderr => {
            let _ = io::stderr().write_all(text().as_bytes());
        }
        Output::Writer(writer) => {
            let text = text();
            of_the_program(|| {
                let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
                let _ = writer
                    .write_all(text.as_bytes())
                    .and_then(|()| writer.flush());
            });
        }
        Output::Callback(callback) => of_the_program(|| callback(&report.copy())),
    }
}

/// Runs code of the program's own. A panic of it here would be one in a destructor, or at the end
/// of the program.
fn of_the_program(output: impl FnOnce()) {
    let _lent = Lent::begin();
    let _ = catch_unwind(AssertUnwindSafe(output));
}
