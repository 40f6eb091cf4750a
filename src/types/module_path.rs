//! Which module a function is of: by its file where that is known, else by its name.
//!
//! ```text
//! /rustc/59807616/library/alloc/src/vec/mod.rs        alloc::vec
//! /rust/deps/hashbrown-0.16.1/src/raw.rs              hashbrown::raw
//! …/registry/src/index.crates.io-1949/smallvec-1.15.1/src/lib.rs   smallvec
//! <alloc::vec::Vec<T> as core::clone::Clone>::clone   alloc::vec
//! ```

use crate::symbolize::{CodeFrame, crate_of};

/// The module of the function that `code` is in, if it is one of Rust's.
pub(super) fn module_of(code: &CodeFrame) -> Option<String> {
    if code.file.ends_with(".rs") {
        return by_file(code);
    }
    code.file.is_empty().then(|| by_name(&code.function))?
}

fn by_file(code: &CodeFrame) -> Option<String> {
    let name = crate_of(&code.function, &code.file)?.replace('-', "_");
    let inner = code.file.rsplit_once("/src/").map_or("", |(_, path)| path);
    let inner = inner.strip_suffix(".rs").unwrap_or(inner);
    let mut module = name;
    for part in inner
        .split('/')
        .filter(|part| !["mod", "lib", ""].contains(part))
    {
        module.push_str("::");
        module.push_str(part);
    }
    Some(module)
}

fn by_name(function: &str) -> Option<String> {
    let path = function.trim_start_matches(['<', '&', '[', '(']);
    let path = path.strip_prefix("mut ").unwrap_or(path);
    let end = path.find(['<', '>', ' ']).unwrap_or(path.len());
    let mut parts: Vec<&str> = path[..end]
        .split("::")
        .filter(|part| !part.is_empty())
        .collect();
    let is_type = |part: &&str| part.starts_with(|char: char| char.is_uppercase());
    match parts.iter().position(is_type) {
        Some(at) => parts.truncate(at),
        // The function itself.
        None => drop(parts.pop()),
    }
    (!parts.is_empty()).then(|| parts.join("::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_told_by_file_and_else_by_name() {
        let std = "/rustc/598/library/alloc/src/vec/mod.rs";
        let cases = [
            ("push", std, Some("alloc::vec")),
            ("alloc::vec::Vec<T,A>::push", std, Some("alloc::vec")),
            (
                "f",
                "/rust/deps/hashbrown-0.16.1/src/raw.rs",
                Some("hashbrown::raw"),
            ),
            (
                "f",
                "/h/registry/src/i-1/smallvec-1.15.1/src/lib.rs",
                Some("smallvec"),
            ),
            (
                "f",
                "/h/registry/src/i-1/thin-vec-1.1.0/src/lib.rs",
                Some("thin_vec"),
            ),
            (
                "<alloc::vec::Vec<T> as core::clone::Clone>::clone",
                "",
                Some("alloc::vec"),
            ),
            (
                "<alloc::raw_vec::RawVecInner>::finish_grow",
                "",
                Some("alloc::raw_vec"),
            ),
            ("alloc::fmt::format", "", Some("alloc::fmt")),
            ("malloc", "", None),
            ("main", "/home/me/app/main.c", None),
            ("opendir", "", None),
        ];
        for (function, file, expected) in cases {
            let code = CodeFrame {
                line: None,
                ..CodeFrame::new(function, file, 1)
            };
            assert_eq!(
                module_of(&code).as_deref(),
                expected,
                "{function} in {file}"
            );
        }
    }
}
