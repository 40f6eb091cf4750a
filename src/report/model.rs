//! The report itself: tables of functions, and the lines in them.

use std::fmt;

use super::{Figures, Loss, Recording, Sampling};
use crate::defect::Defect;

/// Memory by source line, for every function that touched any.
#[derive(Clone, PartialEq, Debug)]
pub struct Report {
    /// Which program and when.
    pub recording: Recording,
    /// How it was sampled.
    pub sampling: Sampling,
    /// What the figures are made of.
    pub basis: Basis,
    /// Functions with `#[profile]` in the profile.
    pub exact_functions: usize,
    /// Whose functions have tables.
    pub scope: Scope,
    /// One for each function.
    pub tables: Vec<Table>,
    /// What has no table as it does not matter much. `None` if nothing was left out for that.
    pub left_out: Option<LeftOut>,
    /// What happened with no function of this scope on the stack.
    pub elsewhere: Figures,
    /// What could not be charged to any stack.
    pub unattributed: Figures,
    /// What the recorder could not keep.
    pub losses: Vec<Loss>,
    /// What is wrong with the profile, or missing beside it.
    pub defects: Vec<Defect>,
}

/// The lines of one function.
#[derive(Clone, PartialEq, Debug)]
pub struct Table {
    /// The source file, relative to the current folder when below it; a module's path where lines
    /// are not known.
    pub file: String,
    /// The function without generic arguments, closures being part of the function around them.
    pub function: String,
    /// What the debug information calls it, with arguments: `<app::Error as From<u8>>::from`. Empty
    /// where that is not known.
    pub instances: Vec<String>,
    /// What happened while the function was anywhere on the stack.
    pub total: Figures,
    /// The part of it for which no other function with a table was further in: over all tables,
    /// these add up.
    pub own: Figures,
    /// In the order of the file.
    pub lines: Vec<Line>,
    /// Indices of `lines` before which some were left out; their number, if it was at the end.
    pub gaps: Vec<usize>,
    /// What a reader of the table has to know.
    pub notes: Vec<Note>,
    /// Whether the program's file is the recorded one; if not, lines may be wrong.
    pub verified: bool,
}

impl Table {
    /// Whether anything was seen on its lines.
    pub fn is_touched(&self) -> bool {
        self.lines.iter().any(|line| line.figures.is_some())
    }
}

/// One line of a function.
#[derive(Clone, PartialEq, Debug)]
pub struct Line {
    /// From 1. `None` where lines are not known.
    pub number: Option<u32>,
    /// The source text, or `module+0xoffset` where lines are not known. `None` if the file was not
    /// found.
    pub contents: Option<String>,
    /// `None` if nothing was seen on this line.
    pub figures: Option<Figures>,
    /// How often it ran, where that is known: in functions with `#[profile]`.
    pub occurrences: Option<u64>,
}

/// What the figures of a report are made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Basis {
    /// Stacks: every function has a table.
    #[default]
    Stacks,
    /// Counters read between the statements of functions with `#[profile]`. Of [`Figures`], mem
    /// usage, increment, allocated and freed are known, exactly; the others are not, and zero.
    Counters,
}

/// What a reader of a table has to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Note {
    /// The file is not there.
    SourceNotFound {
        /// Path as the compiler wrote it, after `--path-map`.
        path: String,
    },
    /// The file is not the one that the program was built from.
    SourceChanged,
    /// Function and lines are not known; rows are addresses.
    NoLines,
    /// The program's file is not the recorded one.
    Unverified,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::SourceNotFound { path } => {
                write!(
                    f,
                    "source not found: {path}; use --source-root or --path-map"
                )
            }
            Note::SourceChanged => {
                f.write_str("source changed since the build: lines may not belong to their text")
            }
            Note::NoLines => f.write_str("no line information: rows are addresses"),
            Note::Unverified => f.write_str("unverified: the program changed since the recording"),
        }
    }
}

/// Whose functions get a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Scope {
    /// The user's own.
    #[default]
    User,
    /// Also those of dependencies, std and system libraries.
    All,
}

/// What was left out of a report, as it does not matter much: functions, or contexts.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LeftOut {
    /// Functions, or contexts.
    pub count: usize,
    /// Their share of the peak, 0 to 1.
    pub of_peak: f64,
    /// Their share of the bytes allocated, 0 to 1.
    pub of_allocated: f64,
}
