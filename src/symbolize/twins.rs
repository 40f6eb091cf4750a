//! Functions that are one piece of code: equal ones, of which the linker (`--icf=all`) or the
//! compiler kept one.
//!
//! The symbol table has the names of all of them at one address. The debug information then gives
//! the name of one and perhaps the line of another, and nothing can tell which of them was running.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;

use object::{Object, ObjectSymbol, ReadCache, SymbolKind};

use super::dwarf::demangle;

/// Pieces of code with several names, by their first address: where each ends, and the names.
#[derive(Default, Debug)]
pub(super) struct Twins {
    by_start: BTreeMap<u64, (u64, BTreeSet<String>)>,
}

impl Twins {
    /// Those in the symbol table of the file at `path`.
    pub(super) fn of(path: &Path) -> Twins {
        Self::read(path).unwrap_or_default()
    }

    fn read(path: &Path) -> Option<Twins> {
        let file = File::open(path).ok()?;
        let cache = ReadCache::new(file);
        let object = object::File::parse(&cache).ok()?;
        let mut symbols: Vec<(u64, u64, &str)> = (object.symbols())
            .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0)
            .filter_map(|symbol| Some((symbol.address(), symbol.size(), symbol.name().ok()?)))
            .collect();
        symbols.sort_unstable();
        let mut by_start: BTreeMap<u64, (u64, BTreeSet<String>)> = BTreeMap::new();
        for alike in symbols
            .chunk_by(|a, b| a.0 == b.0)
            .filter(|alike| alike.len() > 1)
        {
            let names: BTreeSet<String> =
                alike.iter().map(|&(_, _, name)| demangle(name)).collect();
            let &(start, size, _) = alike.last()?;
            by_start.insert(start, (start.saturating_add(size), names));
        }
        Some(Twins { by_start })
    }

    /// The names of the code at `address`, if there are several.
    pub(super) fn at(&self, address: u64) -> Option<&BTreeSet<String>> {
        let (_, (end, names)) = self.by_start.range(..=address).next_back()?;
        (address < *end && names.len() > 1).then_some(names)
    }
}
