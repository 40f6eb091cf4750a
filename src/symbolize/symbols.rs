//! What each address of a profile means: a table from frames to functions and lines.

use std::collections::{HashMap, HashSet};

use profiler_alloc_format::Frame;

use super::Origin;

/// A place in the code: one frame as the program's author sees it. An address that was inlined into has several.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct CodeFrame {
    /// Number of the module.
    pub module: u16,
    /// Demangled name without hash, or `module+0xoffset`.
    pub function: String,
    /// Path of the source file, as the compiler wrote it; empty if unknown.
    pub file: String,
    /// Line in `file`, from 1. `None` if unknown or made by the compiler.
    pub line: Option<u32>,
    /// `module+0xoffset`, where there is no line.
    pub offset: Option<String>,
}

impl CodeFrame {
    /// The frame at `frame` of a module called `module`, of which no more is known.
    pub fn unknown(module: &str, frame: Frame) -> CodeFrame {
        let offset = format!("{module}+{:#x}", super::dwarf::call_address(frame));
        CodeFrame {
            module: frame.module(),
            function: offset.clone(),
            file: String::new(),
            line: None,
            offset: Some(offset),
        }
    }

    /// A frame of the main executable at `line` of `function` in `file`.
    pub fn new(function: &str, file: &str, line: u32) -> CodeFrame {
        CodeFrame {
            module: 0,
            function: function.to_owned(),
            file: file.to_owned(),
            line: Some(line),
            offset: None,
        }
    }
}

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
}

impl Symbols {
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
        let origin = Origin::of(&code);
        self.user_lines |= origin == Origin::User;
        if code.line.is_some() {
            self.with_lines.insert(code.module);
        }
        self.ids.insert(code.clone(), id);
        self.code.push((code, origin));
        id
    }

    pub(super) fn mark_unverified(&mut self, module: u16) {
        self.unverified.insert(module);
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

    /// Whether any line was found in `module`.
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
