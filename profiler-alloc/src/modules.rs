//! The executables and libraries of the process: which module an address belongs to, and what the analyst needs to find
//! it again (path, build-id, load bias).
//!
//! All modules loaded at the start are recorded then; later ones when an address of theirs first turns up.

use core::ffi::{CStr, c_int, c_void};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use profiler_alloc_format::{ModuleCells, UNKNOWN_MODULE};

use crate::memory;
use crate::store::Store;
use crate::sys;

const MAX: usize = 4 << 10;
const WORDS: usize = 4;

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

/// The map of loaded modules.
pub struct Modules {
    /// For each module of the file's table: bias, unwind_index, unwind_end.
    private: &'static [AtomicU64],
    adding: AtomicBool,
    find_object: Option<FindObject>,
}

type FindObject = unsafe extern "C" fn(*mut c_void, *mut [usize; 16]) -> c_int;

impl Modules {
    /// Looks up glibc's lock-free search; `None` if the system refuses memory.
    pub fn new() -> Option<Modules> {
        // SAFETY: the name ends with a zero; the symbol, where it exists, has this type (glibc 2.35, dlfcn.h).
        let find_object = unsafe {
            let symbol = libc::dlsym(libc::RTLD_DEFAULT, c"_dl_find_object".as_ptr());
            core::mem::transmute::<*mut c_void, Option<FindObject>>(symbol)
        };
        Some(Modules {
            private: memory::zeroed(MAX * WORDS)?,
            adding: AtomicBool::new(false),
            find_object,
        })
    }

    /// Records every module loaded now.
    pub fn add_all(&self, store: &Store, now_ns: u64) {
        let mut context = Adding {
            modules: self,
            store,
            now_ns,
        };
        self.alone(|| {
            // SAFETY: the callback has the type asked for and `context` outlives the call.
            unsafe { libc::dl_iterate_phdr(Some(each_module), (&raw mut context).cast()) };
        });
    }

    /// The module that holds `address`, recorded now if it is new.
    pub fn find(&self, store: &Store, address: usize, now_ns: u64) -> Option<Module> {
        if let Some(module) = self.known(store, address) {
            return Some(module);
        }
        match self.find_object {
            Some(find_object) => self.alone(|| {
                let mut found = [0usize; 16];
                // SAFETY: `found` is larger than struct dl_find_object (5 fields and 7 reserved words).
                if unsafe { find_object(address as *mut c_void, &mut found) } == 0 {
                    let [_, start, _, link_map, ..] = found;
                    self.add_object(store, start, link_map, now_ns);
                }
            }),
            None => self.add_all(store, now_ns),
        }
        self.known(store, address)
    }

    fn known(&self, store: &Store, address: usize) -> Option<Module> {
        let count = store.header().module_count.load(Ordering::Acquire) as usize;
        // Newest first: a library may stand where an unloaded one stood.
        (0..count).rev().find_map(|number| {
            let cells = store.modules.get(number)?;
            let start = cells.start.load(Ordering::Acquire);
            let end = cells.end.load(Ordering::Relaxed);
            let inside = start != 0 && (start..end).contains(&(address as u64));
            let word =
                |at: usize| self.private[number * WORDS + at].load(Ordering::Relaxed) as usize;
            inside.then(|| Module {
                number: number as u16,
                bias: word(0),
                unwind_index: word(1),
                unwind_end: word(2),
            })
        })
    }

    /// Runs `add` unless another thread is adding: nobody waits, an address is then of an unknown module this once.
    fn alone(&self, add: impl FnOnce()) {
        if !self.adding.swap(true, Ordering::Acquire) {
            add();
            self.adding.store(false, Ordering::Release);
        }
    }

