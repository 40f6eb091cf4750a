//! Children, however they are made, hang nowhere and leave their parent's profile and descriptors
//! alone.

use std::fs;
use std::hint::black_box;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use memprof::profile::{self, Profile};
use profiler_alloc_format::env as settings;

use crate::Named;
use crate::child::{Place, blocks_of, times};
use crate::inner;

pub const TESTS: &[Named] = &[
    ("fork::under_four_threads", under_four_threads),
    ("fork::children_that_run_on", children_that_run_on),
    ("fork::vfork_and_spawn", vfork_and_spawn),
    ("fork::programs_inherit_nothing", programs_inherit_nothing),
];

pub const ROLES: &[Named] = &[
    ("forks", || while_allocating(fork_all)),
    ("has_children", has_children),
    ("spawns", || while_allocating(spawn_all)),
    ("descriptors", list_descriptors),
    ("executes", execute),
];

/// Does `work` while four threads allocate, each with a set of blocks of its own.
fn while_allocating(work: fn()) {
    static STOP: AtomicBool = AtomicBool::new(false);
    let allocate = || {
        let mut kept: Vec<Vec<u8>> = Vec::new();
        while !STOP.load(SeqCst) {
            kept.push(vec![1; kept.len() * 7 % 3_000]);
            if kept.len() == 500 {
                kept.clear();
            }
        }
    };
    let workers: Vec<_> = (0..4).map(|_| std::thread::spawn(allocate)).collect();
    work();
    STOP.store(true, SeqCst);
    workers
        .into_iter()
        .for_each(|worker| worker.join().unwrap());
}

fn fork_all() {
    for _ in 0..times(1_000, 100) {
        // SAFETY: the child allocates, which the allocator allows after fork, and ends.
        let child = unsafe { libc::fork() };
        if child == 0 {
            inner::stop_sharing();
            // What the parent has in use, the child has too.
            let heap = profiler_alloc::heap_in_use();
            let mut blocks: Vec<Vec<u8>> = (0..100).map(|size| vec![1; size]).collect();
            blocks.iter_mut().for_each(|block| block.reserve(5_000));
            drop(black_box(blocks));
            let is_kept = heap > 1_000 && profiler_alloc::heap_in_use() == heap;
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(if is_kept { 7 } else { 8 }) };
        }
        await_child(child, 7);
    }
}

fn await_child(child: i32, code: i32) {
    let mut status = 0;
    // SAFETY: `status` is valid to write to.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert!(
        libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == code,
        "status {status:#x}"
    );
}

fn spawn_all() {
    for _ in 0..times(1_000, 50) {
        vfork_once();
        let status = Command::new("true").env_remove(settings::OUTPUT).status();
        assert!(status.unwrap().success());
    }
}

/// Size of the block that a child leaves behind in the memory it has borrowed.
const LEFT_SIZE: usize = 7_777;
static LEFT: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// A child that borrows this process's memory until it ends: what it takes there is this process's,
/// to keep and to free.
#[inline(never)]
fn vfork_once() {
    // SAFETY: the child works in frames of its own, on the only thread that runs then, and ends; it
    // touches nothing that this frame uses afterwards.
    let child = unsafe {
        #[allow(
            deprecated,
            reason = "what is tested is that the deprecated call works"
        )]
        let child = libc::vfork();
        if child == 0 {
            work_in_borrowed_memory();
            libc::_exit(0);
        }
        child
    };
    await_child(child, 0);
    assert_eq!(std::mem::take(&mut *LEFT.lock().unwrap()).len(), LEFT_SIZE);
}

#[inline(never)]
fn work_in_borrowed_memory() {
    let mut blocks: Vec<Vec<u8>> = (0..100).map(|size| vec![1; size]).collect();
    blocks.iter_mut().for_each(|block| block.reserve(5_000));
    drop(black_box(blocks));
    *LEFT.lock().unwrap() = vec![1; LEFT_SIZE];
}

/// Prints the descriptors of this process, one a line.
fn list_descriptors() {
    for entry in fs::read_dir("/proc/self/fd").unwrap() {
        println!("{}", entry.unwrap().path().display());
    }
}

/// Becomes another program, after allocating in this one.
fn execute() {
    use std::os::unix::process::CommandExt;
    drop(black_box(vec![1u8; 100_000]));
    let own = std::env::current_exe().unwrap();
    let error = Command::new(own)
        .env("MEMPROF_TEST_ROLE", "descriptors")
        .env_remove("MEMPROF_TEST_TRUTH")
        .env_remove(settings::OUTPUT)
        .exec();
    panic!("{error}");
}

fn under_four_threads() {
    let forks = times(1_000, 100);
    for (sample, recorded) in [("all", "1"), ("65536", "0")] {
        let place = Place::new();
        let mut command = place.command("forks", sample);
        assert!(
            command
                .env(settings::FORKS, recorded)
                .status()
                .unwrap()
                .success()
        );
        // The threads were waited for, so the totals are the parent's to the last byte: nothing of
        // a child is in them.
        let profile = place.check_totals(0, 0);
        let (lost, own) = match recorded {
            "1" => (0, forks),
            _ => (forks, 0),
        };
        assert_eq!(profile.header.forks, lost as u64);
        let children = profiles_of_children(&place);
        assert_eq!(children.len(), own);
        for child in children {
            assert_eq!(child.header.forked_from, u64::from(profile.header.pid));
            assert!(child.header.heap_base > 1_000, "the parent's heap");
        }
    }
}

