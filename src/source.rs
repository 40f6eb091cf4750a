//! Finds source files and gives their lines and the items in them.

mod c;
mod outline;
mod places;
mod shown;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;
use std::str::FromStr;
use std::time::UNIX_EPOCH;

use md5::{Digest, Md5};
pub use outline::{Item, ItemKind, Outline};

use crate::defect::Defect;
pub use places::{PathMap, Places};
pub use shown::below_package;
use shown::{Shown, package_around};

/// Longest file that is taken for source, in bytes. Guards against paths in a profile that name
/// something else.
const MAX_LEN: u64 = 64 << 20;

/// Most places that are looked at for files. No program has so many; a profile that lies may name
/// millions.
const MOST_PLACES: u32 = 100_000;

impl FromStr for PathMap {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((from, to)) if !from.is_empty() => Ok(PathMap {
                from: from.into(),
                to: to.into(),
            }),
            _ => Err("expected FROM=TO"),
        }
    }
}

impl Places {
    /// These places for the source of the program at `program`.
    pub fn of_program(self, program: &Path) -> Places {
        let package = self.package.or_else(|| package_around(program));
        Places { package, ..self }
    }

    /// `path` as the first map that fits it rewrites it; as it is if none does.
    pub fn mapped(&self, path: &Path) -> PathBuf {
        let mapped = self.maps.iter().find_map(|map| {
            // Reports show paths relative to the current folder, so they are given in that form
            // too.
            let from_here = without_dots(&self.current_dir.join(&map.from));
            let rest = path.strip_prefix(&map.from);
            let rest = rest.or_else(|_| path.strip_prefix(from_here)).ok()?;
            // A map of a file leaves no rest, and joining that would make it a folder.
            Some(match rest.as_os_str().is_empty() {
                true => map.to.clone(),
                false => map.to.join(rest),
            })
        });
        mapped.unwrap_or_else(|| path.to_owned())
    }
}

/// A source file that a profile names, found or not.
#[derive(Debug)]
pub struct Source {
    /// Path to show, which no other file has: relative to the current folder when below it, else to
    /// the program's package; of a dependency, from its own folder on.
    pub shown: String,
    /// Where it is, or should be after `--path-map`: what another `--path-map` has to begin with.
    pub path: PathBuf,
    /// The text, if the file was found.
    pub text: Option<SourceText>,
}

impl Source {
    /// Item number `index` of the outline.
    pub fn item(&self, index: usize) -> Option<&Item> {
        self.text.as_ref()?.outline.items().get(index)
    }
}

/// A source file that was found.
#[derive(Debug)]
pub struct SourceText {
    /// Its lines, without line ends; the first is line 1.
    pub lines: Vec<String>,
    /// Its items; none if it does not parse.
    pub outline: Outline,
    /// Modification time, nanoseconds since 1970; 0 if unknown.
    pub modified_ns: u64,
    /// MD5 of the whole file.
    pub md5: [u8; 16],
}

impl SourceText {
    /// Whether this cannot be the text of a program that has code of `function` on `line`.
    ///
    /// Told by what an edit further up brings there: no line at all, an empty one, a comment, or
    /// another function. Of the code that a macro made, the line says nothing.
    pub fn contradicts(&self, function: &str, line: u32) -> bool {
        let Some(text) = self.line(line) else {
            return true;
        };
        let text = text.trim_start();
        if text.is_empty() || text.starts_with("//") {
            return true;
        }
        let item = self.outline.enclosing(line);
        let item = item.and_then(|index| self.outline.items().get(index));
        // `{closure#0}`, `~Cart`, `operator()`: names that are written otherwise.
        let is_named = function.starts_with(|first: char| first.is_alphabetic() || first == '_')
            && !function.starts_with("operator");
        item.is_some_and(|item| {
            let name = item.name();
            // What an attribute makes may have any name.
            is_named
                && line >= item.first_line
                && item.kind == ItemKind::Function
                && name.strip_prefix("r#").unwrap_or(name) != function
        })
    }

    /// Line number `line`, from 1.
    pub fn line(&self, line: u32) -> Option<&str> {
        let index = (line as usize).checked_sub(1)?;
        self.lines.get(index).map(String::as_str)
    }
}

