//! What a merged profile says of its processes, and what is to be said of them below every view.

use std::collections::{BTreeMap, BTreeSet};

use super::{Module, Profile, ProfiledProcess, Stack, State};
use crate::defect::Defect;

impl ProfiledProcess {
    /// The process of a profile that was recorded, whose file is called `file`.
    pub fn of(profile: &Profile, file: String, defects: &[Defect]) -> ProfiledProcess {
        let header = &profile.header;
        let program = profile.modules.first();
        let before = profile.before_fork();
        ProfiledProcess {
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
        let distinct: BTreeSet<_> = self
            .processes
            .iter()
            .map(ProfiledProcess::identity)
            .collect();
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
        let open = |process: &&ProfiledProcess| {
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
        let mut preloaded: BTreeMap<_, Vec<&ProfiledProcess>> = BTreeMap::new();
        for process in self.processes.iter().filter(|one| one.is_preloaded) {
            preloaded
                .entry(process.identity())
                .or_default()
                .push(process);
        }
        let is_inside = |process: &&ProfiledProcess| {
            let all = preloaded.get(&process.identity()).into_iter().flatten();
            let mut around = all.filter(|other| {
                let end = other.started_unix_ns.saturating_add(other.duration_ns);
                (other.started_unix_ns..end).contains(&process.started_unix_ns)
            });
            !process.is_preloaded && around.next().is_some()
        };
        let inside = self.processes.iter().filter(is_inside);
        inside
            .map(ProfiledProcess::identity)
            .collect::<BTreeSet<_>>()
            .len() as u64
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
