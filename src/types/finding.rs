//! What is said of a block: its type, or that none is known.

use std::fmt;

use super::name;

/// A container and what it is of.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct TypeName {
    /// In full: `alloc::vec::Vec` is `Vec`, but the element has its path.
    pub full: String,
    /// What the elements are, in full; empty where that is told by the name, as of `String`.
    pub element: String,
    /// Which part of the container the block is, if it has several kinds: `leaf`, `table`.
    pub part: Option<&'static str>,
}

impl TypeName {
    /// The name for people: paths and what is nested deeply left out.
    pub fn short(&self) -> String {
        const DEPTH: usize = 3;
        let mut shown = name::short(&self.full, DEPTH);
        if let Some(part) = self.part {
            shown.push_str(", ");
            shown.push_str(part);
        }
        shown
    }
}

impl fmt::Display for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full)
    }
}

/// What the frames of a stack say of its blocks.
#[derive(Clone, PartialEq, Debug)]
pub enum TypeFinding {
    /// Their type.
    Typed {
        /// Which.
        name: TypeName,
        /// Whether it is certain; if not, another type with elements of the same size may be meant.
        certain: bool,
        /// Bytes of an element, where that is known and they stand side by side.
        element_size: Option<u64>,
    },
    /// Nothing: memory was asked for by its size alone, or there is no debug information.
    Untyped {
        /// Whether code of another language than Rust asked.
        is_foreign: bool,
    },
}
