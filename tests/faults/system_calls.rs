//! Every single system call of the recorder fails once: the program runs on.
//!
//! The child is traced. Between two marks, both calls that do nothing, it starts a recording, works and ends it; its own
//! blocks come from an array, so all system calls in between are the recorder's. The one numbered N is turned into one that
//! the kernel does not know, and given an error of the test's choice.

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

pub const TESTS: &[Named] = &[("system_calls::each_fails_once", each_fails_once)];

pub const ROLES: &[Named] = &[("marked", marked)];

/// Process groups that nobody asks for.
const BEGIN: c_long = 0x4d45_4d50;
const END: c_long = 0x4d45_4d51;

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

/// Lets the child run, and has its marked system call number `fail` give `error`. Gives the child's end, and how many marked
/// calls there were.
#[cfg(target_arch = "x86_64")]
fn trace(child: &Child, fail: usize, error: i32) -> (ExitStatus, usize) {
    let pid = child.id() as libc::pid_t;
    let ask = |request, data: usize| {
        // SAFETY: the child is stopped, and `data` is what the request takes.
        let result = unsafe { libc::ptrace(request, pid, 0usize, data) };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    };
    let (mut marked, mut calls, mut is_entry, mut failing) = (false, 0, true, false);
    let mut is_first = true;
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
                let is_mark = registers.orig_rax as c_long == libc::SYS_getpgid;
                match registers.rdi as c_long {
                    BEGIN if is_mark => marked = true,
                    END if is_mark => marked = false,
                    _ if marked => {
                        calls += 1;
                        failing = calls == fail;
                    }
                    _ => {}
                }
                if failing {
                    registers.orig_rax = u64::MAX;
                    ask(libc::PTRACE_SETREGS, &raw mut registers as usize);
                }
            } else if failing {
                failing = false;
                registers.rax = -i64::from(error) as u64;
                ask(libc::PTRACE_SETREGS, &raw mut registers as usize);
            }
            is_entry = !is_entry;
        } else {
            ask(libc::PTRACE_SYSCALL, signal as usize);
            continue;
        }
        ask(libc::PTRACE_SYSCALL, 0);
    }
}

#[cfg(target_arch = "x86_64")]
#[expect(clippy::zombie_processes, reason = "`trace` waits for it")]
fn run(place: &Place, fail: usize, error: i32) -> usize {
    use std::io::Read;
    let mut command = place.command("marked", "all");
    command
        .env_remove(settings::OUTPUT)
        .env_remove("MEMPROF_TEST_TRUTH")
        .env("LATE", place.profile_path())
        .env(LEAVES, "600")
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
    let (status, calls) = trace(&child, fail, error);
    let mut output = std::process::Output {
        status,
        stdout: Vec::new(),
        stderr: Vec::new(),
    };
    child
        .stdout
        .take()
        .unwrap()
        .read_to_end(&mut output.stdout)
        .unwrap();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_end(&mut output.stderr)
        .unwrap();
    let what = format!("system call {fail} with error {error}");
    ran_on(&output, &what);
    check_profile(place, &what);
    calls
}

#[cfg(target_arch = "x86_64")]
fn each_fails_once() {
    let all = run(&Place::new(), 0, 0);
    assert!(all > 40, "{all} system calls");
    let errors = [
        libc::ENOMEM,
        libc::EINTR,
        libc::EPERM,
        libc::ENOSPC,
        libc::EBADF,
    ];
    for error in errors.into_iter().take(times(5, 1)) {
        // Of the later ones, which are alike, a part.
        let step = |call: usize| if call < 80 { 1 } else { times(1, 10) };
        let mut fail = 1;
        while fail <= all {
            run(&Place::new(), fail, error);
            fail += step(fail);
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn each_fails_once() {
    eprintln!("not tested: on x86-64 alone it is known here where a system call's number stands");
}
