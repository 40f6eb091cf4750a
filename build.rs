//! Builds the recorder as a library to preload, which the command carries and `memprof run` hands
//! to programs that do not have the crate.
//!
//! It is a build of its own: in the command's the recorder has other features, and unwinds. Where
//! programs cannot be recorded that way, the library is empty.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const CRATE: &str = "profiler-alloc/preload";
const LIBRARY: &str = "libmemprof_preload.so";

fn main() -> Result<(), Box<dyn Error>> {
    for sources in ["preload", "src", "format/src", "Cargo.toml", "build.rs"] {
        println!("cargo::rerun-if-changed=profiler-alloc/{sources}");
    }
    println!("cargo::rerun-if-changed=build.rs");
    let to = PathBuf::from(variable("OUT_DIR")?).join(LIBRARY);
    let target = variable("TARGET")?;
    let is_known = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"]
        .iter()
        .any(|known| target == *known);
    if !is_known || !Path::new(CRATE).exists() {
        fs::write(to, [])?;
        return Ok(());
    }
    let built = build(&target)?;
    fs::copy(built, to)?;
    Ok(())
}

/// Builds the library, and gives its path.
fn build(target: &OsString) -> Result<PathBuf, Box<dyn Error>> {
    let folder = PathBuf::from(variable("OUT_DIR")?).join("preload");
    let mut cargo = Command::new(variable("CARGO")?);
    cargo
        .args(["build", "--release", "--locked", "--quiet"])
        .arg("--manifest-path")
        .arg(Path::new(CRATE).join("Cargo.toml"))
        .arg("--target")
        .arg(target)
        .arg("--target-dir")
        .arg(&folder);
    // What is said of this build, by cargo or the user, is not said of that one: clippy would check
    // it instead of building it, and flags for sanitizers or coverage need what it does not have.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PROFILE_")
            || [
                "RUSTC_WORKSPACE_WRAPPER",
                "CARGO_ENCODED_RUSTFLAGS",
                "RUSTFLAGS",
            ]
            .contains(&text.as_ref())
        {
            cargo.env_remove(name);
        }
    }
    let status = cargo.status()?;
    if !status.success() {
        return Err(format!("the library to preload was not built: cargo {status}").into());
    }
    Ok(folder.join(target).join("release").join(LIBRARY))
}

fn variable(name: &str) -> Result<OsString, String> {
    env::var_os(name).ok_or_else(|| format!("cargo does not say {name}"))
}
