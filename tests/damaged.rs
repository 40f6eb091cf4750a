//! A real profile, damaged in every way there is: cut off at every length, every byte changed,
//! tables that claim to be huge, debug information that lies. What comes out is an error or a
//! profile; never a panic, a hang or much memory.
//!
//! `MEMPROF_TEST_FULL=1` takes every length and every byte; otherwise a part of them.

mod built;
#[path = "../fuzz/inputs.rs"]
mod inputs;

use std::fs;
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use built::example;
use memprof::profile::{self, Profile, ReadError};
use memprof::render::{Json, Renderer};
use memprof::report::{Report, Scope};
use memprof::source::{Places, Sources};
use memprof::symbolize::{SymbolizeOptions, symbolize};
use profiler_alloc::ProfilerAlloc;
use profiler_alloc_format::{CHUNK_LEN, DIRECTORY_AT, HEADER_LEN, Header, MAX_CHUNKS, Table, env};

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

/// Most memory that reading any file may take.
const MOST: usize = 256 << 20;

/// One at a time measures its memory.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_full() -> bool {
    std::env::var_os("MEMPROF_TEST_FULL").is_some()
}

fn record(folder: &Path) -> PathBuf {
    let path = folder.join("real.memprof");
    let mut command = Command::new(example("lists"));
    assert!(
        command
            .env(env::OUTPUT, &path)
            .output()
            .unwrap()
            .status
            .success()
    );
    path
}

fn parse(bytes: &[u8]) -> Result<Profile, ReadError> {
    profile::parse("x.memprof".as_ref(), Cursor::new(bytes)).map(|(profile, _)| profile)
}

/// The places of a file where anything stands, and some of those where nothing does.
fn used(bytes: &[u8]) -> Vec<usize> {
    (0..bytes.len())
        .filter(|&at| at < 1024 || bytes[at] != 0 || at.is_multiple_of(499))
        .collect()
}

fn report(profile: &Profile) {
    let force = SymbolizeOptions {
        force: true,
        ..SymbolizeOptions::default()
    };
    let (symbols, _) = symbolize(profile, &force).unwrap();
    let mut sources = Sources::new(Places::default());
    let report = Report::new(profile, &symbols, &mut sources, Scope::All, Vec::new());
    Json.report(&report, &mut io::sink()).unwrap();
}

#[test]
fn every_length_is_an_error_or_a_profile() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let bytes = fs::read(record(folder.path())).unwrap();
    assert!(bytes.len() > 64 << 10);
    let step = if is_full() { 1 } else { 977 };
    let mut profiles = 0;
    for len in (0..bytes.len()).filter(|len| *len < HEADER_LEN + 10 || len.is_multiple_of(step)) {
        match parse(&bytes[..len]) {
            Ok(_) => profiles += 1,
            Err(error) => assert!(len < HEADER_LEN, "{len} bytes: {error}"),
        }
    }
    assert!(profiles > 100);
    assert!((profiler_alloc::peak_heap() as usize) < MOST);
}

#[test]
fn every_byte_may_change() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = fs::read(record(folder.path())).unwrap();
    let used = used(&bytes);
    let step = if is_full() { 1 } else { 23 };
    let mut state = 1u64;
    for (number, at) in used.into_iter().step_by(step).enumerate() {
        let before = bytes[at];
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        for value in [
            0,
            0xff,
            before ^ 0x80,
            before.wrapping_add(1),
            (state >> 56) as u8,
        ] {
            bytes[at] = value;
            if let Ok(profile) = parse(&bytes) {
                assert!(
                    profile
                        .nodes
                        .iter()
                        .zip(0..)
                        .all(|(node, at)| node.parent <= at)
                );
                // Symbols take their time: a part is shown to the end.
                if number % 400 == 0 && value == 0xff {
                    report(&profile);
                }
            }
        }
        bytes[at] = before;
    }
    assert!((profiler_alloc::peak_heap() as usize) < MOST);
}

