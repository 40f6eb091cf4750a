//! What each address of a profile means: a table from frames to functions and lines.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use profiler_alloc_format::Frame;

use super::code_frame::{CodeFrame, MAIN_MODULE};
use super::declared::{self, Declarations};
use super::instances::Instances;
use super::origin::is_std_file;
use super::separate::DebugFiles;
use super::{Digest, Origin, Pattern};

/// What `cargo vendor` puts into the folder of every dependency.
const CHECKSUMS: &str = ".cargo-checksum.json";

/// Number of a distinct [`CodeFrame`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CodeFrameId(u32);

/// The code frames of every frame looked up. Tests fill it by hand.
#[derive(Clone, Default, Debug)]
pub struct Symbols {
    code: Vec<(CodeFrame, Origin)>,
    ids: HashMap<CodeFrame, CodeFrameId>,
    frames: HashMap<Frame, Vec<CodeFrameId>>,
    with_lines: HashSet<u16>,
    user_lines: bool,
    unverified: HashSet<u16>,
    vendored: HashMap<PathBuf, bool>,
    /// Of source files, by module and path.
    digests: HashMap<u16, HashMap<String, Digest>>,
    own: Vec<Pattern>,
    /// Modules that are executables of processes, beside the first.
    programs: HashSet<u16>,
    /// Where the names and lines of a module are.
    debug_files: HashMap<u16, DebugFiles>,
    /// Of the frames for which they were asked.
    instances: HashMap<Frame, Instances>,
}

impl Symbols {
    /// Says what counts as the user's own beside the source of the program itself, of what is
    /// inserted from now on.
    pub fn set_own(&mut self, own: Vec<Pattern>) {
        self.own = own;
    }

    /// Says which modules are executables of processes, beside the first, of what is inserted from
    /// now on.
    pub fn set_programs(&mut self, programs: HashSet<u16>) {
        self.programs = programs;
    }

    /// Says what `frame` stands for, innermost first.
    pub fn insert(&mut self, frame: Frame, code: Vec<CodeFrame>) {
        let ids = code.into_iter().map(|code| self.intern(code)).collect();
        self.frames.insert(frame, ids);
    }

    fn intern(&mut self, code: CodeFrame) -> CodeFrameId {
        if let Some(&id) = self.ids.get(&code) {
            return id;
        }
        let id = CodeFrameId(self.code.len() as u32);
        let is_own = |code: &CodeFrame| {
            code.line.is_some() && self.own.iter().any(|pattern| pattern.is_of(code))
        };
        let is_program = code.module == MAIN_MODULE || self.programs.contains(&code.module);
        let origin = match Origin::of(&code, is_program) {
            Origin::User | Origin::Dependency if is_own(&code) => Origin::User,
            Origin::User if self.is_vendored(Path::new(&code.file)) => Origin::Dependency,
            origin => origin,
        };
        self.user_lines |= origin == Origin::User;
        if code.line.is_some() && !is_std_file(&code.file) {
            self.with_lines.insert(code.module);
        }
        self.ids.insert(code.clone(), id);
        self.code.push((code, origin));
        id
    }

    /// Whether `file` is below a folder that `cargo vendor` made of a dependency. Such folders may
    /// have any name and be in the midst of the user's source: what tells them is the list of
    /// checksums in them.
    fn is_vendored(&mut self, file: &Path) -> bool {
        let Some(folder) = file.parent().filter(|folder| folder.is_absolute()) else {
            return false;
        };
        if let Some(&known) = self.vendored.get(folder) {
            return known;
        }
        let vendored = (folder.ancestors()).any(|above| above.join(CHECKSUMS).is_file());
        self.vendored.insert(folder.to_owned(), vendored);
        vendored
    }

    pub(super) fn mark_unverified(&mut self, module: u16) {
        self.unverified.insert(module);
    }

    /// Says what the source files of `module` were when it was built.
    pub fn add_digests(&mut self, module: u16, digests: HashMap<String, Digest>) {
        self.digests.insert(module, digests);
    }

    /// The MD5 of the source file that `module` was built from and the compiler called `file`, if
    /// that is known.
    pub fn digest(&self, module: u16, file: &str) -> Option<Digest> {
        self.digests.get(&module)?.get(file).copied()
    }

    pub(super) fn add_debug_files(&mut self, module: u16, files: DebugFiles) {
        self.debug_files.insert(module, files);
    }

    /// Where the names and lines of a module are, if they may be read.
    pub(super) fn debug_files(&self, module: u16) -> Option<&DebugFiles> {
        self.debug_files.get(&module)
    }

    /// Where the functions in those source `files` of `module` begin, which are named as the
    /// compiler wrote their paths. Reads the module's debug information, each time.
    pub fn declarations(&self, module: u16, files: &HashSet<&str>) -> Declarations {
        let debug_files = self.debug_files(module);
        let found = debug_files.and_then(|known| declared::read(&known.main, files));
        found.unwrap_or_default()
    }

    /// Says what the functions at `frame` are called with their type arguments.
    pub fn insert_instances(&mut self, frame: Frame, instances: Instances) {
        self.instances.insert(frame, instances);
    }

    /// The functions at `frame` with their type arguments, if these were looked up.
    pub fn instances(&self, frame: Frame) -> Option<&Instances> {
        self.instances.get(&frame)
    }

    /// Whether `frame` was looked up.
    pub fn knows(&self, frame: Frame) -> bool {
        self.frames.contains_key(&frame)
    }

    /// What `frame` stands for, innermost first.
    pub fn of(&self, frame: Frame) -> &[CodeFrameId] {
        self.frames.get(&frame).map_or(&[], Vec::as_slice)
    }

    /// The code frame numbered `id`.
    pub fn code(&self, id: CodeFrameId) -> &CodeFrame {
        &self.code[id.0 as usize].0
    }

    /// Whose code it is.
    pub fn origin(&self, id: CodeFrameId) -> Origin {
        self.code[id.0 as usize].1
    }

    /// All distinct code frames.
    pub fn ids(&self) -> impl Iterator<Item = CodeFrameId> + use<> {
        (0..self.code.len() as u32).map(CodeFrameId)
    }

    /// Whether any line was found in `module`, other than of std.
    pub fn has_lines(&self, module: u16) -> bool {
        self.with_lines.contains(&module)
    }

    /// Whether any line of the user's own source was found.
    pub fn has_user_lines(&self) -> bool {
        self.user_lines
    }

    /// Whether `module` was used although its file is not the recorded one.
    pub fn is_unverified(&self, module: u16) -> bool {
        self.unverified.contains(&module)
    }
}

impl CodeFrameId {
    /// As an index into a table with one entry for each code frame.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_cargo_vendored_is_a_dependency() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("third-party/dep")).unwrap();
        fs::write(folder.path().join("third-party/dep").join(CHECKSUMS), "{}").unwrap();
        let mut symbols = Symbols::default();
        let mut origin = |file: &str| {
            let file = folder.path().join(file);
            let id = symbols.intern(CodeFrame::new("f", file.to_str().unwrap(), 1));
            symbols.origin(id)
        };
        assert_eq!(origin("third-party/dep/src/lib.rs"), Origin::Dependency);
        assert_eq!(origin("third-party/own/src/lib.rs"), Origin::User);
        assert_eq!(origin("src/main.rs"), Origin::User);
    }
}
