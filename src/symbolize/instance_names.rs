//! What the debug information calls functions with their type arguments: `push<shop::Order,
//! alloc::alloc::Global>`.
//!
//! A linkage name, which says of which module a function is, has no arguments where mangling is
//! the old one: `alloc::vec::Vec<T,A>::push`. So the name is read beside it, through the entries
//! that an inlined function refers to:
//!
//! ```text
//! DW_TAG_inlined_subroutine   abstract_origin ──▶ the subprogram that says how it is inlined
//! DW_TAG_subprogram  inline   specification   ──▶ the one that says what it is
//! DW_TAG_subprogram  name "push<shop::Order, …>"  linkage_name "_ZN5alloc3vec…"
//!   DW_TAG_template_type_parameter "T"
//! ```

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use addr2line::gimli::{
    self, AttributeValue, DW_AT_abstract_origin, DW_AT_byte_size, DW_AT_name, DW_AT_producer,
    DW_AT_specification, DW_AT_type, DW_TAG_pointer_type, DebugInfoOffset, Dwarf, EndianSlice,
    Reader, RunTimeEndian, Unit, UnitOffset, UnitRef,
};
use addr2line::{Context, LookupContinuation, LookupResult, SplitDwarfLoad};
use object::{Object, ObjectSection, ReadCache, ReadRef};
use profiler_alloc_format::Frame;
use typed_arena::Arena;

use super::code_frame::call_address;
use super::instances::{CompileUnit, Instance, Instances};
use super::separate::DebugFiles;
use super::{Origin, Symbols, partial};
use crate::profile::Profile;
use crate::system;

/// Entries that a function's name may be away. Real ones are two or three.
const MOST_STEPS: usize = 8;

/// Frames of a stack that are looked up, from the allocator outwards. Real containers have a
/// dozen.
const MOST_FRAMES: usize = 48;

impl Symbols {
    /// Looks up the type arguments of the functions between the allocator and the user's own, in
    /// every stack of `profile`, whose frames are looked up already.
    pub fn add_instances(&mut self, profile: &Profile) {
        let mut modules: HashMap<u16, Vec<Frame>> = HashMap::new();
        let mut seen = HashSet::new();
        for stack in &profile.stacks {
            let mut at = stack.node;
            for _ in 0..MOST_FRAMES {
                let node = profile.nodes[at as usize];
                let Some(frame) = node.frame.filter(|&frame| frame != Frame::ELIDED) else {
                    break;
                };
                if seen.insert(frame) {
                    modules.entry(frame.module()).or_default().push(frame);
                }
                let outermost = self.of(frame).last();
                if outermost.is_some_and(|&id| self.origin(id) == Origin::User) {
                    break;
                }
                at = node.parent;
            }
        }
        for (number, mut frames) in modules {
            let kept = Kept::new();
            let files = self.debug_files(number);
            let Some(names) = files.and_then(|files| InstanceNames::open(files, &kept)) else {
                continue;
            };
            frames.sort_unstable();
            for frame in frames {
                if let Some(instances) = names.at(frame) {
                    self.insert_instances(frame, instances);
                }
            }
        }
    }
}

type Bytes<'a> = EndianSlice<'a, RunTimeEndian>;

/// Keeps what was read of files, unpacked.
type Kept = Arena<Vec<u8>>;

/// The debug information of one module's file.
struct InstanceNames<'a> {
    kept: &'a Kept,
    context: Context<Bytes<'a>>,
    dwarf: Arc<Dwarf<Bytes<'a>>>,
    package: Option<gimli::DwarfPackage<Bytes<'a>>>,
    /// Where units begin, in order.
    headers: Vec<gimli::UnitHeader<Bytes<'a>>>,
    units: RefCell<HashMap<usize, Rc<Unit<Bytes<'a>>>>>,
    compiled: RefCell<HashMap<(String, bool), Arc<CompileUnit>>>,
}

