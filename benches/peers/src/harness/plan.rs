//! Everything that is run, in an order in which what is compared runs close together.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use peers::{CURVES, WORKLOADS, Workload};

use super::build::{Build, Programs};
use super::results::{Counted, Results, Run};
use super::run::{self, Line};
use super::subjects::{COUNTED, SUBJECTS, Scale, Subject, is_installed};

/// Threads on which one workload is run to show how it scales.
const THREADS: [usize; 4] = [2, 4, 8, 16];
/// Lengths of one workload, as parts of its amount, to show how the default recording's cost falls
/// with time.
const LENGTHS: [f64; 4] = [0.03, 0.1, 0.3, 3.0];

/// What to run, and how much of it.
pub struct Plan<'a> {
    pub programs: &'a Programs,
    pub rounds: usize,
    /// Part of every workload's amount.
    pub part: f64,
    /// Only workloads whose name contains this.
    pub only: Option<&'a str>,
    /// Folder with two published programs, as docs/programs/repeat.sh leaves it.
    pub published: Option<&'a Path>,
    /// bytehound's library.
    pub bytehound: Option<&'a Path>,
}

/// One thing to run with several subjects.
struct Case {
    name: String,
    threads: usize,
    arguments: Vec<String>,
    /// The programs are of this name, not of the subject's.
    published: Option<PathBuf>,
    subjects: Vec<&'static Subject>,
}

/// One program whose instructions are counted.
struct Count {
    workload: &'static Workload,
    subject: &'static Subject,
    program: PathBuf,
    amount: usize,
}

impl Count {
    fn run(&self) -> Result<Counted> {
        let folder = Folder::new()?;
        let name = self.workload.name.to_owned();
        let arguments = [name.clone(), self.amount.to_string(), "1".to_owned()];
        let line = Line {
            program: &self.program,
            arguments: &arguments,
            folder: folder.path(),
            bytehound: None,
        };
        Ok(Counted {
            workload: name,
            subject: self.subject.name.to_owned(),
            base: self.subject.base.to_owned(),
            amount: self.amount,
            instructions: run::instructions(self.subject, &line)?,
        })
    }
}