/// The source files asked for so far.
#[derive(Debug)]
pub struct Sources {
    places: Places,
    shown: Shown,
    known: HashMap<String, Rc<Source>>,
    defects: Vec<Defect>,
    /// Files that are not those of the build, as they are shown: to be said, and said already.
    changed: BTreeMap<String, bool>,
    /// How many places may still be looked at.
    places_left: u32,
    /// Files asked for after that.
    not_sought: u64,
    /// Files whose text tells nothing, by the end of their path.
    distrusted: BTreeSet<String>,
}

impl Sources {
    /// No files yet, and where to look for them.
    pub fn new(places: Places) -> Sources {
        Sources {
            places,
            shown: Shown::default(),
            known: HashMap::new(),
            defects: Vec::new(),
            changed: BTreeMap::new(),
            places_left: MOST_PLACES,
            not_sought: 0,
            distrusted: BTreeSet::new(),
        }
    }

    /// Has the functions of these `files`, as they are shown, told by the debug information alone:
    /// of two reports that are compared, one does not have their text.
    pub fn distrust(&mut self, files: &BTreeSet<String>) {
        let files = files.iter().map(|file| below_package(file, 1));
        self.distrusted.extend(files);
    }

    /// Whether that holds for the file that is shown as `shown`.
    pub fn is_distrusted(&self, shown: &str) -> bool {
        !self.distrusted.is_empty() && self.distrusted.contains(&below_package(shown, 1))
    }

    /// The file that the compiler called `path`.
    pub fn get(&mut self, path: &str) -> Rc<Source> {
        if let Some(source) = self.known.get(path) {
            return Rc::clone(source);
        }
        let source = Rc::new(self.load(path));
        self.known.insert(path.to_owned(), Rc::clone(&source));
        source
    }

    /// The file that is shown as `shown` is not the one that the program was built from.
    pub fn note_change(&mut self, shown: &str) {
        self.changed.entry(shown.to_owned()).or_insert(false);
    }

    /// Where the file is that is shown as `shown`.
    pub fn path_of(&self, shown: &str) -> Option<&Path> {
        self.shown.path(shown)
    }

    /// What went wrong so far.
    pub fn take_defects(&mut self) -> Vec<Defect> {
        let mut defects = std::mem::take(&mut self.defects);
        let files = std::mem::take(&mut self.not_sought);
        defects.extend((files > 0).then_some(Defect::SourcesNotSought { files }));
        let mut files = Vec::new();
        for (file, is_said) in &mut self.changed {
            if !std::mem::replace(is_said, true) {
                files.push(file.clone());
            }
        }
        defects.extend((!files.is_empty()).then_some(Defect::SourcesChanged { files }));
        defects
    }

    /// Whether files that were not asked for yet are not looked for any more.
    pub fn is_exhausted(&self) -> bool {
        self.places_left == 0
    }

    fn load(&mut self, path: &str) -> Source {
        let mapped = without_dots(&self.places.mapped(Path::new(path)));
        self.not_sought += u64::from(self.is_exhausted());
        let found = self.find(&mapped);
        let text = found.as_ref().and_then(|(path, modified_ns)| {
            let bytes = match fs::read(path) {
                Ok(bytes) => bytes,
                Err(error) => {
                    self.defects.push(Defect::SourceUnreadable {
                        path: path.clone(),
                        reason: error.to_string(),
                    });
                    return None;
                }
            };
            let text = String::from_utf8_lossy(&bytes);
            Some(SourceText {
                lines: text.lines().map(str::to_owned).collect(),
                outline: match path.extension().is_some_and(|end| end == "rs") {
                    true => Outline::of(&text),
                    false => c::outline(&text),
                },
                modified_ns: *modified_ns,
                md5: Md5::digest(&bytes).into(),
            })
        });
        let path = found.map_or(mapped, |(path, _)| path);
        Source {
            shown: self.shown.name(&path, &self.places),
            path,
            text,
        }
    }

