//! Builds the programs: each workload binary as cargo builds it, some of them again in other ways.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

/// How a program is built.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Build {
    /// As by default.
    Plain,
    /// With `-C force-frame-pointers=yes`.
    FramePointers,
    /// With the unwinder of the `backtrace` crate.
    Portable,
}

/// Where the programs are, and what is not there.
pub struct Programs {
    target: PathBuf,
    /// What could not be built, and why not.
    pub missing: Vec<String>,
}

impl Programs {
    /// The program of that name, if it could be built.
    pub fn get(&self, build: Build, name: &str) -> Option<PathBuf> {
        let path = self.target.join(build.folder()).join("release").join(name);
        path.is_file().then_some(path)
    }
}

impl Build {
    fn folder(self) -> &'static str {
        match self {
            Build::Plain => "",
            Build::FramePointers => "frame-pointers",
            Build::Portable => "portable",
        }
    }

    fn flags(self) -> &'static str {
        match self {
            Build::FramePointers => "-C force-frame-pointers=yes",
            Build::Plain | Build::Portable => "",
        }
    }
}

/// Builds everything.
pub fn all() -> Result<Programs> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = here.join("../../target/peers");
    let own = |build: Build, what: &[&str]| cargo(here, &target, build, what);
    own(Build::Plain, &["--bins"])?;
    let bare = [
        "--no-default-features",
        "--bin",
        "memprof",
        "--bin",
        "system",
    ];
    own(Build::FramePointers, &bare)?;
    let portable = ["--features", "portable-unwinder"];
    own(Build::Portable, &[&bare[..3], &portable].concat())?;
    let heapscope = [
        "--no-default-features",
        "--features",
        "heapscope",
        "--ignore-rust-version",
        "--bin",
        "heapscope",
    ];
    let mut missing = Vec::new();
    if let Err(error) = own(Build::FramePointers, &heapscope) {
        missing.push(format!("heapscope: {error}"));
    }
    Ok(Programs { target, missing })
}

fn cargo(package: &Path, target: &Path, build: Build, what: &[&str]) -> Result<()> {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--quiet"])
        .args(what)
        .arg("--target-dir")
        .arg(target.join(build.folder()))
        .env("RUSTFLAGS", build.flags())
        .current_dir(package)
        .status()?;
    ensure!(
        status.success(),
        "{what:?} of {} do not build",
        package.display()
    );
    Ok(())
}