/// Size of the blocks that the parent and each of its children take.
const PARENTS: usize = 2 << 20;
const CHILDS: usize = 1 << 20;
/// The block with which a child has done enough to be recorded.
const FIRST: usize = 64 << 10;

/// Forks a child that runs on and forks another one; and one that does next to nothing.
fn has_children() {
    let kept = black_box(vec![1u8; PARENTS]);
    let run_on = |work: &dyn Fn()| {
        // SAFETY: the child allocates, which the allocator allows after fork, and ends.
        let child = unsafe { libc::fork() };
        if child == 0 {
            inner::stop_sharing();
            work();
            // SAFETY: ends the child, with its handlers, and without the parent's destructors.
            unsafe { libc::exit(0) };
        }
        await_child(child, 0);
    };
    run_on(&|| drop(black_box(vec![1u8; 1000])));
    profiler_alloc::mark("parent");
    run_on(&|| {
        drop(black_box(vec![1u8; FIRST]));
        profiler_alloc::mark("child");
        let own = black_box(vec![1u8; CHILDS]);
        run_on(&|| {
            drop(black_box(vec![1u8; FIRST]));
            black_box(vec![1u8; CHILDS + 1]).leak();
        });
        black_box(own).leak();
    });
    drop(kept);
}

/// Those beside the parent's, in the order in which they began.
fn profiles_of_children(place: &Place) -> Vec<Profile> {
    let files = fs::read_dir(place.folder())
        .unwrap()
        .map(|file| file.unwrap().path());
    let names = files.filter(|path| {
        let is_profile = path
            .extension()
            .is_some_and(|extension| extension == "memprof");
        is_profile && *path != place.profile_path()
    });
    let mut profiles: Vec<Profile> = names
        .map(|path| {
            let (profile, defects) = profile::read(&path).unwrap();
            assert_eq!(defects, [], "{}", path.display());
            profile
        })
        .collect();
    profiles.sort_by_key(|profile| profile.header.started_unix_ns);
    profiles
}

/// Serial numbers and names of the marks.
fn marks(profile: &Profile) -> Vec<(u32, &str)> {
    let moments = profile.moments.all.iter();
    let marks = moments.filter_map(|moment| Some((moment.serial, moment.mark.as_deref()?)));
    marks.collect()
}

fn children_that_run_on() {
    let place = Place::new();
    assert!(place.run("has_children", "all").success());
    let parent = place.check_totals(0, 0);
    assert_eq!(parent.header.forks, 0);
    let children = profiles_of_children(&place);
    let [child, grandchild] = &children[..] else {
        panic!("{} profiles of children", children.len());
    };
    let family = [(&parent, child, CHILDS), (child, grandchild, CHILDS + 1)];
    assert_eq!(marks(&parent), [(1, "parent")]);
    assert_eq!(marks(child), [(1, "child")]);
    assert_eq!(marks(grandchild), []);
    for (parent, child, size) in family {
        assert_eq!(child.state(), profile::State::Exited);
        assert_eq!(child.header.forked_from, u64::from(parent.header.pid));
        assert_eq!(
            blocks_of(child, size),
            (1, size as i64),
            "its own, with its stack"
        );
        assert_eq!(blocks_of(parent, size), (0, 0), "none of the parent's");
        // What was in use before the fork, and at most as much as it takes to begin.
        let before = child.header.heap_base as usize;
        let least = PARENTS + if size == CHILDS { 0 } else { CHILDS };
        assert!((least..least + (256 << 10)).contains(&before), "{before}");
        // The child's first block was in use when it began.
        assert_eq!(child.heap() as usize, before - FIRST + size);
    }
    assert_eq!(
        blocks_of(&parent, PARENTS),
        (1, 0),
        "freed, by the parent alone"
    );
    // Asked to, it leaves them alone.
    let place = Place::new();
    let mut command = place.command("has_children", "all");
    assert!(
        command
            .env(settings::FORKS, "0")
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(place.check_totals(0, 0).header.forks, 2);
    assert_eq!(profiles_of_children(&place).len(), 0);
}

fn vfork_and_spawn() {
    for sample in ["all", "65536"] {
        let place = Place::new();
        assert!(place.run("spawns", sample).success());
        let profile = place.check_totals(0, 0);
        assert_eq!(profile.header.forks, 0, "no memory was copied");
        if sample == "all" {
            let rounds = times(1_000, 50) as u64;
            assert_eq!(blocks_of(&profile, LEFT_SIZE), (rounds, 0));
        }
    }
}

fn programs_inherit_nothing() {
    let place = Place::new();
    let listed = |command: &mut Command| {
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().lines().count()
    };
    let mut plain = place.command("executes", "all");
    let without = listed(plain.env_remove(settings::OUTPUT));
    let with = listed(&mut place.command("executes", "all"));
    assert_eq!(with, without, "descriptors of a program executed");
    place.profile();
}
