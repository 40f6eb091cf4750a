//! Where functions begin in their source file, by the debug information: what tells them apart
//! where the file is not the one any more that the program was built from.
//!
//! ```text
//! DW_TAG_subprogram  linkage_name "_ZN3app4load…"  decl_file 1  decl_line 7
//! DW_TAG_subprogram  specification ──▶ its declaration    a member of C++, declared with its
//!                    decl_line 9                          class, further up
//! DW_TAG_subprogram  name "load"  low_pc 0x13b70          the line of that address: line tables
//!                                                         alone have no other
//! ```

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use addr2line::gimli::{
    AttributeValue, DW_AT_decl_file, DW_AT_decl_line, DW_AT_declaration, DW_AT_linkage_name,
    DW_AT_low_pc, DW_AT_name, DW_AT_specification, DW_TAG_subprogram, DebuggingInformationEntry,
    Dwarf, SectionId, Unit,
};

use super::dwarf::demangle;
use super::sections::{Bytes, path_of, with_debug_info};

/// A function, closures left out.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Declaration {
    /// Line of its signature, from 1.
    pub line: u32,
    /// Demangled name, without hash.
    pub function: String,
}

/// The functions of each file, by line.
pub type Declarations = HashMap<String, Vec<Declaration>>;

/// The functions in the source `wanted` that the debug information in the file at `path` names.
pub(super) fn read(path: &Path, wanted: &HashSet<&str>) -> Option<Declarations> {
    let sections = [
        SectionId::DebugInfo,
        SectionId::DebugAbbrev,
        SectionId::DebugAddr,
        SectionId::DebugLine,
        SectionId::DebugLineStr,
        SectionId::DebugStr,
        SectionId::DebugStrOffsets,
    ];
    let found = with_debug_info(path, &sections, |dwarf| {
        let mut found = Found::new();
        let mut units = dwarf.units();
        while let Ok(Some(header)) = units.next() {
            if let Ok(unit) = dwarf.unit(header) {
                add_functions(dwarf, &unit, wanted, &mut found);
            }
        }
        found
    })?;
    let in_order = |(file, functions): (String, BTreeSet<Declaration>)| {
        (file, functions.into_iter().collect())
    };
    Some(found.into_iter().map(in_order).collect())
}

type Found = HashMap<String, BTreeSet<Declaration>>;

fn add_functions<'a>(
    dwarf: &Dwarf<Bytes<'a>>,
    unit: &Unit<Bytes<'a>>,
    wanted: &HashSet<&str>,
    found: &mut Found,
) -> Option<()> {
    let header = unit.line_program.as_ref()?.header();
    let first = u64::from(header.version() < 5);
    let mut files = HashMap::new();
    for (index, file) in (first..).zip(header.file_names()) {
        let path = path_of(dwarf, unit, header, file);
        files.extend(
            path.filter(|path| wanted.contains(&**path))
                .map(|path| (index, path)),
        );
    }
    if files.is_empty() {
        return None;
    }
    let mut rows = None;
    let mut entries = unit.entries();
    while let Ok(Some(entry)) = entries.next_dfs() {
        if entry.tag() != DW_TAG_subprogram || entry.attr_value(DW_AT_declaration).is_some() {
            continue;
        }
        let specification = match entry.attr_value(DW_AT_specification) {
            Some(AttributeValue::UnitRef(offset)) => unit.entry(offset).ok(),
            _ => None,
        };
        // What both say is in the declaration alone.
        let entries = [Some(entry), specification.as_ref()];
        let mut both = entries.into_iter().flatten();
        let name = both.clone().find_map(|entry| name(dwarf, unit, entry));
        let Some(function) = name.filter(|name| !is_closure(name)) else {
            continue;
        };
        let has = |what| both.clone().find_map(|entry| entry.attr_value(what));
        let declared = declared(has(DW_AT_decl_file), has(DW_AT_decl_line));
        let begin = declared.or_else(|| {
            let low = both.find_map(|entry| entry.attr_value(DW_AT_low_pc))?;
            let address = dwarf.attr_address(unit, low).ok()??;
            let rows = rows.get_or_insert_with(|| lines(unit));
            rows.get(&address).copied()
        });
        if let Some((file, line)) = begin
            && let Some(path) = files.get(&file)
        {
            let functions = found.entry(path.clone()).or_default();
            functions.insert(Declaration { line, function });
        }
    }
    Some(())
}

