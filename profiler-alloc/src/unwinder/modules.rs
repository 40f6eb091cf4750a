//! The executables and libraries of the recording: which module an address belongs to, and what the
//! analyst needs to find it again (path, build-id, load bias).
//!
//! Modules that were there before the program's first allocation *stay* until the process ends. Any
//! other may be unloaded, and another library may take its addresses. So for an address of such a
//! module the loader is asked each time, and what is remembered of the address (unwind rules,
//! stacks) is remembered of its [`CodeAddress`]: the address and the module together. A module's
//! number is never given to another; the same file loaded again at the same place has its old one.

use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use profiler_alloc_format::{ModuleCells, UNKNOWN_MODULE};

use crate::ffi::loader::{self, LoadedModule, Loader};
use crate::ffi::memory;
use crate::ffi::os;
use crate::profile_file::store::Store;

const MAX: usize = 4 << 10;
const WORDS: usize = 4;

/// Objects that were loaded when the program first allocated; 0 before that.
static FIRST_LOADED: AtomicUsize = AtomicUsize::new(0);

/// Notes what is loaded now, at the start of the program.
pub fn note_start() {
    let mut count = 0;
    loader::each(|position, _| count = position + 1);
    FIRST_LOADED.store(count, Ordering::Relaxed);
}

/// What unwinding needs of a module; the rest is in the file.
#[derive(Clone, Copy, Debug)]
pub struct Module {
    pub number: u16,
    pub bias: usize,
    /// Address of `.eh_frame_hdr`; 0 if there is none.
    pub unwind_index: usize,
    /// End of the segment that holds it.
    pub unwind_end: usize,
}

/// A return address, and above its 48 bits the number of its module plus one, if that may be
/// unloaded; 0 if it stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CodeAddress(u64);

impl CodeAddress {
    const ADDRESS: u64 = (1 << 48) - 1;
    /// Among modules that may be unloaded, but in none that is known.
    const SINK: u16 = u16::MAX;

    /// At an address of a module that stays.
    pub const fn staying(address: usize) -> CodeAddress {
        CodeAddress(address as u64 & CodeAddress::ADDRESS)
    }

    fn new(address: usize, tag: u16) -> CodeAddress {
        CodeAddress(CodeAddress::staying(address).0 | u64::from(tag) << 48)
    }

    pub const fn to_bits(self) -> u64 {
        self.0
    }

    pub const fn from_bits(bits: u64) -> CodeAddress {
        CodeAddress(bits)
    }

    /// The return address.
    pub const fn address(self) -> usize {
        (self.0 & CodeAddress::ADDRESS) as usize
    }

    /// True if its module stays.
    pub const fn stays(self) -> bool {
        self.0 <= CodeAddress::ADDRESS
    }

    /// The site of the call: it ends where the return address begins, perhaps beyond the caller's
    /// last instruction.
    pub const fn call(self) -> CodeAddress {
        CodeAddress(self.0.wrapping_sub(1))
    }
}

/// The map of modules.
pub struct Modules {
    /// For each module of the file's table: bias, unwind_index, unwind_end, identity.
    private: &'static [AtomicU64],
    adding: AtomicBool,
    loader: Loader,
    /// Modules with smaller numbers stay.
    staying: AtomicUsize,
    /// All modules that may be unloaded were within these addresses.
    low: AtomicUsize,
    high: AtomicUsize,
}

impl Modules {
    /// `None` if the system refuses memory.
    pub fn new() -> Option<Modules> {
        Some(Modules {
            private: memory::zeroed(MAX * WORDS)?,
            adding: AtomicBool::new(false),
            loader: Loader::new(),
            staying: AtomicUsize::new(0),
            low: AtomicUsize::new(usize::MAX),
            high: AtomicUsize::new(0),
        })
    }

    /// Records every module loaded now. To be called once, before anything is looked up.
    pub fn add_all(&self, store: &Store, now_ns: u64) {
        self.loader.look_up();
        let stay = match FIRST_LOADED.load(Ordering::Relaxed) {
            0 => usize::MAX,
            count => count,
        };
        self.alone(|| {
            loader::each(|position, loaded| {
                let number = self.add(store, loaded, now_ns);
                match number {
                    Some(number) if position < stay || never_unloads() => {
                        self.staying.store(number + 1, Ordering::Relaxed)
                    }
                    _ => self.may_pass_within(loaded),
                }
            })
        });
    }

    /// The module that holds `site`, recorded now if it is new.
    pub fn find(&self, store: &Store, site: CodeAddress, now_ns: u64) -> Option<Module> {
        if !site.stays() {
            let number = (site.0 >> 48) as u16;
            return (number != CodeAddress::SINK).then(|| self.module(usize::from(number) - 1));
        }
        self.staying(store, site.address())
            .or_else(|| self.passing(store, site.address(), now_ns))
    }

    /// The site of a return address on the calling thread's stack.
    #[inline]
    pub fn site(&self, store: &Store, return_address: usize, now_ns: u64) -> CodeAddress {
        if self.may_pass(return_address) {
            self.passing_site(store, return_address, now_ns)
        } else {
            CodeAddress::staying(return_address)
        }
    }

    /// False if the module with this return address certainly stays, or has never been met.
    #[inline]
    pub fn may_pass(&self, return_address: usize) -> bool {
        let low = self.low.load(Ordering::Relaxed);
        return_address > low && return_address <= self.high.load(Ordering::Relaxed)
    }