    /// The first place where there is such a file, and when it was modified.
    fn find(&mut self, path: &Path) -> Option<(PathBuf, u64)> {
        let direct = self.places.current_dir.join(path);
        if let Some(modified_ns) = self.look_at(&direct) {
            return Some((direct, modified_ns));
        }
        let root = without_dots(self.places.root.as_ref()?);
        let names: Vec<_> = (path.components())
            .filter(|part| matches!(part, Component::Normal(_)))
            .collect();
        (0..names.len())
            .map(|start| root.join(names[start..].iter().collect::<PathBuf>()))
            .find_map(|path| self.look_at(&path).map(|modified_ns| (path, modified_ns)))
    }

    /// Modification time of the file at `path`, if it can be source and there are not too many.
    fn look_at(&mut self, path: &Path) -> Option<u64> {
        self.places_left = self.places_left.checked_sub(1)?;
        source_file(path)
    }
}

/// Modification time of the file at `path`, if it can be source.
fn source_file(path: &Path) -> Option<u64> {
    let metadata = fs::metadata(path).ok()?;
    // Files of no length are empty, or the system's, and those can be endless.
    if !metadata.is_file() || !(1..=MAX_LEN).contains(&metadata.len()) {
        return None;
    }
    let since = metadata.modified().ok()?.duration_since(UNIX_EPOCH);
    Some(since.map_or(0, |since| since.as_nanos() as u64))
}

/// What is in a source file, in short.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Content {
    /// MD5 of the whole file.
    pub md5: [u8; 16],
    /// Modification time, nanoseconds since 1970; 0 if unknown.
    pub modified_ns: u64,
    /// Bytes.
    pub len: u64,
}

/// What is in the file at `path`. `None` if it cannot be source, or is longer than `most` bytes.
pub fn look_into(path: &Path, most: u64) -> Option<Content> {
    let modified_ns = source_file(path)?;
    let len = fs::metadata(path).ok()?.len();
    if len > most {
        return None;
    }
    let bytes = fs::read(path).ok()?;
    Some(Content {
        md5: Md5::digest(&bytes).into(),
        modified_ns,
        len,
    })
}

/// `path` without `.` and `..`, as text: `a/./b/../c` is `a/c`, so that one file has one name.
fn without_dots(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(clean.components().next_back(), Some(Component::Normal(_))) =>
            {
                clean.pop();
            }
            part => clean.push(part),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Places) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("app/src")).unwrap();
        fs::write(folder.path().join("app/src/main.rs"), "fn main() {\n}\n").unwrap();
        let places = Places {
            current_dir: folder.path().join("app"),
            ..Places::default()
        };
        (folder, places)
    }

    #[test]
    fn shows_paths_relative_to_the_current_folder() {
        let (folder, places) = folder();
        let mut sources = Sources::new(places);
        let path = folder.path().join("app/./src/../src/main.rs");
        let source = sources.get(path.to_str().unwrap());
        assert_eq!(source.shown, "src/main.rs");
        let text = source.text.as_ref().unwrap();
        assert_eq!(
            (text.line(1), text.line(3), text.line(0)),
            (Some("fn main() {"), None, None)
        );
    }

    #[test]
    fn finds_moved_files_by_map_and_by_root() {
        let (folder, places) = folder();
        let moved = "/builds/ci/app/src/main.rs";
        let lost = Sources::new(places.clone()).get(moved);
        assert!(lost.text.is_none());
        assert_eq!(lost.path, Path::new(moved));
        let map = PathMap::from_str(&format!("/builds/ci={}", folder.path().display())).unwrap();
        let mapped = Places {
            maps: vec![map],
            ..places.clone()
        };
        assert!(Sources::new(mapped).get(moved).text.is_some());
        let relative = Places {
            maps: vec![PathMap::from_str("../gone/src=src").unwrap()],
            ..places.clone()
        };
        let gone = folder.path().join("gone/src/main.rs");
        let source = Sources::new(relative).get(gone.to_str().unwrap());
        assert_eq!(source.shown, "src/main.rs");
        let rooted = Places {
            root: Some(folder.path().join("app")),
            ..places
        };
        assert_eq!(Sources::new(rooted).get(moved).shown, "src/main.rs");
    }

    #[test]
    fn reads_only_files() {
        let mut sources = Sources::new(Places::default());
        assert!(sources.get("/dev/zero").text.is_none());
        assert!(sources.get("/proc/self/status").text.is_none());
        assert!(sources.get("/").text.is_none());
        assert!(sources.get("").text.is_none());
    }
}
