//! Of which processes a profile tells: the one that was recorded, or all that were merged.

use std::collections::{BTreeMap, BTreeSet};

use profiler_alloc_format as format;
use profiler_alloc_format::processes::{PHASE_LIST, PHASE_NONE, PRELOADED};
use profiler_alloc_format::{OOM_KILLED, STATE_EXITED, STATE_FINISHED, STATE_PAUSED};

use super::{Counters, Module, Profile, Stack, State};
use crate::defect::Defect;

/// The test that a test runner ran in a process.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Test {
    /// Its program: `shop::cart`.
    pub binary: String,
    /// Its path in the program: `tests::adds_up`. Empty where tests are listed.
    pub name: String,
    /// What tells the run of tests from others.
    pub run: String,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// Whether the process only listed the tests of its program.
    pub is_list: bool,
}

/// One recorded process; more exactly one profile, as a process may have several.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Process {
    /// Name of the profile's file.
    pub file: String,
    /// Path of the executable; empty if unknown.
    pub program: String,
    /// The test that ran in it, if a test runner started it.
    pub test: Option<Test>,
    /// Process number.
    pub pid: u32,
    /// Number of the `memprof run`; 0 if there was none.
    pub run_id: u64,
    /// Process number of the program that forked it; 0 if none did.
    pub forked_from: u64,
    /// Start, nanoseconds since 1970 (UTC).
    pub started_unix_ns: u64,
    /// Nanoseconds from the start to the last thing recorded.
    pub duration_ns: u64,
    /// How its recording stood.
    pub state: State,
    /// The signal that killed it, and the format's `OOM_KILLED`; 0 if that is not known.
    pub gone_by: u64,
    /// Highest heap in use, without what came with a fork, in bytes.
    pub peak: i64,
    /// Time of the peak, nanoseconds since the start.
    pub peak_ns: u64,
    /// Heap in use at the end, without what came with a fork, in bytes.
    pub live: i64,
    /// Exact counts.
    pub counters: Counters,
    /// Whether the library to preload recorded it: what `malloc` gave.
    pub is_preloaded: bool,
    /// What is wrong with its file.
    pub faults: Vec<String>,
}

impl Process {
    /// The process of a profile that was recorded, whose file is called `file`.
    pub fn of(profile: &Profile, file: String, defects: &[Defect]) -> Process {
        let header = &profile.header;
        let program = profile.modules.first();
        let before = profile.before_fork();
        Process {
            file,
            program: program.map_or_else(String::new, |module| module.path.display().to_string()),
            test: profile.test.clone(),
            pid: header.pid,
            run_id: header.run_id,
            forked_from: header.forked_from,
            started_unix_ns: header.started_unix_ns,
            duration_ns: profile.duration_ns(),
            state: profile.state(),
            gone_by: profile.death().map_or(0, |_| header.gone_by),
            peak: profile.peak().saturating_sub(before).max(0),
            peak_ns: header.peak_ns,
            live: profile.heap().saturating_sub(before),
            counters: profile.counters(),
            is_preloaded: is_preloaded(profile),
            faults: defects.iter().map(Defect::to_string).collect(),
        }
    }

    /// What tells a process from others: of one `memprof run`, its number does.
    pub fn identity(&self) -> (u64, u32, u64) {
        let started = match self.run_id {
            0 => self.started_unix_ns,
            _ => 0,
        };
        (self.run_id, self.pid, started)
    }

    /// Whether the process went on as another program: a profile of it among `all` began after this
    /// one was written last.
    pub fn became_another<'a>(&self, all: impl IntoIterator<Item = &'a &'a Process>) -> bool {
        let end = self.started_unix_ns.saturating_add(self.duration_ns);
        let mut all = all.into_iter();
        all.any(|other| {
            other.pid == self.pid && other.run_id == self.run_id && other.started_unix_ns > end
        })
    }

    /// The program's file name.
    pub fn program_name(&self) -> &str {
        self.program.rsplit('/').next().unwrap_or_default()
    }

    /// Whether the kernel's OOM killer ended it.
    pub fn is_oom_killed(&self) -> bool {
        self.gone_by & OOM_KILLED != 0
    }

    pub(super) fn from_record(
        record: &format::Process,
        text: impl Fn(u32, u32) -> String,
    ) -> Process {
        Process {
            file: text(record.file_at, record.file_len),
            program: text(record.program_at, record.program_len),
            test: test(
                record.test_phase,
                record.test_attempt,
                [
                    text(record.test_binary_at, record.test_binary_len),
                    text(record.test_name_at, record.test_name_len),
                    text(record.test_run_at, record.test_run_len),
                ],
            ),
            pid: record.pid,
            run_id: record.run_id,
            forked_from: record.forked_from,
            started_unix_ns: record.started_unix_ns,
            duration_ns: record.duration_ns,
            state: State::of(record.state),
            gone_by: record.gone_by,
            peak: record.peak as i64,
            peak_ns: record.peak_ns,
            live: record.live as i64,
            counters: Counters {
                allocs: record.allocs,
                frees: record.frees,
                reallocs: record.reallocs,
                alloc_bytes: record.alloc_bytes,
                freed_bytes: record.freed_bytes,
            },
            is_preloaded: record.flags & PRELOADED != 0,
            faults: (text(record.faults_at, record.faults_len).lines())
                .map(str::to_owned)
                .collect(),
        }
    }
}

impl State {
    pub(super) fn of(state: u32) -> State {
        match state {
            STATE_FINISHED => State::Finished,
            STATE_PAUSED => State::Paused,
            STATE_EXITED => State::Exited,
            _ => State::Recording,
        }
    }
}