    #[cold]
    fn passing_site(&self, store: &Store, return_address: usize, now_ns: u64) -> CodeAddress {
        let call = CodeAddress::staying(return_address).call().address();
        if self.staying(store, call).is_some() {
            return CodeAddress::staying(return_address);
        }
        let tag = match self.passing(store, call, now_ns) {
            Some(module) => module.number + 1,
            None => CodeAddress::SINK,
        };
        CodeAddress::new(return_address, tag)
    }

    fn staying(&self, store: &Store, address: usize) -> Option<Module> {
        (0..self.staying.load(Ordering::Relaxed)).find_map(|number| {
            let cells = store.modules.get(number)?;
            let start = cells.start.load(Ordering::Acquire);
            let end = cells.end.load(Ordering::Relaxed);
            let inside = start != 0 && (start..end).contains(&(address as u64));
            inside.then(|| self.module(number))
        })
    }

    /// The module that may be unloaded and holds the running code at `address` now.
    fn passing(&self, store: &Store, address: usize, now_ns: u64) -> Option<Module> {
        let mut found = None;
        self.loader.holding(address, |loaded| {
            found = self.recorded(store, loaded);
            if found.is_none() {
                self.may_pass_within(loaded);
                self.alone(|| found = self.add(store, loaded, now_ns));
            }
        });
        found.map(|number| self.module(number))
    }

    fn may_pass_within(&self, loaded: &LoadedModule<'_>) {
        self.low.fetch_min(loaded.start, Ordering::Relaxed);
        self.high.fetch_max(loaded.end, Ordering::Relaxed);
    }

    fn module(&self, number: usize) -> Module {
        let word = |at: usize| self.private[number * WORDS + at].load(Ordering::Relaxed) as usize;
        Module {
            number: number as u16,
            bias: word(0),
            unwind_index: word(1),
            unwind_end: word(2),
        }
    }

    /// Runs `add` unless another thread is adding: nobody waits, an address is then of an unknown
    /// module this once.
    fn alone(&self, add: impl FnOnce()) {
        if !self.adding.swap(true, Ordering::Acquire) {
            add();
            self.adding.store(false, Ordering::Release);
        }
    }

    /// Number of the module, if it is recorded already.
    fn recorded(&self, store: &Store, loaded: &LoadedModule<'_>) -> Option<usize> {
        let count = store.header().module_count.load(Ordering::Acquire) as usize;
        let identity = loaded.identity();
        (0..count.min(MAX)).rev().find(|&number| {
            let is_complete = store
                .modules
                .get(number)
                .is_some_and(|cells| cells.start.load(Ordering::Acquire) != 0);
            is_complete && self.private[number * WORDS + 3].load(Ordering::Relaxed) == identity
        })
    }

    fn add(&self, store: &Store, loaded: &LoadedModule<'_>, now_ns: u64) -> Option<usize> {
        if let Some(number) = self.recorded(store, loaded) {
            return Some(number);
        }
        let number = store.take(&store.modules, &store.header().module_count)?;
        let cells = store
            .modules
            .get(number)
            .filter(|_| number < MAX.min(UNKNOWN_MODULE as usize))?;
        let words = [
            loaded.bias as u64,
            loaded.unwind_index as u64,
            loaded.unwind_end as u64,
            loaded.identity(),
        ];
        for (offset, word) in words.into_iter().enumerate() {
            self.private[number * WORDS + offset].store(word, Ordering::Relaxed);
        }
        for (cell, word) in cells.build_id.iter().zip(loaded.build_id.words) {
            cell.store(word, Ordering::Relaxed);
        }
        cells
            .build_id_len
            .store(loaded.build_id.len as u32, Ordering::Relaxed);
        store_path(store, cells, loaded);
        cells.bias.store(loaded.bias as u64, Ordering::Relaxed);
        cells.loaded_ns.store(now_ns, Ordering::Relaxed);
        cells.end.store(loaded.end as u64, Ordering::Relaxed);
        cells.start.store(loaded.start as u64, Ordering::Release);
        Some(number)
    }
}

/// In musl, `dlclose` does nothing.
const fn never_unloads() -> bool {
    cfg!(target_env = "musl")
}

/// Stores the path, and the file's length and time of change beside it.
///
/// The loader's name of the main program is no path to go by: glibc's is empty, that of a static
/// program of musl is `/proc/self/exe`, and that of a dynamic one may be `./app`. Nor is
/// `/proc/self/exe` where it was started as `ld.so ./app`: what is mapped there tells.
fn store_path(store: &Store, cells: &ModuleCells, loaded: &LoadedModule<'_>) {
    const PAGE: usize = 4096;
    let mut buffer = [0u8; 512];
    let main = c"/proc/self/exe";
    let name = loaded.name.to_bytes();
    let is_main = name.is_empty() || os::is_program(loaded.start, loaded.end);
    let (path, file) = if is_main {
        match os::mapped_file(loaded.start & !(PAGE - 1), &mut buffer) {
            Some(file) => (file.to_bytes(), file),
            None => (os::read_link(main, &mut buffer).unwrap_or_default(), main),
        }
    } else if name.starts_with(b"/") {
        (name, loaded.name)
    } else {
        // As given to `dlopen`: from the folder that the program is in now.
        let whole = os::whole_path(loaded.name, &mut buffer);
        (whole.unwrap_or(name), loaded.name)
    };
    if let Some((len, modified)) = os::file_stamp(file) {
        cells.file_len.store(len, Ordering::Relaxed);
        cells.modified_ns.store(modified, Ordering::Relaxed);
    }
    if let Some((at, len)) = store.add_string(path) {
        cells.path_at.store(at, Ordering::Relaxed);
        cells.path_len.store(len, Ordering::Relaxed);
    }
}
