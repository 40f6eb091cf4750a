//! How a program can be recorded, read from its file before it starts.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use object::elf::{FileHeader64, PT_INTERP};
use object::read::elf::{ElfFile, FileHeader, ProgramHeader};
use object::{Endianness, Object, ObjectSymbol, ReadCache};
use thiserror::Error;

/// The name of the note that the crate leaves in a program.
const NOTE: &[u8] = b"memprof";

/// How a program can be recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mechanism {
    /// It has the crate, and records itself.
    Crate,
    /// The library is loaded into it.
    Preload,
    /// Neither.
    Neither(Obstacle),
}

/// Why no library can be loaded into a program, or would not be called.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Obstacle {
    /// Nothing loads libraries for it.
    #[error("it is statically linked, so that no library can be loaded into it")]
    Static,
    /// Of another kind of machine, 32-bit for example.
    #[error("it is a program for another kind of machine than this memprof (32-bit, perhaps)")]
    Foreign,
    /// It has a `malloc` of its own.
    #[error(
        "it brings its own malloc (as with jemalloc or tcmalloc linked in), which no library can stand in for"
    )]
    OwnMalloc,
    /// It gets rights that its caller does not have.
    #[error(
        "it is setuid or setgid, and the system loads no library of the user's into such programs"
    )]
    Privileged,
}

impl Mechanism {
    /// How the program at `path` can be recorded. What cannot be read is left to the system.
    pub fn of(path: &Path) -> Mechanism {
        let Ok(file) = File::open(path) else {
            return Mechanism::Preload;
        };
        let mode = file.metadata().map_or(0, |is| is.mode());
        if mode & 0o6000 != 0 {
            return Mechanism::Neither(Obstacle::Privileged);
        }
        let cache = ReadCache::new(file);
        match object::FileKind::parse(&cache) {
            Ok(object::FileKind::Elf64) => {}
            Ok(object::FileKind::Elf32) => return Mechanism::Neither(Obstacle::Foreign),
            // A script: the library is for its interpreter.
            _ => return Mechanism::Preload,
        }
        match ElfFile::<FileHeader64<Endianness>, _>::parse(&cache) {
            Ok(file) => of_elf(&file),
            Err(_) => Mechanism::Preload,
        }
    }
}

fn of_elf<'a>(file: &ElfFile<'a, FileHeader64<Endianness>, &'a ReadCache<File>>) -> Mechanism {
    let endian = file.endian();
    let (headers, data) = (file.elf_program_headers(), file.data());
    let has_note = headers.iter().any(|header| {
        let Ok(Some(mut notes)) = header.notes(endian, data) else {
            return false;
        };
        std::iter::from_fn(|| notes.next().ok().flatten()).any(|note| note.name() == NOTE)
    });
    let is_native = match file.elf_header().e_machine(endian) {
        object::elf::EM_X86_64 => cfg!(target_arch = "x86_64"),
        object::elf::EM_AARCH64 => cfg!(target_arch = "aarch64"),
        _ => false,
    };
    let is_loaded = headers
        .iter()
        .any(|header| header.p_type(endian) == PT_INTERP);
    let has_malloc = || {
        let mut symbols = file.dynamic_symbols();
        symbols.any(|symbol| symbol.is_definition() && symbol.name() == Ok("malloc"))
    };
    if has_note {
        Mechanism::Crate
    } else if !is_native {
        Mechanism::Neither(Obstacle::Foreign)
    } else if !is_loaded {
        Mechanism::Neither(Obstacle::Static)
    } else if has_malloc() {
        Mechanism::Neither(Obstacle::OwnMalloc)
    } else {
        Mechanism::Preload
    }
}
