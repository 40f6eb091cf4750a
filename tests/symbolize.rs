//! Lines of real binaries: every kind of debug info that rustc writes must give the same lines.
//!
//! Each test compiles one small program, takes all addresses of one of its functions, and asks for their lines.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use memprof::defect::Defect;
use memprof::profile::{self, Frame, Profile, builder::Builder};
use memprof::report::{Report, Scope};
use memprof::source::{Places, Sources};
use memprof::symbolize::{self, Symbols, symbolize};
use object::{Object, ObjectSymbol};
use tempfile::TempDir;

/// `outer` calls `inner`, which is inlined into it and calls `opaque`, which is not.
const PROGRAM: &str = r#"
#[inline(always)]
fn inner(n: usize) -> usize {
    opaque(n) // line 4
}

#[inline(never)]
fn opaque(n: usize) -> usize {
    std::hint::black_box(n)
}

#[no_mangle]
#[inline(never)]
pub extern "C" fn memprof_test_outer(n: usize) -> usize {
    let a = inner(n); // line 15
    a + 1
}

#[allow(dead_code)]
fn main() {
    println!("{}", memprof_test_outer(std::hint::black_box(3)));
}
"#;

/// A compiled program, and the addresses of `memprof_test_outer` in it.
struct Program {
    folder: TempDir,
    path: PathBuf,
    addresses: std::ops::Range<u64>,
}

fn compile(flags: &[&str]) -> Program {
    let folder = tempfile::tempdir().unwrap();
    let library = flags.contains(&"--crate-type=cdylib");
    let path = folder
        .path()
        .join(if library { "libapp.so" } else { "app" });
    fs::write(folder.path().join("app.rs"), PROGRAM).unwrap();
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .current_dir(folder.path())
        .args(["--edition=2021", "-O", "app.rs", "-o"])
        .arg(&path)
        .args(flags)
        .output()
        .unwrap();
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "rustc {flags:?}: {messages}");
    let addresses = addresses(&path);
    Program {
        folder,
        path,
        addresses,
    }
}

/// The addresses of the function, or of nothing if the file has no symbols.
fn addresses(path: &Path) -> std::ops::Range<u64> {
    let bytes = fs::read(path).unwrap();
    let object = object::File::parse(&*bytes).unwrap();
    (object.symbols())
        .find(|symbol| symbol.name() == Ok("memprof_test_outer"))
        .map_or(0..0, |symbol| {
            symbol.address()..symbol.address() + symbol.size()
        })
}

impl Program {
    fn builder(&self) -> Builder {
        let mut builder = Builder::new();
        builder.module(&self.path);
        for address in self.addresses.clone() {
            // As if the instruction before this address were a call.
            let stack = builder.stack(&[Frame::new(0, address + 1)]);
            builder.allocated(stack, 1, 1);
        }
        builder
    }

    fn symbolize(&self) -> (Symbols, Vec<Defect>) {
        symbolize(&profile(&self.builder()), &symbolize::Options::default()).unwrap()
    }

    /// All distinct answers: functions and lines, innermost first.
    fn answers(&self) -> BTreeSet<String> {
        let (symbols, defects) = self.symbolize();
        assert_eq!(defects, []);
        answers(self.addresses.clone(), &symbols)
    }
}

fn profile(builder: &Builder) -> Profile {
    let (profile, defects) = profile::parse("x.memprof".as_ref(), builder.to_input()).unwrap();
    assert_eq!(defects, []);
    profile
}

fn answers(addresses: std::ops::Range<u64>, symbols: &Symbols) -> BTreeSet<String> {
    addresses
        .map(|address| {
            let frames = symbols.of(Frame::new(0, address + 1)).iter().map(|&id| {
                let code = symbols.code(id);
                let name = code.function.rsplit("::").next().unwrap_or_default();
                let file = code.file.rsplit('/').next().unwrap_or_default();
                format!("{name} {file}:{}", code.line.unwrap_or(0))
            });
            frames.collect::<Vec<_>>().join(" < ")
        })
        .collect()
}

const INLINED: &str = "inner app.rs:4 < memprof_test_outer app.rs:15";

#[track_caller]
fn gives_inlined_lines(flags: &[&str]) -> Program {
    let program = compile(flags);
    assert!(!program.addresses.is_empty(), "the function has a symbol");
    let answers = program.answers();
    assert!(answers.contains(INLINED), "{flags:?}: {answers:#?}");
    program
}

#[test]
fn debuginfo_1() {
    gives_inlined_lines(&["-Cdebuginfo=1"]);
}

#[test]
fn line_tables_only() {
    gives_inlined_lines(&["-Cdebuginfo=line-tables-only"]);
}

#[test]
fn full() {
    gives_inlined_lines(&["-Cdebuginfo=2"]);
}

