//! Programs whose debug information asks for more than they are worth: each is refused before
//! anything of it is read, and its frames are shown as addresses.

use std::fs;
use std::io::Write;

use flate2::{Compression, write::ZlibEncoder};
use memprof::defect::Defect;
use memprof::profile::builder::Builder;
use memprof::profile::{Frame, parse};
use memprof::symbolize::{SymbolizeOptions, Symbols, symbolize};

const CODE: u64 = 0x1000;

/// A section of a program.
#[derive(Default)]
struct Section {
    name: &'static str,
    kind: u32,
    flags: u64,
    address: u64,
    info: u32,
    data: Data,
}

/// Where the bytes of a section stand.
enum Data {
    Own(Vec<u8>),
    /// Those of the section with this number.
    Of(usize),
}

impl Default for Data {
    fn default() -> Data {
        Data::Own(Vec::new())
    }
}

const PROGBITS: u32 = 1;
const RELA: u32 = 4;
const COMPRESSED: u64 = 1 << 11;

fn section(name: &'static str, data: Vec<u8>) -> Section {
    Section {
        name,
        kind: PROGBITS,
        data: Data::Own(data),
        ..Section::default()
    }
}

/// A program of 64 bits with these sections; they have the numbers from 1.
fn elf(sections: &[Section]) -> Vec<u8> {
    const HEADER: usize = 64;
    let mut names = vec![0];
    let mut bytes = vec![0; HEADER];
    // Offset in the file, and length.
    let mut places = vec![(0, 0)];
    let mut headers = vec![[0; 64]];
    let header = |names: &mut Vec<u8>, section: &Section, (at, len): (usize, usize)| {
        let mut header = Vec::new();
        header.extend((names.len() as u32).to_le_bytes());
        header.extend(section.kind.to_le_bytes());
        for word in [section.flags, section.address, at as u64, len as u64] {
            header.extend(word.to_le_bytes());
        }
        header.extend(0_u32.to_le_bytes());
        header.extend(section.info.to_le_bytes());
        for word in [1_u64, 0] {
            header.extend(word.to_le_bytes());
        }
        names.extend(section.name.bytes().chain([0]));
        <[u8; 64]>::try_from(header).unwrap()
    };
    for section in sections {
        let place = match &section.data {
            Data::Own(data) => {
                bytes.extend(data);
                (bytes.len() - data.len(), data.len())
            }
            Data::Of(number) => places[*number],
        };
        places.push(place);
        headers.push(header(&mut names, section, place));
    }
    let strings = Section {
        name: ".shstrtab",
        kind: 3,
        ..Section::default()
    };
    let len = names.len() + strings.name.len() + 1;
    headers.push(header(&mut names, &strings, (bytes.len(), len)));
    bytes.extend(&names);
    let table = bytes.len() as u64;
    bytes.extend(headers.concat());

    let count = headers.len() as u16;
    let mut head = b"\x7fELF\x02\x01\x01".to_vec();
    head.resize(16, 0);
    for half in [2_u16, 62] {
        head.extend(half.to_le_bytes());
    }
    head.extend(1_u32.to_le_bytes());
    for word in [CODE, 0, table] {
        head.extend(word.to_le_bytes());
    }
    head.extend(0_u32.to_le_bytes());
    for half in [64, 0, 0, 64, count, count - 1] {
        head.extend(u16::to_le_bytes(half));
    }
    bytes[..HEADER].copy_from_slice(&head);
    bytes
}

/// Debug information of one function, with inlined ones inside of each other so many deep.
fn nested(depth: usize) -> [Section; 2] {
    const NO_MORE: [u8; 2] = [0, 0];
    // Number, tag, has children; attributes and their forms: name as a string, first address,
    // length.
    let range = [0x11, 0x01, 0x12, 0x07];
    let mut abbrev = Vec::new();
    abbrev.extend([1, 0x11, 1].into_iter().chain(range).chain(NO_MORE));
    abbrev.extend(
        [2, 0x2e, 1, 0x03, 0x08]
            .into_iter()
            .chain(range)
            .chain(NO_MORE),
    );
    abbrev.extend(
        [3, 0x1d, 1, 0x03, 0x08]
            .into_iter()
            .chain(range)
            .chain(NO_MORE),
    );
    abbrev.push(0);

    let span = [CODE.to_le_bytes(), 64_u64.to_le_bytes()].concat();
    let mut unit = vec![4, 0, 0, 0, 0, 0, 8];
    unit.push(1);
    unit.extend(&span);
    unit.extend(b"\x02outer\0");
    unit.extend(&span);
    for _ in 0..depth {
        unit.extend(b"\x03inner\0");
        unit.extend(&span);
    }
    unit.resize(unit.len() + depth + 2, 0);
    let mut info = (unit.len() as u32).to_le_bytes().to_vec();
    info.append(&mut unit);
    [
        section(".debug_info", info),
        section(".debug_abbrev", abbrev),
    ]
}

