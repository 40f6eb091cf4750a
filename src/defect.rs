//! What went wrong without stopping anything: values that every lossy stage returns beside its
//! result.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use profiler_alloc_format::Table;

use crate::units::{ByteSize, Count};

/// One kind of fault in a profile or in what belongs to it, counted. Rendered at the end of every
/// report.
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
    /// The figures are of many processes.
    Merged {
        /// How many.
        processes: u64,
        /// Profiles that were merged: a process may have several.
        files: u64,
        /// Programs among them.
        programs: u64,
        /// Profiles whose recording had not ended.
        unfinished: u64,
        /// Sum of the peaks of each by itself, in bytes.
        peaks: i64,
        /// What lies nearer together in time than this was taken for the same moment.
        resolution_ns: u64,
    },
    /// Several builds of one program were merged.
    SeveralBuilds {
        /// The program.
        path: PathBuf,
        /// How many.
        builds: u64,
    },
    /// What libraries with the crate took is in their profiles and in that of `malloc`.
    CountedTwice {
        /// Processes in which that is so.
        processes: u64,
    },
    /// Something is wrong with some of the profiles that were merged.
    OfFiles {
        /// What.
        fault: String,
        /// Names of the files.
        files: Vec<String>,
    },
    /// Profiles that were named but not merged.
    NotMerged {
        /// Why.
        reason: String,
        /// Names of the files.
        files: Vec<String>,
    },
    /// Only what was done while a context was in force is shown, as was asked for.
    OnlyContext {
        /// The context.
        context: String,
    },
    /// Only what was done in one heap is shown, as was asked for.
    OnlyHeap {
        /// The heap.
        heap: String,
    },
    /// All heaps are shown, as was asked for.
    AllHeaps {
        /// Their names.
        heaps: Vec<String>,
    },
    /// There is memory in other heaps than the one that is shown.
    OtherHeaps {
        /// Their names, and what each had in use at its peak, in bytes.
        heaps: Vec<(String, i64)>,
    },
    /// Frees that a heap did not count, as more was freed than was in use.
    HeapFreesLost {
        /// The heap.
        heap: String,
        /// How many.
        frees: u64,
    },
    /// Mappings that were not counted.
    MappingsLost {
        /// How many.
        mappings: u64,
    },
    /// Records of heaps that lead nowhere.
    HeapsDropped {
        /// Number of records.
        records: u64,
    },
    /// Nothing is shown, as the program has named no such context so far.
    ContextNotThere {
        /// What it has.
        why: String,
    },
    /// Records of moments, and of what was live at them, that lead nowhere.
    MomentsDropped {
        /// Number of records.
        records: u64,
    },
    /// Records of contexts that lead nowhere.
    ContextsDropped {
        /// Number of records.
        records: u64,
    },
    /// Variances that are no finite, positive number; taken as 0.
    VariancesDropped {
        /// Number of figures.
        figures: u64,
    },
    /// More was freed through the program's allocator than it had given.
    HeapBelowZero {
        /// How far below zero the heap in use ended, in bytes.
        bytes: u64,
    },
    /// The standard library is linked dynamically, and has an allocator of its own.
    StdDynamic {
        /// Name of its file.
        library: String,
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
    /// The module's file says that its line information lies in another file, which was not found.
    DebugFileMissing {
        /// Path as recorded.
        path: PathBuf,
        /// Name of the other file.
        name: String,
    },
    /// A server of `DEBUGINFOD_URLS` sent no debug file that can be used.
    DebugFileNotFetched {
        /// Its address.
        server: String,
        /// What was wrong, and what to do.
        reason: String,
    },
    /// `DEBUGINFOD_URLS` is set, but there is no folder to keep files in.
    DebugFilesNotKept,
    /// A file of that name is there, but belongs to another build.
    DebugFileForeign {
        /// Path as recorded.
        path: PathBuf,
        /// The file.
        found: PathBuf,
    },
    /// `dwz -m` moved a part of the debug info into a file that is not there, or is of another
    /// build.
    SharedDebugInfoMissing {
        /// Path of the file.
        path: PathBuf,
        /// Where that part should be.
        supplement: PathBuf,
    },
    /// Functions of the program's own source are one piece of code.
    CodeShared {
        /// Path of the module.
        path: PathBuf,
        /// The functions' names.
        functions: Vec<String>,
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
    /// Source files are not those that the program was built from.
    SourcesChanged {
        /// The files, as they are shown.
        files: Vec<String>,
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
            Defect::Merged {
                processes,
                files,
                programs,
                unfinished,
                peaks,
                resolution_ns,
            } => {
                write!(
                    f,
                    "these are {} of {}",
                    counted(*files, "profile"),
                    counted(*programs, "program")
                )?;
                if processes != files {
                    write!(f, " in {}", counted(*processes, "process"))?;
                }
                write!(
                    f,
                    ", added up: the peak is the highest sum of their heaps at one time (to {}), live is what each had at \
                     its end, and at the peak lines have what they had at the peak of each by itself, which makes {} in all",
                    span(*resolution_ns),
                    ByteSize(peaks.max(&0).unsigned_abs())
                )?;
                if *unfinished > 0 {
                    write!(
                        f,
                        "; {unfinished} of them had not ended in order, or still run"
                    )?;
                }
                Ok(())
            }
            Defect::SeveralBuilds { path, builds } => write!(
                f,
                "{} was recorded in {builds} builds, whose lines are added up by function and line; a line that moved \
                 between them stands twice",
                path.display()
            ),
            Defect::CountedTwice { processes } => write!(
                f,
                "in {}, libraries with the crate took memory by a malloc that was recorded too, so it is counted twice; \
                 record with --no-preload, or leave the profile of the program itself out",
                counted(*processes, "process")
            ),
            Defect::OfFiles { fault, files } => write!(f, "of {}: {fault}", a_few(files)),
            Defect::NotMerged { reason, files } => {
                write!(f, "not among these figures: {}: {reason}", a_few(files))
            }
            Defect::OnlyContext { context } => write!(
                f,
                "lines, stacks and functions show only what was done in the context {context}; what is said of the whole \
                 process is not restricted"
            ),
            Defect::OnlyHeap { heap } => write!(
                f,
                "everything shown is of the heap {heap} alone, not of what malloc gives"
            ),
            Defect::AllHeaps { heaps } => write!(
                f,
                "the heaps {} are shown side by side; what is in use at the peak is so at the peak of each, and the peak \
                 and the heap in use that are named are those of malloc",
                heaps.join(", ")
            ),
            Defect::OtherHeaps { heaps } => {
                f.write_str("not among these figures is what other heaps hold:")?;
                for (number, (name, peak)) in heaps.iter().enumerate() {
                    let comma = if number == 0 { "" } else { "," };
                    write!(
                        f,
                        "{comma} {name} {} at its peak",
                        ByteSize(peak.max(&0).unsigned_abs())
                    )?;
                }
                f.write_str("; `--heap NAME` shows it")
            }
            Defect::HeapFreesLost { heap, frees } => write!(
                f,
                "{frees} frees in the heap {heap} were not counted: more was freed than was in use"
            ),
            Defect::MappingsLost { mappings } => write!(
                f,
                "{mappings} mappings were not counted, as too many were there or too much was done at once: the heap \
                 mapped may be too high or too low by them"
            ),
            Defect::HeapsDropped { records } => write!(
                f,
                "{records} records of heaps are damaged; what was done in these is not shown"
            ),
            Defect::ContextNotThere { why } => write!(f, "no line is shown: {why}"),
            Defect::MomentsDropped { records } => write!(
                f,
                "{records} records of moments are damaged; what was live at these may be more"
            ),
            Defect::ContextsDropped { records } => write!(
                f,
                "{records} records of contexts are damaged; what was done in these is in no context"
            ),
            Defect::VariancesDropped { figures } => {
                write!(
                    f,
                    "{figures} standard errors of the profile are damaged and taken as 0"
                )
            }
            Defect::HeapBelowZero { bytes } => write!(
                f,
                "the heap in use ends {} below zero: the program freed blocks that another allocator had given, as std's own \
                 are with `-C prefer-dynamic`; build without that, or take what is freed and live for a lower bound",
                ByteSize(*bytes)
            ),
            Defect::StdDynamic { library } => write!(
                f,
                "std is linked dynamically ({library}, as with `-C prefer-dynamic`): blocks that its own code takes, as for \
                 threads, paths and output, pass no allocator of the program's and are in no figure; build without that"
            ),
            Defect::ModuleMissing { path, .. } if is_doctest(path) => write!(
                f,
                "{} is gone: rustdoc deletes the programs of doctests when they have ended, so their frames are shown as \
                 addresses; record the same code as an example or a test",
                path.display()
            ),
            Defect::DebugFileMissing { path, name } => write!(
                f,
                "{} has its line information in another file, {name}, which is neither beside it nor in .debug there or \
                 below /usr/lib/debug: put it in one of these places",
                path.display()
            ),
            Defect::DebugFileNotFetched { server, reason } => {
                write!(f, "no debug file from {server}: {reason}")
            }
            Defect::DebugFilesNotKept => write!(
                f,
                "debug files were not fetched, as there is no folder to keep them in: set DEBUGINFOD_CACHE_PATH"
            ),
            Defect::DebugFileForeign { path, found } => write!(
                f,
                "{} has its line information in another file, but {} is of another build: put the one of this build there",
                path.display(),
                found.display()
            ),
            Defect::SharedDebugInfoMissing { path, supplement } => write!(
                f,
                "a part of the debug info of {} was moved by dwz to {}, which is not there or of another build, so many \
                 functions have no name: put it there, or name the file from before dwz with --path-map PROGRAM=FILE",
                path.display(),
                supplement.display()
            ),
            Defect::CodeShared { path, functions } => {
                write!(
                    f,
                    "the linker (`--icf`) or the compiler made one piece of code of equal functions in {}, so the rows of one \
                     may be another's: {}",
                    path.display(),
                    a_few(functions),
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
            Defect::SourcesChanged { files } => write!(
                f,
                "source changed since the build, so lines may not belong to their text: {}",
                a_few(files),
            ),
            Defect::SourcesNotSought { files } => write!(
                f,
                "{files} source files were not looked for: the profile names more than any program has"
            ),
        }
    }
}

/// The first of `names`, and how many more there are.
fn a_few(names: &[String]) -> String {
    const SHOWN: usize = 6;
    let more = names.len().saturating_sub(SHOWN);
    let shown = names[..names.len() - more].join(", ");
    match more {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// `1 profile`, `8 profiles`, `8 processes`.
fn counted(count: u64, what: &str) -> String {
    let end = match (count, what.ends_with('s')) {
        (1, _) => "",
        (_, true) => "es",
        (_, false) => "s",
    };
    format!("{} {what}{end}", Count(count))
}

/// A short time: `1 ms`, `250 us`.
fn span(ns: u64) -> String {
    match ns.div_ceil(1000) {
        us @ 0..1000 => format!("{us} us"),
        us => format!("{} ms", us.div_ceil(1000)),
    }
}

/// Whether rustdoc made the program: `/tmp/rustdoctestAbC123/rust_out`.
fn is_doctest(path: &Path) -> bool {
    let is_folder = |part: &OsStr| part.as_encoded_bytes().starts_with(b"rustdoctest");
    path.parent()
        .is_some_and(|folder| folder.iter().any(is_folder))
}
