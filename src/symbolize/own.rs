//! What a user calls their own beyond the source of the program itself: crates and paths, named by
//! patterns.
//!
//! ```text
//! jaq-*           a crate, here every one whose name begins so; `-` and `_` are the same
//! /home/me/libs/  a path, or a part of one, as there is a `/` in it
//! ```

use std::borrow::Cow;
use std::convert::Infallible;
use std::str::FromStr;

use super::code_frame::CodeFrame;
use super::origin::is_std_file;

/// Names crates, or source files if there is a `/` in it; `*` stands for any text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern(String);

impl FromStr for Pattern {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Pattern, Infallible> {
        Ok(Pattern(text.trim().to_owned()))
    }
}

impl Pattern {
    /// The patterns of a list, apart by commas.
    pub fn list(text: &str) -> Vec<Pattern> {
        let texts = text.split(',').filter(|text| !text.trim().is_empty());
        texts.map(|text| Pattern(text.trim().to_owned())).collect()
    }

    /// Its text, as it was given.
    pub fn text(&self) -> &str {
        &self.0
    }

    pub(super) fn is_of(&self, code: &CodeFrame) -> bool {
        if self.0.contains('/') {
            return glob(&format!("*{}*", self.0), &code.file);
        }
        let name = |text: &str| text.replace('-', "_");
        crate_of(&code.function, &code.file).is_some_and(|of| glob(&name(&self.0), &name(&of)))
    }
}

/// Whether `text` is what `pattern` says, in which `*` stands for any text.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    // The leftmost place for each part leaves most room for those that follow.
    for part in parts {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// The crate that a function is of: where its file is told, else the first part of its path. `None`
/// if neither says.
///
/// ```text
/// …/registry/src/index.crates.io-1949cf8c6b5b557f/jaq-core-3.1.0/src/load.rs  jaq-core
/// /rustc/59807616/library/alloc/src/vec/mod.rs                                alloc
/// <&jaq_core::Val as core::fmt::Display>::fmt                                 jaq_core
/// ```
pub fn crate_of<'a>(function: &'a str, file: &'a str) -> Option<Cow<'a, str>> {
    let after = |marker: &str| Some(file.split_once(marker)?.1);
    if let Some((_, rest)) = after("/registry/src/").and_then(|rest| rest.split_once('/')) {
        return Some(without_version(rest.split('/').next()?).into());
    }
    if is_std_file(file) {
        if let Some(rest) = after("/rust/deps/").or_else(|| file.strip_prefix("/rust/deps/")) {
            return Some(without_version(rest.split('/').next()?).into());
        }
        return Some(after("/library/")?.split('/').next()?.into());
    }
    let path = function.trim_start_matches(['<', '&', '(', '[', '*']);
    let path = ["mut ", "const ", "dyn "]
        .iter()
        .fold(path, |path, word| path.strip_prefix(word).unwrap_or(path));
    let (name, _) = path.split_once("::")?;
    let is_name = |char: char| char.is_alphanumeric() || char == '_';
    (!name.is_empty() && name.chars().all(is_name)).then(|| name.into())
}

/// `sha-1-0.10.0` is version 0.10.0 of `sha-1`.
fn without_version(folder: &str) -> &str {
    let is_version = |text: &str| {
        text.split_once('.').is_some_and(|(major, _)| {
            !major.is_empty() && major.bytes().all(|b| b.is_ascii_digit())
        })
    };
    let dashes = folder.match_indices('-').map(|(at, _)| at);
    let at = dashes.into_iter().find(|&at| is_version(&folder[at + 1..]));
    &folder[..at.unwrap_or(folder.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    const JAQ: &str =
        "/home/me/.cargo/registry/src/index.crates.io-1949/jaq-core-3.1.0/src/load.rs";

    #[test]
    fn crates_are_told_by_file_and_else_by_name() {
        let cases = [
            ("run", JAQ, Some("jaq-core")),
            (
                "x",
                "/r/registry/src/i/sha-1-0.10.0-rc.1/src/lib.rs",
                Some("sha-1"),
            ),
            (
                "push",
                "/rustc/598/library/alloc/src/vec/mod.rs",
                Some("alloc"),
            ),
            (
                "insert",
                "/rust/deps/hashbrown-0.15.2/src/map.rs",
                Some("hashbrown"),
            ),
            ("app::main", "/home/me/app/src/main.rs", Some("app")),
            (
                "<&mut jaq_core::Val as core::fmt::Display>::fmt",
                "",
                Some("jaq_core"),
            ),
            ("<[T] as core::fmt::Debug>::fmt", "", None),
            ("main", "", None),
            ("", "", None),
        ];
        for (function, file, expected) in cases {
            assert_eq!(
                crate_of(function, file).as_deref(),
                expected,
                "{function} {file}"
            );
        }
    }

    #[test]
    fn patterns_name_crates_or_paths() {
        let is_of = |pattern: &str, file: &str| {
            let pattern: Pattern = pattern.parse().unwrap();
            pattern.is_of(&CodeFrame::new("run", file, 1))
        };
        for pattern in [
            "jaq-core",
            "jaq_core",
            "jaq*",
            "*",
            "*core",
            "j*-*e",
            "/jaq-core-",
            "src/load.rs",
        ] {
            assert!(is_of(pattern, JAQ), "{pattern}");
        }
        for pattern in [
            "jaq",
            "core",
            "jaq-core-3.1.0",
            "*x*",
            "/jaq-std-",
            "jaq*core*e",
            "",
        ] {
            assert!(!is_of(pattern, JAQ), "{pattern}");
        }
    }

    #[test]
    fn a_list_has_commas() {
        let list = Pattern::list("jaq*, ./libs/,,");
        let texts: Vec<&str> = list.iter().map(Pattern::text).collect();
        assert_eq!(texts, ["jaq*", "./libs/"]);
    }
}
