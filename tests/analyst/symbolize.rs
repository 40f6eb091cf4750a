//! Lines of real binaries: every kind of debug info that rustc writes must give the same lines.
//!
//! Each test compiles one small program, takes all addresses of one of its functions, and asks for
//! their lines.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::skip::skip;
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

#[no_mangle]
#[inline(never)]
pub extern "C" fn memprof_test_twin(n: usize) -> usize {
    opaque(n).wrapping_mul(3)
}

#[no_mangle]
#[inline(never)]
pub extern "C" fn memprof_test_other_twin(n: usize) -> usize {
    opaque(n).wrapping_mul(3)
}

#[allow(dead_code)]
fn main() {
    memprof_test_twin(memprof_test_other_twin(1));
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
    compile_in(tempfile::tempdir().unwrap(), PROGRAM, flags)
}

fn compile_in(folder: TempDir, source: &str, flags: &[&str]) -> Program {
    let library = flags.contains(&"--crate-type=cdylib");
    let path = folder
        .path()
        .join(if library { "libapp.so" } else { "app" });
    fs::write(folder.path().join("app.rs"), source).unwrap();
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

fn addresses(path: &Path) -> std::ops::Range<u64> {
    addresses_of("memprof_test_outer", path)
}

/// The addresses of a function, or of nothing if the file has no symbols.
fn addresses_of(function: &str, path: &Path) -> std::ops::Range<u64> {
    let bytes = fs::read(path).unwrap();
    let object = object::File::parse(&*bytes).unwrap();
    (object.symbols())
        .find(|symbol| symbol.name() == Ok(function))
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
        symbolize(
            &profile(&self.builder()),
            &symbolize::SymbolizeOptions::default(),
        )
        .unwrap()
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

/// What a tool of binutils or the like does in the program's folder; false if it is not installed.
fn ran(program: &Program, tool: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(tool);
    let output = command.args(arguments).current_dir(program.folder.path());
    match output.output() {
        Ok(output) => {
            assert!(output.status.success(), "{tool}: {output:?}");
            true
        }
        Err(error) => {
            skip(format!("{tool}: {error} (apt-get install dwz binutils)"));
            false
        }
    }
}

/// Moves the debug information of `app` to `app.debug`, as distributions do.
fn separate(program: &Program) -> PathBuf {
    let arguments: [&[&str]; 3] = [
        &["--only-keep-debug", "app", "app.debug"],
        &["--strip-all", "app"],
        &["--add-gnu-debuglink=app.debug", "app"],
    ];
    for arguments in arguments {
        assert!(ran(program, "objcopy", arguments));
    }
    program.folder.path().join("app.debug")
}

#[test]
fn debug_information_in_a_file_of_its_own() {
    let with_id = "-Clink-arg=-Wl,--build-id=sha1";
    let without_id = "-Clink-arg=-Wl,--build-id=none";
    for build_id in [with_id, without_id] {
        let program = gives_inlined_lines(&["-Cdebuginfo=1", build_id]);
        let beside = separate(&program);
        assert!(program.answers().contains(INLINED), "beside: {build_id}");
        let folder = program.folder.path();
        fs::create_dir(folder.join(".debug")).unwrap();
        fs::rename(&beside, folder.join(".debug/app.debug")).unwrap();
        assert!(program.answers().contains(INLINED), ".debug: {build_id}");
        fs::remove_file(folder.join(".debug/app.debug")).unwrap();
        let path = program.path.clone();
        let missing = Defect::DebugFileMissing {
            path: path.clone(),
            name: "app.debug".to_owned(),
        };
        assert_eq!(program.symbolize().1, [missing]);
        // Of the same name, and of another build.
        fs::copy(compile(&["-Cdebuginfo=1", "-Copt-level=0"]).path, &beside).unwrap();
        let found = beside.canonicalize().unwrap();
        let foreign = Defect::DebugFileForeign { path, found };
        assert_eq!(program.symbolize().1, [foreign]);
    }
}

/// A function that two crates have, so that `dwz` finds what their units share.
const SHARED: &str = "
#[no_mangle]
pub extern \"C\" fn NAME(n: usize) -> usize {
    let mut all: Vec<String> = Vec::new();
    for number in 0..n {
        all.push(number.to_string().repeat(n));
    }
    all.len()
}
";

/// The program with a second crate.
fn of_two_crates(debug_info: &str) -> Program {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("part.rs"),
        SHARED.replace("NAME", "in_part"),
    )
    .unwrap();
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let flags = [
        "--edition=2021",
        "-O",
        "--crate-type=rlib",
        debug_info,
        "part.rs",
    ];
    let status = (Command::new(rustc).current_dir(folder.path()).args(flags)).status();
    assert!(status.unwrap().success());
    let own = SHARED.replace("NAME", "in_app");
    let both = "#[no_mangle]\npub fn both() -> usize { in_app(2) + part::in_part(2) }\n";
    let source = format!("{PROGRAM}{own}{both}");
    compile_in(folder, &source, &[debug_info, "--extern=part=libpart.rlib"])
}

