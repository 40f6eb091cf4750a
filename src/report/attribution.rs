//! Which table and row each code frame belongs to.
//!
//! A function is what the source says it is: the innermost `fn` around the line, so that closures,
//! async bodies, generic instances and inlined copies all meet in one table; likewise for statics,
//! macros and what is derived for types. Where the source is missing, the function's name decides;
//! where it is not that of the build, the debug information does, by name and first line.
//!
//! What an attribute puts around a function's body stands on the line of the signature, and only
//! with what it does itself:
//!
//! ```text
//! #[tokio::main]              frames of main: `build()` of the runtime, and block_on(…), on the
//!                             last line of the body
//! #[tracing::instrument]      frames of the span, on this line
//! async fn main() {      <--- both
//!     serve().await;          frames of main::{{closure}}: the body, below both
//! }
//! ```

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use profiler_alloc_format::Frame;

use super::changes::SourceChanges;
use super::declared::{DeclaredFunctions, item_at, item_like};
use super::key::Key;
use super::table_builder::{RowId, TableBuilder};
use super::{Scope, naming};
use crate::profile::Profile;
use crate::source::{ItemKind, Source, Sources};
use crate::symbolize::{CodeFrame, CodeFrameId, Origin, Symbols, is_allocator_function};

/// The tables to be, and the keys of every frame.
pub(super) struct Attribution {
    builders: Vec<TableBuilder>,
    key_count: Key,
    by_code: Vec<Option<RowKeys>>,
    by_frame: HashMap<Frame, FrameKeys>,
}

/// What a frame counts for, each once.
#[derive(Default, Debug)]
pub(super) struct FrameKeys {
    /// Tables and rows.
    pub keys: Vec<Key>,
    /// Code around the body of a function: it counts until the body is met.
    pub around: Vec<Key>,
    /// Code around the bodies that the frame is in.
    pub covers: Vec<Key>,
}

static NO_KEYS: FrameKeys = FrameKeys {
    keys: Vec::new(),
    around: Vec::new(),
    covers: Vec::new(),
};

/// Where a code frame belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowKeys {
    pub table: usize,
    table_key: Key,
    pub row_key: Key,
    /// The line that it is shown on: that of the signature for code around the body.
    pub line: Option<u32>,
    /// Whether it is code around the body.
    is_around: bool,
}

/// What makes frames members of one table.
#[derive(PartialEq, Eq, Hash)]
enum TableId {
    /// An item of a source file, by its index in the outline.
    Item { file: String, index: usize },
    /// A function that was derived for a type.
    Derived {
        file: String,
        index: usize,
        function: String,
    },
    /// A function of a source file that is not there, or not that of the build: by its name.
    Named { file: String, function: String },
    /// The same, by the line that it begins on.
    Declared { file: String, line: u32 },
    /// A module without line information.
    Module { module: u16 },
}

impl TableId {
    /// The table of `code`, whose source is `source` and whose item there is number `index`.
    fn of(code: &CodeFrame, source: Option<&Source>, index: Option<usize>) -> TableId {
        let Some(source) = source else {
            let module = code.module;
            return TableId::Module { module };
        };
        let file = source.shown.clone();
        let name = naming::simplify(&code.function);
        let Some((index, item)) = index.zip(index.and_then(|index| source.item(index))) else {
            let function = name;
            return TableId::Named { file, function };
        };
        match item.kind {
            ItemKind::Type => TableId::Derived {
                file,
                index,
                function: naming::last(&name).to_owned(),
            },
            _ => TableId::Item { file, index },
        }
    }
}

/// What tells the functions of a file apart.
struct Told {
    id: TableId,
    /// Number of the item whose lines are shown.
    item: Option<usize>,
    /// The line that the function begins on, if the debug information says it.
    begin: Option<u32>,
}

impl Told {
    /// Of `code` in `source`, whose text is not to be gone by. If it is to be `shown` all the same,
    /// it is of functions that have not moved.
    fn by_debug_info(
        code: &CodeFrame,
        source: &Source,
        functions: &DeclaredFunctions,
        shown: bool,
    ) -> Told {
        let file = source.shown.clone();
        let text = source.text.as_ref().filter(|_| shown);
        let function = naming::simplify(&code.function);
        match functions.around(code).map(|function| function.line) {
            Some(line) => Told {
                id: TableId::Declared { file, line },
                item: text.and_then(|text| item_at(text, &function, line)),
                begin: Some(line),
            },
            None => Told {
                item: text.and_then(|text| item_like(text, &function, code.line?)),
                id: TableId::Named { file, function },
                begin: None,
            },
        }
    }
}

