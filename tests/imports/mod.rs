//! Which files of a crate import which others, read from the source itself.
//!
//! A path counts wherever it stands: `use crate::a::X`, `use super::{b, c::Y}`, `crate::d::f()` in
//! the middle of an expression. A name that a module re-exports (`pub use self::x::Name`) leads on
//! to the file that defines it, so `super::Name` is no import of the module above. Code of tests is
//! left out: tests may look wherever they like.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// `["sampling", "filter"]` for `src/sampling/filter.rs`; nothing for `src/lib.rs`.
pub type Module = Vec<String>;

/// The modules of one crate, each a file, and what they import.
pub struct Imports {
    files: BTreeMap<Module, PathBuf>,
    /// What each file names.
    named: BTreeMap<Module, BTreeSet<Module>>,
    /// Where that is defined.
    edges: BTreeMap<Module, BTreeSet<Module>>,
}

/// What one file says.
#[derive(Default)]
struct Paths {
    used: BTreeSet<Module>,
    /// Names that it hands on, and where they come from.
    handed_on: BTreeMap<String, Module>,
    /// Every name in it, but for those of `mod name;` and of what it hands on.
    names: BTreeSet<String>,
}

impl Imports {
    /// Of the crate whose `lib.rs` is in `folder`; `sources` are all files of the repository.
    pub fn of(root: &Path, folder: &str, sources: &[PathBuf]) -> Imports {
        let files: BTreeMap<Module, PathBuf> = sources
            .iter()
            .filter_map(|path| Some((module_of(path.strip_prefix(folder).ok()?)?, path.clone())))
            .collect();
        let paths: BTreeMap<Module, Paths> = files
            .iter()
            .filter(|(module, _)| !module.iter().any(|part| part == "tests"))
            .map(|(module, path)| {
                let text = fs::read_to_string(root.join(path)).unwrap();
                (module.clone(), Paths::of(&text, module, &files))
            })
            .collect();
        let edges = paths
            .iter()
            .map(|(module, own)| {
                let hidden = own
                    .handed_on
                    .iter()
                    .filter(|(name, _)| own.names.contains(*name));
                let all = own.used.iter().chain(hidden.map(|(_, path)| path));
                let mut to: BTreeSet<Module> = all.map(|path| defined_in(path, &paths)).collect();
                to.remove(module);
                (module.clone(), to)
            })
            .collect();
        let named = paths
            .iter()
            .map(|(module, own)| {
                let all = own.used.iter().chain(own.handed_on.values());
                (
                    module.clone(),
                    all.map(|path| file_of(path, &paths)).collect(),
                )
            })
            .collect();
        Imports {
            files,
            named,
            edges,
        }
    }

    /// Every import as the importing module and the one it names: what a module hands on from a
    /// lower one counts as its own.
    pub fn pairs(&self) -> impl Iterator<Item = (&Module, &Module)> {
        self.named
            .iter()
            .flat_map(|(from, to)| to.iter().map(move |to| (from, to)))
    }

    pub fn modules(&self) -> impl Iterator<Item = &Module> {
        self.files.keys()
    }

    /// Circles of imports, each as one shortest way around: `a -> b -> a`.
    pub fn circles(&self) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let mut circles = Vec::new();
        for module in self.edges.keys() {
            if seen.contains(module) {
                continue;
            }
            if let Some(way) = self.way_back(module) {
                seen.extend(way.iter().cloned());
                let names: Vec<_> = way.iter().map(name).collect();
                circles.push(names.join(" -> "));
            }
        }
        circles
    }

    /// The shortest way from `start` to itself.
    fn way_back(&self, start: &Module) -> Option<Vec<Module>> {
        let mut ways = vec![vec![start.clone()]];
        let mut seen = BTreeSet::new();
        while !ways.is_empty() {
            let mut longer = Vec::new();
            for way in ways {
                for next in self.edges.get(way.last()?).into_iter().flatten() {
                    let mut way = way.clone();
                    way.push(next.clone());
                    if next == start {
                        return Some(way);
                    }
                    if seen.insert(next.clone()) {
                        longer.push(way);
                    }
                }
            }
            ways = longer;
        }
        None
    }
}

/// As it is shown: `sampling/filter`.
pub fn name(module: &Module) -> String {
    match module.is_empty() {
        true => "lib".to_owned(),
        false => module.join("/"),
    }
}