#[test]
fn a_file_that_claims_to_be_huge_takes_little() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let real = fs::read(record(folder.path())).unwrap();
    // All chunks are one table's, or the tables take turns; nothing of it is written, so the file
    // takes no disk.
    let tables = Table::ALL.map(|table| vec![table as u8]);
    let turns = vec![Table::ALL.map(|table| table as u8).to_vec(), vec![7]];
    for directory in tables.into_iter().chain(turns) {
        let path = folder.path().join("huge.memprof");
        let mut head = real[..HEADER_LEN].to_vec();
        for chunk in 0..MAX_CHUNKS {
            head[DIRECTORY_AT + chunk] = directory[chunk % directory.len()];
        }
        let mut header = Header::from_bytes(head[..Header::LEN].first_chunk().unwrap());
        header.chunk_count = u64::MAX;
        for count in [
            &mut header.thread_count,
            &mut header.node_count,
            &mut header.stack_count,
            &mut header.module_count,
            &mut header.string_bytes,
            &mut header.timeline_count,
        ] {
            *count = u64::MAX >> 1;
        }
        head[..Header::LEN].copy_from_slice(&header.to_bytes());
        fs::write(&path, head).unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_len((HEADER_LEN + MAX_CHUNKS * CHUNK_LEN) as u64)
            .unwrap();
        let before = profiler_alloc::heap_in_use();
        let read = profile::read(&path);
        assert!(read.is_ok(), "{directory:?}");
        drop(read);
        let peak = profiler_alloc::peak_heap() as usize;
        assert!(
            peak - before.min(peak) < MOST,
            "{directory:?}: {peak} bytes"
        );
    }
}

#[test]
fn lies_in_debug_information_give_unresolved_lines() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = record(folder.path());
    let (mut profile, _) = profile::read(&path).unwrap();
    let program = example("lists");
    let original = fs::read(&program).unwrap();
    let copy = folder.path().join("lists");
    let module = profile
        .modules
        .iter_mut()
        .find(|module| module.path.ends_with("lists"));
    module.expect("the program").path.clone_from(&copy);
    // Where the lies are worth something: the sections with names, and the debug information.
    let interesting: Vec<usize> = (0..64).chain((64..original.len()).step_by(4096)).collect();
    let rounds = if is_full() { 400 } else { 12 };
    let mut state = 7u64;
    let mut random = move || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) as usize
    };
    for round in 0..rounds {
        let mut lie = original.clone();
        match round % 4 {
            0 => lie.truncate(random() % original.len()),
            1 => (0..200).for_each(|_| lie[random() % original.len()] = random() as u8),
            2 => (0..5).for_each(|_| {
                let at = random() % (original.len() - 5000);
                lie[at..at + 4096].fill(random() as u8);
            }),
            _ => lie[interesting[random() % interesting.len()]] ^= 1 << (random() % 8),
        }
        fs::write(&copy, lie).unwrap();
        report(&profile);
    }
    let peak = profiler_alloc::peak_heap() as usize;
    assert!(peak < 2 * MOST + 4 * original.len(), "{peak} bytes");
}

/// What a fuzzer found to be different from all else, kept from its runs: see
/// `docs/reliability.md`.
#[test]
fn what_a_fuzzer_kept_is_read_and_shown() {
    let _alone = alone();
    let kept = |target: &str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
        let files = fs::read_dir(folder.join(target)).unwrap();
        let inputs: Vec<_> = files
            .map(|file| fs::read(file.unwrap().path()).unwrap())
            .collect();
        assert!(inputs.len() >= 3, "{} inputs of {target}", inputs.len());
        inputs
    };
    let profiles = kept("profile")
        .iter()
        .filter(|input| inputs::profile(input))
        .count();
    assert!(profiles >= 3, "{profiles} of the kept inputs are profiles");
    kept("program")
        .iter()
        .for_each(|input| inputs::program(input));
    let peak = profiler_alloc::peak_heap() as usize;
    assert!(peak < MOST, "{peak} bytes");
}
