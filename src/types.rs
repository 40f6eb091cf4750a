//! What a block is: the type that the frames between the allocator and the user's line name.
//!
//! ```text
//! malloc ◀─ Global::alloc ◀─ RawVec::grow_one<Bucket<K, V>> ◀─ Vec::push<Order>, inlined into ◀─ app::load
//!           skipped          Vec of Bucket<K, V>, a guess      Vec of Order, and that is it       the walk ends
//! ```
//!
//! LLVM merges functions of equal code, so a function that was not inlined may be called by those
//! who wrote another type: `grow_one<Bucket<K, V>>` above serves all elements of that size. What is
//! inlined into a function without type arguments is certain.

mod cpp;
mod module_path;
mod name;
mod rules;
mod walk;

use std::fmt;

pub use walk::{Attribution, Attributor};

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
