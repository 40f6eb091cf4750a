//! Rule 4 of the hook: a forked child never writes its parent's profile, however it was forked.

use std::fs::File;
use std::hint::black_box;
use std::mem::offset_of;
use std::os::unix::fs::FileExt;

use profiler_alloc::{ProfilerAlloc, Recording, Sample};
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

fn exit_code(child: i32) -> i32 {
    assert!(child > 0, "forked");
    let mut status = 0;
    // SAFETY: `status` is valid to write to.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert!(libc::WIFEXITED(status), "status {status:#x}");
    libc::WEXITSTATUS(status)
}

#[test]
fn a_child_counts_for_itself_and_leaves_the_file_alone() {
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

        // The parent marks its own record when it forks; a second time there is nothing left to mark.
        // SAFETY: the child only exits.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(7) };
        }
        assert_eq!(exit_code(child), 7);
        let before = content(&file);
        // SAFETY: the child only allocates and exits.
        let child = unsafe { libc::fork() };
        if child == 0 {
            be_a_child(inherited);
        }
        assert_eq!(exit_code(child), 7, "fork");
        assert_eq!(content(&file), before, "fork");

        if sample == Sample::All {
            // Behind the C library's back: no handler runs, the emptied page tells.
            // SAFETY: as fork; the child gets a copy of the memory and no new stack.
            let child = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) } as i32;
            if child == 0 {
                be_a_child(inherited);
            }
            assert_eq!(exit_code(child), 7, "clone");
            assert_eq!(content(&file), before, "clone");
        }
        let (profile, _) = memprof::profile::read(&recording.path()).unwrap();
        assert_eq!(profile.header.forks, 2);
        drop(recording);
    }
}
