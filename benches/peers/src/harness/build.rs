//! Builds the programs: each workload binary as cargo builds it, and two of them again with frame pointers.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

/// Where the programs are.
pub struct Programs {
    /// Built as by default.
    pub plain: PathBuf,
    /// Built with `-C force-frame-pointers=yes`.
    pub frame_pointers: PathBuf,
}

/// Builds everything.
pub fn all() -> Result<Programs> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = here.join("../../target/peers");
    cargo(here, &target, &["--bins"], "")?;
    let with_pointers = target.join("frame-pointers");
    let both = [
        "--bin",
        "system",
        "--bin",
        "memprof",
        "--no-default-features",
    ];
    cargo(here, &with_pointers, &both, "-C force-frame-pointers=yes")?;
    Ok(Programs {
        plain: target.join("release"),
        frame_pointers: with_pointers.join("release"),
    })
}

fn cargo(package: &Path, target: &Path, what: &[&str], flags: &str) -> Result<()> {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--quiet"])
        .args(what)
        .arg("--target-dir")
        .arg(target)
        .env("RUSTFLAGS", flags)
        .current_dir(package)
        .status()?;
    ensure!(
        status.success(),
        "{what:?} of {} do not build",
        package.display()
    );
    Ok(())
}
