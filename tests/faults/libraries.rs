//! Libraries that come and go, with constructors that allocate, each where another one stood:
//! nothing hangs or crashes, and no stack names a library that was not on it.

use std::collections::BTreeSet;
use std::ffi::{CString, c_char, c_void};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use memprof::profile::Profile;

use crate::Named;
use crate::child::{Place, times};
use crate::skip::skip;

pub const TESTS: &[Named] = &[("libraries::come_and_go", come_and_go)];

pub const ROLES: &[Named] = &[("libraries", libraries)];

/// Each library allocates blocks of its own size; the third has no code where the others have
/// theirs.
const SIZES: [usize; 3] = [10_007, 20_011, 30_011];
const FOLDER: &str = "LIBRARIES";
const TAKE: &str = "TAKE";

/// The constructor gets no argument, so the environment tells it whom to call.
const SOURCE: &str = "\
#include <stdlib.h>
typedef void take(unsigned long);
PADDING
__attribute__((noinline)) void through(take *call, unsigned long bytes) {
    call(bytes);
    __asm__ volatile(\"\");
}
__attribute__((constructor)) static void loaded(void) {
    through((take *)strtoull(getenv(\"TAKE\"), 0, 16), BYTES);
}
";

fn build(folder: &Path) -> bool {
    SIZES.iter().enumerate().all(|(number, size)| {
        let padding = match number {
            2 => "__attribute__((aligned(4096))) static const char padding[9000] = {1};\nconst char *pad(int at) { return padding + at; }",
            _ => "",
        };
        let source = SOURCE.replace("BYTES", &size.to_string()).replace("PADDING", padding);
        let path = folder.join(format!("library{number}.c"));
        std::fs::write(&path, source).unwrap();
        let compiler = std::env::var_os("CC").unwrap_or("cc".into());
        let built = Command::new(compiler)
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([path.with_extension("so"), path])
            .status();
        built.is_ok_and(|status| status.success())
    })
}

extern "C" fn take(bytes: usize) {
    drop(black_box(Vec::<u8>::with_capacity(bytes)));
}

fn libraries() {
    let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
    let names: Vec<CString> = (0..SIZES.len())
        .map(|number| {
            let path = folder.join(format!("library{number}.so"));
            CString::new(path.into_os_string().into_encoded_bytes()).unwrap()
        })
        .collect();
    let address = CString::new(format!("{:x}", take as *const () as usize)).unwrap();
    let name = CString::new(TAKE).unwrap();
    // SAFETY: there is one thread; both texts end with a zero.
    let error = unsafe { libc::setenv(name.as_ptr(), address.as_ptr(), 1) };
    assert_eq!(error, 0);

    static STOP: AtomicBool = AtomicBool::new(false);
    let beside = std::thread::spawn(|| {
        while !STOP.load(SeqCst) {
            drop(black_box(vec![1u8; 300]));
        }
    });
    let most = Duration::from_secs(times(60, 2) as u64);
    let start = Instant::now();
    let mut places = BTreeSet::new();
    let mut rounds = 0;
    while start.elapsed() < most {
        for (name, size) in names.iter().zip(SIZES) {
            places.insert(load_once(name, size));
        }
        rounds += 1;
    }
    STOP.store(true, SeqCst);
    beside.join().unwrap();
    // Or nothing was tested: libraries have to follow each other at one address.
    assert!(
        rounds > 10 && places.len() < rounds,
        "{rounds} rounds, {places:?}"
    );
}

/// Loads a library, has it allocate, and unloads it; gives where it stood.
fn load_once(name: &CString, size: usize) -> usize {
    // SAFETY: the constructor only calls `take`; `through` has the type it is given, and is not
    // called after unloading.
    unsafe {
        let library = libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL);
        assert!(!library.is_null());
        let symbol = libc::dlsym(library, c"through".as_ptr() as *const c_char);
        assert!(!symbol.is_null());
        let through: extern "C" fn(extern "C" fn(usize), usize) =
            std::mem::transmute::<*mut c_void, _>(symbol);
        through(take, size);
        assert_eq!(libc::dlclose(library), 0);
        symbol.addr() & !0xffff
    }
}

fn come_and_go() {
    let place = Place::new();
    if !build(place.folder()) {
        return skip("libraries that come and go: no C compiler (apt-get install gcc)");
    }
    let mut command = place.command("libraries", "all");
    command.env(FOLDER, place.folder());
    assert!(command.status().unwrap().success());
    let profile = place.check_totals(0, 0);
    assert_eq!(profile.header.lost_modules, 0, "frames of no known module");
    let mut allocated = [0; SIZES.len()];
    for stack in &profile.stacks {
        let totals = &stack.totals;
        if let Some(number) = library_on(&profile, stack.node)
            && totals.alloc_samples > 0
        {
            let size = totals.alloc_bytes / totals.alloc_samples as i64;
            assert_eq!(
                size, SIZES[number] as i64,
                "charged to library {number}: {totals:?}"
            );
            allocated[number] += totals.alloc_samples;
        }
    }
    // Twice in each round, once by the constructor.
    assert!(
        allocated
            .iter()
            .all(|&count| count == allocated[0] && count > 20),
        "{allocated:?}"
    );
    let modules = profile.modules.len();
    assert!(modules < 300, "{modules} modules for three libraries");
}

/// Number of the library that has a frame on the stack.
fn library_on(profile: &Profile, node: u32) -> Option<usize> {
    let mut node = node;
    while node != 0 {
        let module = profile.nodes[node as usize]
            .frame
            .map(|frame| frame.module());
        let module = module.and_then(|module| profile.modules.get(module as usize));
        let name = module.map(|module| module.path.to_string_lossy().into_owned());
        let number = name.as_deref().and_then(|name| {
            name.strip_suffix(".so")?
                .rsplit("library")
                .next()?
                .parse()
                .ok()
        });
        if number.is_some() {
            return number;
        }
        node = profile.nodes[node as usize].parent;
    }
    None
}
