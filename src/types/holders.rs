//! What holds a block: the container in whose making it was made.
//!
//! ```text
//! malloc
//! ◀─ String::from, inlined            the block is a String
//! ◀─ app::load::{closure#0}           the user's own code
//! ◀─ collect<Vec<Name, String>>       no: a `Name` may or may not have it in it
//! ◀─ collect<Vec<String>>             it was made for a `Vec<String>`, which holds it
//! ```
//! Where the user's code stands between the two, the block may as well be gone before the container
//! is done: then the holder is a guess.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::finding::TypeName;
use crate::profile::Frame;

/// A container that a frame makes or changes.
pub(super) struct Outer {
    pub name: TypeName,
    /// Its elements, as [`without_std_paths`] writes them.
    pub holds: String,
    /// Whether the frame is of this container and of no other.
    pub certain: bool,
    /// The user's own code is further in, within the same frame.
    pub is_beyond_user: bool,
}

/// What the functions at a frame say, innermost first.
pub(super) struct OuterFrame {
    pub outers: Vec<Outer>,
    /// Some function at the frame is the user's own.
    pub has_user: bool,
}

/// Looked up once for each frame, however many stacks go through it.
#[derive(Default)]
pub(super) struct Outers(RefCell<HashMap<Frame, Rc<OuterFrame>>>);

impl Outers {
    pub(super) fn of(&self, frame: Frame, look: impl FnOnce() -> OuterFrame) -> Rc<OuterFrame> {
        let mut known = self.0.borrow_mut();
        Rc::clone(known.entry(frame).or_insert_with(|| Rc::new(look())))
    }
}

/// The innermost of `frames` whose elements have `name` in them, and whether it is certain.
pub(super) fn holder(
    frames: impl Iterator<Item = Rc<OuterFrame>>,
    name: &TypeName,
) -> Option<(TypeName, bool)> {
    let block = without_std_paths(&name.full);
    let mut is_beyond_user = false;
    for frame in frames {
        let outer = frame.outers.iter().find(|outer| has(&outer.holds, &block));
        if let Some(outer) = outer {
            let certain = outer.certain && !is_beyond_user && !outer.is_beyond_user;
            return Some((outer.name.clone(), certain));
        }
        is_beyond_user |= frame.has_user;
    }
    None
}

/// Whether `part` stands in `whole` as a type of its own.
fn has(whole: &str, part: &str) -> bool {
    let is_name = |char: char| char.is_alphanumeric() || "_:".contains(char);
    whole.match_indices(part).any(|(at, _)| {
        let before = whole[..at].chars().next_back();
        let after = whole[at + part.len()..].chars().next();
        !before.is_some_and(is_name) && !after.is_some_and(|char| is_name(char) || char == '<')
    })
}

/// A type with the containers of the language by name alone: `(u8, alloc::vec::Vec<app::Order>)` is
/// `(u8, Vec<app::Order>)`.
pub(super) fn without_std_paths(name: &str) -> String {
    let is_path = |char: char| char.is_alphanumeric() || "_:{}#".contains(char);
    let mut shown = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let end = match is_path(first) {
            true => rest.find(|char| !is_path(char)).unwrap_or(rest.len()),
            false => first.len_utf8(),
        };
        let (path, further) = rest.split_at(end);
        let is_std = ["alloc::", "core::", "std::"]
            .iter()
            .any(|std| path.starts_with(std));
        shown.push_str(match is_std {
            true => path.rsplit("::").next().unwrap_or(path),
            false => path,
        });
        rest = further;
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_found_in_another_as_a_whole() {
        let nested = without_std_paths("(alloc::string::String, alloc::vec::Vec<app::Order>)");
        assert_eq!(nested, "(String, Vec<app::Order>)");
        for (part, expected) in [
            ("String", true),
            ("Vec<app::Order>", true),
            ("Vec<Order>", false),
            ("Order", false),
            ("Str", false),
        ] {
            assert_eq!(has(&nested, part), expected, "{part}");
        }
        assert!(!has("Vec<app::OrderLine>", "Vec<app::Order"));
        assert!(!has("OsString", "String"));
        assert!(!has("String<8>", "String"));
    }
}
