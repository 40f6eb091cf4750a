//! The test that a test runner runs in this process, as its variables say: an exception to the rule
//! that no profile holds the environment, which `profiler_alloc_format::processes` gives reasons
//! for.

use core::sync::atomic::{AtomicU32, Ordering};

use profiler_alloc_format::processes::{self, MAX_TEST_NAME_LEN, PHASE_NONE, PHASE_RUN};

use crate::ffi::{memory, os};
use crate::profile_file::store::Store;

/// Which test it is. Where a process is of no test runner, all is empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TestProcess {
    name: &'static [u8],
    binary: &'static [u8],
    run: &'static [u8],
    attempt: u32,
    phase: u32,
}

impl TestProcess {
    /// Of no test runner.
    pub const NONE: TestProcess = TestProcess {
        name: &[],
        binary: &[],
        run: &[],
        attempt: 0,
        phase: PHASE_NONE,
    };

    /// As the variables of `env` say. Whatever a test starts has them too, and is of that test.
    pub fn from(variable: impl Fn(&str) -> Option<&'static [u8]>) -> TestProcess {
        let phase = processes::phase(variable(processes::TEST_PHASE).unwrap_or_default());
        if phase == PHASE_NONE {
            return TestProcess::NONE;
        }
        let name = |name| {
            let text = variable(name).unwrap_or_default();
            &text[..text.len().min(MAX_TEST_NAME_LEN)]
        };
        let attempt = variable(processes::TEST_ATTEMPT).unwrap_or_default();
        let attempt = core::str::from_utf8(attempt).unwrap_or_default();
        TestProcess {
            name: name(processes::TEST_NAME),
            binary: name(processes::TEST_BINARY),
            run: name(processes::TEST_RUN),
            attempt: attempt.parse().unwrap_or_default(),
            phase,
        }
    }

    /// The same in memory that the program does not change. `None` if the system refuses it.
    pub fn copied(&self) -> Option<TestProcess> {
        if self.phase == PHASE_NONE {
            return Some(TestProcess::NONE);
        }
        Some(TestProcess {
            name: memory::copied(self.name)?,
            binary: memory::copied(self.binary)?,
            run: memory::copied(self.run)?,
            ..*self
        })
    }

    /// Writes it into the profile's header.
    pub fn note(&self, store: &Store) {
        if self.phase == PHASE_NONE {
            return;
        }
        let header = store.header();
        let set = |cell: &AtomicU32, value| cell.store(value, Ordering::Relaxed);
        for (text, at, len) in [
            (self.name, &header.test_name_at, &header.test_name_len),
            (self.binary, &header.test_binary_at, &header.test_binary_len),
            (self.run, &header.test_run_at, &header.test_run_len),
        ] {
            if let Some((place, bytes)) = store.add_string(text) {
                set(at, place);
                set(len, bytes);
            }
        }
        set(&header.test_attempt, self.attempt);
        set(&header.test_phase, self.phase);
    }
}

/// Whether this process runs a test, or was started by one.
///
/// nextest starts each test by way of itself: a process of `cargo-nextest` that has the test's
/// variables already, and becomes the test at once.
#[cold]
#[inline(never)]
pub fn is_test(variable: impl Fn(&str) -> Option<&'static [u8]>) -> bool {
    const RUNNER: &[u8] = b"/cargo-nextest";
    let phase = processes::phase(variable(processes::TEST_PHASE).unwrap_or_default());
    let mut path = [0; 512];
    let program = os::read_link(c"/proc/self/exe", &mut path).unwrap_or_default();
    phase == PHASE_RUN && !program.ends_with(RUNNER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &'static [(&str, &[u8])]) -> TestProcess {
        TestProcess::from(|name| {
            let mut found = variables.iter().filter(|(known, _)| *known == name);
            found.next().map(|(_, value)| *value)
        })
    }

    #[test]
    fn a_test_is_what_its_runner_says() {
        let found = of(&[
            ("NEXTEST_TEST_PHASE", b"run"),
            ("NEXTEST_TEST_NAME", b"cart::adds_up"),
            ("NEXTEST_BINARY_ID", b"shop"),
            ("NEXTEST_RUN_ID", b"3b2c"),
            ("NEXTEST_ATTEMPT", b"2"),
        ]);
        let expected = TestProcess {
            name: b"cart::adds_up",
            binary: b"shop",
            run: b"3b2c",
            attempt: 2,
            phase: PHASE_RUN,
        };
        assert_eq!(found, expected);
        assert_eq!(found.copied(), Some(expected));
    }

    #[test]
    fn without_a_phase_there_is_no_test_whatever_else_is_set() {
        assert_eq!(
            of(&[("NEXTEST_TEST_NAME", b"left over")]),
            TestProcess::NONE
        );
        assert_eq!(of(&[("NEXTEST_TEST_PHASE", b"")]), TestProcess::NONE);
        let odd = of(&[
            ("NEXTEST_TEST_PHASE", b"list"),
            ("NEXTEST_ATTEMPT", b"\xff"),
        ]);
        assert_eq!((odd.phase, odd.attempt), (processes::PHASE_LIST, 0));
    }

    #[test]
    fn a_process_is_a_test_if_it_runs_one() {
        let in_phase = |phase: &'static [u8]| is_test(|_| Some(phase));
        assert_eq!([in_phase(b"run"), in_phase(b"list")], [true, false]);
        assert!(!is_test(|_| None));
    }

    #[test]
    fn no_name_is_longer_than_its_room() {
        static LONG: [u8; 5000] = [b'a'; 5000];
        let found = TestProcess::from(|name| match name {
            processes::TEST_PHASE => Some(b"run"),
            _ => Some(&LONG),
        });
        assert_eq!(found.name.len(), MAX_TEST_NAME_LEN);
        assert_eq!(found.attempt, 0);
    }
}
