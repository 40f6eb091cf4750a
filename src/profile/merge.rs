//! Makes one profile of many: of a test suite, of the workers of a server, of a pipeline.
//!
//! Profiles are added one by one and not kept, so memory is that of the result. The result does not
//! depend on their order, but for the last bits of standard errors.
//!
//! ```text
//! modules      by build-id; frames are offsets in them, so addresses in the process do not matter
//! stacks       by frames and contexts            Totals add up, variances too    merge/stacks.rs
//! timelines    by the clock                      the sum at each moment          merge/clock.rs
//! counts       exact counts, losses, sizes       add up                          merge/header.rs
//! the rest     contexts by key and value, heaps, threads and functions by name   merge/named.rs
//! ```

mod clock;
mod header;
mod named;
mod stacks;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use profiler_alloc_format::{CONTEXTS_MODULE, Frame, HEAPS_MODULE, UNKNOWN_MODULE};

use self::clock::Clock;
use self::header::HeaderSum;
use self::named::Named;
use self::stacks::{Fold, Numbers};
use super::heaps::Part;
use super::{Heap, HeapKind, Module, Moments, Profile, ProfiledProcess};
use crate::defect::Defect;

/// Modules that a profile has numbers for.
const MOST_MODULES: usize = HEAPS_MODULE as usize;

/// Profiles that are being merged.
#[derive(Default)]
pub struct Merger {
    processes: Vec<ProfiledProcess>,
    header: HeaderSum,
    clock: Clock,
    modules: Vec<Module>,
    by_identity: HashMap<ModuleIdentity, u16>,
    /// What the programs of each path had at their peaks, and when the newest began, by which they
    /// are put in order.
    programs: BTreeMap<PathBuf, ProgramRank>,
    /// When each build was started last.
    builds: HashMap<u16, u64>,
    main: Fold,
    /// The heaps beside the main one, by name.
    heaps: BTreeMap<(String, bool), (Heap, Fold)>,
    named: Named,
}

/// What tells modules apart: the build, or the file of one that does not name it.
#[derive(PartialEq, Eq, Hash)]
enum ModuleIdentity {
    Build(Vec<u8>),
    File(PathBuf, u64, u64),
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct ProgramRank {
    is_test: bool,
    peaks: i64,
}

impl Merger {
    /// Adds a profile whose file is called `file`, with what was found wrong with it. `is_resident`
    /// is false where another profile of the same process tells of its resident set already.
    pub fn add(&mut self, file: String, profile: Profile, defects: &[Defect], is_resident: bool) {
        let modules = self.numbers_of(&profile.modules);
        self.rank(&profile, &modules);
        self.header.add(&profile);
        self.clock.add(&profile, is_resident);
        let sets = self.named.add(&profile);
        if profile.is_merged() {
            self.processes.extend(profile.processes.iter().cloned());
        } else {
            let process = ProfiledProcess::of(&profile, file, defects);
            self.processes.push(process);
        }
        let of = Numbers {
            frame: &|frame| numbered(frame, &modules),
            sets: &sets,
            started_ns: profile.header.started_unix_ns,
        };
        let main = (&*profile.nodes, &*profile.stacks);
        self.main.add(main, &profile.unattributed, &of);
        for heap in profile.heaps {
            let is_mapped = heap.kind == HeapKind::Mapped;
            let key = (heap.name.clone(), is_mapped);
            let (sum, fold) = self.heaps.entry(key).or_insert_with(|| {
                let none = Heap::none(heap.name.clone(), heap.kind);
                (none, Fold::default())
            });
            let Part {
                nodes,
                stacks,
                unattributed,
            } = &heap.part;
            fold.add((nodes, stacks), unattributed, &of);
            sum.add_counts(&heap, profile.header.forked_from != 0);
        }
    }

    /// How many profiles were added.
    pub fn len(&self) -> usize {
        self.processes.len()
    }

    /// Whether none was added.
    pub fn is_empty(&self) -> bool {
        self.processes.is_empty()
    }

    /// The number of each module of a profile among those of all.
    fn numbers_of(&mut self, modules: &[Module]) -> Vec<u16> {
        let mut numbers = Vec::with_capacity(modules.len());
        for (at, module) in modules.iter().enumerate() {
            let identity = match module.build_id.is_empty() {
                false => ModuleIdentity::Build(module.build_id.clone()),
                true => {
                    ModuleIdentity::File(module.path.clone(), module.file_len, module.modified_ns)
                }
            };
            let next = self.modules.len();
            let known = self.by_identity.get(&identity).copied();
            let number = match known {
                Some(number) => number,
                None if next >= MOST_MODULES => UNKNOWN_MODULE,
                None => {
                    self.by_identity.insert(identity, next as u16);
                    self.modules.push(Module {
                        is_program: false,
                        ..module.clone()
                    });
                    next as u16
                }
            };
            if let Some(known) = self.modules.get_mut(usize::from(number)) {
                known.is_program |= at == 0 || module.is_program;
                // One build in two places: whichever is added first.
                if module.path < known.path {
                    known.path.clone_from(&module.path);
                }
            }
            numbers.push(number);
        }
        numbers
    }