/// Whether the blocks of a profile were taken by way of the library to preload: its functions are
/// innermost then. Loaded it may be as well where another recorder is at work.
fn is_preloaded(profile: &Profile) -> bool {
    let is_library = |module: &Module| module.name().starts_with("libmemprof_preload");
    let Some(library) = profile.modules.iter().position(is_library) else {
        return false;
    };
    let innermost = |stack: &Stack| profile.nodes[stack.node as usize].frame;
    let mut innermost = profile.stacks.iter().filter_map(innermost);
    innermost.any(|frame| usize::from(frame.module()) == library)
}

/// The test that a header or a record names.
pub(super) fn test(phase: u32, attempt: u32, [binary, name, run]: [String; 3]) -> Option<Test> {
    (phase != PHASE_NONE).then(|| Test {
        binary,
        name,
        run,
        attempt: attempt.max(1),
        is_list: phase == PHASE_LIST,
    })
}

/// The test that `header` names.
pub(super) fn test_of(header: &format::Header, text: impl Fn(u32, u32) -> String) -> Option<Test> {
    let names = [
        text(header.test_binary_at, header.test_binary_len),
        text(header.test_name_at, header.test_name_len),
        text(header.test_run_at, header.test_run_len),
    ];
    test(header.test_phase, header.test_attempt, names)
}

impl Profile {
    /// Whether it was merged from several.
    pub fn is_merged(&self) -> bool {
        !self.processes.is_empty()
    }

    /// Bytes that came with a fork: they are the parent's.
    pub(super) fn before_fork(&self) -> i64 {
        match self.header.forked_from {
            0 => 0,
            _ => self.header.heap_base as i64,
        }
    }

    /// Its processes, each once; 1 of a profile that is not merged.
    pub fn process_count(&self) -> u64 {
        let distinct: BTreeSet<_> = self.processes.iter().map(Process::identity).collect();
        (distinct.len() as u64).max(1)
    }

    /// The sum of the peaks of its processes, each at its own time, in bytes: what its stacks have
    /// at the peak add up to this. The peak itself, if it is not merged.
    pub fn peaks_of_processes(&self) -> i64 {
        match self.is_merged() {
            false => self.peak(),
            true => (self.processes.iter()).fold(0, |sum, one| sum.saturating_add(one.peak)),
        }
    }

    /// The file names of its programs, and how often each was recorded; most often first.
    pub fn programs(&self) -> Vec<(String, u64)> {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for process in &self.processes {
            *counts.entry(process.program_name()).or_default() += 1;
        }
        let mut programs: Vec<_> = counts.into_iter().collect();
        programs.sort_by_key(|&(name, count)| (std::cmp::Reverse(count), name));
        let named = programs.into_iter();
        named
            .map(|(name, count)| (name.to_owned(), count))
            .collect()
    }

    /// What is to be said of figures of many processes, below every view; nothing if they are of
    /// one.
    pub(super) fn defects_of_processes(&self) -> Vec<Defect> {
        if !self.is_merged() {
            return Vec::new();
        }
        // When the last program of each process began.
        let mut last: BTreeMap<_, u64> = BTreeMap::new();
        for process in &self.processes {
            let began = last.entry(process.identity()).or_default();
            *began = (*began).max(process.started_unix_ns);
        }
        let open = |process: &&Process| {
            let end = process.started_unix_ns.saturating_add(process.duration_ns);
            matches!(process.state, State::Recording | State::Paused)
                && last[&process.identity()] <= end
        };
        let mut defects = vec![Defect::Merged {
            processes: self.process_count(),
            files: self.processes.len() as u64,
            programs: self.programs().len() as u64,
            unfinished: self.processes.iter().filter(open).count() as u64,
            peaks: self.peaks_of_processes(),
            resolution_ns: self.header.timeline_interval_ns,
        }];
        defects.extend(self.defects_of_builds());
        let twice = self.counted_twice();
        if twice > 0 {
            defects.push(Defect::CountedTwice { processes: twice });
        }
        let mut faults: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for process in &self.processes {
            for fault in &process.faults {
                faults.entry(fault).or_default().push(&process.file);
            }
        }
        defects.extend(faults.into_iter().map(|(fault, files)| Defect::OfFiles {
            fault: fault.to_owned(),
            files: files.into_iter().map(str::to_owned).collect(),
        }));
        defects
    }

    /// Processes of which both the library to preload and crates in other libraries tell, at one
    /// time: these ask `malloc` for what they give.
    fn counted_twice(&self) -> u64 {
        let mut preloaded: BTreeMap<_, Vec<&Process>> = BTreeMap::new();
        for process in self.processes.iter().filter(|one| one.is_preloaded) {
            preloaded
                .entry(process.identity())
                .or_default()
                .push(process);
        }
        let is_inside = |process: &&Process| {
            let all = preloaded.get(&process.identity()).into_iter().flatten();
            let mut around = all.filter(|other| {
                let end = other.started_unix_ns.saturating_add(other.duration_ns);
                (other.started_unix_ns..end).contains(&process.started_unix_ns)
            });
            !process.is_preloaded && around.next().is_some()
        };
        let inside = self.processes.iter().filter(is_inside);
        inside.map(Process::identity).collect::<BTreeSet<_>>().len() as u64
    }

    /// Programs of one path and several build-ids.
    fn defects_of_builds(&self) -> Vec<Defect> {
        let mut builds: BTreeMap<_, u64> = BTreeMap::new();
        for module in self.modules.iter().filter(|module| module.is_program) {
            *builds.entry(&module.path).or_default() += 1;
        }
        (builds.into_iter())
            .filter(|&(path, builds)| builds > 1 && !path.as_os_str().is_empty())
            .map(|(path, builds)| Defect::SeveralBuilds {
                path: path.clone(),
                builds,
            })
            .collect()
    }
}
