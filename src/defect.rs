//! What went wrong without stopping anything: values that every lossy stage returns beside its result.

use std::fmt;
use std::path::PathBuf;

use profiler_alloc_format::Table;

/// One kind of fault in a profile or in what belongs to it, counted. Rendered at the end of every report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Defect {
    /// The file ends before `chunks` of the chunks that its header counts.
    ChunksCutOff {
        /// Number of chunks.
        chunks: u64,
    },
    /// The directory gives `chunks` chunks to no known table.
    ChunksUnknown {
        /// Number of chunks.
        chunks: u64,
    },
    /// The header counts more records than the table's chunks hold.
    RecordsMissing {
        /// The table.
        table: Table,
        /// Number of records.
        records: u64,
    },
    /// Nodes whose parent does not come before them.
    NodesDropped {
        /// Number of nodes.
        nodes: u64,
    },
    /// Stacks that end in no node; their bytes are counted as not attributed.
    StacksDropped {
        /// Number of stacks.
        stacks: u64,
    },
    /// Modules whose path lies outside the table of strings.
    PathsDropped {
        /// Number of modules.
        modules: u64,
    },
    /// Points of the timeline that are not in the order of time.
    PointsDropped {
        /// Number of points.
        points: u64,
    },
    /// Records of the exact tables that lead nowhere.
    ExactRecordsDropped {
        /// Number of records.
        records: u64,
    },
    /// Variances that are no finite, positive number; taken as 0.
    VariancesDropped {
        /// Number of figures.
        figures: u64,
    },
    /// The module's file is not there or cannot be read.
    ModuleMissing {
        /// Path as recorded.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The module's file has no line information.
    ModuleStripped {
        /// Path as recorded.
        path: PathBuf,
    },
    /// The module's file is another one than the one recorded; its frames have no names.
    ModuleChanged {
        /// Path as recorded.
        path: PathBuf,
        /// What tells the recorded file from others.
        recorded: String,
        /// The same of the file found.
        found: String,
    },
    /// The module's file is another one than the one recorded and was used all the same, as asked.
    ModuleUnverified {
        /// Path as recorded.
        path: PathBuf,
    },
    /// The module's debug info asks for more than its length allows; its frames have no names.
    DebugInfoRefused {
        /// Path as recorded.
        path: PathBuf,
        /// What it asks for.
        reason: &'static str,
    },
    /// The module's debug info is split, and the part with the functions was not found.
    SplitDebugInfoMissing {
        /// Path of the module.
        path: PathBuf,
    },
    /// Something that was lost or wrong when a run was saved in the history.
    Saved {
        /// What, in words.
        text: String,
    },
    /// A file to read source lines from is there but cannot be read.
    SourceUnreadable {
        /// Path of the source file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The profile names more source files than were looked for.
    SourcesNotSought {
        /// Number of files.
        files: u64,
    },
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Defect::ChunksCutOff { chunks } => {
                write!(
                    f,
                    "the profile is cut off: {chunks} of its chunks are missing"
                )
            }
            Defect::ChunksUnknown { chunks } => {
                write!(f, "{chunks} chunks of the profile belong to no known table")
            }
            Defect::RecordsMissing { table, records } => write!(
                f,
                "the profile counts {records} more records of its {table:?} table than it holds"
            ),
            Defect::NodesDropped { nodes } => write!(
                f,
                "{nodes} nodes of the profile's stacks are damaged; their outer frames are not known"
            ),
            Defect::StacksDropped { stacks } => write!(
                f,
                "{stacks} stacks of the profile end in no known frame; their bytes are not attributed"
            ),
            Defect::PathsDropped { modules } => {
                write!(
                    f,
                    "the paths of {modules} modules are damaged in the profile"
                )
            }
            Defect::PointsDropped { points } => {
                write!(
                    f,
                    "{points} points of the timeline are out of order and were dropped"
                )
            }
            Defect::ExactRecordsDropped { records } => write!(
                f,
                "{records} records of the exact tables are damaged; what they counted is not shown"
            ),
            Defect::VariancesDropped { figures } => {
                write!(
                    f,
                    "{figures} standard errors of the profile are damaged and taken as 0"
                )
            }
            Defect::ModuleMissing { path, reason } => write!(
                f,
                "{} cannot be read ({reason}): its frames are shown as addresses; \
                 put the recorded file back, or say with --path-map where it is",
                path.display()
            ),
            Defect::ModuleStripped { path } => write!(
                f,
                "{} has no line information: its frames are shown as addresses; \
                 rebuild with `debug = 1` in the profile section of Cargo.toml, and without `strip`",
                path.display()
            ),
            Defect::ModuleChanged {
                path,
                recorded,
                found,
            } => write!(
                f,
                "{} has changed since the recording (recorded {recorded}, found {found}): \
                 its frames are shown as addresses; `--force` uses it all the same",
                path.display()
            ),
            Defect::ModuleUnverified { path } => write!(
                f,
                "{} has changed since the recording: its lines are unverified (marked `?`)",
                path.display()
            ),
            Defect::DebugInfoRefused { path, reason } => write!(
                f,
                "the debug info of {} is not read: {reason}",
                path.display()
            ),
            Defect::SplitDebugInfoMissing { path } => write!(
                f,
                "{} has split debug info, and its .dwp or .dwo files were not found: inlined functions are not known; \
                 put the .dwp file beside it (`cargo install` does not copy it), or build with `split-debuginfo = \"off\"`",
                path.display()
            ),
            Defect::Saved { text } => write!(f, "when it was saved: {text}"),
            Defect::SourceUnreadable { path, reason } => {
                write!(f, "{} cannot be read ({reason})", path.display())
            }
            Defect::SourcesNotSought { files } => write!(
                f,
                "{files} source files were not looked for: the profile names more than any program has"
            ),
        }
    }
}

impl serde::Serialize for Defect {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