    /// Notes how much each program had.
    fn rank(&mut self, profile: &Profile, modules: &[u16]) {
        let mut note = |path: PathBuf, rank: ProgramRank| {
            let sum = self.programs.entry(path).or_default();
            sum.is_test |= rank.is_test;
            sum.peaks = sum.peaks.saturating_add(rank.peaks);
        };
        if profile.is_merged() {
            for process in &profile.processes {
                let is_test = process.test.is_some();
                let peaks = process.peak;
                note((&process.program).into(), ProgramRank { is_test, peaks });
            }
        } else if let Some(program) = profile.modules.first() {
            let rank = ProgramRank {
                is_test: profile.test.is_some(),
                peaks: profile.peak().saturating_sub(profile.before_fork()),
            };
            note(program.path.clone(), rank);
        }
        for (module, &number) in profile.modules.iter().zip(modules) {
            if module.is_program {
                let newest = self.builds.entry(number).or_default();
                *newest = (*newest).max(profile.header.started_unix_ns);
            }
        }
    }

    /// The merged profile, and what is to be said of it.
    pub fn finish(mut self) -> (Profile, Vec<Defect>) {
        let order = self.order();
        let mut numbers = vec![UNKNOWN_MODULE; self.modules.len()];
        for (number, &was) in order.iter().enumerate() {
            numbers[usize::from(was)] = number as u16;
        }
        let modules = order
            .iter()
            .map(|&was| self.modules[usize::from(was)].clone());
        let modules = modules.collect();
        let frame = |frame| numbered(frame, &numbers);
        self.processes.sort_by(|a, b| {
            let key = |process: &ProfiledProcess| (process.started_unix_ns, process.pid);
            key(a).cmp(&key(b)).then_with(|| a.file.cmp(&b.file))
        });
        let started = self.header.started();
        let highest = (self.processes.iter())
            .map(|process| (process.peak, process.started_unix_ns + process.peak_ns))
            .max_by_key(|&(peak, at)| (peak, std::cmp::Reverse(at)));
        let together = self.clock.finish(started, highest.unwrap_or_default());
        let (contexts, sets) = self.named.contexts.finish();
        let main = self.main.finish(&frame, &sets, started);
        let heaps = self.heaps.into_values().map(|(heap, fold)| Heap {
            part: fold.finish(&frame, &sets, started),
            ..heap
        });
        let mut profile = Profile {
            header: self.header.finish(&together),
            sizes: self.header.sizes(),
            threads: self.named.threads.finish(),
            nodes: main.nodes,
            stacks: main.stacks,
            heaps: heaps.collect(),
            of_heap: None,
            contexts,
            unattributed: main.unattributed,
            modules,
            timeline: together.points,
            waypoints: Vec::new(),
            // Of one process each, at times of its own.
            accounts: Vec::new(),
            moments: Moments::default(),
            shown: None,
            own: self.named.own.into_iter().collect::<Vec<_>>().join(","),
            functions: self.named.functions.finish(started),
            sources: self.named.sources.finish(),
            test: None,
            processes: self.processes,
        };
        profile.header.process_count = profile.processes.len() as u64;
        let defects = profile.defects_of_processes();
        (profile, defects)
    }

    /// The modules in the order of the result: first the programs, those of tests before others,
    /// most memory first, of several builds of one the newest first; then libraries by path.
    fn order(&self) -> Vec<u16> {
        let mut order: Vec<u16> = (0..self.modules.len() as u16).collect();
        order.sort_by_cached_key(|&number| {
            let module = &self.modules[usize::from(number)];
            let rank = self.programs.get(&module.path).copied().unwrap_or_default();
            let newest = self.builds.get(&number).copied().unwrap_or_default();
            let first = std::cmp::Reverse((module.is_program, rank, newest));
            (
                first,
                module.path.clone(),
                module.build_id.clone(),
                module.modified_ns,
            )
        });
        order
    }
}

/// `frame` with its module's number in another profile.
fn numbered(frame: Frame, modules: &[u16]) -> Frame {
    if frame == Frame::ELIDED || frame.module() == CONTEXTS_MODULE {
        return frame;
    }
    match modules.get(usize::from(frame.module())) {
        Some(&module) => Frame::new(module, frame.address()),
        None => frame,
    }
}

impl Heap {
    fn none(name: String, kind: HeapKind) -> Heap {
        Heap {
            name,
            kind,
            counters: Default::default(),
            base: 0,
            peak: 0,
            peak_ns: 0,
            lost_frees: 0,
            lost_mappings: 0,
            part: Part::empty(),
        }
    }

    /// Adds what was done in the same heap of another process. The peak is then the sum of the
    /// peaks of each by itself: no timeline tells of such heaps.
    fn add_counts(&mut self, other: &Heap, is_forked: bool) {
        let before = if is_forked { other.base } else { 0 };
        self.counters.add(&other.counters);
        self.base = self.base.saturating_add(other.base - before);
        self.peak = self.peak.saturating_add(other.peak.saturating_sub(before));
        self.lost_frees = self.lost_frees.saturating_add(other.lost_frees);
        self.lost_mappings = self.lost_mappings.saturating_add(other.lost_mappings);
    }
}

#[cfg(test)]
mod tests;
