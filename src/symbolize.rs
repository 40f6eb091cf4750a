//! Names and source lines for the addresses of a profile, offline, from the modules' files.
//!
//! ```text
//! Frame               module and address
//!   module::identify  is the module's file the recorded one?
//!   separate::find    where its debug info is; a file that is not here may be fetched
//!   bounds::excess    whether that asks for more than there is
//!   dwarf::look_up    function, file, line
//! [CodeFrame]         innermost first, inlined ones included
//! ```

mod bounds;
mod code_frame;
mod declared;
mod digests;
mod dwarf;
mod files;
mod instance_names;
mod instances;
mod module;
mod origin;
mod own;
mod partial;
mod sections;
mod separate;
mod symbols;
mod twins;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

pub use code_frame::{CodeFrame, call_address};
pub use declared::{Declaration, Declarations};
pub use digests::Digest;
pub use files::source_files;
pub use instances::{CompileUnit, Instance, Instances};
pub use module::SymbolizeError;
pub use origin::{Origin, is_allocator_function};
pub use own::{Pattern, crate_of};
use profiler_alloc_format::Frame;
pub use separate::{Fetch, check_debug_file};
pub use symbols::{CodeFrameId, Symbols};

use crate::defect::Defect;
use crate::profile::{Module, Profile};
use code_frame::MAIN_MODULE;
use module::{Identity, identify};
use separate::DebugFiles;
use twins::Twins;

/// Addresses looked up between two calls of the progress hook, and the least that is worth a
/// thread.
const BATCH: usize = 512;

/// How to symbolize.
#[derive(Clone, Copy, Default)]
pub struct SymbolizeOptions<'a> {
    /// Use modules whose files are not those recorded, and mark their rows unverified.
    pub force: bool,
    /// What counts as the user's own too; if empty, what the profile says.
    pub own: &'a [Pattern],
    /// Called now and then with the number of addresses looked up and the number of all, from any
    /// thread.
    pub progress: Option<&'a (dyn Fn(usize, usize) + Sync)>,
    /// Brings debug files that are not on this machine.
    pub fetch: Option<&'a dyn Fetch>,
}

/// Looks up every frame of `profile`.
///
/// A main executable that is not the recorded one is an error, unless forced, or one of many.
pub fn symbolize(
    profile: &Profile,
    options: &SymbolizeOptions<'_>,
) -> Result<(Symbols, Vec<Defect>), SymbolizeError> {
    let mut symbolizer = Symbolizer::default();
    symbolizer.update(profile, options)?;
    let defects = symbolizer.defects();
    Ok((symbolizer.symbols, defects))
}

/// Symbols kept from one reading of a profile to the next, so that only new frames are looked up.
#[derive(Default, Debug)]
pub struct Symbolizer {
    symbols: Symbols,
    /// Modules that any frame was found in, and what is wrong with each.
    checked: BTreeMap<u16, Checked>,
    split_missing: BTreeSet<PathBuf>,
    stats: LookupStats,
}

/// How much work looking up took.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct LookupStats {
    /// Addresses looked up.
    pub addresses: usize,
    /// Times that debug info was opened: more than once for a module that several threads shared.
    pub opened: usize,
}

/// What is known of a module's file.
#[derive(Debug)]
struct Checked {
    path: PathBuf,
    readable: bool,
    fault: Option<Defect>,
    /// Where names and lines are, if they are readable.
    files: Option<DebugFiles>,
    twins: Twins,
    /// Names of twins of the program's own that were met.
    met: BTreeSet<String>,
}

impl Symbolizer {
    /// Looks up the frames of `profile` that no earlier reading of it had.
    ///
    /// A main executable that is not the recorded one is an error, unless forced.
    pub fn update(
        &mut self,
        profile: &Profile,
        options: &SymbolizeOptions<'_>,
    ) -> Result<(), SymbolizeError> {
        let own = match options.own {
            [] => Pattern::list(&profile.own),
            asked_for => asked_for.to_vec(),
        };
        self.symbols.set_own(own);
        let programs = (profile.modules.iter().zip(0..)).filter(|(module, _)| module.is_program);
        self.symbols
            .set_programs(programs.map(|(_, number)| number).collect());
        let mut work = Vec::new();
        for (number, frames) in frames_by_module(profile, &self.symbols) {
            let Some(module) = profile.modules.get(usize::from(number)) else {
                for frame in frames {
                    (self.symbols).insert(frame, vec![CodeFrame::unknown("unknown", frame)]);
                }
                continue;
            };
            work.push(Work {
                number,
                module,
                files: self.files(number, module, profile.is_merged(), options)?,
                frames,
            });
        }
        let total = work.iter().map(|work| work.frames.len()).sum();
        for found in look_up_all(&work, total, options) {
            self.stats.addresses += found.frames.len();
            self.stats.opened += usize::from(found.opened);
            if found.split_missing {
                (self.split_missing).insert(work[found.work].module.path.clone());
            }
            let number = work[found.work].number;
            for (frame, code) in found.frames {
                self.symbols.insert(frame, code);
                self.note_twins(number, frame);
            }
        }
        Ok(())
    }

