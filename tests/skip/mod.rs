//! The one way in which a test says that it cannot run where it stands.

use std::env;
use std::fmt::Display;

/// Says on stderr what is not tested, and why. Where `MEMPROF_TEST_REQUIRE=1` is set, as `.ci/run`
/// sets it, it panics instead: a test that must run fails where it cannot.
///
/// The reason names the remedy:
/// `skip("the page in a browser: no Chromium (apt-get install chromium)")`.
#[track_caller]
pub fn skip(reason: impl Display) {
    let must_run = env::var_os("MEMPROF_TEST_REQUIRE").is_some_and(|value| value == "1");
    assert!(
        !must_run,
        "not tested, though MEMPROF_TEST_REQUIRE=1: {reason}"
    );
    eprintln!("not tested: {reason}");
}