impl<'a> InstanceNames<'a> {
    /// Opens `files`. `None` if there is no debug information.
    fn open(files: &DebugFiles, kept: &'a Kept) -> Option<InstanceNames<'a>> {
        let copy = partial::without_their_lines(&files.main);
        let main = copy
            .as_ref()
            .map_or(files.main.as_path(), |copy| copy.path());
        let mut dwarf = load(main, kept, |id| Some(id.name()))?;
        if let Some(supplement) = &files.supplement
            && let Some(supplement) = load(supplement, kept, |id| Some(id.name()))
        {
            dwarf.set_sup(supplement);
        }
        let dwarf = Arc::new(dwarf);
        let mut headers = Vec::new();
        let mut units = dwarf.units();
        while let Ok(Some(header)) = units.next() {
            headers.push(header);
        }
        Some(InstanceNames {
            kept,
            context: Context::from_arc_dwarf(Arc::clone(&dwarf)).ok()?,
            package: package(&files.main, kept),
            dwarf,
            headers,
            units: RefCell::default(),
            compiled: RefCell::default(),
        })
    }

    /// The functions at `frame`'s call.
    fn at(&self, frame: Frame) -> Option<Instances> {
        let address = call_address(frame);
        let mut frames = self.loaded(self.context.find_frames(address)).ok()?;
        let mut offsets = Vec::new();
        while let Ok(Some(found)) = frames.next() {
            offsets.push(found.dw_die_offset);
        }
        let unit = self.loaded(self.context.find_dwarf_and_unit(address));
        let function = |offset: &Option<UnitOffset>| {
            (unit.as_ref().zip(*offset))
                .map(|(unit, offset)| self.instance(*unit, offset, MOST_STEPS))
                .unwrap_or_default()
        };
        Some(Instances {
            unit: unit
                .as_ref()
                .map(|unit| self.compiled(frame.module(), *unit)),
            functions: offsets.iter().map(function).collect(),
        })
    }

    /// What was looked up, once the parts in other files that it needs are loaded.
    fn loaded<L: LookupContinuation<Buf = Bytes<'a>>>(
        &self,
        mut result: LookupResult<L>,
    ) -> L::Output {
        loop {
            match result {
                LookupResult::Output(output) => return output,
                LookupResult::Load { load, continuation } => {
                    result = continuation.resume(self.split_part(&load));
                }
            }
        }
    }

    fn split_part(&self, wanted: &SplitDwarfLoad<Bytes<'a>>) -> Option<Arc<Dwarf<Bytes<'a>>>> {
        if let Some(package) = &self.package
            && let Ok(Some(part)) = package.find_cu(wanted.dwo_id, &wanted.parent)
        {
            return Some(Arc::new(part));
        }
        let path_of =
            |bytes: &Bytes<'_>| -> Option<PathBuf> { Some(system::path(&bytes.to_slice().ok()?)) };
        let folder = wanted
            .comp_dir
            .as_ref()
            .and_then(path_of)
            .unwrap_or_default();
        let path = folder.join(path_of(wanted.path.as_ref()?)?);
        let mut part = load(&path, self.kept, gimli::SectionId::dwo_name)?;
        let header = part.units().next().ok()??;
        let is_it = part.unit(header).ok()?.dwo_id == Some(wanted.dwo_id);
        part.make_dwo(&wanted.parent);
        is_it.then(|| Arc::new(part))
    }

    fn compiled(&self, module: u16, unit: UnitRef<'_, Bytes<'_>>) -> Arc<CompileUnit> {
        let name = unit.name.as_ref().map(text).unwrap_or_default();
        // `src/main.rs/@/1x2y3z-cgu.07`: one of the parts that rustc compiles a crate in.
        let root = name.split("/@/").next().unwrap_or_default().to_owned();
        let unoptimized = producer(unit).is_some_and(|producer| {
            let mut words = producer.split(' ');
            producer.starts_with("GNU C") && !words.any(is_optimizing)
        });
        let mut compiled = self.compiled.borrow_mut();
        let known = compiled.entry((root, unoptimized));
        let (root, unoptimized) = known.key().clone();
        let new = || {
            Arc::new(CompileUnit {
                module,
                root,
                unoptimized,
            })
        };
        Arc::clone(known.or_insert_with(new))
    }

    fn instance(&self, unit: UnitRef<'_, Bytes<'_>>, offset: UnitOffset, steps: usize) -> Instance {
        let Ok(entry) = unit.entry(offset) else {
            return Instance::default();
        };
        let name = entry.attr_value(DW_AT_name);
        let name = name.and_then(|name| unit.attr_string(name).ok());
        if let Some(name) = name {
            return Instance {
                name: Some(text(&name).into()),
                sizes: self.sizes(unit, offset).unwrap_or_default(),
            };
        }
        let next = (entry.attr_value(DW_AT_abstract_origin))
            .or_else(|| entry.attr_value(DW_AT_specification));
        let Some((next, steps)) = next.zip(steps.checked_sub(1)) else {
            return Instance::default();
        };
        let found = self.follow(unit, next, |unit, offset| {
            self.instance(unit, offset, steps)
        });
        found.unwrap_or_default()
    }

    /// Bytes of each argument of the function at `offset`.
    fn sizes(&self, unit: UnitRef<'_, Bytes<'_>>, offset: UnitOffset) -> Option<Vec<Option<u64>>> {
        let mut tree = unit.entries_tree(Some(offset)).ok()?;
        let mut children = tree.root().ok()?.children();
        let mut sizes = Vec::new();
        while let Ok(Some(child)) = children.next() {
            let entry = child.entry();
            match entry.tag() {
                gimli::DW_TAG_template_type_parameter => {
                    let of = entry.attr_value(DW_AT_type);
                    let size = of.and_then(|of| self.follow(unit, of, size));
                    sizes.push(size.flatten());
                }
                // A number, such as the length of an array.
                gimli::DW_TAG_template_value_parameter => sizes.push(None),
                _ => {}
            }
        }
        Some(sizes)
    }

    /// Lets `look` look at the entry that an attribute refers to.
    fn follow<T>(
        &self,
        unit: UnitRef<'_, Bytes<'_>>,
        to: AttributeValue<Bytes>,
        look: impl FnOnce(UnitRef<'_, Bytes<'_>>, UnitOffset) -> T,
    ) -> Option<T> {
        match to {
            AttributeValue::UnitRef(offset) => Some(look(unit, offset)),
            AttributeValue::DebugInfoRef(offset) => {
                let (other, offset) = self.unit_of(offset)?;
                Some(look(UnitRef::new(&self.dwarf, &other), offset))
            }
            AttributeValue::DebugInfoRefSup(offset) => {
                let shared = self.dwarf.sup.as_ref()?;
                let (other, offset) = unit_in(shared, offset)?;
                Some(look(UnitRef::new(shared, &other), offset))
            }
            _ => None,
        }
    }

    /// The unit that has the entry at `offset`, and where in it that is.
    fn unit_of(&self, offset: DebugInfoOffset) -> Option<(Rc<Unit<Bytes<'a>>>, UnitOffset)> {
        let begins = |header: &gimli::UnitHeader<Bytes<'a>>| header.debug_info_offset();
        let after = (self.headers)
            .partition_point(|header| begins(header).is_some_and(|begin| begin.0 <= offset.0));
        let index = after.checked_sub(1)?;
        let header = &self.headers[index];
        let inner = offset.to_unit_offset(header)?;
        if let Some(unit) = self.units.borrow().get(&index) {
            return Some((Rc::clone(unit), inner));
        }
        let unit = Rc::new(self.dwarf.unit(*header).ok()?);
        self.units.borrow_mut().insert(index, Rc::clone(&unit));
        Some((unit, inner))
    }
}

/// The same in what `dwz` moved out of several files into one.
fn unit_in<'a>(
    dwarf: &Dwarf<Bytes<'a>>,
    offset: DebugInfoOffset,
) -> Option<(Unit<Bytes<'a>>, UnitOffset)> {
    let mut headers = dwarf.units();
    while let Ok(Some(header)) = headers.next() {
        if let Some(inner) = offset.to_unit_offset(&header) {
            return Some((dwarf.unit(header).ok()?, inner));
        }
    }
    None
}

