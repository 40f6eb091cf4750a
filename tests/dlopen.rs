//! A library loaded while recording: its frames are unwound, and its lines found, like those of the program.

use std::ffi::{CString, c_void};
use std::hint::black_box;
use std::process::Command;

use profiler_alloc::{ProfilerAlloc, Recording, Sample};

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

const LIBRARY: &str = "\
#[unsafe(no_mangle)]
pub extern \"C\" fn between(call: extern \"C\" fn(usize), bytes: usize) {
    call(bytes); // calls back
    std::hint::black_box(());
}
";

const BYTES: usize = 7_654_321;

extern "C" fn take(bytes: usize) {
    drop(black_box(Vec::<u8>::with_capacity(bytes)));
}

#[test]
fn a_library_loaded_late_is_a_module_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let (source, library) = (folder.path().join("late.rs"), folder.path().join("late.so"));
    std::fs::write(&source, LIBRARY).unwrap();
    let built = Command::new("rustc")
        .args([
            "--edition",
            "2024",
            "--crate-type",
            "cdylib",
            "-O",
            "-g",
            "-o",
        ])
        .args([&library, &source])
        .status()
        .unwrap();
    assert!(built.success());

    let path = folder.path().join("x.memprof");
    let recording = Recording::builder()
        .path(&path)
        .sample(Sample::All)
        .start()
        .unwrap();
    let name = CString::new(library.to_str().unwrap()).unwrap();
    // SAFETY: the library has no constructors of its own, and `between` has the type it is given.
    unsafe {
        let handle = libc::dlopen(name.as_ptr(), libc::RTLD_NOW);
        assert!(!handle.is_null());
        let symbol = libc::dlsym(handle, c"between".as_ptr());
        assert!(!symbol.is_null());
        let between: extern "C" fn(extern "C" fn(usize), usize) =
            std::mem::transmute::<*mut c_void, _>(symbol);
        between(take, BYTES);
    }
    drop(recording);

    let (profile, defects) = memprof::profile::read(&path).unwrap();
    assert_eq!(defects, []);
    assert_eq!(
        profile.header.lost_outer_frames, 0,
        "every stack was walked to its end"
    );
    assert!(profile.modules.iter().any(|module| module.path == library));

    let report = Command::new(env!("CARGO_BIN_EXE_memprof"))
        .args(["report", "--format", "json", "--file", "late.rs"])
        .arg(&path)
        .output()
        .unwrap();
    assert!(report.status.success(), "{report:?}");
    let report: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap();
    let lines = report["functions"][0]["lines"].as_array().unwrap();
    let call = lines.iter().find(|line| line["line"] == 3).unwrap();
    assert_eq!(call["allocated"], BYTES, "{report}");
    assert_eq!(call["increment"], 0, "{report}");
}
