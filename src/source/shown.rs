//! How the paths of source files are shown: from the folder that a reader knows on, each file by a
//! name of its own.
//!
//! ```text
//! /home/me/app/src/main.rs                           src/main.rs
//! /home/me/app/crates/load/src/lib.rs                crates/load/src/lib.rs
//! ~/.cargo/registry/src/…/jaq-core-3.1.0/src/load.rs jaq-core-3.1.0/src/load.rs
//! /rustc/59807616e1fa/library/alloc/src/vec/mod.rs   library/alloc/src/vec/mod.rs
//! /home/me/libs/load/src/lib.rs                      load/src/lib.rs (a package of another path)
//! ```

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::places::Places;

/// What stands before the folder of a dependency or of std; behind it comes so many folders more
/// that say nothing.
const MARKERS: [(&str, usize); 5] = [
    ("/registry/src/", 1),
    ("/git/checkouts/", 0),
    ("/rustlib/src/rust/", 0),
    ("/rust/deps/", 0),
    ("/rustc/", 1),
];

/// The names given so far, and whose each is.
#[derive(Default, Debug)]
pub(super) struct Shown {
    files: HashMap<String, PathBuf>,
}

impl Shown {
    /// How the file at `path` is shown, always and nothing else: its whole path where another file
    /// is shown so already.
    pub(super) fn name(&mut self, path: &Path, places: &Places) -> String {
        let short = short(path, places);
        let file = (self.files)
            .entry(short.clone())
            .or_insert_with(|| path.to_owned());
        if file == path {
            return short;
        }
        let whole = path.to_string_lossy().into_owned();
        self.files.insert(whole.clone(), path.to_owned());
        whole
    }

    /// The file that is shown so.
    pub(super) fn path(&self, shown: &str) -> Option<&Path> {
        self.files.get(shown).map(PathBuf::as_path)
    }
}

fn short(path: &Path, places: &Places) -> String {
    let is_root = |folder: &Path| folder.parent().is_none();
    let folders = [Some(&places.current_dir), places.package.as_ref()];
    let below = (folders.into_iter().flatten())
        .filter(|folder| !is_root(folder))
        .find_map(|folder| path.strip_prefix(folder).ok());
    if let Some(below) = below {
        return below.to_string_lossy().into_owned();
    }
    let text = path.to_string_lossy();
    let foreign = MARKERS.iter().find_map(|&(marker, folders)| {
        let (_, mut rest) = text.split_once(marker)?;
        for _ in 0..folders {
            (_, rest) = rest.split_once('/')?;
        }
        Some(rest.to_owned())
    });
    foreign
        .or_else(|| with_package(path))
        .unwrap_or_else(|| text.into_owned())
}

/// `path` from the folder of its package on.
fn with_package(path: &Path) -> Option<String> {
    let package = package_around(path)?;
    let below = path.strip_prefix(package.parent()?).ok()?;
    Some(below.to_string_lossy().into_owned())
}

/// The folder of the package or workspace that a file is in, be it source or a program below the
/// target folder: the nearest one around it with a `Cargo.toml`.
pub(super) fn package_around(file: &Path) -> Option<PathBuf> {
    let mut around = file
        .ancestors()
        .skip(1)
        .filter(|folder| folder.is_absolute());
    around
        .find(|folder| folder.join("Cargo.toml").is_file())
        .map(Path::to_owned)
}

/// The end of a path from the folder of its package on, which is the one around `src` and the like,
/// with so many of the `folders` above: `app/src/main.rs` of `/home/me/app/src/main.rs` with one.
/// The file's name where there is no such folder.
pub fn below_package(file: &str, folders: usize) -> String {
    const OF_PACKAGES: [&str; 4] = ["src", "tests", "examples", "benches"];
    let parts: Vec<&str> = file.split('/').collect();
    let inside = parts.iter().rposition(|part| OF_PACKAGES.contains(part));
    let start = inside.unwrap_or(parts.len() - 1).saturating_sub(folders);
    parts[start..].join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(current_dir: &str) -> Places {
        Places {
            current_dir: current_dir.into(),
            package: Some("/home/me/app".into()),
            ..Places::default()
        }
    }

    #[test]
    fn paths_begin_where_a_reader_knows_them() {
        let registry = "/home/me/.cargo/registry/src/index.crates.io-1/jaq-core-3.1.0/src/load.rs";
        let cases = [
            ("/home/me/app", "/home/me/app/src/main.rs", "src/main.rs"),
            ("/home/me/app/src", "/home/me/app/src/main.rs", "main.rs"),
            ("/home/me", "/home/me/app/src/main.rs", "app/src/main.rs"),
            ("/tmp", "/home/me/app/src/main.rs", "src/main.rs"),
            ("/", "/home/me/app/src/main.rs", "src/main.rs"),
            ("", "/home/me/app/src/main.rs", "src/main.rs"),
            (
                "/tmp",
                "/home/me/libs/src/lib.rs",
                "/home/me/libs/src/lib.rs",
            ),
            ("/", "/home/me/libs/src/lib.rs", "/home/me/libs/src/lib.rs"),
            ("/tmp", registry, "jaq-core-3.1.0/src/load.rs"),
            (
                "/tmp",
                "/rustc/598/library/alloc/src/vec/mod.rs",
                "library/alloc/src/vec/mod.rs",
            ),
            (
                "/tmp",
                "/root/.rustup/toolchains/x/lib/rustlib/src/rust/library/std/src/io.rs",
                "library/std/src/io.rs",
            ),
            (
                "/tmp",
                "/home/me/.cargo/git/checkouts/x-1f/2a/src/lib.rs",
                "x-1f/2a/src/lib.rs",
            ),
            ("/tmp", "src/main.rs", "src/main.rs"),
        ];
        for (current_dir, path, shown) in cases {
            let name = Shown::default().name(path.as_ref(), &places(current_dir));
            assert_eq!(name, shown, "{path} seen from {current_dir}");
        }
    }

    #[test]
    fn a_file_of_another_package_begins_with_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let package = folder.path().join("load");
        std::fs::create_dir_all(package.join("src")).unwrap();
        let file = package.join("src/lib.rs");
        let name = |shown: &mut Shown| shown.name(&file, &places("/tmp/nowhere"));
        assert_eq!(name(&mut Shown::default()), file.to_str().unwrap());
        std::fs::write(package.join("Cargo.toml"), "[package]").unwrap();
        assert_eq!(name(&mut Shown::default()), "load/src/lib.rs");
        let program = package.join("target/debug/load");
        assert_eq!(package_around(&program), Some(package));
        assert_eq!(package_around(Path::new("")), None);
    }

    #[test]
    fn two_files_never_have_one_name() {
        let mut shown = Shown::default();
        let mut name = |path: &str| shown.name(path.as_ref(), &places("/home/me/app/load"));
        assert_eq!(name("/home/me/app/load/src/lib.rs"), "src/lib.rs");
        let other = "/home/me/app/src/lib.rs";
        assert_eq!(name(other), other);
        assert_eq!(name("/home/me/app/load/src/lib.rs"), "src/lib.rs");
        assert_eq!(name(other), other);
        let path = |name: &str| shown.path(name).map(|path| path.to_str().unwrap());
        assert_eq!(path("src/lib.rs"), Some("/home/me/app/load/src/lib.rs"));
        assert_eq!(path(other), Some(other));
        assert_eq!(path("src/main.rs"), None);
    }
}
