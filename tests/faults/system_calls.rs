//! Every single system call of the recorder fails once: the program runs on.
//!
//! The child is traced. Between two marks, both calls that do nothing, it starts a recording, works
//! and ends it; its own blocks come from an array, so all system calls in between are the
//! recorder's. The one numbered N is turned into one that the kernel does not know, and given an
//! error of the test's choice. Where its number stands, this knows of x86-64 alone, so these tests
//! are in the list there alone.

use std::ffi::c_long;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ExitStatus, Stdio};

use profiler_alloc::{Recording, Sample};
use profiler_alloc_format::env as settings;

use crate::Named;
use crate::child::{Place, times};
use crate::inner;
use crate::refusals::{check_profile, ran_on};
use crate::stacks::{LEAVES, visit_stacks};

pub const TESTS: &[Named] = &[
    ("system_calls::each_fails_once", each_fails_once),
    (
        "system_calls::interrupted_are_repeated",
        interrupted_are_repeated,
    ),
    (
        "system_calls::interrupted_for_long_goes_on",
        interrupted_for_long_goes_on,
    ),
];

pub const ROLES: &[Named] = &[("marked", marked)];

/// Process groups that nobody asks for.
const BEGIN: c_long = 0x4d45_4d50;
const END: c_long = 0x4d45_4d51;

/// How many stacks the child visits: more than the first chunks of the file hold.
const STACKS: usize = 600;

fn mark(mark: c_long) {
    // SAFETY: asks for the group of a process that does not exist.
    unsafe { libc::syscall(libc::SYS_getpgid, mark) };
}

fn marked() {
    let path = std::env::var_os("LATE").unwrap();
    inner::take_from_array();
    drop(vec![1u8; 10]);
    mark(BEGIN);
    let recording = Recording::builder().path(path).sample(Sample::All).start();
    visit_stacks();
    if let Ok(recording) = recording {
        let _ = recording.flush();
    }
    mark(END);
    println!("done");
}

/// What happens to a system call that fails.
struct Failure {
    error: i32,
    /// The child goes on without being asked any more: it does so much faster.
    is_last: bool,
}

/// Lets the child run. Of each marked system call it asks `fails` whether it is to fail, and how.
/// Gives the child's end, and which the marked calls were.
fn trace(
    child: &Child,
    mut fails: impl FnMut(c_long) -> Option<Failure>,
) -> (ExitStatus, Vec<c_long>) {
    let pid = child.id() as libc::pid_t;
    let ask = |request, data: usize| {
        // SAFETY: the child is stopped, and `data` is what the request takes.
        let result = unsafe { libc::ptrace(request, pid, 0usize, data) };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    };
    let (mut marked, mut calls, mut is_entry, mut failing) = (false, Vec::new(), true, None);
    let (mut is_first, mut resume) = (true, libc::PTRACE_SYSCALL);
    loop {
        let mut status = 0;
        // SAFETY: `status` is valid to write to.
        assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
        if !libc::WIFSTOPPED(status) {
            return (ExitStatus::from_raw(status), calls);
        }
        let signal = libc::WSTOPSIG(status);
        if is_first {
            is_first = false;
            let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_EXITKILL;
            ask(libc::PTRACE_SETOPTIONS, options as usize);
        } else if signal == libc::SIGTRAP | 0x80 {
            // SAFETY: a struct of integers.
            let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
            ask(libc::PTRACE_GETREGS, &raw mut registers as usize);
            if is_entry {
                let call = registers.orig_rax as c_long;
                let is_mark = call == libc::SYS_getpgid;
                match registers.rdi as c_long {
                    BEGIN if is_mark => marked = true,
                    END if is_mark => marked = false,
                    _ if marked => {
                        calls.push(call);
                        failing = fails(call);
                    }
                    _ => {}
                }
                if failing.is_some() {
                    registers.orig_rax = u64::MAX;
                    ask(libc::PTRACE_SETREGS, &raw mut registers as usize);
                }
            } else if let Some(failure) = failing.take() {
                if failure.is_last {
                    resume = libc::PTRACE_CONT;
                }
                registers.rax = -i64::from(failure.error) as u64;
                ask(libc::PTRACE_SETREGS, &raw mut registers as usize);
            }
            is_entry = !is_entry;
        } else {
            ask(resume, signal as usize);
            continue;
        }
        ask(resume, 0);
    }
}

