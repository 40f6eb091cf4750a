//! The source files that a program was built from: its own, by the line tables of its units.
//!
//! Only the heads of units and line tables are read, not the lines, so that `memprof run` can look
//! after every program that ends: some 0.1 s for a debug build of 100 MB.

use std::collections::BTreeSet;
use std::path::Path;

use addr2line::gimli::{Dwarf, SectionId, Unit};

use super::module::{Identity, identify};
use super::sections::{Bytes, path_of, with_debug_info};
use super::{CodeFrame, Origin, bounds, is_system, separate};
use crate::profile::Module;

/// The source files of the user's own that `module` was built from, as the compiler wrote their
/// paths, and so as [`CodeFrame::file`](super::CodeFrame::file) has them. Empty where the module is
/// the system's, is not the recorded one, or has no line information.
pub fn source_files(module: &Module) -> BTreeSet<String> {
    let is_readable = !is_system(&module.path) && matches!(identify(module), Identity::Same);
    if !is_readable {
        return BTreeSet::new();
    }
    let (files, _) = separate::find(&module.path, None);
    match bounds::excess(&files.main) {
        None => read(&files.main).unwrap_or_default(),
        Some(_) => BTreeSet::new(),
    }
}

fn read(path: &Path) -> Option<BTreeSet<String>> {
    let wanted = [
        SectionId::DebugInfo,
        SectionId::DebugAbbrev,
        SectionId::DebugLine,
        SectionId::DebugLineStr,
        SectionId::DebugStr,
        SectionId::DebugStrOffsets,
    ];
    with_debug_info(path, &wanted, |dwarf| {
        let mut files = BTreeSet::new();
        let mut units = dwarf.units();
        while let Ok(Some(unit)) = units.next() {
            // A unit that cannot be read has no lines in a report either.
            if let Ok(unit) = dwarf.unit(unit) {
                add_files(dwarf, &unit, &mut files);
            }
        }
        files
    })
}

/// Whether `file` is source of the user's own, as reports tell it from that of dependencies.
fn is_own(file: &str) -> bool {
    Origin::of(&CodeFrame::new("", file, 1), true) == Origin::User
}

fn add_files<'a>(
    dwarf: &Dwarf<Bytes<'a>>,
    unit: &Unit<Bytes<'a>>,
    files: &mut BTreeSet<String>,
) -> Option<()> {
    let header = unit.line_program.as_ref()?.header();
    for file in header.file_names() {
        let path = path_of(dwarf, unit, header, file);
        files.extend(path.filter(|path| is_own(path)));
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_was_built_from_this_file() {
        let module = Module {
            path: std::env::current_exe().unwrap(),
            ..Module::default()
        };
        let files = source_files(&module);
        let of_this: Vec<&String> = files
            .iter()
            .filter(|path| path.ends_with(file!()))
            .collect();
        let [path] = of_this[..] else {
            panic!("{of_this:?} of {files:?}");
        };
        assert!(Path::new(path).is_file(), "{path}");
        assert!(!files.iter().any(|path| path.contains("/rustc/")));
    }

    #[test]
    fn paths_are_whole_in_every_version_of_line_tables() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        std::fs::create_dir(folder.join("src")).unwrap();
        std::fs::write(
            folder.join("src/main.rs"),
            "mod load;\nfn main() { load::f() }\n",
        )
        .unwrap();
        std::fs::write(folder.join("src/load.rs"), "pub fn f() { println!() }\n").unwrap();
        for version in ["4", "5"] {
            let status = std::process::Command::new("rustc")
                .args(["--edition", "2024", "-g", "-C"])
                .arg(format!("dwarf-version={version}"))
                .args(["-o", "app", "src/main.rs"])
                .current_dir(&folder)
                .status();
            assert!(status.unwrap().success());
            let module = Module {
                path: folder.join("app"),
                ..Module::default()
            };
            let own = ["src/load.rs", "src/main.rs"].map(|file| folder.join(file));
            let own = own.map(|path| path.to_str().unwrap().to_owned());
            assert_eq!(
                source_files(&module),
                BTreeSet::from(own),
                "DWARF {version}"
            );
        }
    }

    #[test]
    fn other_files_have_none() {
        for path in ["/bin/sh", "/no/such/file", "/proc/self/status", "/"] {
            let module = Module {
                path: path.into(),
                ..Module::default()
            };
            assert_eq!(source_files(&module), BTreeSet::new(), "{path}");
        }
    }
}
