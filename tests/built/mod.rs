//! The programs under test: the memprof command and the examples, as cargo built them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The memprof command built for this test.
pub const MEMPROF: &str = env!("CARGO_BIN_EXE_memprof");

/// The example's program, built with the profile of the test itself.
pub fn example(name: &str) -> PathBuf {
    static EXAMPLES: OnceLock<PathBuf> = OnceLock::new();
    EXAMPLES.get_or_init(build_examples).join(name)
}

/// `cargo test` builds the examples when it builds everything, but not when one test is named.
fn build_examples() -> PathBuf {
    let built = Path::new(MEMPROF).parent().expect("target/PROFILE");
    let target = built.parent().expect("target");
    let profile = match built.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(profile) => profile,
        None => unreachable!("the folder is named by the profile"),
    };
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--examples", "--profile", profile])
        .arg("--target-dir")
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the examples build");
    built.join("examples")
}

/// A copy of the example's program without any symbols, named `copy`.
pub fn stripped_example(name: &str, copy: &str) -> PathBuf {
    let stripped = example(name).with_file_name(copy);
    let status = Command::new("strip")
        .arg("-o")
        .arg(&stripped)
        .arg(example(name))
        .status();
    assert!(status.expect("binutils").success());
    stripped
}

/// What a program wrote, as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