impl Plan<'_> {
    /// Counts instructions: the same on every machine, so once.
    pub fn instructions(&self, results: &mut Results) -> Result<()> {
        if !is_installed("valgrind") {
            results
                .notes
                .push("valgrind is not there: no instructions counted".to_owned());
            return Ok(());
        }
        let counts = self.counts();
        let next = AtomicUsize::new(0);
        // Counts do not depend on what else the machine does, so every processor does some.
        let work = || -> Result<Vec<(usize, Counted)>> {
            let mut done = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(count) = counts.get(at) else {
                    return Ok(done);
                };
                done.push((at, count.run()?));
                eprintln!("counted {} of {}", at + 1, counts.len());
            }
        };
        let done = thread::scope(|scope| {
            let threads = thread::available_parallelism().map_or(1, usize::from);
            let started: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let ended = started.into_iter().map(|thread| {
                let counted = thread.join().map_err(|_| anyhow!("a count panicked"));
                counted.flatten()
            });
            ended.collect::<Result<Vec<_>>>()
        })?;
        let mut done: Vec<_> = done.into_iter().flatten().collect();
        done.sort_by_key(|(at, _)| *at);
        let counted = done.into_iter().map(|(_, counted)| counted);
        results.counted.extend(counted);
        Ok(())
    }

    /// What instructions are counted of. Threads and sockets make counts differ from run to run.
    fn counts(&self) -> Vec<Count> {
        let counted = WORKLOADS
            .iter()
            .filter(|workload| !["crossing", "server"].contains(&workload.name))
            .chain(CURVES)
            .filter(|workload| self.is_asked(workload.name));
        let mut counts = Vec::new();
        for workload in counted {
            let is_curve = CURVES.iter().any(|curve| curve.name == workload.name);
            for subject in COUNTED {
                let is_slow = subject.build == Build::Portable;
                // Curves are memprof's own, and only stacks that are walked are of interest with
                // another unwinder.
                let is_apt = match is_curve {
                    true if is_slow => workload.name.starts_with("walked"),
                    true => ["memprof", "system"].contains(&subject.program),
                    false => !is_slow,
                };
                let program = self.programs.get(subject.build, subject.program);
                let (true, Some(program)) = (is_apt, program) else {
                    continue;
                };
                let part = match is_curve {
                    true if is_slow => 0.1,
                    true => 1.0,
                    false => 0.02,
                };
                counts.push(Count {
                    workload,
                    subject,
                    program,
                    amount: (workload.amount as f64 * part) as usize,
                });
            }
        }
        counts
    }

    /// Runs everything `rounds` times, one after the other.
    pub fn times(&self, results: &mut Results) -> Result<()> {
        let cases = self.cases();
        results.notes.extend(self.programs.missing.iter().cloned());
        for subject in SUBJECTS {
            if let Some(tool) = subject.missing_tool() {
                results
                    .notes
                    .push(format!("{}: {tool} is not there", subject.name));
            }
        }
        if self.bytehound.is_none() {
            let note = "bytehound: it is not on crates.io; `--bytehound` says where its library is";
            results.notes.push(note.to_owned());
        }
        for round in 0..self.rounds {
            for case in cases.iter().filter(|case| self.is_asked(&case.name)) {
                self.run_case(case, round, results)?;
            }
            eprintln!("round {} of {}", round + 1, self.rounds);
        }
        Ok(())
    }

    fn is_asked(&self, name: &str) -> bool {
        self.only.is_none_or(|part| name.contains(part))
    }

    fn cases(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        for scale in [Scale::Whole, Scale::Twentieth] {
            for workload in WORKLOADS {
                let threads = if workload.name == "server" { 2 } else { 1 };
                let part = scale.part() * self.part;
                cases.push(self.case(workload, "", part, threads, |subject| {
                    subject.scale == scale
                }));
            }
        }
        let churn = named("churn");
        let few = |subject: &Subject| {
            let names = [
                "system",
                "memprof, off",
                "memprof, default",
                "memprof, 512 KiB",
                "jemalloc",
                "jemalloc, prof",
            ];
            subject.scale == Scale::Whole && names.contains(&subject.name)
        };
        for threads in THREADS {
            cases.push(self.case(churn, " ×", self.part, threads, few));
        }
        let two = |subject: &Subject| {
            subject.scale == Scale::Whole && ["system", "memprof, default"].contains(&subject.name)
        };
        for length in LENGTHS {
            let name = format!(" for {length}");
            cases.push(self.case(churn, &name, length * self.part, 1, two));
        }
        cases.extend(self.published.iter().flat_map(|folder| published(folder)));
        cases
    }

    fn case(
        &self,
        workload: &Workload,
        suffix: &str,
        part: f64,
        threads: usize,
        takes: impl Fn(&Subject) -> bool,
    ) -> Case {
        let amount = (workload.amount as f64 * part) as usize;
        let subjects = SUBJECTS
            .iter()
            .filter(|subject| takes(subject) && self.is_there(subject));
        let subjects: Vec<_> = subjects.collect();
        let small = match subjects.first() {
            Some(subject) if subject.scale == Scale::Twentieth => " (small)",
            _ => "",
        };
        let suffix = match suffix {
            " ×" => format!(" × {threads} threads"),
            other => other.to_owned(),
        };
        Case {
            name: format!("{}{suffix}{small}", workload.name),
            threads,
            arguments: vec![
                workload.name.to_owned(),
                amount.to_string(),
                threads.to_string(),
            ],
            published: None,
            subjects,
        }
    }

    fn is_there(&self, subject: &Subject) -> bool {
        subject.missing_tool().is_none()
            && (!subject.is_bytehound() || self.bytehound.is_some())
            && (self.programs.get(subject.build, subject.program)).is_some()
    }

    /// All subjects of a case, beginning with another one each round. What they print must be the
    /// same.
    fn run_case(&self, case: &Case, round: usize, results: &mut Results) -> Result<()> {
        let mut printed: Option<Vec<u8>> = None;
        let count = case.subjects.len();
        for turn in 0..count {
            let subject = case.subjects[(turn + round * 3) % count];
            let folder = Folder::new()?;
            let program = match &case.published {
                Some(program) if subject.program == "system" => with_suffix(program, "-plain"),
                Some(program) => program.clone(),
                None => (self.programs.get(subject.build, subject.program))
                    .context("cases are of programs that are there")?,
            };
            let line = Line {
                program: &program,
                arguments: &case.arguments,
                folder: folder.path(),
                bytehound: self.bytehound,
            };
            let (cost, output) = run::run(subject, &line)?;
            // heaptrack prints to the same place.
            if !subject.name.starts_with("heaptrack") && case.published.is_none() {
                let first = printed.get_or_insert_with(|| output.clone());
                ensure!(
                    *first == output,
                    "{} did other work on {}",
                    subject.name,
                    case.name
                );
            }
            results.runs.push(Run {
                case: case.name.clone(),
                threads: case.threads,
                subject: subject.name.to_owned(),
                base: subject.base.to_owned(),
                round,
                wall_ms: cost.wall_ms,
                cpu_ms: cost.cpu_ms,
                peak_kib: cost.peak_kib,
            });
        }
        Ok(())
    }
}

/// Two programs from crates.io, as docs/programs/repeat.sh has built them with and without the
/// allocator.
fn published(folder: &Path) -> Vec<Case> {
    let names = ["system", "memprof, off", "memprof, default", "memprof, all"];
    let subjects = || {
        let chosen = SUBJECTS
            .iter()
            .filter(|subject| subject.scale == Scale::Whole && names.contains(&subject.name));
        chosen.collect()
    };
    let input = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let case = |name: &str, threads, arguments| Case {
        name: name.to_owned(),
        threads,
        arguments,
        published: Some(folder.join(name)),
        subjects: subjects(),
    };
    vec![
        case(
            "csview",
            1,
            vec!["--sniff".to_owned(), "0".to_owned(), input("in.csv")],
        ),
        case("tokei", 4, vec![input("src")]),
    ]
}

fn with_suffix(program: &Path, suffix: &str) -> PathBuf {
    let mut path = program.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

fn named(name: &str) -> &'static Workload {
    WORKLOADS
        .iter()
        .find(|workload| workload.name == name)
        .expect("a workload of that name")
}

/// A folder that is removed with all that is in it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Folder> {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("peers-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Folder(path))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