    fn add_object(&self, store: &Store, start: usize, link_map: usize, now_ns: u64) {
        // SAFETY: glibc gives the start of a mapped object, whose first bytes are its ELF header, and its link map,
        // whose first two fields are the load bias and the name. The module holds the calling frame, so it stays.
        unsafe {
            let header = &*(start as *const libc::Elf64_Ehdr);
            if header.e_ident[..4] != *b"\x7fELF" || link_map == 0 {
                return;
            }
            let segments = core::slice::from_raw_parts(
                (start + header.e_phoff as usize) as *const libc::Elf64_Phdr,
                header.e_phnum as usize,
            );
            let bias = *(link_map as *const usize);
            let name = *((link_map + size_of::<usize>()) as *const *const libc::c_char);
            let name = if name.is_null() {
                c""
            } else {
                CStr::from_ptr(name)
            };
            self.add(store, bias, name, segments, now_ns);
        }
    }

    fn add(
        &self,
        store: &Store,
        bias: usize,
        name: &CStr,
        segments: &[libc::Elf64_Phdr],
        now_ns: u64,
    ) {
        let loads = || {
            segments
                .iter()
                .filter(|segment| segment.p_type == libc::PT_LOAD)
        };
        let at = |vaddr: u64| bias.wrapping_add(vaddr as usize);
        let Some(start) = loads().map(|segment| at(segment.p_vaddr)).min() else {
            return;
        };
        let end = loads()
            .map(|segment| at(segment.p_vaddr + segment.p_memsz))
            .max()
            .unwrap_or(start);
        if self.is_recorded(store, start, end, bias) {
            return;
        }
        let header = store.header();
        let Some(number) = store.take(&store.modules, &header.module_count) else {
            return;
        };
        let Some(cells) = store
            .modules
            .get(number)
            .filter(|_| number < UNKNOWN_MODULE as usize)
        else {
            return;
        };

        let unwind = segments
            .iter()
            .find(|segment| segment.p_type == libc::PT_GNU_EH_FRAME);
        let unwind = unwind.and_then(|index| {
            let holds = |load: &&libc::Elf64_Phdr| {
                (load.p_vaddr..load.p_vaddr + load.p_filesz).contains(&index.p_vaddr)
            };
            loads()
                .find(holds)
                .map(|load| (at(index.p_vaddr), at(load.p_vaddr + load.p_filesz)))
        });
        let (unwind_index, unwind_end) = unwind.unwrap_or((0, 0));
        for (offset, word) in [bias, unwind_index, unwind_end].into_iter().enumerate() {
            self.private[number * WORDS + offset].store(word as u64, Ordering::Relaxed);
        }
        for note in segments
            .iter()
            .filter(|segment| segment.p_type == libc::PT_NOTE)
        {
            // SAFETY: a note segment of a loaded module is mapped for its length in the file.
            let bytes = unsafe {
                core::slice::from_raw_parts(at(note.p_vaddr) as *const u8, note.p_filesz as usize)
            };
            store_build_id(cells, bytes);
        }
        store_path(store, cells, name);
        cells.bias.store(bias as u64, Ordering::Relaxed);
        cells.loaded_ns.store(now_ns, Ordering::Relaxed);
        cells.end.store(end as u64, Ordering::Relaxed);
        cells.start.store(start as u64, Ordering::Release);
    }

    fn is_recorded(&self, store: &Store, start: usize, end: usize, bias: usize) -> bool {
        let count = store.header().module_count.load(Ordering::Acquire) as usize;
        (0..count)
            .filter_map(|number| store.modules.get(number))
            .any(|cells| {
                cells.start.load(Ordering::Acquire) == start as u64
                    && cells.end.load(Ordering::Relaxed) == end as u64
                    && cells.bias.load(Ordering::Relaxed) == bias as u64
            })
    }
}

struct Adding<'a> {
    modules: &'a Modules,
    store: &'a Store,
    now_ns: u64,
}

