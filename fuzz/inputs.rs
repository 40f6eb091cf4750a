//! What a fuzzer's input stands for, and what is done with it. Used by the fuzz targets, and by
//! `tests/damaged.rs` for the inputs that are kept.

use std::fs;
use std::io::{self, Cursor};

use memprof::profile::builder::Builder;
use memprof::profile::{self, Frame, Profile, View, When};
use memprof::render::{Json, Renderer, Text};
use memprof::report::{Report, Scope};
use memprof::source::{Places, Sources};
use memprof::symbolize::{SymbolizeOptions, Symbols, symbolize};
use profiler_alloc_format::{CHUNK_LEN, DIRECTORY_AT, HEADER_LEN, Header};

/// Chunks that an input tells the tables of.
const CHUNKS: usize = 32;
/// Bytes of each chunk that an input tells; the rest is zero.
const TOLD: usize = 1024;

/// The profile that an input stands for: its header, the tables of its chunks, and the beginning of
/// each chunk.
pub fn expand(input: &[u8]) -> Vec<u8> {
    let (header, rest) = input.split_at(input.len().min(Header::LEN));
    let (tables, rest) = rest.split_at(rest.len().min(CHUNKS));
    let mut bytes = vec![0; HEADER_LEN + rest.len().div_ceil(TOLD) * CHUNK_LEN];
    bytes[..header.len()].copy_from_slice(header);
    bytes[DIRECTORY_AT..DIRECTORY_AT + tables.len()].copy_from_slice(tables);
    for (chunk, told) in rest.chunks(TOLD).enumerate() {
        let at = HEADER_LEN + chunk * CHUNK_LEN;
        bytes[at..at + told.len()].copy_from_slice(told);
    }
    bytes
}

/// Reads the profile that an input stands for, and shows it if it is one. True if it was.
pub fn profile(input: &[u8]) -> bool {
    let bytes = expand(input);
    let Ok((profile, defects)) = profile::parse("x.memprof".as_ref(), Cursor::new(bytes)) else {
        return false;
    };
    for (at, node) in profile.nodes.iter().enumerate() {
        assert!(
            at == 0 || (node.parent as usize) < at,
            "node {at}: {node:?}"
        );
    }
    for at in [When::Peak, When::End, When::Named("1s".to_owned())] {
        let mut moment = profile.clone();
        let view = View {
            at: Some(at),
            since: None,
        };
        if moment.look_at(&view).is_ok() {
            show(&moment, &Symbols::default(), Vec::new());
        }
    }
    show(&profile, &Symbols::default(), defects);
    true
}

/// Looks up addresses in the program that an input is.
pub fn program(input: &[u8]) {
    let path = std::env::temp_dir().join(format!("memprof-fuzz-{}", std::process::id()));
    fs::write(&path, input).expect("a file in the folder for temporary files");
    let mut builder = Builder::new();
    let module = builder.module(&path);
    // Where the code of the programs is that the fuzzer began with, and where none can be.
    let library = (0..24).map(|step| 0x280 + 16 * step);
    let executable = (0..24).map(|step| 0x40_0100 + 8 * step);
    for address in library.chain(executable).chain([0, (1 << 48) - 1]) {
        let stack = builder.stack(&[Frame::new(module, address)]);
        builder.allocated(stack, 1, 1);
    }
    let (profile, defects) =
        profile::parse("x.memprof".as_ref(), builder.to_input()).expect("a whole profile");
    let force = SymbolizeOptions {
        force: true,
        ..SymbolizeOptions::default()
    };
    if let Ok((symbols, _)) = symbolize(&profile, &force) {
        show(&profile, &symbols, defects);
    }
    let _ = fs::remove_file(path);
}

fn show(profile: &Profile, symbols: &Symbols, defects: Vec<memprof::defect::Defect>) {
    let mut sources = Sources::new(Places::default());
    let report = Report::new(profile, symbols, &mut sources, Scope::All, defects);
    Json.report(&report, &mut io::sink()).expect("shown");
    Text::default()
        .report(&report, &mut io::sink())
        .expect("shown");
}