/// The module of a file, by its path in the crate; `None` of a program's root, which is a crate of
/// its own.
fn module_of(path: &Path) -> Option<Module> {
    if path.extension()? != "rs" || path == Path::new("main.rs") {
        return None;
    }
    let mut module: Module = path
        .with_extension("")
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    if module == ["lib"] || module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    Some(module)
}

/// The file that `path` names something in.
fn file_of(path: &[String], paths: &BTreeMap<Module, Paths>) -> Module {
    let mut module = path.to_vec();
    while !paths.contains_key(&module) && module.pop().is_some() {}
    module
}

/// The file that defines what `path` leads to.
fn defined_in(path: &[String], paths: &BTreeMap<Module, Paths>) -> Module {
    let mut path = path.to_vec();
    // Hands on hand on, but not in a circle.
    for _ in 0..10 {
        let module = file_of(&path, paths);
        let rest = &path[module.len()..];
        let Some(next) = rest
            .first()
            .and_then(|name| paths.get(&module)?.handed_on.get(name))
        else {
            return module;
        };
        path = [next, &rest[1..]].concat();
    }
    path
}

impl Paths {
    fn of(text: &str, module: &Module, files: &BTreeMap<Module, PathBuf>) -> Paths {
        let tokens: TokenStream = text.parse().expect("Rust");
        let mut paths = Paths::default();
        paths.read(&without_tests(tokens), module, files);
        paths
    }

    /// Reads code of the module `here`, which may be one inside of a file.
    fn read(&mut self, trees: &[TokenTree], here: &Module, files: &BTreeMap<Module, PathBuf>) {
        let mut at = 0;
        while at < trees.len() {
            if let Some(end) = self.read_handed_on(&trees[at..], here, files) {
                at += end;
                continue;
            }
            if is(&trees[at], "mod")
                && let Some(TokenTree::Ident(inner)) = trees.get(at + 1)
            {
                if let Some(TokenTree::Group(body)) = trees.get(at + 2) {
                    let mut inside = here.clone();
                    inside.push(inner.to_string());
                    self.read(&without_tests(body.stream()), &inside, files);
                }
                at += 3;
                continue;
            }
            if let TokenTree::Group(group) = &trees[at] {
                self.read(&without_tests(group.stream()), here, files);
            }
            if let TokenTree::Ident(word) = &trees[at] {
                self.names.insert(word.to_string());
                let before = at.checked_sub(1).map(|before| &trees[before]);
                let is_start = before.is_none_or(|before| {
                    // `a::self`, the macro's `$crate`, and `pub(in crate::a)` are none.
                    ![":", "$", "."].iter().any(|mark| is(before, mark)) && !is(before, "in")
                });
                if is_start && let Some((base, rest)) = start(&trees[at..], here, files) {
                    self.used.extend(ends(rest, &base));
                }
            }
            at += 1;
        }
    }

    /// Reads `pub use …;` of this crate, and gives its length.
    fn read_handed_on(
        &mut self,
        trees: &[TokenTree],
        here: &Module,
        files: &BTreeMap<Module, PathBuf>,
    ) -> Option<usize> {
        if !is(trees.first()?, "pub") {
            return None;
        }
        let has_scope = matches!(trees.get(1)?, TokenTree::Group(_));
        let used_at = if has_scope { 2 } else { 1 };
        if !is(trees.get(used_at)?, "use") {
            return None;
        }
        let len = trees.iter().position(|tree| is(tree, ";"))?;
        let path = &trees[used_at + 1..len];
        let (base, rest) = start(path, here, files)?;
        self.handed_on.extend(named(rest, &base));
        Some(len + 1)
    }
}

/// Where a path begins, and what follows: `crate::`, `self::`, `super::`, or the name of a module
/// in this one.
fn start<'a>(
    trees: &'a [TokenTree],
    here: &Module,
    files: &BTreeMap<Module, PathBuf>,
) -> Option<(Module, &'a [TokenTree])> {
    if !is_path(trees.get(1..)?) {
        return None;
    }
    let word = trees[0].to_string();
    let mut rest = &trees[3..];
    let base = match word.as_str() {
        "crate" => Module::new(),
        "self" => here.clone(),
        "super" => {
            let mut base = here.clone();
            base.pop();
            while rest.first().is_some_and(|tree| is(tree, "super")) && is_path(&rest[1..]) {
                base.pop();
                rest = &rest[3..];
            }
            base
        }
        name => {
            let mut child = here.clone();
            child.push(name.to_owned());
            files.contains_key(&child).then_some(child)?
        }
    };
    Some((base, rest))
}

