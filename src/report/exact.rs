//! Tables of functions with `#[profile]`, from counters instead of stacks: exact, and known without
//! debug info.

use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

use profiler_alloc_format::source_hash;

use super::{Basis, Bytes, Figures, Line, Note, Recording, Report, Sampling, Scope, Table};
use crate::defect::Defect;
use crate::profile::{Loss, Profile, ProfiledFunction, ProfiledLine};
use crate::source::{Source, Sources};

/// How far above its package a workspace may be.
const MOST_FOLDERS: usize = 32;

impl Report {
    /// The exact tables of a profile. `defects` are those of reading it.
    pub fn exact(profile: &Profile, sources: &mut Sources, mut defects: Vec<Defect>) -> Report {
        let functions = profile.functions.iter();
        let tables = functions.map(|function| table(function, sources)).collect();
        defects.append(&mut sources.take_defects());
        Report {
            recording: Recording::of(profile),
            sampling: Sampling::of(profile),
            basis: Basis::Counters,
            exact_functions: profile.functions.len(),
            scope: Scope::User,
            tables,
            left_out: None,
            elsewhere: Figures::default(),
            unattributed: Figures::default(),
            losses: Loss::of(profile),
            defects,
        }
    }
}

/// Says how often lines ran, where it is known.
pub(super) fn add_occurrences(tables: &mut [Table], profile: &Profile, sources: &mut Sources) {
    let mut runs: HashMap<(String, u32), u64> = HashMap::new();
    for function in &profile.functions {
        let file = shown(function, find(function, sources).as_deref());
        for line in function.lines.iter().filter(|line| line.runs > 0) {
            let sum = runs.entry((file.clone(), line.number)).or_default();
            *sum = sum.saturating_add(line.runs);
        }
    }
    if runs.is_empty() {
        return;
    }
    for table in tables {
        for line in &mut table.lines {
            let place = line.number.map(|number| (table.file.clone(), number));
            line.occurrences = place.and_then(|place| runs.get(&place).copied());
        }
    }
}

fn table(function: &ProfiledFunction, sources: &mut Sources) -> Table {
    let source = find(function, sources);
    let mut notes = Vec::new();
    let span = function.first_line..=function.last_line;
    let texts: HashMap<u32, String> = match (&function.source, source_text(source.as_deref())) {
        (Some(embedded), _) => (span.zip(embedded.lines()))
            .map(|(number, text)| (number, text.to_owned()))
            .collect(),
        (None, Some(text)) => {
            let lines = span.filter_map(|number| Some((number, text.line(number)?)));
            let lines: Vec<(u32, &str)> = lines.collect();
            let is_changed = function.source_hash != 0
                && function.source_hash != source_hash(lines.iter().map(|&(_, line)| line));
            notes.extend(is_changed.then_some(Note::SourceChanged));
            lines
                .into_iter()
                .map(|(number, line)| (number, line.to_owned()))
                .collect()
        }
        (None, None) => {
            let path = source.as_ref().map(|source| source.path.display());
            let path = path.map_or(function.file.clone(), |path| path.to_string());
            notes.push(Note::SourceNotFound { path });
            HashMap::new()
        }
    };
    let counted: HashMap<u32, &ProfiledLine> =
        (function.lines.iter().map(|line| (line.number, line))).collect();
    let mut total = Figures::default();
    let mut lines = Vec::new();
    for number in function.first_line..=function.last_line {
        let contents = texts.get(&number).cloned();
        let line = counted.get(&number).filter(|line| line.is_touched());
        let figures = line.map(|line| {
            total.allocated.bytes = total
                .allocated
                .bytes
                .saturating_add_unsigned(line.allocated);
            total.freed.bytes = total.freed.bytes.saturating_add_unsigned(line.freed);
            figures(function, line)
        });
        let occurrences = line.map(|line| line.runs).filter(|&runs| runs > 0);
        lines.push(Line {
            number: Some(number),
            contents,
            figures,
            occurrences,
        });
    }
    total.increment.bytes = total.allocated.bytes.saturating_sub(total.freed.bytes);
    Table {
        file: shown(function, source.as_deref()),
        function: function.name.clone(),
        instances: Vec::new(),
        total,
        own: Figures::default(),
        lines,
        gaps: Vec::new(),
        notes,
        verified: true,
    }
}

fn figures(function: &ProfiledFunction, line: &ProfiledLine) -> Figures {
    let exact = |bytes: i64| Bytes {
        bytes,
        standard_error: 0.0,
    };
    // The heap in use at the first call stands beside the signature, so that the increments add up.
    let is_signature =
        line.number == function.first_line && function.first_line != function.last_line;
    let change = line.allocated.wrapping_sub(line.freed) as i64;
    Figures {
        mem_usage: line.mem_usage,
        increment: exact(if is_signature {
            function.baseline.wrapping_add(change)
        } else {
            change
        }),
        allocated: exact(i64::try_from(line.allocated).unwrap_or(i64::MAX)),
        freed: exact(i64::try_from(line.freed).unwrap_or(i64::MAX)),
        ..Figures::default()
    }
}

fn source_text(source: Option<&Source>) -> Option<&crate::source::SourceText> {
    source?.text.as_ref()
}

fn shown(function: &ProfiledFunction, source: Option<&Source>) -> String {
    source.map_or_else(|| function.file.clone(), |source| source.shown.clone())
}