/// Looks up one address in a program.
fn look_up(program: &[u8]) -> (Symbols, Vec<Defect>, Frame) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("program");
    fs::write(&path, program).unwrap();
    let mut builder = Builder::new();
    let frame = Frame::new(builder.module(&path), CODE + 8);
    builder.stack(&[frame]);
    let (profile, _) = parse("x".as_ref(), builder.to_input()).unwrap();
    let force = SymbolizeOptions {
        force: true,
        ..SymbolizeOptions::default()
    };
    let (symbols, defects) = symbolize(&profile, &force).unwrap();
    (symbols, defects, frame)
}

/// Looks up one address in a program that is refused; why it was.
fn refusal(program: &[u8]) -> &'static str {
    let (symbols, defects, frame) = look_up(program);
    let [id] = symbols.of(frame) else {
        panic!("{} frames", symbols.of(frame).len());
    };
    assert_eq!(symbols.code(*id).function, "program+0x1007");
    let reason = defects.iter().find_map(|defect| match defect {
        Defect::DebugInfoRefused { reason, .. } => Some(*reason),
        _ => None,
    });
    reason.unwrap_or_else(|| panic!("not refused: {defects:?}"))
}

#[test]
fn functions_inlined_as_deeply_as_compilers_do_are_all_found() {
    let (symbols, defects, frame) = look_up(&elf(&nested(200)));
    let refused = |defect: &Defect| matches!(defect, Defect::DebugInfoRefused { .. });
    assert!(!defects.iter().any(refused), "{defects:?}");
    assert_eq!(symbols.of(frame).len(), 201);
}

#[test]
fn functions_inlined_deeper_than_a_stack_reaches() {
    let reason = refusal(&elf(&nested(1_000_000)));
    assert_eq!(reason, "inlined functions are nested too deeply");
}

#[test]
fn such_functions_in_a_later_unit_packed_or_not() {
    const ZLIB: u64 = 1;
    let [mut info, abbrev] = nested(1);
    let [deep, _] = nested(1_000);
    let (Data::Own(units), Data::Own(deep)) = (&mut info.data, deep.data) else {
        unreachable!()
    };
    units.extend(deep);
    // Stored as they are: what packs well is refused for that.
    let mut packed = [ZLIB, units.len() as u64, 1].map(u64::to_le_bytes).concat();
    let mut stored = ZlibEncoder::new(&mut packed, Compression::none());
    stored.write_all(units).unwrap();
    stored.finish().unwrap();
    let packed = Section {
        flags: COMPRESSED,
        ..section(".debug_info", packed)
    };
    let sections = [info, abbrev];
    let reason = "inlined functions are nested too deeply";
    assert_eq!(refusal(&elf(&sections)), reason);
    let [_, abbrev] = sections;
    assert_eq!(refusal(&elf(&[packed, abbrev])), reason);
}

#[test]
fn units_of_no_length_and_of_the_greatest() {
    for info in [vec![0; 32 << 20], vec![0xff; 64]] {
        let [_, abbrev] = nested(1);
        let (symbols, _, frame) = look_up(&elf(&[section(".debug_info", info), abbrev]));
        assert_eq!(symbols.of(frame).len(), 1);
    }
}

#[test]
fn a_packed_section_that_claims_to_be_huge() {
    let mut packed = Vec::new();
    // Packed by zlib; unpacked, 8 GiB.
    for word in [1, 8 << 30, 1_u64] {
        packed.extend(word.to_le_bytes());
    }
    packed.extend([0x78, 0x9c, 0, 0]);
    let [mut info, abbrev] = nested(1);
    info.flags = COMPRESSED;
    info.data = Data::Own(packed);
    let reason = refusal(&elf(&[info, abbrev]));
    assert_eq!(reason, "a section claims to unpack to more than it can");
}

#[test]
fn many_sections_of_the_same_bytes() {
    let [info, abbrev] = nested(1);
    let relocation = |data| Section {
        name: ".rela.debug_info",
        kind: RELA,
        info: 1,
        data,
        ..Section::default()
    };
    let mut sections = vec![info, abbrev, relocation(Data::Own(vec![0; 240_000]))];
    sections.extend((0..5_000).map(|_| relocation(Data::Of(3))));
    assert_eq!(refusal(&elf(&sections)), "its sections overlap");
}

#[test]
fn a_section_beyond_the_last_address() {
    let [info, abbrev] = nested(1);
    let addresses = Section {
        address: u64::MAX - 8,
        ..section(".debug_addr", vec![0; 64])
    };
    let reason = refusal(&elf(&[info, abbrev, addresses]));
    assert_eq!(reason, "a section goes beyond the last address");
}
