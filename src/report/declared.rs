//! Which function a line belongs to where the source is not that of the build: by the debug
//! information, which has names and where each function begins.
//!
//! ```text
//! code of `from` on line 9    functions of the file: line 2  <app::Error as From<u8>>::from
//!                                                    line 8  <app::Error as From<bool>>::from  <-
//! ```

use std::collections::{HashMap, HashSet};

use super::naming;
use crate::source::SourceText;
use crate::symbolize::{CodeFrame, Symbols};

/// The functions of source files, by module and path.
#[derive(Default)]
pub(super) struct DeclaredFunctions {
    files: HashMap<u16, HashMap<String, Vec<DeclaredFunction>>>,
}

/// A function, all instances of a generic one in one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct DeclaredFunction {
    pub line: u32,
    /// Simplified.
    name: String,
}

impl DeclaredFunctions {
    /// Those of `files`: module, and path as the compiler wrote it.
    pub(super) fn of<'a>(
        symbols: &Symbols,
        files: impl IntoIterator<Item = (u16, &'a str)>,
    ) -> DeclaredFunctions {
        let mut wanted: HashMap<u16, HashSet<&str>> = HashMap::new();
        for (module, file) in files {
            wanted.entry(module).or_default().insert(file);
        }
        let functions = |module, files: &HashSet<&str>| {
            let mut found = symbols.declarations(module, files);
            let simplified = files.iter().map(|&file| {
                let functions = found.remove(file).unwrap_or_default().into_iter();
                let functions = functions.map(|function| DeclaredFunction {
                    line: function.line,
                    name: naming::simplify(&function.function),
                });
                let mut functions: Vec<_> = functions.collect();
                functions.dedup();
                (file.to_owned(), functions)
            });
            simplified.collect()
        };
        let files = wanted.into_iter();
        DeclaredFunctions {
            files: files
                .map(|(module, files)| (module, functions(module, &files)))
                .collect(),
        }
    }

    /// Whether the file of `code` is one of theirs.
    pub(super) fn are_of(&self, code: &CodeFrame) -> bool {
        let files = self.files.get(&code.module);
        files.is_some_and(|files| files.contains_key(&code.file))
    }

    /// The function that `code` is in: the last one of its name that begins no further down.
    /// `None` too for a closure that has lost the name of its function, as inlined ones have in
    /// line tables alone.
    pub(super) fn around(&self, code: &CodeFrame) -> Option<&DeclaredFunction> {
        let functions = self.files.get(&code.module)?.get(&code.file)?;
        let name = naming::simplify(&code.function);
        let nearest = |is: &dyn Fn(&&DeclaredFunction) -> bool| {
            let mut named = functions.iter().filter(is);
            let (first, second) = (named.clone().next(), named.clone().nth(1));
            let is_above = |function: &&DeclaredFunction| Some(function.line) <= code.line;
            // The code of a macro may stand anywhere.
            named.rfind(is_above).or(first.filter(|_| second.is_none()))
        };
        nearest(&|function| function.name == name)
            .or_else(|| nearest(&|function| naming::last(&function.name) == naming::last(&name)))
    }
}

/// The item of a text that `function`, which begins on `line`, is in this text too: it has not
/// moved.
pub(super) fn item_at(text: &SourceText, function: &str, line: u32) -> Option<usize> {
    let index = item_like(text, function, line)?;
    let item = text.outline.items().get(index)?;
    (item.first_line == line).then_some(index)
}

/// The item of a text that has code of `function` on `line`, as it may be.
pub(super) fn item_like(text: &SourceText, function: &str, line: u32) -> Option<usize> {
    let is_it = !function.starts_with('{') && !text.contradicts(naming::last(function), line);
    text.outline.enclosing(line).filter(|_| is_it)
}