    /// The files to take names and lines from, checked when the module is first met; `None` if they
    /// must not be read.
    fn files(
        &mut self,
        number: u16,
        module: &Module,
        is_merged: bool,
        &SymbolizeOptions { force, fetch, .. }: &SymbolizeOptions<'_>,
    ) -> Result<Option<DebugFiles>, SymbolizeError> {
        if let Some(checked) = self.checked.get(&number) {
            return Ok(checked.files.clone());
        }
        let identity = identify(module);
        let changed = matches!(identity, Identity::Changed { .. });
        let readable = matches!(identity, Identity::Same) || (changed && force);
        if changed && force {
            self.symbols.mark_unverified(number);
        }
        let found = match readable {
            true => Some(separate::find(&module.path, fetch)),
            false => separate::find_without(module, fetch),
        };
        let fault = match found {
            // The debug file of the recorded build serves without the module's own.
            Some(_) if !readable => None,
            // Of many programs, one may be gone and the others be of use.
            _ => fault(number == MAIN_MODULE && !is_merged, module, identity, force)?,
        };
        let mut checked = Checked {
            path: module.path.clone(),
            readable: found.is_some(),
            fault,
            files: None,
            twins: Twins::default(),
            met: BTreeSet::new(),
        };
        if let Some((files, missing)) = found {
            // Nobody misses the lines of the system's libraries.
            let is_missed = number == MAIN_MODULE || !is_system(&module.path);
            checked.fault = checked.fault.or(missing.filter(|_| is_missed));
            let excess = [Some(&files.main), files.supplement.as_ref()];
            let excess = excess.into_iter().flatten();
            if let Some(reason) = excess.filter_map(|path| bounds::excess(path)).next() {
                let path = module.path.clone();
                checked.readable = false;
                checked.fault = Some(Defect::DebugInfoRefused { path, reason });
            } else {
                (self.symbols).add_digests(number, digests::digests(&files.main));
                checked.twins = Twins::of(&files.main);
                self.symbols.add_debug_files(number, files.clone());
                checked.files = Some(files);
            }
        }
        let files = checked.files.clone();
        self.checked.insert(number, checked);
        Ok(files)
    }

    /// Remembers the functions that `frame` may be in, if there are several and it is in the
    /// program's own code.
    fn note_twins(&mut self, number: u16, frame: Frame) {
        let Some(checked) = self.checked.get_mut(&number) else {
            return;
        };
        let Some(names) = checked.twins.at(call_address(frame)) else {
            return;
        };
        let outermost = self.symbols.of(frame).last();
        if outermost.is_some_and(|&id| self.symbols.origin(id) == Origin::User) {
            checked.met.extend(names.iter().cloned());
        }
    }

    /// What is known of the frames looked up so far.
    pub fn symbols(&self) -> &Symbols {
        &self.symbols
    }

    /// How much work it has taken so far.
    pub fn stats(&self) -> LookupStats {
        self.stats
    }

    /// What is wrong with the modules met so far.
    pub fn defects(&self) -> Vec<Defect> {
        let faults = self.checked.values().filter_map(|m| m.fault.clone());
        let split = self.split_missing.iter().cloned();
        let split = split.map(|path| Defect::SplitDebugInfoMissing { path });
        // Libraries without line information are the rule, and so are foreign programs that load a
        // Rust library. It is worth a word only if the user's lines are nowhere else.
        let main = self.checked.get(&MAIN_MODULE).filter(|m| m.readable);
        let without_lines = !self.symbols.has_user_lines() && !self.symbols.has_lines(MAIN_MODULE);
        // One that is known to have its lines elsewhere is not to be built anew.
        let stripped = main.filter(|main| without_lines && main.fault.is_none());
        let stripped = stripped.map(|m| Defect::ModuleStripped {
            path: m.path.clone(),
        });
        let twins = self.checked.values().filter(|m| !m.met.is_empty());
        let twins = twins.map(|m| Defect::CodeShared {
            path: m.path.clone(),
            functions: m.met.iter().cloned().collect(),
        });
        faults.chain(split).chain(stripped).chain(twins).collect()
    }
}