/// What a path leads to, which may be a list: `b::X` and `c` of `{b::X, c}`.
fn ends(trees: &[TokenTree], base: &Module) -> Vec<Module> {
    named(trees, base)
        .into_iter()
        .map(|(_, path)| path)
        .collect()
}

/// As [`ends`], with the names under which they are known.
fn named(trees: &[TokenTree], base: &Module) -> Vec<(String, Module)> {
    let mut path = base.clone();
    let mut rest = trees;
    loop {
        match rest.first() {
            Some(TokenTree::Ident(word)) => {
                if word != "self" {
                    path.push(word.to_string());
                }
                if !is_path(&rest[1..]) {
                    let alias = match rest.get(1..3) {
                        Some([word, alias]) if is(word, "as") => Some(alias.to_string()),
                        _ => None,
                    };
                    let name = alias.or_else(|| path.last().cloned());
                    return vec![(name.unwrap_or_default(), path)];
                }
                rest = &rest[3..];
            }
            Some(TokenTree::Group(list)) if list.delimiter() == Delimiter::Brace => {
                let trees: Vec<_> = list.stream().into_iter().collect();
                let items = trees.split(|tree| is(tree, ","));
                return items
                    .filter(|item| !item.is_empty())
                    .flat_map(|item| named(item, &path))
                    .collect();
            }
            // `*`, or the end of something else.
            _ => return vec![(String::new(), path)],
        }
    }
}

/// True if `::` is next.
fn is_path(trees: &[TokenTree]) -> bool {
    matches!(trees, [first, second, ..] if is(first, ":") && is(second, ":"))
}

fn is(tree: &TokenTree, text: &str) -> bool {
    match tree {
        TokenTree::Ident(word) => word == text,
        TokenTree::Punct(mark) => text.len() == 1 && text.starts_with(mark.as_char()),
        _ => false,
    }
}

/// Code without items that only tests see.
pub fn without_tests(tokens: TokenStream) -> Vec<TokenTree> {
    let trees: Vec<_> = tokens.into_iter().collect();
    let mut kept = Vec::new();
    let mut at = 0;
    while at < trees.len() {
        let is_test = is(&trees[at], "#")
            && trees.get(at + 1).is_some_and(|attribute| {
                let text: String = attribute.to_string().split_whitespace().collect();
                text.starts_with("[cfg(test)") || text.starts_with("[cfg(all(test")
            });
        if is_test {
            let rest = &trees[at..];
            let ends_item = |tree: &TokenTree| {
                is(tree, ";")
                    || matches!(tree, TokenTree::Group(g) if g.delimiter() == Delimiter::Brace)
            };
            at += rest.iter().position(ends_item).unwrap_or(rest.len()) + 1;
        } else {
            kept.push(trees[at].clone());
            at += 1;
        }
    }
    kept
}

#[test]
fn paths_are_seen_in_all_their_forms() {
    let module = |path: &str| -> Module { path.split("::").map(str::to_owned).collect() };
    let known = ["a::b", "a::b::child"];
    let files = known.map(|path| (module(path), PathBuf::new())).into();
    let text = "
        // crate::comment
        use crate::alpha::X;
        use crate::{beta::{self, Y}, gamma as delta};
        pub use self::child::Handed;
        mod child;
        pub(in crate::epsilon) fn f() -> super::zeta::Z { \"crate::string\"; mac!(crate::eta()) }
        macro_rules! m { () => { $crate::theta::f() } }
        #[cfg(test)]
        mod tests { use crate::iota; }
        mod inner { use super::super::kappa; use super::own; fn f() { super::super::super::top() } }
        fn g() { child::h(); other::i() }
    ";
    let paths = Paths::of(text, &module("a::b"), &files);
    let used: Vec<_> = paths.used.iter().map(|path| path.join("::")).collect();
    let expected = [
        "a::b::child::h",
        "a::b::own",
        "a::kappa",
        "a::zeta::Z",
        "alpha::X",
        "beta",
        "beta::Y",
        "eta",
        "gamma",
        "top",
    ];
    assert_eq!(used, expected);
    let handed_on: Vec<_> = paths.handed_on.into_iter().collect();
    assert_eq!(
        handed_on,
        [("Handed".to_owned(), module("a::b::child::Handed"))]
    );
}
