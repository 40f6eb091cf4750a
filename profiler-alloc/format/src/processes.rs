//! Of which process a recording is, beyond its program: the test that a test runner ran in it, and,
//! in a profile that was merged from several, all that were merged.
//!
//! # The test
//!
//! A profile holds no argument and no variable of its program's environment, with one exception:
//! under [nextest](https://nexte.st), which gives each test a process of its own, it holds the
//! names of the test ([`TEST_NAME`], [`TEST_BINARY`], [`TEST_RUN`]) and the number of the attempt
//! ([`TEST_ATTEMPT`]). Without these, 300 profiles of one program could not be told apart. They
//! name what stands in the source, and nothing that was typed or is secret.
//!
//! ```text
//! NEXTEST_RUN_ID=3b2c…  NEXTEST_BINARY_ID=shop::cart  NEXTEST_TEST_NAME=adds_up  NEXTEST_ATTEMPT=2
//! ```
//!
//! # Merged profiles
//!
//! A merged profile has a [`Process`] for each file that it was made of; a profile that the
//! recorder wrote has none. Its header tells of all of them together: exact counts and losses are
//! sums, [`Header::started_unix_ns`](crate::Header::started_unix_ns) is the first start, and
//! [`Header::peak`](crate::Header::peak) is the highest sum of their heaps at one time. What a
//! stack has at the peak is the sum of what it had at the peak of each process by itself.

use crate::records::{Field, record};

/// The variable that names the test.
pub const TEST_NAME: &str = "NEXTEST_TEST_NAME";
/// The variable that names the program of tests: `package::file`.
pub const TEST_BINARY: &str = "NEXTEST_BINARY_ID";
/// The variable that tells one run of tests from others.
pub const TEST_RUN: &str = "NEXTEST_RUN_ID";
/// The variable that counts the attempts at a test, from 1.
pub const TEST_ATTEMPT: &str = "NEXTEST_ATTEMPT";
/// The variable that says whether a process runs a test or lists the tests of a program.
pub const TEST_PHASE: &str = "NEXTEST_TEST_PHASE";

/// [`Header::test_phase`](crate::Header::test_phase): it is of no test runner.
pub const PHASE_NONE: u32 = 0;
/// It lists tests.
pub const PHASE_LIST: u32 = 1;
/// It runs a test.
pub const PHASE_RUN: u32 = 2;

/// The bit of [`Process::flags`] that says that the library to preload recorded it.
pub const PRELOADED: u64 = 1;

/// Bytes kept of each name.
pub const MAX_TEST_NAME_LEN: usize = 1024;

/// The number of the phase that [`TEST_PHASE`] names.
pub fn phase(value: &[u8]) -> u32 {
    match value {
        b"list" => PHASE_LIST,
        b"run" => PHASE_RUN,
        _ => PHASE_NONE,
    }
}

record! {
    /// One of the profiles that a merged one was made of. Offsets are into
    /// [`Table::Strings`](crate::Table::Strings).
    Process, ProcessCells, 256 {
        /// Offset of the name of its file.
        file_at: u32,
        /// Bytes of it.
        file_len: u32,
        /// Offset of the path of its executable.
        program_at: u32,
        /// Bytes of it; 0 if unknown.
        program_len: u32,
        /// Offset of what is wrong with the file, a line for each fault.
        faults_at: u32,
        /// Bytes of it.
        faults_len: u32,
        /// As in the header of the file.
        test_name_at: u32,
        /// Bytes of it.
        test_name_len: u32,
        /// As in the header of the file.
        test_binary_at: u32,
        /// Bytes of it.
        test_binary_len: u32,
        /// As in the header of the file.
        test_run_at: u32,
        /// Bytes of it.
        test_run_len: u32,
        /// As in the header of the file.
        test_attempt: u32,
        /// As in the header of the file.
        test_phase: u32,
        /// Process number.
        pid: u32,
        /// One of the `STATE_*` constants.
        state: u32,
        /// As in the header of the file.
        run_id: u64,
        /// Start, nanoseconds since 1970 (UTC).
        started_unix_ns: u64,
        /// Nanoseconds from the start to the last thing recorded.
        duration_ns: u64,
        /// As in the header of the file.
        forked_from: u64,
        /// As in the header of the file.
        gone_by: u64,
        /// Highest heap in use, without what came with a fork, in bytes. *Signed.*
        peak: u64,
        /// Time of the peak, nanoseconds since the start.
        peak_ns: u64,
        /// Heap in use at the end, without what came with a fork, in bytes. *Signed.*
        live: u64,
        /// Blocks allocated.
        allocs: u64,
        /// Blocks freed.
        frees: u64,
        /// Blocks reallocated.
        reallocs: u64,
        /// Bytes allocated, the new size of every realloc included.
        alloc_bytes: u64,
        /// Bytes freed, the old size of every realloc included.
        freed_bytes: u64,
        /// [`PRELOADED`].
        flags: u64,
        /// Not used.
        reserved: [u64; 10],
    }
}
