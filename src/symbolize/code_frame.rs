//! One frame of the code, and the address it was at.

use profiler_alloc_format::Frame;

/// Number of the main executable's module.
pub(super) const MAIN_MODULE: u16 = 0;

/// A place in the code: one frame as the program's author sees it. An address that was inlined into
/// has several.
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
        let offset = format!("{module}+{:#x}", call_address(frame));
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

/// The address of the call that `frame` will return to.
///
/// A return address is that of the instruction after the call, which may belong to the next line,
/// to another inlined function or even to another function. One byte before it is always within the
/// call. No other code subtracts.
pub fn call_address(frame: Frame) -> u64 {
    frame.address().saturating_sub(1)
}