/// The source files of `profile`, as they are shown, that are not those that the program was built
/// from.
pub fn edited_files(
    profile: &Profile,
    symbols: &Symbols,
    sources: &mut Sources,
    scope: Scope,
) -> BTreeSet<String> {
    let mut changes = SourceChanges::default();
    for id in symbols.ids().filter(|&id| is_wanted(symbols, id, scope)) {
        let code = symbols.code(id);
        if RowId::of(code).is_some() && !is_allocator(code, sources) {
            changes.look_at(profile, symbols, sources, code);
        }
    }
    changes.files()
}

impl Attribution {
    pub(super) fn new(
        profile: &Profile,
        symbols: &Symbols,
        sources: &mut Sources,
        scope: Scope,
    ) -> Attribution {
        let edited = edited_files(profile, symbols, sources, scope);
        let functions = declared_functions(symbols, sources, scope, &edited);
        let mut attribution = Attribution {
            builders: Vec::new(),
            key_count: 0,
            by_code: Vec::new(),
            by_frame: HashMap::new(),
        };
        let mut tables = HashMap::new();
        for id in symbols.ids() {
            let place = is_wanted(symbols, id, scope).then(|| {
                let code = symbols.code(id);
                attribution.place((profile, symbols), sources, &functions, &mut tables, code)
            });
            attribution.by_code.push(place.flatten());
        }
        attribution.share_module_paths();
        for builder in &mut attribution.builders {
            if edited.contains(builder.file()) {
                builder.note_change();
                sources.note_change(builder.file());
            }
        }
        for frame in profile.nodes.iter().filter_map(|node| node.frame) {
            if !attribution.by_frame.contains_key(&frame) {
                let keys = attribution.frame_keys(symbols.of(frame));
                attribution.by_frame.insert(frame, keys);
            }
        }
        attribution
    }

    /// A function that was inlined everywhere has lost its path, but not its neighbours in the
    /// file.
    fn share_module_paths(&mut self) {
        let mut paths: HashMap<String, String> = HashMap::new();
        for builder in &self.builders {
            if let Some(path) = builder.module_path() {
                paths.insert(builder.file().to_owned(), path.to_owned());
            }
        }
        for builder in &mut self.builders {
            if let Some(path) = paths.get(builder.file()) {
                builder.set_module_path(path);
            }
        }
    }

    fn frame_keys(&self, code: &[CodeFrameId]) -> FrameKeys {
        let mut found = FrameKeys::default();
        for place in code.iter().filter_map(|&id| self.row_of(id)) {
            found.keys.push(place.table_key);
            match place.is_around {
                true => found.around.push(place.row_key),
                false => {
                    found.keys.push(place.row_key);
                    found.covers.extend(self.builders[place.table].around);
                }
            }
        }
        for keys in [&mut found.keys, &mut found.around, &mut found.covers] {
            keys.sort_unstable();
            keys.dedup();
        }
        found
    }

