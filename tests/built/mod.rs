//! The programs under test: the memprof command and the examples, as cargo built them.
#![allow(dead_code, reason = "each test uses a part")]

use std::ffi::OsStr;
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
    let above = built.parent().expect("target, or target/TRIPLE");
    let profile = match built.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(profile) => profile,
        None => unreachable!("the folder is named by the profile"),
    };
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--examples", "--profile", profile]);
    if profile == "dev" {
        // As `cargo test --workspace` has built them: with other features, all would be built anew.
        cargo.arg("--workspace");
    }
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
    built.join("examples")
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
