//! The little that the end of a run tells of each profile.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use profiler_alloc_format::{Header, MAGIC, VERSION};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use super::RunId;
use crate::profile::{self, Candidate, Loss, Module, State, first_of_process};

/// What one program of a run recorded.
#[derive(Clone, PartialEq, Debug)]
pub struct Recorded {
    /// The profile.
    pub path: PathBuf,
    /// Highest heap in use, in bytes.
    pub peak: u64,
    /// Calls of the allocator that took a new block.
    pub allocations: u64,
    /// Distinct stacks.
    pub stacks: u64,
    /// Heaps beside the main one: names, and bytes in use at the peak of each.
    pub other_heaps: Vec<(String, i64)>,
    /// What could not be kept.
    pub losses: Vec<Loss>,
    /// Process number of the program.
    pub pid: u32,
    /// The heap when it began, of a child that was forked: its parent's.
    pub before_fork: Option<u64>,
    /// When it began to be recorded, nanoseconds since 1970.
    pub started_ns: u64,
    /// Whether the program goes on, as one that was put in the background does.
    pub is_running: bool,
    /// Whether nothing is written to the profile any more.
    pub has_ended: bool,
    /// Whether the program is gone, and did not end in order.
    pub is_unfinished: bool,
    /// Executables and libraries.
    pub modules: Vec<Module>,
    /// Process number and start: a copy has the same.
    pub identity: (u32, u64),
    /// Whether it is the file that the recorder wrote.
    pub is_original: bool,
}

/// Reads the profile at `path` if it is one of this run.
pub fn recorded(path: &Path, run_id: RunId) -> Option<Recorded> {
    Recorded::read(path, |header| {
        header.run_id == run_id.get() && header.process_count == 0
    })
}

/// The header of the profile at `path`, if that is one.
pub(super) fn header(path: &Path) -> Option<Header> {
    let mut bytes = [0; Header::LEN];
    File::open(path).ok()?.read_exact(&mut bytes).ok()?;
    let header = Header::from_bytes(&bytes);
    ((header.magic, header.version) == (MAGIC, VERSION)).then_some(header)
}

impl Recorded {
    /// Highest heap in use, without what came with a fork: the parent has that too.
    pub fn own_peak(&self) -> u64 {
        self.peak
            .saturating_sub(self.before_fork.unwrap_or_default())
    }

    /// The executable, if it is known.
    pub fn program(&self) -> Option<&Path> {
        self.modules.first().map(|module| &*module.path)
    }

    /// Of a program that took no memory.
    #[cfg(test)]
    pub(super) fn of_nothing(pid: u32, started_ns: u64) -> Recorded {
        Recorded {
            path: format!("{pid}.{started_ns}").into(),
            peak: 0,
            allocations: 0,
            stacks: 0,
            other_heaps: Vec::new(),
            losses: Vec::new(),
            pid,
            before_fork: None,
            started_ns,
            is_running: false,
            has_ended: true,
            is_unfinished: false,
            modules: Vec::new(),
            identity: (pid, started_ns),
            is_original: true,
        }
    }

    /// Reads the profile at `path` if its header says that it `is_wanted`.
    pub fn read(path: &Path, is_wanted: impl FnOnce(&Header) -> bool) -> Option<Recorded> {
        // The folder may be full of older profiles: look at the header before reading it all.
        let header = header(path).filter(is_wanted)?;
        let (profile, _) = profile::read(path).ok()?;
        Some(Recorded {
            path: path.to_owned(),
            peak: profile.peak().max(0) as u64,
            allocations: profile.counters().allocs,
            stacks: profile.stacks.len() as u64,
            other_heaps: profile.other_heaps(),
            losses: Loss::of(&profile),
            pid: header.pid,
            before_fork: (header.forked_from != 0).then_some(header.heap_base),
            started_ns: header.started_unix_ns,
            is_running: matches!(profile.state(), State::Recording | State::Paused)
                && exists(header.pid),
            has_ended: profile.state() == State::Finished || !exists(header.pid),
            is_unfinished: matches!(profile.state(), State::Recording | State::Paused)
                && !exists(header.pid),
            identity: (header.pid, header.started_unix_ns),
            is_original: profile::is_original(path, &header),
            modules: profile.modules,
        })
    }
}