    fn place(
        &mut self,
        (profile, symbols): (&Profile, &Symbols),
        sources: &mut Sources,
        functions: &DeclaredFunctions,
        tables: &mut HashMap<TableId, usize>,
        code: &CodeFrame,
    ) -> Option<RowKeys> {
        let row = RowId::of(code)?;
        let is_allocator = match functions.are_of(code) {
            true => is_allocator_function(naming::last(&naming::simplify(&code.function))),
            false => is_allocator(code, sources),
        };
        if is_allocator {
            return None;
        }
        let source: Option<Rc<Source>> = code.line.map(|_| sources.get(&code.file));
        let told = match source.as_deref() {
            Some(source) if functions.are_of(code) => {
                let shown = !sources.is_distrusted(&source.shown);
                Told::by_debug_info(code, source, functions, shown)
            }
            source => {
                let item = item_around(code, source);
                let id = TableId::of(code, source, item);
                Told {
                    id,
                    item,
                    begin: None,
                }
            }
        };
        let table = *tables.entry(told.id).or_insert_with(|| {
            let module = profile.modules.get(usize::from(code.module));
            let verified = !symbols.is_unverified(code.module);
            let key = self.new_key();
            let mut builder = TableBuilder::new(key, source, told.item, module, verified);
            builder.begin = told.begin;
            self.builders.push(builder);
            self.builders.len() - 1
        });
        let is_around = self.builders[table].is_around(code);
        let known = match is_around {
            true => self.builders[table].around,
            false => self.builders[table].rows.get(&row).copied(),
        };
        let row_key = known.unwrap_or_else(|| self.new_key());
        let builder = &mut self.builders[table];
        match is_around {
            true => builder.around = Some(row_key),
            false => {
                builder.rows.insert(row, row_key);
            }
        }
        builder.note_name(code);
        Some(RowKeys {
            table,
            table_key: builder.key,
            row_key,
            line: match (is_around, &builder.item) {
                (true, Some(item)) => Some(item.first_line),
                _ => code.line,
            },
            is_around,
        })
    }

    fn new_key(&mut self) -> Key {
        self.key_count += 1;
        self.key_count - 1
    }

    /// How many keys there are.
    pub(super) fn key_count(&self) -> Key {
        self.key_count
    }

    /// The keys of everything that `frame` counts for, each once.
    pub(super) fn keys(&self, frame: Option<Frame>) -> &FrameKeys {
        let keys = frame.and_then(|frame| self.by_frame.get(&frame));
        keys.unwrap_or(&NO_KEYS)
    }

    /// How many tables there are.
    pub(super) fn table_count(&self) -> usize {
        self.builders.len()
    }

    /// Where a code frame belongs, if it has a table.
    pub(super) fn row_of(&self, id: CodeFrameId) -> Option<RowKeys> {
        self.by_code.get(id.index()).copied().flatten()
    }

    /// File and function of table number `table`.
    pub(super) fn title(&self, table: usize) -> (&str, String) {
        let builder = &self.builders[table];
        (builder.file(), builder.function())
    }

    /// The tables to be.
    pub(super) fn builders(&self) -> &[TableBuilder] {
        &self.builders
    }
}

/// Number of the item of `source` that `code` is in.
fn item_around(code: &CodeFrame, source: Option<&Source>) -> Option<usize> {
    source?.text.as_ref()?.outline.enclosing(code.line?)
}

/// Whether `code` is what the compiler makes of the program's own `static` with its allocator.
fn is_allocator(code: &CodeFrame, sources: &mut Sources) -> bool {
    let source = code.line.map(|_| sources.get(&code.file));
    let item = item_around(code, source.as_deref());
    let item = source.as_ref().zip(item);
    let item = item.and_then(|(source, index)| source.item(index));
    item.is_some_and(|item| item.kind == ItemKind::Allocator)
}

/// The functions of the files that are `edited`, or whose text is not to be gone by.
fn declared_functions(
    symbols: &Symbols,
    sources: &mut Sources,
    scope: Scope,
    edited: &BTreeSet<String>,
) -> DeclaredFunctions {
    let mut files = BTreeSet::new();
    for id in symbols.ids().filter(|&id| is_wanted(symbols, id, scope)) {
        let code = symbols.code(id);
        if code.line.is_some() && !files.contains(&(code.module, &*code.file)) {
            let source = sources.get(&code.file);
            if edited.contains(&source.shown) || sources.is_distrusted(&source.shown) {
                files.insert((code.module, &*code.file));
            }
        }
    }
    DeclaredFunctions::of(symbols, files)
}

/// Whether a frame of this origin gets a table.
fn is_wanted(symbols: &Symbols, id: CodeFrameId, scope: Scope) -> bool {
    match symbols.origin(id) {
        Origin::User => true,
        Origin::Allocator => false,
        Origin::Dependency => scope == Scope::All,
        // Addresses are for want of something better.
        Origin::Unknown => {
            let module = symbols.code(id).module;
            scope == Scope::All || !(symbols.has_user_lines() || symbols.has_lines(module))
        }
    }
}
