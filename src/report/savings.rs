//! What blocks of another shape would save, where that follows from what is known: never from what
//! a program might do.
//!
//! glibc's malloc, on machines of 64 bits, keeps 8 bytes beside each block and rounds up to 16:
//!
//! ```text
//! asked for     1 … 24   25 … 40   41 … 56 …
//! taken             32        48        64 …
//! ```
//! So 1,000 boxes of 41 bytes take 64,000; in one block of an arena they take 41,000, and of 40
//! bytes each, 48,000.

use super::types::{Kind, TypeLine, TypeRow};
use super::{Figures, Metric, TypeName};

/// Bytes that glibc keeps beside a block.
const BESIDE: u64 = 8;
/// Blocks begin at multiples of this.
const STEP: u64 = 16;
/// The least that a block takes.
const LEAST: u64 = 32;

/// What many blocks of one size would save, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OneSize {
    /// Bytes of each.
    pub size: u64,
    /// All of them side by side, as in an arena.
    pub arena: i64,
    /// Each smaller by so many bytes, and what that saves. `None` of the smallest.
    pub smaller: Option<(u64, i64)>,
}

/// Bytes that glibc takes for a block.
pub fn taken(size: u64) -> u64 {
    size.saturating_add(BESIDE)
        .next_multiple_of(STEP)
        .max(LEAST)
}

impl TypeLine {
    /// What its blocks of `metric` would save, if all are of one `size`.
    pub fn one_size(&self, size: u64, metric: Metric) -> OneSize {
        let blocks = metric.blocks(&self.figures).bytes;
        let saves = |each: u64| blocks.saturating_mul(each as i64);
        let taken = taken(size);
        let fits = taken - STEP - BESIDE;
        OneSize {
            size,
            arena: saves(taken.saturating_sub(size)),
            smaller: (taken > LEAST).then(|| (size.saturating_sub(fits), saves(STEP))),
        }
    }
}

impl TypeRow {
    /// The size that all of its blocks have, if its type says that they have one.
    pub fn block_size(&self) -> Option<u64> {
        let Kind::Typed { name, .. } = &self.kind else {
            return None;
        };
        let of_one_size = name.part.is_some()
            || ONE_SIZE
                .iter()
                .any(|container| name.full.starts_with(container))
                && !is_unsized(name);
        of_one_size.then(|| whole_mean(&self.figures)).flatten()
    }

    /// What its elements could be instead, of a third less, if none of them grows once it is in
    /// there, and the bytes of `metric` that this saves.
    ///
    /// A `Vec` is a pointer, a length and a capacity; a `Box<[T]>` has no capacity.
    pub fn boxed(&self, metric: Metric) -> Option<(String, i64)> {
        let Kind::Typed { name, .. } = &self.kind else {
            return None;
        };
        let is_row = ["Vec<", "VecDeque<", "Box<["]
            .iter()
            .any(|row| name.full.starts_with(row));
        let element = name.element.as_str();
        let boxed = match element.strip_prefix("alloc::vec::Vec<") {
            Some(inner) => format!("Box<[{}]>", inner.strip_suffix('>')?),
            None if element == "alloc::string::String" => "Box<str>".to_owned(),
            None => return None,
        };
        is_row.then(|| (boxed, metric.of(&self.figures).bytes / 3))
    }
}

/// Containers of one element each.
const ONE_SIZE: [&str; 6] = [
    "Box<",
    "Rc<",
    "Arc<",
    "LinkedList<",
    "std::unique_ptr<",
    "std::shared_ptr<",
];

/// Whether it is a slice or a text that stands where one element would.
fn is_unsized(name: &TypeName) -> bool {
    let element = name.element.as_str();
    let is_array = |inner: &str| {
        let length = inner.rsplit_once("; ").map(|(_, length)| length);
        length.is_some_and(|length| length.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let slice = element
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    name.full == "Box<str>"
        || name.full == format!("Box<[{element}]>")
        || element == "str"
        || slice.is_some_and(|inner| !is_array(inner))
}

/// The mean size of blocks, if it is a whole number, as that of blocks of one size is.
fn whole_mean(figures: &Figures) -> Option<u64> {
    let (bytes, blocks) = (figures.allocated.bytes, figures.count);
    let mean = bytes as f64 / blocks as f64;
    // A count that is an estimate is rounded to a block.
    let error = mean / blocks as f64;
    let size = mean.round();
    let is_whole = blocks > 0 && size >= 1.0 && (mean - size).abs() <= error.min(0.25);
    is_whole.then_some(size as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Bytes;

    fn figures(bytes: i64, blocks: i64) -> Figures {
        let bytes = Bytes {
            bytes,
            standard_error: 0.0,
        };
        Figures {
            allocated: bytes,
            live: bytes,
            count: blocks,
            live_count: blocks,
            ..Figures::default()
        }
    }

    fn row(full: &str, element: &str, figures: Figures) -> TypeRow {
        let name = TypeName {
            full: full.to_owned(),
            element: element.to_owned(),
            part: None,
        };
        let line = TypeLine {
            function: String::new(),
            file: String::new(),
            line: None,
            figures,
            growth: Default::default(),
        };
        TypeRow {
            kind: Kind::Typed {
                name,
                certain: true,
            },
            element_size: None,
            figures,
            growth: Default::default(),
            lines: vec![line],
            holders: Vec::new(),
        }
    }

    #[test]
    fn boxes_of_one_size_would_save_what_malloc_adds() {
        let nodes = row("Box<app::Node>", "app::Node", figures(41_000, 1000));
        assert_eq!(nodes.block_size(), Some(41));
        assert_eq!(
            nodes.lines[0].one_size(41, Metric::Live),
            OneSize {
                size: 41,
                arena: 23_000,
                smaller: Some((1, 16_000)),
            }
        );
        // The smallest block takes 32 bytes, however small it is.
        let small = nodes.lines[0].one_size(24, Metric::Live);
        assert_eq!((small.arena, small.smaller), (8_000, None));
        let slices = row("Box<[u8]>", "u8", figures(41_000, 1000));
        assert_eq!(slices.block_size(), None);
        let counted = row("Rc<[u8]>", "[u8]", figures(41_000, 1000));
        assert_eq!(counted.block_size(), None);
        let arrays = row("Rc<[[u8; 4]; 9]>", "[[u8; 4]; 9]", figures(52_000, 1000));
        assert_eq!(arrays.block_size(), Some(52));
        let uneven = row("Box<app::Node>", "app::Node", figures(41_300, 1000));
        assert_eq!(uneven.block_size(), None);
    }

    #[test]
    fn what_never_grows_needs_no_capacity() {
        let names = row(
            "Vec<alloc::string::String>",
            "alloc::string::String",
            figures(2400, 1),
        );
        assert_eq!(
            names.boxed(Metric::Live),
            Some(("Box<str>".to_owned(), 800))
        );
        let rows = row(
            "Vec<alloc::vec::Vec<u16>>",
            "alloc::vec::Vec<u16>",
            figures(480, 1),
        );
        assert_eq!(
            rows.boxed(Metric::Live),
            Some(("Box<[u16]>".to_owned(), 160))
        );
        let numbers = row("Vec<u64>", "u64", figures(480, 1));
        assert_eq!(numbers.boxed(Metric::Live), None);
    }

    #[test]
    fn glibc_rounds_up() {
        let sizes = [1, 24, 25, 40, 41, 56, 57];
        assert_eq!(sizes.map(taken), [32, 32, 48, 48, 64, 64, 80]);
    }
}
