//! A table in the making: a function's name, its source, and the rows seen so far.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use super::key::Key;
use super::{Note, naming};
use crate::profile::Module;
use crate::source::{Item, ItemKind, Source};
use crate::symbolize::CodeFrame;

/// Names with arguments that are kept of one function. A generic one may have thousands.
const MOST_INSTANCES: usize = 64;

/// A table in the making.
pub(super) struct TableBuilder {
    /// What the whole table is summed for.
    pub key: Key,
    /// The rows seen, and what each is summed for.
    pub rows: BTreeMap<RowId, Key>,
    /// What is summed for the code around the body, which stands on the line of the signature.
    pub around: Option<Key>,
    pub(super) file: String,
    /// What the debug info calls the function, in all ways.
    names: Vec<String>,
    /// The same with arguments, as many as are kept.
    pub(super) instances: Vec<String>,
    /// Path of the module that the source file is, if known.
    prefix: Option<String>,
    pub(super) item: Option<Item>,
    /// The line that the function begins on, if the debug information says it and not the text.
    pub(super) begin: Option<u32>,
    pub(super) source: Option<Rc<Source>>,
    pub(super) notes: Vec<Note>,
    pub(super) verified: bool,
}

/// What tells the rows of a table apart, and orders them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RowId {
    Line(u32),
    /// An address, as it is shown.
    Offset(String),
}

impl RowId {
    /// The row of `code`. `None` if the compiler made it: then it is on no line.
    pub(super) fn of(code: &CodeFrame) -> Option<RowId> {
        match (code.line, &code.offset) {
            (Some(line), _) => Some(RowId::Line(line)),
            (None, Some(offset)) if *offset == code.function => Some(RowId::Offset(offset.clone())),
            // The symbol table knows the function.
            (None, Some(offset)) => {
                let function = naming::simplify(&code.function);
                Some(RowId::Offset(format!("{offset} ({function})")))
            }
            (None, None) => None,
        }
    }
}

impl TableBuilder {
    /// A table without rows. `index` is that of its item in `source`.
    pub(super) fn new(
        key: Key,
        source: Option<Rc<Source>>,
        index: Option<usize>,
        module: Option<&Module>,
        verified: bool,
    ) -> TableBuilder {
        let file = match (&source, module) {
            (Some(source), _) => source.shown.clone(),
            (None, Some(module)) if module.path != Path::new("") => {
                module.path.display().to_string()
            }
            (None, _) => "unknown module".to_owned(),
        };
        let names = match (&source, module) {
            (None, Some(module)) => vec![module.name()],
            _ => Vec::new(),
        };
        let item = (source.as_ref().zip(index)).and_then(|(source, index)| source.item(index));
        TableBuilder {
            key,
            rows: BTreeMap::new(),
            around: None,
            file,
            names,
            instances: Vec::new(),
            prefix: None,
            item: item.cloned(),
            begin: None,
            notes: notes(source.as_deref(), verified),
            source,
            verified,
        }
    }

    /// Remembers what the debug info calls the function.
    pub(super) fn note_name(&mut self, code: &CodeFrame) {
        let name = naming::simplify(&code.function);
        if self.source.is_some() && !self.names.contains(&name) {
            self.names.push(name);
        }
        let room = self.instances.len() < MOST_INSTANCES;
        if room && self.source.is_some() && !self.instances.contains(&code.function) {
            self.instances.push(code.function.clone());
        }
    }

    /// Whether `code` is what an attribute has put around the function's body: on the attribute's
    /// own line, on that of the signature, where the whole body begins for a macro; or, as what
    /// `#[tokio::main]` makes of an `async fn` calls itself by the function's name, anywhere.
    pub(super) fn is_around(&self, code: &CodeFrame) -> bool {
        let Some((item, line)) = self.item.as_ref().zip(code.line) else {
            return false;
        };
        // The body of an `async fn` is a part of it: `app::main::{{closure}}`.
        let is_itself = || {
            !code.function.contains('{')
                && naming::last(&naming::simplify(&code.function)) == item.name()
        };
        item.kind == ItemKind::Function
            && (line < item.first_line
                || (item.is_wrapped && line == item.first_line && line < item.last_line)
                || (item.is_async && is_itself()))
    }

    /// The source file.
    pub(super) fn file(&self) -> &str {
        &self.file
    }

    /// Says that the source file is not the one that the program was built from.
    pub(super) fn note_change(&mut self) {
        self.notes.insert(0, Note::SourceChanged);
    }

    /// Path of the module that the source file is, if one of the function's names tells.
    pub(super) fn module_path(&self) -> Option<&str> {
        let item = self.item.as_ref()?;
        let path_before = |name: &'_ String| Some(name.strip_suffix(&item.path)?.len());
        (self.names.iter()).find_map(|name| name[..path_before(name)?].strip_suffix("::"))
    }

    /// Says in which module the source file's functions are, for those whose own names do not tell.
    pub(super) fn set_module_path(&mut self, path: &str) {
        self.prefix = Some(path.to_owned());
    }

    /// The best name: the source knows an item's own, the debug info may know its path, unless it
    /// was inlined.
    pub(super) fn function(&self) -> String {
        let fits = |name: &&String| match &self.item {
            Some(item) if item.kind != ItemKind::Type => naming::last(name) == item.name(),
            _ => true,
        };
        let longest = (self.names.iter().filter(fits)).max_by_key(|name| (name.len(), *name));
        let Some(item) = &self.item else {
            return longest
                .map_or("unknown function", String::as_str)
                .to_owned();
        };
        let own = match longest {
            Some(name) if name.contains("::") => return name.clone(),
            Some(name) if item.kind == ItemKind::Type => format!("{}::{name}", item.path),
            _ => item.path.clone(),
        };
        match &self.prefix {
            Some(prefix) => format!("{prefix}::{own}"),
            None => own,
        }
    }
}

fn notes(source: Option<&Source>, verified: bool) -> Vec<Note> {
    let mut notes = Vec::new();
    match source.map(|source| (&source.text, &source.path)) {
        None => notes.push(Note::NoLines),
        Some((None, looked_for)) => notes.push(Note::SourceNotFound {
            path: looked_for.display().to_string(),
        }),
        Some((Some(_), _)) => {}
    }
    if !verified {
        notes.push(Note::Unverified);
    }
    notes
}