/// Bytes of the type at `offset`.
fn size(unit: UnitRef<'_, Bytes<'_>>, offset: UnitOffset) -> Option<u64> {
    let entry = unit.entry(offset).ok()?;
    match entry.attr_value(DW_AT_byte_size) {
        Some(size) => size.udata_value(),
        None => {
            (entry.tag() == DW_TAG_pointer_type).then(|| u64::from(unit.encoding().address_size))
        }
    }
}

fn producer(unit: UnitRef<'_, Bytes<'_>>) -> Option<String> {
    let mut entries = unit.entries();
    let root = entries.next_dfs().ok()??;
    let producer = unit.attr_string(root.attr_value(DW_AT_producer)?).ok()?;
    Some(text(&producer))
}

/// Whether an option of a compiler lets it merge functions.
fn is_optimizing(option: &str) -> bool {
    (option.strip_prefix("-O")).is_some_and(|level| !["0", "g"].contains(&level))
}

fn text(bytes: &Bytes<'_>) -> String {
    bytes.to_string_lossy().into_owned()
}

/// The debug information in the file at `path`, whose sections are called as `name` says.
fn load<'a>(
    path: &Path,
    kept: &'a Kept,
    name: impl Fn(gimli::SectionId) -> Option<&'static str>,
) -> Option<Dwarf<Bytes<'a>>> {
    let cache = ReadCache::new(File::open(path).ok()?);
    let object = object::File::parse(&cache).ok()?;
    Dwarf::load(|id| section(&object, name(id), kept)).ok()
}

/// The `.dwp` file beside the file at `path`.
fn package<'a>(path: &Path, kept: &'a Kept) -> Option<gimli::DwarfPackage<Bytes<'a>>> {
    let extension = match path.extension() {
        Some(extension) => format!("{}.dwp", extension.to_string_lossy()),
        None => "dwp".to_owned(),
    };
    let cache = ReadCache::new(File::open(path.with_extension(extension)).ok()?);
    let object = object::File::parse(&cache).ok()?;
    let empty = section(&object, None, kept).ok()?;
    gimli::DwarfPackage::load(|id| section(&object, id.dwo_name(), kept), empty).ok()
}

/// The section called `name`, unpacked; nothing if there is none.
fn section<'a, 'data>(
    object: &object::File<'data, impl ReadRef<'data>>,
    name: Option<&str>,
    kept: &'a Kept,
) -> Result<Bytes<'a>, gimli::Error> {
    let endian = match object.is_little_endian() {
        true => RunTimeEndian::Little,
        false => RunTimeEndian::Big,
    };
    let section = name.and_then(|name| object.section_by_name(name));
    let bytes = section.and_then(|section| section.uncompressed_data().ok());
    let bytes = kept.alloc(bytes.unwrap_or_default().into_owned());
    Ok(EndianSlice::new(bytes, endian))
}