type Value<'a> = AttributeValue<Bytes<'a>>;

/// Number of the file and line that an entry names.
fn declared(file: Option<Value<'_>>, line: Option<Value<'_>>) -> Option<(u64, u32)> {
    let AttributeValue::FileIndex(file) = file? else {
        return None;
    };
    Some((file, u32::try_from(line?.udata_value()?).ok()?))
}

/// As frames are called: the linkage name if there is one.
fn name(
    dwarf: &Dwarf<Bytes<'_>>,
    unit: &Unit<Bytes<'_>>,
    entry: &DebuggingInformationEntry<Bytes<'_>>,
) -> Option<String> {
    let name = entry.attr_value(DW_AT_linkage_name);
    let name = name.or_else(|| entry.attr_value(DW_AT_name))?;
    let name = dwarf.attr_string(unit, name).ok()?;
    Some(demangle(&name.to_string_lossy()))
}

/// Whether it is a closure or the like, and so a part of the function around it:
/// `app::run::{{closure}}`, `{async_fn#0}<u8>`.
fn is_closure(name: &str) -> bool {
    let (mut depth, mut before, mut last) = (0u32, ' ', ' ');
    for char in name.chars() {
        match char {
            '<' => depth += 1,
            '>' if before != '-' => depth = depth.saturating_sub(1),
            char if depth == 0 => last = char,
            _ => {}
        }
        before = char;
    }
    last == '}'
}

/// Number of the file and line of each address that a line begins at.
fn lines(unit: &Unit<Bytes<'_>>) -> HashMap<u64, (u64, u32)> {
    let mut lines = HashMap::new();
    let Some(program) = unit.line_program.clone() else {
        return lines;
    };
    let mut rows = program.rows();
    while let Ok(Some((_, row))) = rows.next_row() {
        let line = row.line().and_then(|line| u32::try_from(line.get()).ok());
        if let Some(line) = line.filter(|_| !row.end_sequence()) {
            lines
                .entry(row.address())
                .or_insert((row.file_index(), line));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    const SOURCE: &str = "\
use std::hint::black_box;
struct Error(String);
impl From<u8> for Error {
    #[inline(never)]
    fn from(n: u8) -> Error {
        Error(n.to_string())
    }
}
#[inline(never)]
fn run<T: Clone>(t: T) -> Vec<T> {
    let twice = || vec![t.clone(); 2];
    twice()
}
fn main() {
    black_box(Error::from(black_box(1u8)).0);
    black_box(run(black_box(3u8)));
}
";

    #[test]
    fn functions_begin_where_they_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let source = folder.join("app.rs");
        fs::write(&source, SOURCE).unwrap();
        let source = source.to_str().unwrap();
        for kind in ["1 -C dwarf-version=4", "2", "line-tables-only"] {
            let status = Command::new("rustc")
                .args(["--edition", "2024", "-O", "-o", "app", "app.rs", "-C"])
                .args(format!("debuginfo={kind}").split(' '))
                .current_dir(&folder)
                .status();
            assert!(status.unwrap().success());
            let found = read(&folder.join("app"), &HashSet::from([source])).unwrap();
            let lines = |name: &str| -> Vec<u32> {
                let named = found[source].iter().filter(|found| {
                    let plain = found.function.split("::<").next().unwrap_or_default();
                    plain
                        .rsplit("::")
                        .next()
                        .unwrap_or_default()
                        .split('<')
                        .next()
                        == Some(name)
                });
                named.map(|found| found.line).collect()
            };
            assert_eq!(
                (lines("from"), lines("run"), lines("main")),
                (vec![5], vec![10], vec![14]),
                "{kind}"
            );
            assert!(
                found[source].iter().all(|found| found.line != 11),
                "{kind}: a closure"
            );
            assert_eq!(found.len(), 1, "{kind}");
        }
    }

    #[test]
    fn closures_are_parts_of_functions() {
        for closure in [
            "app::run::{{closure}}",
            "{closure#0}<alloc::string::String>",
            "run::{async_fn#0}",
        ] {
            assert!(is_closure(closure), "{closure}");
        }
        for function in [
            "app::{impl#3}::visit",
            "run<app::main::{closure_env#0}>",
            "<A as B>::f",
            "a->b",
        ] {
            assert!(!is_closure(function), "{function}");
        }
    }
}
