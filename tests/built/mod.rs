//! The programs under test: the memprof command and the examples, as cargo built them.
#![allow(dead_code, reason = "each test uses a part")]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The memprof command built for this test.
pub const MEMPROF: &str = env!("CARGO_BIN_EXE_memprof");

/// The example's program: as cargo has built this test, or optimized where
/// `MEMPROF_TEST_EXAMPLES=optimized` asks for that.
pub fn example(name: &str) -> PathBuf {
    static EXAMPLES: OnceLock<PathBuf> = OnceLock::new();
    if are_examples_optimized() {
        return optimized_example(name);
    }
    // `cargo test` builds the examples when it builds everything, but not when one test is named.
    // With other features than `--workspace` gives, all would be built anew.
    let build = || build_examples(profile_of_this_test(), &["--workspace"]);
    EXAMPLES.get_or_init(build).join(name)
}

/// Whether [`example`] gives optimized programs.
pub fn are_examples_optimized() -> bool {
    std::env::var_os("MEMPROF_TEST_EXAMPLES").is_some_and(|how| how == "optimized")
}

/// The example's program, optimized: for what is measured, and for figures that must survive it.
pub fn optimized_example(name: &str) -> PathBuf {
    static EXAMPLES: OnceLock<PathBuf> = OnceLock::new();
    // With the recorder's own tests, which `.ci/run` builds optimized too: both share it then.
    let packages = ["-p", "examples", "-p", "profiler-alloc"];
    let build = || build_examples("optimized", &packages);
    EXAMPLES.get_or_init(build).join(name)
}

/// The folder of the profile that this test is built with.
fn folder_of_this_test() -> &'static Path {
    Path::new(MEMPROF).parent().expect("target/PROFILE")
}

fn profile_of_this_test() -> &'static str {
    match folder_of_this_test().file_name().and_then(OsStr::to_str) {
        Some("debug") => "dev",
        Some(profile) => profile,
        None => unreachable!("the folder is named by the profile"),
    }
}

fn build_examples(profile: &str, packages: &[&str]) -> PathBuf {
    let above = folder_of_this_test().parent();
    let above = above.expect("target, or target/TRIPLE");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--examples", "--profile", profile]);
    cargo.args(packages);
    let target = match triple() {
        Some(triple) => {
            cargo.arg("--target").arg(triple);
            above.parent().expect("target")
        }
        None => above,
    };
    let status = cargo
        .arg("--target-dir")
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the examples build");
    let folder = match profile {
        "dev" => "debug",
        profile => profile,
    };
    above.join(folder).join("examples")
}

/// The machine that this test is built for, if it was named to cargo.
pub fn triple() -> Option<&'static OsStr> {
    let machine = format!("{}-", std::env::consts::ARCH);
    let above = Path::new(MEMPROF).parent()?.parent()?.file_name()?;
    (above.as_encoded_bytes().starts_with(machine.as_bytes())).then_some(above)
}

/// A copy of the example's program without any symbols, named `copy`.
pub fn stripped_example(name: &str, copy: &str) -> PathBuf {
    let stripped = example(name).with_file_name(copy);
    let strip = std::env::var_os("STRIP").unwrap_or("strip".into());
    let status = Command::new(strip)
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