#[test]
fn what_dwz_has_made_small() {
    for debug_info in ["-Cdebuginfo=1", "-Cdebuginfo=2"] {
        let program = of_two_crates(debug_info);
        let before = program.answers();
        assert!(before.contains(INLINED), "{before:#?}");
        if !ran(&program, "dwz", &["app"]) {
            return;
        }
        assert_eq!(program.answers(), before, "{debug_info}");
        // The other way: what two files share goes into a third.
        let program = of_two_crates(debug_info);
        let folder = program.folder.path();
        fs::copy(&program.path, folder.join("other")).unwrap();
        assert!(ran(
            &program,
            "dwz",
            &["-m", "shared.debug", "app", "other"]
        ));
        assert_eq!(program.answers(), before, "{debug_info}");
        fs::remove_file(folder.join("shared.debug")).unwrap();
        let (_, defects) = program.symbolize();
        let [Defect::SharedDebugInfoMissing { supplement, .. }] = &defects[..] else {
            panic!("{defects:?}");
        };
        assert!(supplement.ends_with("shared.debug"));
    }
    // And out of a file that is separate already, as Debian's packages are made.
    let program = of_two_crates("-Cdebuginfo=1");
    let before = program.answers();
    separate(&program);
    assert!(ran(&program, "dwz", &["app.debug"]));
    assert_eq!(program.answers(), before);
}

#[test]
fn functions_that_are_one_piece_of_code_are_said() {
    let folding = ["-Copt-level=1", "-Clink-arg=-Wl,--icf=all"];
    let kinds = [
        ("ld.lld", "-Clink-arg=-fuse-ld=lld", &folding[..]),
        ("gold", "-Clink-arg=-fuse-ld=gold", &folding[..]),
        ("cc", "-Cdebuginfo=1", &["-Copt-level=1"]),
    ];
    for (tool, linker, flags) in kinds {
        if Command::new(tool).arg("--version").output().is_err() {
            skip(format!(
                "programs of the linker {tool} (apt-get install lld binutils)"
            ));
            continue;
        }
        let mut program = compile(&[&["-Cdebuginfo=1", linker], flags].concat());
        program.addresses = addresses_of("memprof_test_twin", &program.path);
        let (_, defects) = program.symbolize();
        let said = [Defect::CodeShared {
            path: program.path.clone(),
            functions: ["memprof_test_other_twin", "memprof_test_twin"]
                .map(str::to_owned)
                .to_vec(),
        }];
        assert_eq!(
            defects,
            if tool == "cc" { &[] } else { &said[..] },
            "{tool}"
        );
        program.addresses = addresses_of("memprof_test_outer", &program.path);
        assert_eq!(program.symbolize().1, [], "{tool}");
    }
}

#[test]
fn a_doctests_program_is_said_to_be_gone() {
    let mut builder = Builder::new();
    builder.module("/tmp/rustdoctestAbC123/rust_out");
    let stack = builder.stack(&[Frame::new(0, 0x10)]);
    builder.allocated(stack, 1, 1);
    let (_, defects) =
        symbolize(&profile(&builder), &symbolize::SymbolizeOptions::default()).unwrap();
    let said = defects[0].to_string();
    assert!(
        said.contains("rustdoc deletes") && !said.contains("put the recorded file back"),
        "{said}"
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
    let options = symbolize::SymbolizeOptions::default();
    assert_eq!(symbolize(&profile(&builder), &options).unwrap().1, []);

    builder.modules[0].build_id[0] = u64::from_le_bytes([9; 8]);
    let error = symbolize(&profile(&builder), &options)
        .unwrap_err()
        .to_string();
    assert!(error.contains("0909090909090909"), "{error}");
    assert!(error.contains("0102030405060708"), "{error}");

    let force = symbolize::SymbolizeOptions {
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
    let options = symbolize::SymbolizeOptions::default();
    assert_eq!(symbolize(&profile(&builder), &options).unwrap().1, []);
    builder.modules[0].file_len += 1;
    let error = symbolize(&profile(&builder), &options)
        .unwrap_err()
        .to_string();
    assert!(error.contains("has changed since the recording"), "{error}");
}