/// The function's file: its path is relative to the folder of the package or, in a workspace, to
/// one around it; or, where those are not, to the current one. If it is nowhere, the first place it
/// was looked for; an embedded text needs none.
fn find(function: &ProfiledFunction, sources: &mut Sources) -> Option<Rc<Source>> {
    let folder = Path::new(&function.folder);
    let around = folder.ancestors().take(MOST_FOLDERS);
    let places = around.map(|folder| folder.join(&function.file));
    let places = places.chain([Path::new(&function.file).to_owned()]);
    let mut first = None;
    for place in places {
        if first.is_some() && sources.is_exhausted() {
            break;
        }
        let source = sources.get(&place.to_string_lossy());
        if source.text.is_some() {
            return Some(source);
        }
        first.get_or_insert(source);
    }
    first.filter(|_| function.source.is_none())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::profile::{builder::Builder, parse};
    use crate::source::{PathMap, Places};

    const TEXT: &str = "// a comment\nfn f() {\n    grow();\n}\n";

    /// A workspace with one package, whose file is named from the root of the workspace.
    fn workspace() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("app/src")).unwrap();
        fs::write(folder.path().join("app/src/lib.rs"), TEXT).unwrap();
        folder
    }

    /// A profile of `f`, built in the folder `package`.
    fn profile(package: &Path, change: impl FnOnce(&mut Builder)) -> Profile {
        let mut builder = Builder::new();
        let f = builder.profiled("app::f", "app/src/lib.rs", (2, 4));
        builder.share(f, &[(2, 3, 0, 0), (3, 6, 900, 50)]);
        let package = package.to_str().unwrap();
        builder.functions[0].folder_at = builder.strings.len() as u32;
        builder.functions[0].folder_len = package.len() as u32;
        builder.functions[0].baseline = 77;
        builder.strings.extend_from_slice(package.as_bytes());
        change(&mut builder);
        let (profile, defects) = parse(Path::new("x.memprof"), builder.to_input()).unwrap();
        assert_eq!(defects, []);
        profile
    }

    fn report(profile: &Profile, places: Places) -> Table {
        let mut report = Report::exact(profile, &mut Sources::new(places), Vec::new());
        assert_eq!((report.basis, report.tables.len()), (Basis::Counters, 1));
        report.tables.remove(0)
    }

    fn contents(table: &Table) -> Option<&str> {
        table.lines[1].contents.as_deref()
    }

    #[test]
    fn a_table_has_all_lines_and_the_figures_that_counters_know() {
        let folder = workspace();
        let places = Places {
            current_dir: folder.path().to_owned(),
            ..Places::default()
        };
        let table = report(&profile(&folder.path().join("app"), |_| ()), places);
        assert_eq!(
            (table.file.as_str(), &table.notes[..]),
            ("app/src/lib.rs", &[][..])
        );
        let numbers: Vec<_> = table
            .lines
            .iter()
            .map(|line| line.number.unwrap())
            .collect();
        assert_eq!(numbers, [2, 3, 4]);
        let line = &table.lines[1];
        let figures = line.figures.unwrap();
        assert_eq!(line.occurrences, Some(6));
        assert_eq!(figures.increment.bytes, 850);
        assert_eq!((figures.allocated.bytes, figures.freed.bytes), (900, 50));
        assert_eq!(table.lines[0].figures.unwrap().increment.bytes, 77);
        assert_eq!(table.lines[2].figures, None);
        assert_eq!(table.total.increment.bytes, 850);
    }

    #[test]
    fn the_source_is_found_as_that_of_other_tables() {
        let folder = workspace();
        let gone = profile(Path::new("/builds/ci/app"), |_| ());
        let table = report(&gone, Places::default());
        assert_eq!(contents(&table), None);
        assert!(matches!(table.notes[..], [Note::SourceNotFound { .. }]));

        let mapped = Places {
            maps: vec![PathMap {
                from: "/builds/ci".into(),
                to: folder.path().to_owned(),
            }],
            ..Places::default()
        };
        assert_eq!(contents(&report(&gone, mapped)), Some("    grow();"));
        let rooted = Places {
            root: Some(folder.path().to_owned()),
            ..Places::default()
        };
        assert_eq!(contents(&report(&gone, rooted)), Some("    grow();"));
        let here = Places {
            current_dir: folder.path().to_owned(),
            ..Places::default()
        };
        assert_eq!(contents(&report(&gone, here)), Some("    grow();"));
    }

    #[test]
    fn an_embedded_text_needs_no_file() {
        let embedded = profile(Path::new("/builds/ci/app"), |builder| {
            let text = "fn f() {\n    as_built();\n}\n";
            builder.functions[0].source_at = builder.strings.len() as u32;
            builder.functions[0].source_len = text.len() as u32;
            builder.strings.extend_from_slice(text.as_bytes());
        });
        let table = report(&embedded, Places::default());
        assert_eq!(contents(&table), Some("    as_built();"));
        assert_eq!(table.lines[2].contents.as_deref(), Some("}"));
        assert_eq!(
            (table.file.as_str(), &table.notes[..]),
            ("app/src/lib.rs", &[][..])
        );
    }

    #[test]
    fn a_text_that_is_not_the_built_one_is_noted() {
        let folder = workspace();
        let package = folder.path().join("app");
        let built = source_hash(TEXT.lines().skip(1));
        let with_hash = |hash| profile(&package, |builder| builder.functions[0].source_hash = hash);
        let same = report(&with_hash(built), Places::default());
        assert_eq!(same.notes, []);
        let other = report(&with_hash(built + 1), Places::default());
        assert_eq!(other.notes, [Note::SourceChanged]);
    }
}
