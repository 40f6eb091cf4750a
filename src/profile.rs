//! A profile as owned tables, whatever the state of the file it came from.
//!
//! [`read`] is the way in; [`builder::Builder`] makes synthetic profiles for tests.

mod accounts;
mod amend;
pub mod builder;
mod contexts;
mod counters;
mod course;
mod death;
mod error;
mod exact;
mod heap_choice;
mod heaps;
mod loss;
mod merge;
mod merged;
mod moments;
mod process;
mod processes;
mod reader;
mod residence;
mod selection;
mod shown;
mod sources;
mod state;
#[cfg(test)]
mod tests;
mod timeline;
mod totals;
mod trie;
mod view;
mod without_contexts;
mod write;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

pub use accounts::{Account, Touched};
pub use contexts::{Context, ContextId, Contexts};
pub use counters::Counters;
pub use course::{Course, Taken};
pub use death::{Death, DeathBy, add_death};
pub use error::ReadError;
pub use exact::{ProfiledFunction, ProfiledLine};
pub use heap_choice::{HeapChoice, UnknownHeap};
pub use heaps::{Heap, HeapKind};
pub use loss::Loss;
pub use merge::Merger;
pub use moments::{KeptMoment, Moments};
pub use process::{Candidate, first_of_process, own_peak};
pub use processes::{ProfiledProcess, Test};
pub use profiler_alloc_format::{Frame, Header, Point, SizeClass, UNKNOWN_MODULE};

use crate::system;
pub use reader::{parse, read};
pub use residence::Residence;
pub use selection::{ContextError, ContextPattern};
pub use shown::{ShownMoment, ShownView};
pub use sources::{SourceState, add_sources};
pub use state::State;
pub use totals::{BlockCount, Totals};
pub use trie::{Node, NodeId, Stack, StackSpan};
pub use view::{MomentError, View, When};

/// Everything that a profile's file says, checked: every number that points into a table points to
/// a record of it.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The header as it stands in the file.
    pub header: Header,
    /// Size histogram: class `c` holds the sizes with `c` significant bits.
    pub sizes: Vec<SizeClass>,
    /// Threads, present and past.
    pub threads: Vec<Thread>,
    /// The trie of stacks; the root is number 0, and a parent's number is below its children's.
    pub nodes: Vec<Node>,
    /// Totals of each distinct stack, and of each set of contexts that were in force for it.
    pub stacks: Vec<Stack>,
    /// The heaps beside the main one, whose stacks these are not.
    pub heaps: Vec<Heap>,
    /// The name and the exact counts of the heap whose figures these have become.
    pub of_heap: Option<(String, Counters)>,
    /// The moments of which it is known what each stack had live.
    pub moments: Moments,
    /// The moment whose figures these have become.
    pub shown: Option<ShownView>,
    /// For whom the program worked, as it said; which of them were in force together.
    pub contexts: Contexts,
    /// Totals that belong to no stack: what no longer fitted, and what is damaged.
    pub unattributed: Totals,
    /// Executables and libraries, by module number. The first is the main executable.
    pub modules: Vec<Module>,
    /// Heap and RSS over time, in the order of time; `time_ns` counts from the start.
    pub timeline: Vec<Point>,
    /// Where the resident memory was, at moments of the run, in the order of time. Empty where
    /// nobody looked.
    pub accounts: Vec<Account>,
    /// Times at which it is known what each stack had live, in nanoseconds since the start: 4 to 7,
    /// evenly spaced, none if the run was too short.
    pub waypoints: Vec<u64>,
    /// Crates and paths that whoever recorded it calls their own, apart by commas.
    pub own: String,
    /// Functions with `#[profile]`, in the order of their first calls.
    pub functions: Vec<ProfiledFunction>,
    /// What the program's own source files held when the recording ended, by the path that the
    /// compiler wrote. Empty where `memprof run` did not add it.
    pub sources: HashMap<String, SourceState>,
    /// The test that ran in the process, if a test runner started it.
    pub test: Option<Test>,
    /// The profiles that this one was merged from, in the order of their starts; empty if it was
    /// recorded.
    pub processes: Vec<ProfiledProcess>,
}

/// An executable or library.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Module {
    /// Path of its file; empty if unknown.
    pub path: PathBuf,
    /// Build-id; empty if it has none.
    pub build_id: Vec<u8>,
    /// Modification time of the file when it was recorded, nanoseconds since 1970; 0 if unknown.
    pub modified_ns: u64,
    /// Length of the file when it was recorded, in bytes; 0 if unknown.
    pub file_len: u64,
    /// Whether it is the executable of a process.
    pub is_program: bool,
}

