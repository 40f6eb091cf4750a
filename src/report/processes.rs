//! The processes of a merged profile: one row for each test, or for each process where no test
//! runner started any.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use super::diff::{Change, Diff};
use super::{Metric, Recording, State};
use crate::defect::Defect;
use crate::profile::{Profile, ProfiledProcess, Test};

/// A row for each test or process, and what they are together.
#[derive(Clone, PartialEq, Debug)]
pub struct Processes {
    /// All processes together, those without a row too.
    pub recording: Recording,
    /// In the order asked for.
    pub rows: Vec<ProcessRow>,
    /// Whether the rows are tests.
    pub are_tests: bool,
    /// Processes without a row, as they are of no test.
    pub without_test: usize,
    /// Tests of the base that are not there any more. `None` without a base.
    pub gone: Option<usize>,
    /// What grew against the base, most first; all of it.
    pub grown: Vec<GrownLine>,
    /// What is to be said of them.
    pub defects: Vec<Defect>,
}

/// One test, or one process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProcessRow {
    /// The test's name; of no test, the program's.
    pub name: String,
    /// The program of tests; of no test, the process number.
    pub of: String,
    /// The attempt at a test: its number, and how many there were.
    pub attempt: (u32, u32),
    /// Processes: a test may start others.
    pub processes: usize,
    /// Their profiles.
    pub files: Vec<String>,
    /// The sums.
    pub figures: ProcessFigures,
    /// From the first start to the last end, in nanoseconds.
    pub duration_ns: u64,
    /// Whether its last process was killed, or did not end in order.
    pub is_unfinished: bool,
    /// The same test in the base. `None` without a base, or if it is new.
    pub base: Option<ProcessFigures>,
}

/// What a test or a process took.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct ProcessFigures {
    /// Highest heap in use, in bytes: of processes that ran at the same time, the sum of what each
    /// had at its own peak.
    pub peak: i64,
    /// Bytes in use at the end.
    pub live: i64,
    /// Bytes allocated.
    pub alloc_bytes: u64,
    /// Blocks allocated, reallocated ones not counted again.
    pub allocs: u64,
}

/// What rows are put in order by; of numbers, the highest first. With a base, by how much they
/// grew.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum ProcessSort {
    /// Highest heap in use
    #[default]
    Peak,
    /// Bytes in use at the end
    Live,
    /// Bytes allocated
    Allocated,
    /// Blocks allocated
    Count,
    /// Time from start to end
    Time,
    /// Name
    Name,
}

/// A line that took more than in the base.
#[derive(Clone, PartialEq, Debug)]
pub struct GrownLine {
    /// The source file.
    pub file: String,
    /// Its number. `None` where lines are not known.
    pub line: Option<u32>,
    /// The function.
    pub function: String,
    /// What it has at the peak of each process, summed, now and in the base.
    pub change: Change,
}

/// By which a test is found in another run.
type TestName = (String, String);

impl Processes {
    /// The rows of a merged profile. Processes of no test have rows if there is no test, or if
    /// `all` have.
    pub fn new(profile: &Profile, all: bool, defects: Vec<Defect>) -> Processes {
        let are_tests = profile.processes.iter().any(|one| one.test.is_some());
        let (rows, without_test) = rows(profile, all || !are_tests);
        Processes {
            recording: Recording::of(profile),
            rows,
            are_tests,
            without_test,
            gone: None,
            grown: Vec::new(),
            defects,
        }
    }

    /// Says beside each test what it took in `base`, and which lines grew since.
    pub fn compare(&mut self, base: &Processes, diff: &Diff) {
        let last = |rows: &[ProcessRow]| -> HashMap<TestName, ProcessFigures> {
            let last = rows.iter().filter(|row| row.is_last_attempt());
            last.map(|row| (row.test_name(), row.figures)).collect()
        };
        let in_base = last(&base.rows);
        for row in &mut self.rows {
            row.base = in_base.get(&row.test_name()).copied();
        }
        let now = last(&self.rows);
        let is_gone = |name: &&TestName| !now.contains_key(*name);
        self.gone = Some(in_base.keys().filter(is_gone).count());
        self.grown = grown_lines(diff);
    }

    /// Puts the rows in order.
    pub fn sort(&mut self, by: ProcessSort) {
        let has_base = self.gone.is_some();
        let grown = |row: &ProcessRow, of: fn(&ProcessFigures) -> i64| {
            let before = row.base.as_ref().filter(|_| has_base).map_or(0, of);
            of(&row.figures).saturating_sub(before)
        };
        self.rows.sort_by(|a, b| {
            let by_number = |number: &dyn Fn(&ProcessRow) -> i64| number(b).cmp(&number(a));
            let order = match by {
                ProcessSort::Peak => by_number(&|row| grown(row, |of| of.peak)),
                ProcessSort::Live => by_number(&|row| grown(row, |of| of.live)),
                ProcessSort::Allocated => by_number(&|row| grown(row, |of| of.alloc_bytes as i64)),
                ProcessSort::Count => by_number(&|row| grown(row, |of| of.allocs as i64)),
                ProcessSort::Time => by_number(&|row| row.duration_ns as i64),
                ProcessSort::Name => std::cmp::Ordering::Equal,
            };
            let name = |row: &ProcessRow| (row.of.clone(), row.name.clone(), row.attempt);
            order.then_with(|| name(a).cmp(&name(b)))
        });
    }

    /// Attempts at tests that were made again.
    pub fn earlier_attempts(&self) -> usize {
        self.rows
            .iter()
            .filter(|row| !row.is_last_attempt())
            .count()
    }