/// What is to be said of a module whose file is not the recorded one.
fn fault(
    is_main: bool,
    module: &Module,
    identity: Identity,
    force: bool,
) -> Result<Option<Defect>, SymbolizeError> {
    let path = module.path.clone();
    let defect = match identity {
        Identity::Same => return Ok(None),
        Identity::Changed { .. } if force => return Ok(Some(Defect::ModuleUnverified { path })),
        Identity::Changed { recorded, found } if is_main => {
            return Err(SymbolizeError::ModuleChanged {
                path,
                recorded,
                found,
            });
        }
        Identity::Changed { recorded, found } => Defect::ModuleChanged {
            path,
            recorded,
            found,
        },
        Identity::Missing { reason } => Defect::ModuleMissing { path, reason },
    };
    Ok((is_main || !is_system(&module.path)).then_some(defect))
}

/// Whether the file belongs to the system. Nobody misses the lines of such files, nor those of
/// objects that are no files at all, such as the vdso; and they are other ones wherever a profile
/// is taken to.
fn is_system(path: &Path) -> bool {
    const FOLDERS: [&str; 4] = ["/lib", "/lib64", "/usr/lib", "/usr/lib64"];
    !path.is_absolute() || FOLDERS.iter().any(|folder| path.starts_with(folder))
}

/// The distinct frames of each module that are not `known`, sorted by address, so that neighbours
/// in the debug info are looked up together.
fn frames_by_module(profile: &Profile, known: &Symbols) -> BTreeMap<u16, Vec<Frame>> {
    let mut modules: BTreeMap<u16, Vec<Frame>> = BTreeMap::new();
    for frame in profile.nodes.iter().filter_map(|node| node.frame) {
        if frame != Frame::ELIDED && !known.knows(frame) {
            modules.entry(frame.module()).or_default().push(frame);
        }
    }
    for frames in modules.values_mut() {
        frames.sort_unstable();
        frames.dedup();
    }
    modules
}

/// The frames of one module.
struct Work<'a> {
    number: u16,
    module: &'a Module,
    /// Where names and lines are, if they may be read.
    files: Option<DebugFiles>,
    frames: Vec<Frame>,
}

/// What a thread found out about a part of a module's frames.
struct LookedUpPart {
    /// Index of the `Work`.
    work: usize,
    frames: Vec<(Frame, Vec<CodeFrame>)>,
    split_missing: bool,
    /// Whether the module's debug info was opened for it.
    opened: bool,
}

/// Shares the frames out to a few threads. Each thread opens a module's debug info for itself: it
/// is not `Sync`, and what is costly in it, the units, is only read where an address falls.
fn look_up_all(
    work: &[Work<'_>],
    total: usize,
    options: &SymbolizeOptions<'_>,
) -> Vec<LookedUpPart> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let part_len = (total / threads + 1).max(BATCH);
    let parts: Vec<(usize, &[Frame])> = (work.iter().enumerate())
        .flat_map(|(index, work)| work.frames.chunks(part_len).map(move |part| (index, part)))
        .collect();
    let next = AtomicUsize::new(0);
    let done = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    let work_on = || {
        while let Some(&(index, frames)) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
            let part = look_up_part(index, &work[index], frames, &|count| {
                let done = done.fetch_add(count, Ordering::Relaxed) + count;
                if let Some(progress) = options.progress {
                    progress(done, total);
                }
            });
            found
                .lock()
                .unwrap_or_else(|held| held.into_inner())
                .push(part);
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads.min(parts.len()) {
            // Where there is no other thread to be had, this one does it all: WASI has none.
            let _ = thread::Builder::new().spawn_scoped(scope, work_on);
        }
        work_on();
    });
    let mut found = found.into_inner().unwrap_or_else(|held| held.into_inner());
    // Threads end in any order; the numbers of code frames are not to depend on it.
    found.sort_by_key(|part| (part.work, part.frames.first().map(|(frame, _)| *frame)));
    found
}

fn look_up_part(
    index: usize,
    work: &Work<'_>,
    frames: &[Frame],
    count: &dyn Fn(usize),
) -> LookedUpPart {
    let name = work.module.name();
    let dwarf = work.files.as_ref().and_then(dwarf::DebugInfo::open);
    let mut found = LookedUpPart {
        work: index,
        frames: Vec::with_capacity(frames.len()),
        split_missing: false,
        opened: dwarf.is_some(),
    };
    for batch in frames.chunks(BATCH) {
        for &frame in batch {
            let mut code = match &dwarf {
                Some(dwarf) => dwarf.look_up(frame),
                None => Vec::new(),
            };
            if code.is_empty() {
                let mut unknown = CodeFrame::unknown(&name, frame);
                if let Some(symbol) = dwarf.as_ref().and_then(|dwarf| dwarf.symbol(frame)) {
                    unknown.function = symbol;
                }
                code.push(unknown);
            }
            found.frames.push((frame, code));
        }
        count(batch.len());
    }
    found.split_missing = dwarf.is_some_and(|dwarf| dwarf.split_part_is_missing());
    found
}
