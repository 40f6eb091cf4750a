//! The faults of `docs/reliability.md` that befall a recorded program: each test runs this very
//! program again in a role, does it harm, and looks at what is left. `MEMPROF_TEST_FULL=1` runs
//! every loop to the length the page states.

mod attach;
mod child;
mod crash;
mod early_and_late;
mod fork;
mod inner;
mod libraries;
mod live;
#[path = "../memory_group/mod.rs"]
mod memory_group;
mod odd;
mod other_stacks;
mod refusals;
mod signals;
#[path = "../skip/mod.rs"]
mod skip;
mod small_stacks;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod stack_ends;
mod stacks;
#[cfg(target_arch = "x86_64")]
mod system_calls;
mod threads;

use inner::Inner;
use libtest_mimic::{Arguments, Trial};
use profiler_alloc::ProfilerAlloc;

#[global_allocator]
static ALLOC: ProfilerAlloc<Inner> = ProfilerAlloc::new(Inner);

/// A role or a test, by its name.
type Named = (&'static str, fn());

/// What a child process does.
const ROLES: &[&[Named]] = &[
    attach::ROLES,
    crash::ROLES,
    early_and_late::ROLES,
    fork::ROLES,
    libraries::ROLES,
    live::ROLES,
    odd::ROLES,
    other_stacks::ROLES,
    refusals::ROLES,
    signals::ROLES,
    small_stacks::ROLES,
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    stack_ends::ROLES,
    stacks::ROLES,
    #[cfg(target_arch = "x86_64")]
    system_calls::ROLES,
    threads::ROLES,
];

const TESTS: &[&[Named]] = &[
    attach::TESTS,
    crash::TESTS,
    early_and_late::TESTS,
    fork::TESTS,
    libraries::TESTS,
    live::TESTS,
    odd::TESTS,
    other_stacks::TESTS,
    refusals::TESTS,
    signals::TESTS,
    small_stacks::TESTS,
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    stack_ends::TESTS,
    stacks::TESTS,
    #[cfg(target_arch = "x86_64")]
    system_calls::TESTS,
    threads::TESTS,
];

fn main() {
    if let Some(role) = child::role() {
        let mut roles = ROLES.iter().copied().flatten();
        let (_, act) = roles.find(|(name, _)| *name == role).expect("a role");
        return act();
    }
    let trial = |&(name, test): &Named| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    let trials = TESTS.iter().copied().flatten().map(trial).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
