//! Which table and row each code frame belongs to.
//!
//! A function is what the source says it is: the innermost `fn` around the line, so that closures, async bodies,
//! generic instances and inlined copies all meet in one table; likewise for statics, macros and what is derived for types. Where the source is missing, the function's name decides.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use profiler_alloc_format::Frame;

use super::tally::Tally;
use super::{Figures, Line, Note, Scope, Table, naming};
use crate::profile::Profile;
use crate::source::{Item, ItemKind, Source, Sources};
use crate::symbolize::{CodeFrame, CodeFrameId, Origin, Symbols};

/// Number of something figures are summed for: a table or one of its rows.
pub(super) type Key = usize;

/// The tables to be, and the keys of every frame.
pub(super) struct Placing {
    drafts: Vec<Draft>,
    key_count: Key,
    by_code: Vec<Option<Place>>,
    by_frame: HashMap<Frame, Vec<Key>>,
}

/// Where a code frame belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub table: usize,
    table_key: Key,
    pub row_key: Key,
}

/// What makes frames members of one table.
#[derive(Clone, PartialEq, Eq, Hash)]
enum TableId {
    /// An item of a source file, by its index in the outline.
    Item { file: String, index: usize },
    /// A function that was derived for a type.
    Derived {
        file: String,
        index: usize,
        function: String,
    },
    /// A function of a source file that is not there.
    Named { file: String, function: String },
    /// A module without line information.
    Module { module: u16 },
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum RowId {
    Line(u32),
    Offset(String),
}

/// A table in the making.
pub(super) struct Draft {
    key: Key,
    file: String,
    names: Vec<String>,
    item: Option<Item>,
    source: Option<Rc<Source>>,
    rows: BTreeMap<RowId, Key>,
    notes: Vec<Note>,
    verified: bool,
}

impl Placing {
    pub(super) fn new(
        profile: &Profile,
        symbols: &Symbols,
        sources: &mut Sources,
        scope: Scope,
    ) -> Placing {
        let mut placing = Placing {
            drafts: Vec::new(),
            key_count: 0,
            by_code: Vec::new(),
            by_frame: HashMap::new(),
        };
        let mut tables = HashMap::new();
        for id in symbols.ids() {
            let wanted = match symbols.origin(id) {
                Origin::User => true,
                // Addresses are for want of something better.
                Origin::Unknown => !symbols.has_user_lines() || scope == Scope::All,
                Origin::Dependency => scope == Scope::All,
                Origin::Allocator => false,
            };
            let code = symbols.code(id);
            let place = wanted
                .then(|| placing.place(profile, symbols, sources, &mut tables, code))
                .flatten();
            placing.by_code.push(place);
        }
        for frame in profile.nodes.iter().filter_map(|node| node.frame) {
            if !placing.by_frame.contains_key(&frame) {
                let keys = placing.frame_keys(symbols.of(frame));
                placing.by_frame.insert(frame, keys);
            }
        }
        placing
    }