unsafe extern "C" fn each_module(
    info: *mut libc::dl_phdr_info,
    _: usize,
    context: *mut c_void,
) -> c_int {
    // SAFETY: the linker passes a valid description, and `context` is the `Adding` of `add_all`.
    unsafe {
        let (info, context) = (&*info, &*context.cast::<Adding<'_>>());
        let segments = core::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum as usize);
        let name = if info.dlpi_name.is_null() {
            c""
        } else {
            CStr::from_ptr(info.dlpi_name)
        };
        context.modules.add(
            context.store,
            info.dlpi_addr as usize,
            name,
            segments,
            context.now_ns,
        );
    }
    0
}

/// Finds the GNU build-id among the notes: name size, description size, type, name, description, each padded to 4.
fn store_build_id(cells: &ModuleCells, mut notes: &[u8]) {
    const NT_GNU_BUILD_ID: u32 = 3;
    while notes.len() >= 12 {
        let word = |at: usize| {
            u32::from_le_bytes([notes[at], notes[at + 1], notes[at + 2], notes[at + 3]])
        };
        let (name_len, len, kind) = (word(0) as usize, word(4) as usize, word(8));
        let description = 12 + name_len.next_multiple_of(4);
        let end = description.saturating_add(len);
        if end > notes.len() {
            return;
        }
        if kind == NT_GNU_BUILD_ID && notes[12..].starts_with(b"GNU\0") {
            let mut id = [0u8; 32];
            let len = len.min(id.len());
            id[..len].copy_from_slice(&notes[description..description + len]);
            for (cell, part) in cells.build_id.iter().zip(id.chunks_exact(8)) {
                let word = u64::from_le_bytes(part.try_into().unwrap_or_default());
                cell.store(word, Ordering::Relaxed);
            }
            cells.build_id_len.store(len as u32, Ordering::Relaxed);
            return;
        }
        notes = &notes[end.next_multiple_of(4).min(notes.len())..];
    }
}

/// Stores the path, and the file's length and time of change beside it. The main program has no name of its own.
fn store_path(store: &Store, cells: &ModuleCells, name: &CStr) {
    let mut buffer = [0u8; 512];
    let main = c"/proc/self/exe";
    let (path, file) = match name.to_bytes() {
        b"" => (sys::read_link(main, &mut buffer).unwrap_or_default(), main),
        bytes => (bytes, name),
    };
    if let Some((len, modified)) = sys::file_stamp(file) {
        cells.file_len.store(len, Ordering::Relaxed);
        cells.modified_ns.store(modified, Ordering::Relaxed);
    }
    let Some(at) = store.take_many(&store.strings, &store.header().string_bytes, path.len()) else {
        return;
    };
    for (offset, &byte) in path.iter().enumerate() {
        if let Some(cell) = store.strings.get(at + offset) {
            cell.store(byte, Ordering::Relaxed);
        }
    }
    cells.path_at.store(at as u32, Ordering::Relaxed);
    cells.path_len.store(path.len() as u32, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_build_id_among_notes() {
        let cells = memory::zeroed::<ModuleCells>(1).unwrap();
        let mut notes = vec![];
        notes.extend([4u32, 3, 1].iter().flat_map(|word| word.to_le_bytes()));
        notes.extend(b"XYZ\0abc\0");
        notes.extend([4u32, 10, 3].iter().flat_map(|word| word.to_le_bytes()));
        notes.extend(b"GNU\0\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\0\0");
        store_build_id(&cells[0], &notes);
        assert_eq!(cells[0].build_id_len.load(Ordering::Relaxed), 10);
        assert_eq!(
            cells[0].build_id[0].load(Ordering::Relaxed),
            0x0807_0605_0403_0201
        );
        assert_eq!(cells[0].build_id[1].load(Ordering::Relaxed), 0x0a09);
    }

    #[test]
    fn hostile_notes_are_left_alone() {
        let cells = memory::zeroed::<ModuleCells>(1).unwrap();
        store_build_id(&cells[0], &[0xff; 40]);
        store_build_id(&cells[0], &[0; 11]);
        assert_eq!(cells[0].build_id_len.load(Ordering::Relaxed), 0);
    }
}
