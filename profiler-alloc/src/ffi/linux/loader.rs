//! What the dynamic loader of Linux lists, and what program headers say of it.

use core::ffi::{CStr, c_int, c_void};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering};

use crate::ffi::loader::{BuildId, LoadedModule};
use crate::ffi::os;

impl<'a> LoadedModule<'a> {
    /// From the program headers. `None` if nothing of it is in memory.
    ///
    /// # Safety
    /// The segments must be those of an object that is loaded at `bias`.
    unsafe fn from_segments(
        bias: usize,
        name: &'a CStr,
        segments: &[libc::Elf64_Phdr],
    ) -> Option<LoadedModule<'a>> {
        let of_type = |wanted| {
            segments
                .iter()
                .filter(move |segment| segment.p_type == wanted)
        };
        let at = |vaddr: u64| bias.wrapping_add(vaddr as usize);
        let end_in_memory = |load: &libc::Elf64_Phdr| at(load.p_vaddr.wrapping_add(load.p_memsz));
        let unwind = of_type(libc::PT_GNU_EH_FRAME).next().and_then(|index| {
            let end_in_file = |load: &libc::Elf64_Phdr| load.p_vaddr.wrapping_add(load.p_filesz);
            of_type(libc::PT_LOAD)
                .find(|load| (load.p_vaddr..end_in_file(load)).contains(&index.p_vaddr))
                .map(|load| (at(index.p_vaddr), at(end_in_file(load))))
        });
        let (unwind_index, unwind_end) = unwind.unwrap_or((0, 0));
        let build_id = of_type(libc::PT_NOTE).find_map(|note| {
            // SAFETY: a note segment of a loaded object is mapped for its length in the file.
            let bytes = unsafe {
                core::slice::from_raw_parts(at(note.p_vaddr) as *const u8, note.p_filesz as usize)
            };
            BuildId::among(bytes)
        });
        Some(LoadedModule {
            start: of_type(libc::PT_LOAD).map(|load| at(load.p_vaddr)).min()?,
            end: of_type(libc::PT_LOAD).map(end_in_memory).max()?,
            bias,
            name,
            build_id: build_id.unwrap_or_default(),
            unwind_index,
            unwind_end,
        })
    }

    /// The object with this link map of the loader's, which is mapped at `start` among others.
    ///
    /// # Safety
    /// Both must be the loader's word, and the object must stay loaded while the result is in use.
    unsafe fn at(start: usize, link_map: usize) -> Option<LoadedModule<'a>> {
        if link_map == 0 {
            return None;
        }
        // SAFETY: the caller's promise; a link map's first two fields are the load bias and the
        // name.
        unsafe {
            let bias = *(link_map as *const usize);
            let name = *((link_map + size_of::<usize>()) as *const *const libc::c_char);
            // The loader may mean the segment with the code. The ELF header stands at the beginning
            // of the file, which has address 0 in nearly every library.
            let header = elf_header(start).or_else(|| {
                os::is_readable(bias..bias + 1)
                    .then(|| elf_header(bias))
                    .flatten()
            })?;
            let segments = core::slice::from_raw_parts(
                (&raw const *header)
                    .addr()
                    .wrapping_add(header.e_phoff as usize)
                    as *const libc::Elf64_Phdr,
                header.e_phnum as usize,
            );
            Self::from_segments(bias, name_of(name), segments)
        }
    }
}

impl BuildId {
    /// Finds the GNU build-id among notes: name size, description size, type, name, description,
    /// each padded to 4.
    pub fn among(mut notes: &[u8]) -> Option<BuildId> {
        const NT_GNU_BUILD_ID: u32 = 3;
        while notes.len() >= 12 {
            let word = |at: usize| {
                u32::from_le_bytes([notes[at], notes[at + 1], notes[at + 2], notes[at + 3]])
            };
            let (name_len, len, kind) = (word(0) as usize, word(4) as usize, word(8));
            let description = 12usize.saturating_add(name_len.next_multiple_of(4));
            let end = description.saturating_add(len);
            if end > notes.len() {
                return None;
            }
            if kind == NT_GNU_BUILD_ID && notes[12..].starts_with(b"GNU\0") {
                let mut id = [0u8; 32];
                let len = len.min(id.len());
                id[..len].copy_from_slice(&notes[description..description + len]);
                let word = |at: usize| {
                    u64::from_le_bytes(id[8 * at..8 * at + 8].try_into().unwrap_or_default())
                };
                let words = core::array::from_fn(word);
                return Some(BuildId { words, len });
            }
            notes = &notes[end.next_multiple_of(4).min(notes.len())..];
        }
        None
    }
}

type FindObject = unsafe extern "C" fn(*mut c_void, *mut [usize; 16]) -> c_int;

/// The dynamic loader.
#[derive(Debug)]
pub struct Loader {
    /// glibc's search, which takes no lock (glibc 2.35); null while it is not known.
    find_object: AtomicPtr<c_void>,
}

impl Loader {
    pub const fn new() -> Loader {
        Loader {
            find_object: AtomicPtr::new(null_mut()),
        }
    }

