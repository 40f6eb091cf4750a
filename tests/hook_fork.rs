//! Rule 4 of the hook: a forked child never writes its parent's profile, however it was forked.

use std::fs::File;
use std::hint::black_box;
use std::mem::offset_of;
use std::os::unix::fs::FileExt;

use profiler_alloc::{ProfilerAlloc, Recording, Sample, profile};
use profiler_alloc_format::HeaderCells;

#[global_allocator]
static ALLOC: ProfilerAlloc = ProfilerAlloc::system();

/// A number for the file's content but the count of forks, made without allocating.
fn content(file: &File) -> u64 {
    let forks = offset_of!(HeaderCells, forks) as u64;
    let mut buffer = [0u8; 4096];
    let (mut at, mut hash) = (0, 0xcbf2_9ce4_8422_2325u64);
    loop {
        let len = file.read_at(&mut buffer, at).unwrap();
        if len == 0 {
            return hash;
        }
        for (offset, byte) in buffer[..len].iter().enumerate() {
            if !(forks..forks + 8).contains(&(at + offset as u64)) {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
            }
        }
        at += len as u64;
    }
}

/// Allocates and frees, blocks of its own and one of the parent's; gives its exit code.
fn be_a_child(inherited: Vec<u8>) -> ! {
    let before = profiler_alloc::stats();
    for size in 1..=10_000usize {
        drop(black_box(vec![1u8; size % 300 + 1]));
    }
    drop(inherited);
    let counted = (profiler_alloc::stats() - before).allocations;
    // SAFETY: ends the child without running the parent's exit handlers.
    unsafe { libc::_exit(if counted == 10_000 { 7 } else { 1 }) }
}

/// The probes of these two write into the file, as long as it is theirs.
#[profile]
fn counts(rounds: usize) -> usize {
    let mut sum = 0;
    for _ in 0..rounds {
        let block = black_box(vec![1u8; 100]);
        sum += block.len();
    }
    sum
}

/// `fork` comes back in the parent when the child has ended.
#[profile]
fn goes_on_in_the_child(fork: &dyn Fn() -> i32) {
    counts(3);
    let child = fork();
    if child == 0 {
        let kept = black_box(vec![1u8; 300]);
        counts(5);
        be_a_child(kept);
    }
    counts(2);
}

fn exit_code(child: i32) -> i32 {
    assert!(child > 0, "forked");
    let mut status = 0;
    // SAFETY: `status` is valid to write to.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert!(libc::WIFEXITED(status), "status {status:#x}");
    libc::WEXITSTATUS(status)
}

/// The parent marks its own record when it forks; a second time there is nothing left to mark.
fn mark_by_forking() {
    // SAFETY: the child only exits.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(7) };
    }
    assert_eq!(exit_code(child), 7);
}

/// Runs in the child before the recorder's own handler, which is installed later.
extern "C" fn work_of_another_library() {
    drop(black_box(vec![1u8; 100]));
}

#[test]
fn a_child_counts_for_itself_and_leaves_the_file_alone() {
    // SAFETY: the handler has the type asked for, does not unwind, and allocates, which the
    // allocator allows after fork.
    let error = unsafe { libc::pthread_atfork(None, None, Some(work_of_another_library)) };
    assert_eq!(error, 0);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.memprof");
    for sample in [Sample::All, Sample::Every(1 << 20)] {
        let recording = Recording::builder()
            .path(&path)
            .sample(sample)
            .start()
            .unwrap();
        let file = File::open(recording.path()).unwrap();
        let inherited = black_box(vec![1u8; 5000]);
        drop(black_box(vec![1u8; 5000]));

        mark_by_forking();
        let before = content(&file);
        // SAFETY: the child only allocates and exits.
        let child = unsafe { libc::fork() };
        if child == 0 {
            be_a_child(inherited);
        }
        assert_eq!(exit_code(child), 7, "fork");
        assert_eq!(content(&file), before, "fork");

        let ends_without_a_trace = |fork: &dyn Fn() -> i32| {
            goes_on_in_the_child(&|| {
                mark_by_forking();
                let before = content(&file);
                let child = fork();
                if child != 0 {
                    assert_eq!(exit_code(child), 7, "fork in a counted function");
                    assert_eq!(content(&file), before, "fork in a counted function");
                }
                child
            });
        };
        // SAFETY: as above.
        ends_without_a_trace(&|| unsafe { libc::fork() });

        // Behind the C library's back, a free or a realloc is noticed at once, also of a block that
        // was not sampled.
        let frees: fn(Vec<u8>) = drop;
        let reallocates: fn(Vec<u8>) = |mut block| black_box(&mut block).reserve_exact(6000);
        for first in [frees, reallocates] {
            // Takes the look that the fork left to be taken.
            drop(black_box(vec![1u8; 100]));
            let block = black_box(vec![1u8; 100]);
            let before = content(&file);
            // SAFETY: as fork; the child gets a copy of the memory and no new stack.
            let child = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) } as i32;
            if child == 0 {
                first(block);
                // SAFETY: ends the child at once.
                unsafe { libc::_exit(7) };
            }
            assert_eq!(exit_code(child), 7, "clone");
            assert_eq!(content(&file), before, "clone");
        }

        if sample == Sample::All {
            let before = content(&file);
            // Behind the C library's back: no handler runs, the emptied page tells.
            // SAFETY: as fork; the child gets a copy of the memory and no new stack.
            let child = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) } as i32;
            if child == 0 {
                be_a_child(inherited);
            }
            assert_eq!(exit_code(child), 7, "clone");
            assert_eq!(content(&file), before, "clone");
            // SAFETY: as above.
            ends_without_a_trace(&|| unsafe {
                libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) as i32
            });
        }
        let (profile, _) = memprof::profile::read(recording.path()).unwrap();
        let clones = u64::from(sample == Sample::All);
        assert_eq!(profile.header.forks, 4 + clones);
        assert_eq!(profile.functions.len(), 2);
        drop(recording);
    }
}
