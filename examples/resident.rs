//! Programs whose resident memory is in different places, each told by its name. Prints what the
//! system calls resident at the end, in bytes.

use std::hint::black_box;
use std::process::ExitCode;

use profiler_alloc::ProfilerAlloc;

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

const MIB: usize = 1 << 20;

fn main() -> ExitCode {
    let kind = std::env::args().nth(1).unwrap_or_default();
    let keep: Box<dyn std::any::Any> = match kind.as_str() {
        "small" => Box::new(small()),
        "huge" => Box::new(huge()),
        "threads" => Box::new(threads()),
        "fragments" => Box::new(fragments()),
        "trimmed" => Box::new(trimmed()),
        "grows" => grows(),
        "mapped" => Box::new(mapped()),
        "untouched" => Box::new(untouched()),
        "zeros" => Box::new(zeros()),
        _ => {
            eprintln!(
                "usage: resident small|huge|threads|fragments|trimmed|grows|mapped|untouched|zeros"
            );
            return ExitCode::from(2);
        }
    };
    println!("{}", resident().unwrap_or(0));
    black_box(&keep);
    // What is kept is in use when the program ends.
    std::process::exit(0);
}

/// What the system calls resident, in bytes.
fn resident() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    let kilobytes: usize = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kilobytes * 1024)
}

/// A million blocks of 20 bytes, which take 32 each.
#[allow(clippy::vec_box, reason = "the boxes are what is looked at")]
fn small() -> Vec<Box<[u8; 20]>> {
    (0..1_000_000).map(|i| Box::new([i as u8; 20])).collect()
}

/// Eight blocks of 8 MiB, touched.
fn huge() -> Vec<Vec<u8>> {
    (0..8).map(|i| vec![i as u8 + 1; 8 * MIB]).collect()
}

/// Sixteen threads that have 1 MiB of their stacks and 2 MiB of heap each.
fn threads() -> std::sync::mpsc::Sender<()> {
    let (ready, is_ready) = std::sync::mpsc::channel();
    let (keep, kept) = std::sync::mpsc::channel::<()>();
    let kept = std::sync::Arc::new(std::sync::Mutex::new(kept));
    for i in 0..16u8 {
        let (ready, kept) = (ready.clone(), kept.clone());
        std::thread::spawn(move || {
            let on_stack = [i; MIB];
            let on_heap: Vec<Vec<u8>> = (0..512).map(|_| vec![i; 4096]).collect();
            black_box((&on_stack, &on_heap));
            let _ = ready.send(());
            // Until the program ends.
            let _ = kept.lock().map(|kept| kept.recv());
        });
    }
    is_ready.iter().take(16).for_each(drop);
    keep
}

/// Of 64 MiB in blocks of 1 KiB, every sixteenth is kept: no page can be given back.
fn fragments() -> Vec<Vec<u8>> {
    let mut blocks: Vec<Vec<u8>> = (0..65_536).map(|i| vec![i as u8; 1000]).collect();
    let mut number = 0;
    blocks.retain(|_| {
        number += 1;
        number % 16 == 0
    });
    blocks
}

/// The same, and what is on pages without a block goes back to the system.
fn trimmed() -> Vec<Vec<u8>> {
    let blocks = fragments();
    // SAFETY: gives back what nobody uses.
    unsafe { libc::malloc_trim(0) };
    blocks
}

/// A mebibyte in 20 ms, for ever.
fn grows() -> ! {
    let mut blocks = Vec::new();
    loop {
        blocks.push(vec![1u8; MIB]);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// An arena of 48 MiB that the program maps itself, of which it touches 40.
fn mapped() -> *mut u8 {
    // SAFETY: a mapping at an address of the kernel's choice touches nothing that exists; what is
    // written lies within it.
    unsafe {
        let arena = libc::mmap(
            std::ptr::null_mut(),
            48 * MIB,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        );
        assert_ne!(arena, libc::MAP_FAILED, "no memory");
        std::ptr::write_bytes(arena.cast::<u8>(), 1, 40 * MIB);
        arena.cast()
    }
}

/// Room for 256 MiB, of which 4 are used.
fn untouched() -> Vec<u8> {
    let mut far_too_large = Vec::with_capacity(256 * MIB);
    far_too_large.resize(4 * MIB, 1);
    far_too_large
}

/// 64 MiB of zeros that are read, and never written, beside 16 MiB of small blocks that are.
fn zeros() -> (Vec<u8>, Vec<Vec<u8>>) {
    let ones = (0..16 * 1024).map(|_| vec![1; 1024]).collect();
    let zeros = vec![0; 64 * MIB];
    let read = zeros.iter().step_by(4096);
    assert_eq!(read.map(|&byte| usize::from(byte)).sum::<usize>(), 0);
    (zeros, ones)
}
