//! The control page of a recorder in a running process: where it is, and what it says.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use profiler_alloc_format::control::{Control, MAGIC, PAGE_LEN};

use super::maps::{Mapping, seen_from_here};
use super::{AttachError, RunningProcess};
use crate::system;

/// Pages of data of one module that are looked at.
const MOST_PAGES: u64 = 16 << 10;

/// Where the recorder of a process has its control page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PagePlace {
    /// The program, or a library of it.
    pub module: PathBuf,
    /// The page's address.
    pub address: u64,
    /// Whether the module is the program itself.
    pub is_program: bool,
}

impl PagePlace {
    /// Whether nobody would ever answer there, by what the page says: the library that `memprof
    /// run` loads is there, but the program has the crate, or a `malloc` of its own. It counts from
    /// its constructor on, or never.
    pub fn is_idle(&self, page: &Control) -> bool {
        let name = self.module.file_name().unwrap_or_default();
        let is_preloaded = name.as_encoded_bytes().starts_with(b"libmemprof_preload");
        is_preloaded && page.heap_at == 0
    }
}

/// Where files have a control page, so that a library of many programs is read once.
#[derive(Default)]
pub struct KnownPages(HashMap<((String, u64), u64), Option<u64>>);

impl KnownPages {
    /// The control pages of a process that has `mappings`: that of the program itself first.
    pub fn find(&mut self, process: &RunningProcess, mappings: &[Mapping]) -> Vec<PagePlace> {
        let program = fs::read_link(format!("/proc/{}/exe", process.pid)).ok();
        // What a program may write of its file, and keeps for itself, is its data.
        let data = mappings
            .iter()
            .filter(|map| map.is_writable && !map.is_shared);
        let mut places: Vec<PagePlace> = data
            .filter_map(|map| {
                let is_program = program.as_ref() == Some(&map.path);
                let at = self.in_file(process, map, is_program)?;
                Some(PagePlace {
                    module: map.path.clone(),
                    address: map.start + at,
                    is_program,
                })
            })
            .collect();
        places.sort_by_key(|place| !place.is_program);
        places
    }

    /// How far into `map` the page stands.
    fn in_file(
        &mut self,
        process: &RunningProcess,
        map: &Mapping,
        is_program: bool,
    ) -> Option<u64> {
        let key = (map.file.clone(), map.offset);
        *self.0.entry(key).or_insert_with(|| {
            let path = match is_program {
                // There even if its file was replaced by a newer build.
                true => format!("/proc/{}/exe", process.pid).into(),
                false => seen_from_here(process.pid, &map.path),
            };
            look_in(&path, map)
        })
    }
}

/// How far into `map` the file at `path` has the page.
fn look_in(path: &Path, map: &Mapping) -> Option<u64> {
    let is_file = fs::metadata(path).ok()?.is_file();
    let file = is_file.then(|| File::open(path).ok())??;
    let first = MAGIC.map(u64::to_le_bytes);
    let pages = (map.end - map.start) / PAGE_LEN as u64;
    let places = (0..pages.min(MOST_PAGES)).map(|page| page * PAGE_LEN as u64);
    let mut starts = places.filter(|at| {
        let mut bytes = [0; 16];
        let read = system::read_exact_at(&file, &mut bytes, map.offset + at);
        read.is_ok() && bytes == *first.as_flattened()
    });
    starts.next()
}

/// The memory of a process. It stays that of the program that ran when it was opened.
#[derive(Debug)]
pub struct Memory {
    file: File,
}

impl Memory {
    /// Of `process`, to be read, and written if it `is_asked`.
    ///
    /// # Errors
    /// If the system lets no other process of the same user do so.
    pub fn open(process: &RunningProcess, is_asked: bool) -> Result<Memory, AttachError> {
        let path = format!("/proc/{}/mem", process.pid);
        let file = File::options().read(true).write(is_asked).open(path);
        let file = file.map_err(|error| refused(process, error))?;
        Ok(Memory { file })
    }

    /// The control page at `address`.
    pub fn control(&self, address: u64) -> io::Result<Control> {
        let mut bytes = [0; Control::LEN];
        system::read_exact_at(&self.file, &mut bytes, address)?;
        Ok(Control::from_bytes(&bytes))
    }

    /// The 64 bits at `address`.
    pub fn word(&self, address: u64) -> io::Result<u64> {
        let mut bytes = [0; 8];
        system::read_exact_at(&self.file, &mut bytes, address)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Writes `bytes` at `address`.
    pub fn write(&self, bytes: &[u8], address: u64) -> io::Result<()> {
        system::write_all_at(&self.file, bytes, address)
    }
}

fn refused(process: &RunningProcess, error: io::Error) -> AttachError {
    if error.kind() == io::ErrorKind::NotFound {
        return AttachError::Ended { pid: process.pid };
    }
    AttachError::Refused {
        pid: process.pid,
        name: process.name.clone(),
        error,
        remedy: remedy(),
    }
}

/// What to do where the system keeps processes from each other's memory.
pub fn remedy() -> &'static str {
    let scope = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    match scope.trim() {
        "" | "0" => {
            "it may have made itself undumpable, or a container may keep them apart: as root it goes"
        }
        "3" => {
            "kernel.yama.ptrace_scope is 3, so nobody may until the machine starts anew; start the program with `memprof run`"
        }
        _ => {
            "kernel.yama.ptrace_scope lets only root do so: write `sudo memprof attach …`; the profile will be the program's user's"
        }
    }
}