#[test]
fn compressed() {
    gives_inlined_lines(&[
        "-Cdebuginfo=2",
        "-Clink-arg=-Wl,--compress-debug-sections=zlib",
    ]);
}

#[test]
fn fat_lto() {
    gives_inlined_lines(&["-Cdebuginfo=line-tables-only", "-Clto=fat"]);
}

#[test]
fn thin_lto() {
    gives_inlined_lines(&["-Cdebuginfo=line-tables-only", "-Clto=thin"]);
}

#[test]
fn fixed_address() {
    let program = gives_inlined_lines(&["-Cdebuginfo=1", "-Crelocation-model=static"]);
    let bytes = fs::read(&program.path).unwrap();
    let kind = object::File::parse(&*bytes).unwrap().kind();
    assert_eq!(
        kind,
        object::ObjectKind::Executable,
        "not position-independent"
    );
}

#[test]
fn shared_object() {
    gives_inlined_lines(&["-Cdebuginfo=1", "--crate-type=cdylib"]);
}

#[test]
fn split_packed_and_the_package_gone() {
    let program = gives_inlined_lines(&["-Cdebuginfo=2", "-Csplit-debuginfo=packed"]);
    fs::remove_file(program.folder.path().join("app.dwp")).unwrap();
    let (symbols, defects) = program.symbolize();
    let path = program.path.clone();
    assert_eq!(defects, [Defect::SplitDebugInfoMissing { path }]);
    let answers = answers(program.addresses.clone(), &symbols);
    // The lines are in the program itself; which functions were inlined is not.
    assert!(
        answers.contains("memprof_test_outer app.rs:4"),
        "{answers:#?}"
    );
}

#[test]
fn split_unpacked() {
    gives_inlined_lines(&["-Cdebuginfo=2", "-Csplit-debuginfo=unpacked"]);
}

#[test]
fn stripped() {
    let mut program = compile(&["-Cdebuginfo=1", "-Cstrip=symbols"]);
    program.addresses = 0x1000..0x1002;
    let (symbols, defects) = program.symbolize();
    let path = program.path.clone();
    assert_eq!(defects, [Defect::ModuleStripped { path }]);
    let code = symbols.code(symbols.of(Frame::new(0, 0x1001))[0]);
    assert_eq!(code.offset.as_deref(), Some("app+0x1000"));
}

#[test]
fn missing() {
    let program = compile(&["-Cdebuginfo=1"]);
    fs::remove_file(&program.path).unwrap();
    let (_, defects) = program.symbolize();
    assert!(
        matches!(&defects[..], [Defect::ModuleMissing { .. }]),
        "{defects:?}"
    );
}

#[test]
fn another_build_is_refused_unless_forced() {
    let program = compile(&[
        "-Cdebuginfo=1",
        "-Clink-arg=-Wl,--build-id=0x0102030405060708",
    ]);
    let mut builder = program.builder();
    let id = [1, 2, 3, 4, 5, 6, 7, 8];
    builder.modules[0].build_id[0] = u64::from_le_bytes(id);
    builder.modules[0].build_id_len = 8;
    let options = symbolize::Options::default();
    assert_eq!(symbolize(&profile(&builder), &options).unwrap().1, []);

    builder.modules[0].build_id[0] = u64::from_le_bytes([9; 8]);
    let error = symbolize(&profile(&builder), &options)
        .unwrap_err()
        .to_string();
    assert!(error.contains("0909090909090909"), "{error}");
    assert!(error.contains("0102030405060708"), "{error}");

    let force = symbolize::Options {
        force: true,
        ..options
    };
    let profile = profile(&builder);
    let (symbols, defects) = symbolize(&profile, &force).unwrap();
    assert!(
        matches!(&defects[..], [Defect::ModuleUnverified { .. }]),
        "{defects:?}"
    );
    let mut sources = Sources::new(Places::default());
    let report = Report::new(&profile, &symbols, &mut sources, Scope::User, defects);
    assert!(!report.tables.is_empty());
    assert!(report.tables.iter().all(|table| !table.verified));
}

#[test]
fn a_file_without_build_id_is_known_by_length_and_time() {
    let program = compile(&["-Cdebuginfo=1", "-Clink-arg=-Wl,--build-id=none"]);
    let mut builder = program.builder();
    builder.modules[0].file_len = fs::metadata(&program.path).unwrap().len();
    let options = symbolize::Options::default();
    assert_eq!(symbolize(&profile(&builder), &options).unwrap().1, []);
    builder.modules[0].file_len += 1;
    let error = symbolize(&profile(&builder), &options)
        .unwrap_err()
        .to_string();
    assert!(error.contains("has changed since the recording"), "{error}");
}