/// The profile to look at first of `profiles`, most memory first: that of the process `pid`, which
/// the run started itself. Where that process was not recorded, or holds next to nothing beside
/// another, as a shell does that starts the program, the one with most memory.
pub fn main_profile(profiles: &[Recorded], pid: u32) -> Option<&Recorded> {
    /// A tenth of the memory of the largest is next to nothing.
    const LITTLE: u64 = 10;
    let own = || profiles.iter().filter(|profile| profile.pid == pid);
    let most = profiles.first()?;
    let peak = own().map(Recorded::own_peak).max().unwrap_or_default();
    let counts = peak.saturating_mul(LITTLE) >= most.own_peak();
    first_profile(own()).filter(|_| counts).or(Some(most))
}

/// The profile to look at first of those of one process.
pub(super) fn first_profile<'a>(
    mut profiles: impl Iterator<Item = &'a Recorded> + Clone,
) -> Option<&'a Recorded> {
    let candidates = profiles.clone().map(|profile| Candidate {
        program: profile.program(),
        own_peak: profile.own_peak(),
        started_ns: profile.started_ns,
    });
    profiles.nth(first_of_process(candidates)?)
}

/// Whether there is such a process, ours or another user's.
pub(super) fn exists(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| !matches!(test_kill_process(pid), Err(Errno::SRCH)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::builder::Builder;

    #[test]
    fn tells_peak_allocations_and_losses_of_this_run_only() {
        let run_id = RunId::random();
        let mut builder = Builder::new();
        builder.header.run_id = run_id.get();
        builder.header.peak = 1000;
        builder.header.final_allocs = 10;
        builder.header.lost_blocks = 3;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, builder.to_bytes()).unwrap();
        let told = recorded(file.path(), run_id).unwrap();
        assert_eq!(
            (told.peak, told.allocations, told.losses[0].count),
            (1000, 10, 3)
        );
        assert_eq!(recorded(file.path(), RunId::random()), None);
    }

    #[test]
    fn the_programs_own_profile_comes_before_those_of_children_and_libraries() {
        let profile = |pid, started_ns, peak| Recorded {
            peak,
            ..Recorded::of_nothing(pid, started_ns)
        };
        // Most memory first, as a run lists them: a child's, a library's of process 7, the
        // program's own.
        let profiles = [profile(8, 30, 900), profile(7, 20, 800), profile(7, 10, 1)];
        let main = |pid| main_profile(&profiles, pid).map(|main| (main.pid, main.started_ns));
        assert_eq!(main(7), Some((7, 10)));
        assert_eq!(main(5), Some((8, 30)), "not recorded");
        let became = Recorded {
            modules: vec![Module {
                path: "/bin/sh".into(),
                ..Module::default()
            }],
            ..profile(7, 5, 2)
        };
        let profiles = [profile(7, 20, 800), profile(7, 10, 700), became];
        assert_eq!(
            main_profile(&profiles, 7),
            Some(&profiles[1]),
            "the program that the shell became"
        );
        let shell = [profile(8, 30, 900), profile(7, 10, 80)];
        let main = main_profile(&shell, 7).map(|main| main.pid);
        assert_eq!(main, Some(8), "a shell started it");
        assert_eq!(main_profile(&[], 7), None);
    }

    #[test]
    fn other_files_are_no_profiles() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, [0; 600]).unwrap();
        assert_eq!(recorded(file.path(), RunId::random()), None);
        assert_eq!(recorded(Path::new("/no/such/file"), RunId::random()), None);
    }
}