    fn frame_keys(&self, code: &[CodeFrameId]) -> Vec<Key> {
        let mut keys: Vec<Key> = (code.iter())
            .filter_map(|&id| self.place_of(id))
            .flat_map(|place| [place.table_key, place.row_key])
            .collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    fn place(
        &mut self,
        profile: &Profile,
        symbols: &Symbols,
        sources: &mut Sources,
        tables: &mut HashMap<TableId, usize>,
        code: &CodeFrame,
    ) -> Option<Place> {
        let row = match (code.line, &code.offset) {
            (Some(line), _) => RowId::Line(line),
            (None, Some(_)) => RowId::Offset(offset_row(code)),
            // The compiler made this code: it is on no line.
            (None, None) => return None,
        };
        let source = code.line.is_some().then(|| sources.get(&code.file));
        let item = (source.as_ref().zip(code.line))
            .and_then(|(source, line)| {
                let outline = &source.text.as_ref()?.outline;
                outline
                    .enclosing(line)
                    .map(|index| (index, &outline.items()[index]))
            })
            .map(|(index, item)| (index, item.clone()));
        let file = source.as_ref().map(|source| source.shown.clone());
        let name = naming::fold(&code.function);
        let id = match (&file, &item) {
            (Some(file), Some((index, item))) if item.kind == ItemKind::Type => TableId::Derived {
                file: file.clone(),
                index: *index,
                function: naming::last(&name).to_owned(),
            },
            (Some(file), Some((index, _))) => TableId::Item {
                file: file.clone(),
                index: *index,
            },
            (Some(file), None) => TableId::Named {
                file: file.clone(),
                function: name.clone(),
            },
            (None, _) => TableId::Module {
                module: code.module,
            },
        };
        let table = *tables.entry(id).or_insert_with(|| {
            let module = profile.modules.get(usize::from(code.module));
            let unverified = symbols.is_unverified(code.module);
            self.drafts.push(Draft {
                key: self.key_count,
                file: file.unwrap_or_else(|| {
                    module.map_or("unknown module".to_owned(), |m| {
                        m.path.display().to_string()
                    })
                }),
                names: Vec::new(),
                notes: notes(
                    &code.file,
                    source.as_deref(),
                    unverified,
                    module.map(|m| m.modified_ns),
                ),
                item: item.map(|(_, item)| item),
                source,
                rows: BTreeMap::new(),
                verified: !unverified,
            });
            self.key_count += 1;
            self.drafts.len() - 1
        });
        let draft = &mut self.drafts[table];
        if code.line.is_none() {
            draft.names = profile
                .modules
                .get(usize::from(code.module))
                .map(|m| m.name())
                .into_iter()
                .collect();
        } else if !draft.names.contains(&name) {
            draft.names.push(name);
        }
        let row_key = *draft.rows.entry(row).or_insert_with(|| {
            self.key_count += 1;
            self.key_count - 1
        });
        Some(Place {
            table,
            table_key: draft.key,
            row_key,
        })
    }

    /// How many keys there are.
    pub(super) fn key_count(&self) -> Key {
        self.key_count
    }

    /// The keys of everything that `frame` counts for, each once.
    pub(super) fn keys(&self, frame: Frame) -> &[Key] {
        self.by_frame.get(&frame).map_or(&[], Vec::as_slice)
    }

    /// Where a code frame belongs, if it has a table.
    pub(super) fn place_of(&self, id: CodeFrameId) -> Option<Place> {
        self.by_code.get(id.index()).copied().flatten()
    }

    /// File and function of table number `table`.
    pub(super) fn title(&self, table: usize) -> (&str, String) {
        let draft = &self.drafts[table];
        (&draft.file, draft.function())
    }

    /// Fills the tables with what was summed for their keys.
    pub(super) fn into_tables(self, tally: &Tally) -> Vec<Table> {
        self.drafts
            .into_iter()
            .map(|draft| draft.into_table(tally))
            .collect()
    }
}

/// What an address is called in a table of addresses: with its function, where the symbol table knows it.
fn offset_row(code: &CodeFrame) -> String {
    match &code.offset {
        Some(offset) if *offset != code.function => {
            format!("{offset} ({})", naming::fold(&code.function))
        }
        Some(offset) => offset.clone(),
        None => String::new(),
    }
}

fn notes(
    path: &str,
    source: Option<&Source>,
    unverified: bool,
    built_ns: Option<u64>,
) -> Vec<Note> {
    let mut notes = Vec::new();
    match source.map(|source| (&source.text, &source.shown)) {
        None => notes.push(Note::NoLines),
        Some((None, shown)) => notes.push(Note::SourceNotFound {
            path: if shown.is_empty() { path } else { shown }.to_owned(),
        }),
        Some((Some(text), _)) => {
            let built_ns = built_ns.unwrap_or(0);
            if built_ns != 0 && text.modified_ns > built_ns {
                notes.push(Note::SourceChanged);
            }
        }
    }
    if unverified {
        notes.push(Note::Unverified);
    }
    notes
}

impl Draft {
    /// The best name: the source knows an item's own, the debug info may know its path, unless it was inlined.
    fn function(&self) -> String {
        let fits = |name: &&String| match &self.item {
            Some(item) if item.kind != ItemKind::Type => naming::last(name) == item.name(),
            _ => true,
        };
        let longest = self
            .names
            .iter()
            .filter(fits)
            .max_by_key(|name| (name.len(), *name));
        match (longest, &self.item) {
            (Some(name), Some(_)) if name.contains("::") => name.clone(),
            (Some(name), Some(item)) if item.kind == ItemKind::Type => {
                format!("{}::{name}", item.path)
            }
            (_, Some(item)) => item.path.clone(),
            (Some(name), None) => name.clone(),
            (None, None) => "unknown function".to_owned(),
        }
    }

    fn into_table(self, tally: &Tally) -> Table {
        let function = self.function();
        let text = self.source.as_ref().and_then(|source| source.text.as_ref());
        let figures = |key: Key| {
            let totals = &tally.totals[key];
            let figures = Figures::of(totals, tally.heap_after[key]);
            (!totals.is_empty()).then_some(figures)
        };
        let contents = |line| text.and_then(|text| text.line(line)).map(str::to_owned);
        let mut lines: BTreeMap<RowId, Line> = BTreeMap::new();
        if let Some(item) = &self.item {
            for number in item.first_line..=item.last_line {
                lines.insert(
                    RowId::Line(number),
                    Line {
                        number: Some(number),
                        contents: contents(number),
                        figures: None,
                    },
                );
            }
        }
        for (row, key) in self.rows {
            let (number, contents) = match &row {
                RowId::Line(number) => (Some(*number), contents(*number)),
                RowId::Offset(offset) => (None, Some(offset.clone())),
            };
            let line = Line {
                number,
                contents,
                figures: figures(key),
            };
            lines.insert(row, line);
        }
        Table {
            file: self.file,
            function,
            total: Figures::of(&tally.totals[self.key], None),
            lines: lines.into_values().collect(),
            notes: self.notes,
            verified: self.verified,
        }
    }
}