impl Module {
    /// File name without folders, for names such as `app+0x1234`.
    pub fn name(&self) -> String {
        match self.path.file_name() {
            Some(name) => name.to_string_lossy().into_owned(),
            None => "unknown".to_owned(),
        }
    }
}

/// The exact counters of one thread record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Thread {
    /// Name of the present or last thread; empty if unknown.
    pub name: String,
    /// The system's thread number.
    pub tid: u32,
    /// Whether the thread still ran when the profile was read or cut off.
    pub running: bool,
    /// What all threads this record has served did.
    pub counters: Counters,
    /// Bytes allocated by the present or last thread.
    pub own_alloc_bytes: u64,
    /// Bytes freed by the present or last thread.
    pub own_freed_bytes: u64,
    /// Stacks found by frame pointers.
    pub frame_pointer_walks: u64,
    /// Stacks walked by unwind tables.
    pub table_walks: u64,
}

/// Whether the file at `path`, which begins with `header`, is the one that the recorder wrote, and
/// not a copy of it. A file that does not say is taken for it.
pub fn is_original(path: &Path, header: &Header) -> bool {
    let is_it = |inode: Option<u64>| inode.is_none_or(|inode| inode == header.inode);
    header.inode == 0 || system::inode(path).is_ok_and(is_it)
}

impl Profile {
    /// How the recording stood when the file was read.
    pub fn state(&self) -> State {
        State::of(self.header.state)
    }

    /// Exact totals of the process, or of the heap that was chosen: those of the end if the
    /// recording ended in order, else the sum over its threads.
    pub fn counters(&self) -> Counters {
        if let Some(shown) = &self.shown {
            return shown.counters;
        }
        if let Some((_, counters)) = &self.of_heap {
            return *counters;
        }
        if self.state() == State::Finished {
            let header = &self.header;
            return Counters {
                allocs: header.final_allocs,
                frees: header.final_frees,
                reallocs: header.final_reallocs,
                alloc_bytes: header.final_alloc_bytes,
                freed_bytes: header.final_freed_bytes,
            };
        }
        let mut sum = Counters::default();
        for thread in &self.threads {
            sum.add(&thread.counters);
        }
        sum
    }

    /// Heap in use at the end or now, or at the moment that is shown, in bytes: what was there at
    /// the start, and what was allocated and not freed since.
    pub fn heap(&self) -> i64 {
        if let Some(shown) = &self.shown {
            return shown.at.heap;
        }
        let counters = self.counters();
        let change = counters.alloc_bytes.wrapping_sub(counters.freed_bytes) as i64;
        (self.header.heap_base as i64).wrapping_add(change)
    }

    /// Highest heap in use, in bytes.
    pub fn peak(&self) -> i64 {
        self.header.peak as i64
    }

    /// Nanoseconds from the start to the end, or to the last thing recorded.
    pub fn duration_ns(&self) -> u64 {
        match self.state() {
            State::Finished => self.header.final_ns,
            _ => self.header.updated_ns,
        }
    }

    /// Leaves of the stacks what came since the same recording was `before`. False if that is of
    /// another.
    pub fn subtract(&mut self, before: &Profile) -> bool {
        let identity = |header: &Header| (header.pid, header.started_unix_ns);
        if identity(&self.header) != identity(&before.header) {
            return false;
        }
        // A stack keeps its node for ever, but one that was being made may have had none yet.
        let known: HashMap<NodeId, &Totals> = (before
            .stacks
            .iter()
            .map(|stack| (stack.node, &stack.totals)))
        .collect();
        for stack in &mut self.stacks {
            if let Some(totals) = known.get(&stack.node) {
                stack.totals.subtract(totals);
            }
        }
        self.unattributed.subtract(&before.unattributed);
        true
    }

    /// The program's file name; empty if unknown. If there are several, the first and their number.
    pub fn program(&self) -> String {
        let name = self.modules.first().map(Module::name).unwrap_or_default();
        match self.programs().len() {
            0 | 1 => name,
            2 => format!("{name} and 1 other program"),
            programs => format!("{name} and {} other programs", programs - 1),
        }
    }

    /// Whether every allocation was recorded, so that no figure has an error.
    pub fn is_exact(&self) -> bool {
        self.header.interval_widest == 0 && self.header.interval == 0
    }
}