    /// Looks up glibc's search. Takes 1.5 KiB of the stack, and 3.4 KiB on processors with AVX-512.
    pub fn look_up(&self) {
        // SAFETY: the name ends with a zero.
        let symbol = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"_dl_find_object".as_ptr()) };
        self.find_object.store(symbol, Ordering::Relaxed);
    }

    /// Shows `visit` the object that holds the code at `address`, of a function that is running.
    pub fn holding(&self, address: usize, mut visit: impl FnMut(&LoadedModule<'_>)) {
        if !self.find(address, &mut visit) {
            each(|_, loaded| {
                if (loaded.start..loaded.end).contains(&address) {
                    visit(loaded);
                }
            });
        }
    }

    /// As [`holding`](Self::holding), without taking the loader's lock. False if that cannot be
    /// told.
    fn find(&self, address: usize, visit: &mut impl FnMut(&LoadedModule<'_>)) -> bool {
        let symbol = self.find_object.load(Ordering::Relaxed);
        // SAFETY: the symbol, where it exists, has this type (dlfcn.h).
        let find_object =
            unsafe { core::mem::transmute::<*mut c_void, Option<FindObject>>(symbol) };
        let Some(find_object) = find_object else {
            return false;
        };
        let mut found = [0usize; 16];
        let mut is_known = false;
        // SAFETY: `found` is larger than struct dl_find_object (5 fields and 7 reserved words). The
        // object holds a frame of the calling thread, so it stays loaded.
        unsafe {
            if find_object(address as *mut c_void, &mut found) == 0 {
                let [_, start, _, link_map, ..] = found;
                if let Some(loaded) = LoadedModule::at(start, link_map) {
                    is_known = true;
                    visit(&loaded);
                }
            }
        }
        is_known
    }
}

/// Shows `visit` every object that is loaded, in the order of loading, with its number in it.
pub fn each<V: FnMut(usize, &LoadedModule<'_>)>(visit: V) {
    unsafe extern "C" fn each_object<V: FnMut(usize, &LoadedModule<'_>)>(
        info: *mut libc::dl_phdr_info,
        _: usize,
        context: *mut c_void,
    ) -> c_int {
        // SAFETY: the loader passes a valid description and holds its lock, so the object stays;
        // `context` is that of `each`.
        unsafe {
            let (info, (position, visit)) = (&*info, &mut *context.cast::<(usize, V)>());
            let segments = core::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum as usize);
            let name = name_of(info.dlpi_name);
            let loaded = LoadedModule::from_segments(info.dlpi_addr as usize, name, segments);
            if let Some(loaded) = loaded {
                visit(*position, &loaded);
            }
            *position += 1;
        }
        0
    }
    let mut context = (0usize, visit);
    // SAFETY: the callback has the type asked for and `context` outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(each_object::<V>), (&raw mut context).cast()) };
}

/// # Safety
/// The memory must be mapped, for as long as the result is in use.
unsafe fn elf_header<'a>(address: usize) -> Option<&'a libc::Elf64_Ehdr> {
    let header = address as *const libc::Elf64_Ehdr;
    if !header.is_aligned() {
        return None;
    }
    // SAFETY: the caller's promise; a mapping is a page at least, and the address is aligned.
    let header = unsafe { &*header };
    header.e_ident.starts_with(b"\x7fELF").then_some(header)
}

/// # Safety
/// The name must be null or end with a zero.
unsafe fn name_of<'a>(name: *const libc::c_char) -> &'a CStr {
    if name.is_null() {
        return c"";
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_build_id_among_notes() {
        let mut notes = vec![];
        notes.extend([4u32, 3, 1].iter().flat_map(|word| word.to_le_bytes()));
        notes.extend(b"XYZ\0abc\0");
        notes.extend([4u32, 10, 3].iter().flat_map(|word| word.to_le_bytes()));
        notes.extend(b"GNU\0\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\0\0");
        let id = BuildId::among(&notes).unwrap();
        assert_eq!(id.len, 10);
        assert_eq!(id.words[..2], [0x0807_0605_0403_0201, 0x0a09]);
    }

    #[test]
    fn hostile_notes_are_left_alone() {
        assert_eq!(BuildId::among(&[0xff; 40]), None);
        assert_eq!(BuildId::among(&[0; 11]), None);
    }

    #[test]
    fn the_loader_knows_the_code_that_asks() {
        let here = the_loader_knows_the_code_that_asks as *const () as usize;
        let mut identities = vec![];
        let loader = Loader::new();
        loader.look_up();
        let found = loader.find(here, &mut |loaded| identities.push(loaded.identity()));
        each(|_, loaded| {
            if (loaded.start..loaded.end).contains(&here) {
                identities.push(loaded.identity());
            }
        });
        // Once by each way, where there are two.
        assert_eq!(identities.len(), 1 + usize::from(found));
        assert!(identities.iter().all(|identity| *identity == identities[0]));
        assert!(!cfg!(target_env = "gnu") || found);
    }
}
