//! A library loaded while recording: its frames are unwound, and its lines found, like those of the
//! program; also after another build of it has taken its place, in memory and on disk.

mod built;

use std::ffi::{CStr, CString, c_void};
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use memprof::profile::{self, Profile};
use profiler_alloc::{ProfilerAlloc, Recording, Sample};
use serde_json::Value;

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

const LIBRARY: &str = "\
#[unsafe(no_mangle)]
pub extern \"C\" fn between(call: extern \"C\" fn(usize), bytes: usize) {
    call(bytes); // calls back
    std::hint::black_box(());
}
";
/// Line of the call.
const CALL: u64 = 3;

const BYTES: usize = 7_654_321;
const BYTES_LATER: usize = 6_543_210;

extern "C" fn take(bytes: usize) {
    drop(black_box(Vec::<u8>::with_capacity(bytes)));
}

extern "C" fn keep(bytes: usize) {
    std::mem::forget(black_box(Vec::<u8>::with_capacity(bytes)));
}

fn deeper(depth: usize) {
    match depth {
        0 => take(100),
        _ => deeper(depth - 1),
    }
    black_box(());
}

/// A library whose source has this name.
fn build(folder: &Path, name: &str) -> PathBuf {
    let source = folder.join(format!("{name}.rs"));
    let library = folder.join(format!("{name}.so"));
    fs::write(&source, LIBRARY).unwrap();
    let mut rustc = Command::new("rustc");
    if let Some(triple) = built::triple() {
        let linker = std::env::var("CC").unwrap_or("cc".into());
        (rustc.arg("--target").arg(triple)).arg(format!("-Clinker={linker}"));
    }
    let built = rustc
        .args(["--edition", "2024", "--crate-type", "cdylib", "-O", "-g"])
        .args(["--crate-name", "library", "-Clink-arg=-Wl,--build-id=sha1"])
        .arg("-o")
        .args([&library, &source])
        .status()
        .unwrap();
    assert!(built.success());
    library
}

fn c_path(path: &Path) -> CString {
    CString::new(path.to_str().unwrap()).unwrap()
}

/// Has the library call back, and unloads it; allocates nothing itself. Gives where it stood.
fn call_through(library: &CStr, call: extern "C" fn(usize), bytes: usize) -> usize {
    // SAFETY: the library has no constructors of its own, and `between` has the type it is given,
    // and is not called after unloading.
    unsafe {
        let handle = libc::dlopen(library.as_ptr(), libc::RTLD_NOW);
        assert!(!handle.is_null());
        let symbol = libc::dlsym(handle, c"between".as_ptr());
        assert!(!symbol.is_null());
        let between: extern "C" fn(extern "C" fn(usize), usize) =
            std::mem::transmute::<*mut c_void, _>(symbol);
        between(call, bytes);
        assert_eq!(libc::dlclose(handle), 0);
        symbol.addr()
    }
}

/// Records all that `work` does into `path`.
fn record(path: &Path, work: impl FnOnce()) -> Profile {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let recording = Recording::builder().path(path).sample(Sample::All);
    let recording = recording.start().unwrap();
    work();
    drop(recording);
    let (profile, defects) = profile::read(path).unwrap();
    assert_eq!(defects, []);
    profile
}

/// The report on the functions of one source file.
fn report(profile: &Path, file: &str) -> Value {
    let report = Command::new(env!("CARGO_BIN_EXE_memprof"))
        .args(["report", "--format", "json", "--source-file", file])
        .arg(profile)
        .output()
        .unwrap();
    assert!(report.status.success(), "{report:?}");
    serde_json::from_slice(&report.stdout).unwrap()
}

fn line_of_call(report: &Value) -> &Value {
    let lines = report["functions"][0]["lines"].as_array().unwrap();
    lines.iter().find(|line| line["line"] == CALL).unwrap()
}

#[test]
fn a_library_loaded_late_is_a_module_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let library = build(folder.path(), "late");
    let path = folder.path().join("x.memprof");
    let profile = record(&path, || {
        call_through(&c_path(&library), take, BYTES);
    });
    assert_eq!(
        profile.header.lost_outer_frames, 0,
        "every stack was walked to its end"
    );
    assert!(profile.modules.iter().any(|module| module.path == library));
    let report = report(&path, "late.rs");
    let call = line_of_call(&report);
    assert_eq!(call["allocated"], BYTES, "{report}");
    assert_eq!(call["increment"], 0, "{report}");
}

#[test]
fn another_build_in_the_place_of_a_library_is_not_charged_with_what_that_did() {
    let folder = tempfile::tempdir().unwrap();
    let [before, after] = ["before", "after"].map(|name| build(folder.path(), name));
    let library = folder.path().join("library.so");
    let path = folder.path().join("x.memprof");
    let at = c_path(&library);
    let mut places = [0; 2];
    let profile = record(&path, || {
        // What the recorder takes from the system when it first needs it is not to come between the
        // two, and it is to have given up frame pointers, which this program does not keep.
        (0..200).for_each(deeper);
        // Nor is another allocation: the thread's last stack goes through the first library when
        // the second is there.
        for (number, build) in [&before, &after].into_iter().enumerate() {
            fs::rename(build, &library).unwrap();
            places[number] = call_through(&at, keep, [BYTES, BYTES_LATER][number]);
        }
    });
    assert_eq!(places[0], places[1], "or nothing is tested");
    let modules = profile.modules.iter();
    let of_library = modules.filter(|module| module.path == library);
    let ids: Vec<_> = of_library.map(|module| &module.build_id).collect();
    assert!(ids.len() == 2 && ids[0] != ids[1], "{ids:?}");

    let report = report(&path, "after.rs");
    assert_eq!(line_of_call(&report)["allocated"], BYTES_LATER, "{report}");
    // The file of the first one is gone: what it did is on no line, and the report says so.
    let defects = report["defects"].to_string();
    let says_so = defects.contains("library.so") && defects.contains("build-id");
    assert!(says_so, "{defects}");
}