/// What a traced child has done.
struct Run {
    /// The marked system calls.
    calls: Vec<c_long>,
    /// The recorder's line on stderr, if any.
    said: String,
}

#[expect(clippy::zombie_processes, reason = "`trace` waits for it")]
fn run(place: &Place, what: &str, fails: impl FnMut(c_long) -> Option<Failure>) -> Run {
    use std::io::Read;
    let mut command = place.command("marked", "all");
    command
        .env_remove(settings::OUTPUT)
        .env_remove("MEMPROF_TEST_TRUTH")
        .env("LATE", place.profile_path())
        .env(LEAVES, STACKS.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // SAFETY: a system call, which may be made between fork and exec.
    unsafe {
        command.pre_exec(|| match libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    let mut child = command.spawn().unwrap();
    let (status, calls) = trace(&child, fails);
    let mut output = std::process::Output {
        status,
        stdout: Vec::new(),
        stderr: Vec::new(),
    };
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    stdout.unwrap().read_to_end(&mut output.stdout).unwrap();
    stderr.unwrap().read_to_end(&mut output.stderr).unwrap();
    let said = ran_on(&output, what);
    check_profile(place, what);
    Run { calls, said }
}

fn each_fails_once() {
    use std::collections::BTreeMap;
    let mut kinds = BTreeMap::<c_long, usize>::new();
    for call in run(&Place::new(), "no failure", |_| None).calls {
        *kinds.entry(call).or_default() += 1;
    }
    let all: usize = kinds.values().sum();
    assert!(all > 40 && kinds.len() > 10, "{kinds:?}");
    let errors = [
        libc::ENOMEM,
        libc::EINTR,
        libc::EPERM,
        libc::ENOSPC,
        libc::EBADF,
    ];
    for error in errors.into_iter().take(times(5, 1)) {
        for (&kind, &many) in &kinds {
            // Of the later ones of a kind, which are alike, a part; nine of ten calls look at a
            // clock.
            let step = match kind {
                libc::SYS_clock_gettime => times(100, 1000),
                _ => times(1, 10),
            };
            for nth in (1..=10.min(many)).chain((11..=many).step_by(step)) {
                let mut met = 0;
                let what = format!("system call {kind}, time {nth}, with error {error}");
                run(&Place::new(), &what, |call| {
                    met += usize::from(call == kind);
                    (call == kind && met == nth).then_some(Failure {
                        error,
                        is_last: true,
                    })
                });
            }
        }
    }
}

const INTERRUPTED: Failure = Failure {
    error: libc::EINTR,
    is_last: false,
};

/// What a signal cuts short is asked for again: such a recording misses nothing.
fn interrupted_are_repeated() {
    let place = Place::new();
    let mut interruptions = 0;
    let mut is_next = false;
    let said = run(&place, "each time once", |call| {
        // The calls of a recording that may wait for a disk, and be interrupted.
        let may_wait = [libc::SYS_openat, libc::SYS_fallocate].contains(&call);
        is_next = may_wait && !is_next;
        interruptions += usize::from(is_next);
        is_next.then_some(INTERRUPTED)
    });
    assert_eq!(said.said, "");
    assert!(interruptions > 8, "{interruptions} interruptions");
    let profile = place.profile();
    assert_eq!(profile.header.lost_stacks, 0);
    assert!(profile.stacks.len() > STACKS, "{}", profile.stacks.len());
}

/// Signals that are faster than the disk for a while cost the stacks of that while at most, and
/// nothing later.
fn interrupted_for_long_goes_on() {
    let place = Place::new();
    let (mut met, mut interruptions) = (0, 0);
    let run = run(&place, "many times at once", |call| {
        met += usize::from(call == libc::SYS_fallocate);
        // The first of them are for the file to begin with.
        let is_now = call == libc::SYS_fallocate && met > 7 && interruptions < 2_500;
        interruptions += usize::from(is_now);
        is_now.then_some(INTERRUPTED)
    });
    assert_eq!(run.said, "");
    assert_eq!(interruptions, 2_500);
    let header = place.profile().header;
    assert!(
        header.lost_stacks < 10 && header.lost_growth == 0,
        "{header:?}"
    );
}
