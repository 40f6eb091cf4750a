//! A recorded child: this program in a role, its profile, and what it really did.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};

use memprof::defect::Defect;
use memprof::profile::{self, Counters, Profile};
use profiler_alloc_format::env as settings;
use tempfile::TempDir;

use crate::inner;

const ROLE: &str = "MEMPROF_TEST_ROLE";
const TRUTH: &str = "MEMPROF_TEST_TRUTH";
const FULL: &str = "MEMPROF_TEST_FULL";

/// What this process is to do, if it is a child.
pub fn role() -> Option<String> {
    let role = env::var(ROLE).ok()?;
    if let Some(path) = env::var_os(TRUTH) {
        inner::share(Path::new(&path));
    }
    Some(role)
}

/// How often to do a thing: in full, or in the ordinary run of the tests.
pub fn times(full: usize, short: usize) -> usize {
    if env::var_os(FULL).is_some() {
        full
    } else {
        short
    }
}

/// A folder for one child's files.
pub struct Place(TempDir);

impl Place {
    pub fn new() -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        std::fs::write(place.truth_path(), []).unwrap();
        place
    }

    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    pub fn profile_path(&self) -> PathBuf {
        self.folder().join("x.memprof")
    }

    fn truth_path(&self) -> PathBuf {
        self.folder().join("truth")
    }

    /// This program in `role`, recorded, sampling as `sample` says.
    pub fn command(&self, role: &str, sample: &str) -> Command {
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .env(ROLE, role)
            .env(TRUTH, self.truth_path())
            .env(settings::OUTPUT, self.profile_path())
            .env(settings::SAMPLE, sample);
        command
    }

    /// Runs the role to its end.
    pub fn run(&self, role: &str, sample: &str) -> ExitStatus {
        self.command(role, sample).status().unwrap()
    }

    /// True once the child counts where this process sees it.
    pub fn is_counting(&self) -> bool {
        inner::read(&self.truth_path()).is_some()
    }

    /// What was really done.
    pub fn truth(&self) -> Counters {
        inner::read(&self.truth_path()).expect("the child came so far")
    }

    /// The profile, which must be whole.
    pub fn profile(&self) -> Profile {
        let (profile, defects) = self.read();
        assert_eq!(defects, []);
        profile
    }

    pub fn read(&self) -> (Profile, Vec<Defect>) {
        profile::read(&self.profile_path()).unwrap()
    }

    /// The profile says what was really done, to within `operations` operations of at most `size`
    /// bytes.
    pub fn check_totals(&self, operations: u64, size: u64) -> Profile {
        let (profile, truth) = (self.profile(), self.truth());
        let counted = profile.counters();
        let within = |counted: u64, truth: u64, slack: u64| counted.abs_diff(truth) <= slack;
        let right = within(counted.allocs, truth.allocs, operations)
            && within(counted.frees, truth.frees, operations)
            && within(counted.reallocs, truth.reallocs, operations)
            && within(counted.alloc_bytes, truth.alloc_bytes, operations * size)
            && within(counted.freed_bytes, truth.freed_bytes, operations * size);
        assert!(right, "counted {counted:?}, really {truth:?}");
        assert!(truth.allocs > 0, "something was counted");
        profile
    }
}

/// Blocks sampled in the stacks that took blocks of `size` bytes and no others, and bytes of them
/// that are live.
pub fn blocks_of(profile: &Profile, size: usize) -> (u64, i64) {
    let stacks = profile.stacks.iter().map(|stack| &stack.totals);
    let of_size = stacks.filter(|totals| {
        totals.alloc_samples > 0
            && totals.alloc_bytes == (size as u64 * totals.alloc_samples) as i64
    });
    of_size.fold((0, 0), |(samples, live), totals| {
        (samples + totals.alloc_samples, live + totals.live_bytes)
    })
}

/// Waits until `ready`, or the child has ended.
pub fn wait_until(child: &mut Child, mut ready: impl FnMut() -> bool) {
    while !ready() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// A number that looks random, from a state of the caller's.
pub fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 31)
}
