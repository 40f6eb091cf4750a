//! Of which processes a profile tells: the one that was recorded, or all that were merged.

use profiler_alloc_format as format;
use profiler_alloc_format::OOM_KILLED;
use profiler_alloc_format::processes::{PHASE_LIST, PHASE_NONE, PRELOADED};

use super::counters::Counters;
use super::state::State;

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
pub struct ProfiledProcess {
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

impl ProfiledProcess {
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
    pub fn became_another<'a>(
        &self,
        all: impl IntoIterator<Item = &'a &'a ProfiledProcess>,
    ) -> bool {
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
    ) -> ProfiledProcess {
        ProfiledProcess {
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