    /// The highest peak of one row, and how it changed against the base.
    pub fn highest(&self) -> (i64, Option<i64>) {
        let peaks = |of: &dyn Fn(&ProcessRow) -> Option<i64>| {
            let last = self.rows.iter().filter(|row| row.is_last_attempt());
            last.filter_map(of).max()
        };
        let now = peaks(&|row| Some(row.figures.peak)).unwrap_or(0);
        let base = peaks(&|row| row.base.as_ref().map(|base| base.peak));
        (now, base.map(|base| now - base))
    }
}

impl ProcessRow {
    /// Whether no other attempt was made after this one.
    pub fn is_last_attempt(&self) -> bool {
        self.attempt.0 == self.attempt.1
    }

    /// Whether it is new, or its peak or what it allocated is another than in the base by a
    /// hundredth and a KiB at least: threads and hash maps alone make a difference of some bytes.
    pub fn has_changed(&self) -> bool {
        let is_other = |now: i64, base: i64| {
            let change = now.abs_diff(base);
            change >= 1024 && change.saturating_mul(100) >= base.unsigned_abs()
        };
        self.base.is_none_or(|base| {
            let allocated = (self.figures.alloc_bytes as i64, base.alloc_bytes as i64);
            is_other(self.figures.peak, base.peak) || is_other(allocated.0, allocated.1)
        })
    }

    fn test_name(&self) -> TestName {
        (self.of.clone(), self.name.clone())
    }
}

/// The rows, and how many processes have none.
fn rows(profile: &Profile, all: bool) -> (Vec<ProcessRow>, usize) {
    let mut tests: BTreeMap<&Test, Vec<&ProfiledProcess>> = BTreeMap::new();
    let mut others: BTreeMap<(u64, u32, u64), Vec<&ProfiledProcess>> = BTreeMap::new();
    for process in &profile.processes {
        match &process.test {
            Some(test) => tests.entry(test).or_default().push(process),
            None => others.entry(process.identity()).or_default().push(process),
        }
    }
    let mut attempts: HashMap<(&str, &str, &str), u32> = HashMap::new();
    for test in tests.keys() {
        let last = attempts
            .entry((&test.run, &test.binary, &test.name))
            .or_default();
        *last = (*last).max(test.attempt);
    }
    let mut rows: Vec<ProcessRow> = (tests.iter())
        .map(|(test, processes)| {
            let last = attempts[&(&*test.run, &*test.binary, &*test.name)];
            let name = (test.name.clone(), test.binary.clone());
            row(name, (test.attempt, last), processes)
        })
        .collect();
    if !all {
        return (rows, others.len());
    }
    rows.extend(others.values().map(|profiles| {
        // What it became at last is what it was started for.
        let program = profiles.last().map_or("", |last| last.program_name());
        let pid = profiles.first().map_or(0, |first| first.pid);
        let name = (program.to_owned(), format!("process {pid}"));
        row(name, (1, 1), profiles)
    }));
    (rows, 0)
}

/// The row of profiles that are in the order of their starts.
fn row(
    (name, of): (String, String),
    attempt: (u32, u32),
    profiles: &[&ProfiledProcess],
) -> ProcessRow {
    let start = |process: &ProfiledProcess| process.started_unix_ns;
    let end = |process: &ProfiledProcess| start(process).saturating_add(process.duration_ns);
    let first = profiles.iter().map(|one| start(one)).min().unwrap_or(0);
    let last = profiles.iter().map(|one| end(one)).max().unwrap_or(0);
    let mut of_process: HashMap<_, &ProfiledProcess> = HashMap::new();
    for process in profiles {
        of_process.insert(process.identity(), process);
    }
    let mut figures = ProcessFigures::default();
    for process in profiles {
        let counters = &process.counters;
        figures.alloc_bytes = figures.alloc_bytes.saturating_add(counters.alloc_bytes);
        figures.allocs = figures.allocs.saturating_add(counters.allocs);
        // What a program left that became another is gone with it, and no leak.
        if !process.became_another(profiles) {
            figures.live = figures.live.saturating_add(process.live);
        }
        let at_once = profiles.iter().filter(|other| {
            let (from, to) = (start(other), end(other));
            from <= start(process) && start(process) < to.max(from + 1)
        });
        let peaks = at_once.fold(0, |sum: i64, other| sum.saturating_add(other.peak));
        figures.peak = figures.peak.max(peaks);
    }
    ProcessRow {
        name,
        of,
        attempt,
        processes: of_process.len(),
        files: profiles.iter().map(|one| one.file.clone()).collect(),
        figures,
        duration_ns: last.saturating_sub(first),
        is_unfinished: profiles.iter().any(|one| {
            matches!(one.state, State::Recording | State::Paused) && !one.became_another(profiles)
        }),
        base: None,
    }
}

/// Lines of the user's own source that have more at the peaks than in the base, beyond the error of
/// sampling.
fn grown_lines(diff: &Diff) -> Vec<GrownLine> {
    let mut lines = Vec::new();
    for function in &diff.functions {
        for line in &function.lines {
            let change = line.figures.change(Metric::Peak);
            if change.difference().bytes > 0 && !change.is_within_noise() {
                lines.push(GrownLine {
                    file: function.file.clone(),
                    line: line.number,
                    function: function.function.clone(),
                    change,
                });
            }
        }
    }
    lines.sort_by_key(|line| {
        let more = Reverse(line.change.difference().bytes);
        (more, line.file.clone(), line.line)
    });
    lines
}
