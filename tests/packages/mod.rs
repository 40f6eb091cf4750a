//! Small packages that a test writes below the target folder, and cargo builds as a user would.
#![allow(dead_code, reason = "each test uses a part")]

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::built::text;

/// A package with a manifest and one source file, which depends on the recorder.
///
/// Packages of several names can be built at once. Those that are built in the same way share a
/// target folder, so that what they depend on is built once; the others do not wait for its lock.
pub struct Package<'a> {
    /// Of the package, and of its folder.
    pub name: &'a str,
    /// Of the crate: of the program or library, and the first part of its functions' names.
    pub crate_name: &'a str,
    /// True for a library that C can load.
    pub is_library: bool,
    pub source: &'a str,
    /// Of the recorder, in quotes.
    pub features: &'a str,
    /// Further lines of `[dependencies]`.
    pub dependencies: &'a str,
    /// The `[profile.release]` section.
    pub profile: &'a str,
    /// The same for what it depends on, where that is to differ.
    pub of_dependencies: &'a str,
    pub rustflags: &'a str,
    /// Of the environment of what cargo starts: name and value.
    pub variable: Option<(&'a str, &'a Path)>,
    /// Another target than this machine's own.
    pub target: Option<&'a str>,
}

impl Package<'_> {
    /// The folder of the package.
    pub fn folder(&self) -> PathBuf {
        let packages = Path::new(env!("CARGO_TARGET_TMPDIR")).join("packages");
        packages.join(self.name)
    }

    /// Where its only source file is.
    pub fn source_file(&self) -> PathBuf {
        let file = match self.is_library {
            true => "src/lib.rs",
            false => "src/main.rs",
        };
        self.folder().join(file)
    }

    /// Builds it: the folder of what was built.
    pub fn build(&self) -> PathBuf {
        let folder = self.folder();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let recorder = root.join("profiler-alloc");
        let section = match self.is_library {
            true => "[lib]\ncrate-type = [\"cdylib\"]\n",
            false => "[[bin]]\npath = \"src/main.rs\"\n",
        };
        let manifest = format!(
            "[package]\nname = \"{}\"\nedition = \"2024\"\n\n{section}name = \"{}\"\n\n[dependencies]\n\
             profiler-alloc = {{ path = {recorder:?}, default-features = false, features = [{}] }}\n{}\n\n\
             [profile.release]\n{}\n\n[profile.release.package.\"*\"]\n{}\n\n[workspace]\n",
            self.name,
            self.crate_name,
            self.features,
            self.dependencies,
            self.profile,
            self.of_dependencies
        );
        fs::create_dir_all(folder.join("src")).unwrap();
        fs::write(folder.join("Cargo.toml"), manifest).unwrap();
        fs::write(self.source_file(), self.source).unwrap();
        fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();

        let target = folder.with_file_name(format!("target-{:016x}", self.way()));
        // Even for this machine: flags for a named target are not those of macros and build
        // scripts, which are then built once.
        let triple = match self.target {
            Some(target) => target,
            None => host(),
        };
        let build = Command::new(env!("CARGO"))
            .args(["build", "--release", "--quiet", "--target", triple])
            .arg("--target-dir")
            .arg(&target)
            .current_dir(&folder)
            .env("RUSTFLAGS", self.rustflags)
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .envs(self.variable)
            .output()
            .unwrap();
        assert!(
            build.status.success(),
            "{}: {}",
            self.name,
            text(&build.stderr)
        );
        target.join(triple).join("release")
    }

    /// What cargo tells dependencies apart by, as a number.
    fn way(&self) -> u64 {
        let way = (
            (self.features, self.profile, self.of_dependencies),
            (self.rustflags, self.variable, self.target),
        );
        let mut hasher = DefaultHasher::new();
        way.hash(&mut hasher);
        hasher.finish()
    }
}

/// The target of the compiler itself.
fn host() -> &'static str {
    static HOST: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    HOST.get_or_init(|| {
        let output = Command::new("rustc").arg("-vV").output().unwrap();
        let said = text(&output.stdout);
        let host = said.lines().find_map(|line| line.strip_prefix("host: "));
        host.expect("rustc says its host").to_owned()
    })
}
