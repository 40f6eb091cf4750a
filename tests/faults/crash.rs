//! However the program ends, its profile is readable and the totals are right to one operation per
//! thread.

use std::hint::black_box;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use crate::Named;
use crate::child::{Place, random, times, wait_until};
use crate::memory_group::MemoryGroup;
use crate::skip::skip;

const THREADS: u64 = 4;
/// Largest block of the threads that allocate all the time.
const LARGEST: u64 = 5_000;

pub const TESTS: &[Named] = &[
    ("crash::killed_at_any_moment", killed_at_any_moment),
    ("crash::abort", || ends("abort", &[libc::SIGABRT])),
    ("crash::panic_that_aborts", || {
        ends("panic_that_aborts", &[libc::SIGABRT])
    }),
    ("crash::stack_overflow", || {
        ends("stack_overflow", &[libc::SIGABRT, libc::SIGSEGV])
    }),
    ("crash::exit_at_once", || ends("exit_at_once", &[])),
    ("crash::out_of_address_space", || {
        ends("out_of_address_space", &[libc::SIGABRT])
    }),
    ("crash::killed_for_its_memory", killed_for_its_memory),
];

pub const ROLES: &[Named] = &[
    ("churn", || {
        churn();
        std::thread::sleep(Duration::from_secs(60));
    }),
    ("churn_until_told", || {
        churn();
        // Told by whoever started it, or by its end.
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
    }),
    ("abort", || {
        churn();
        std::process::abort();
    }),
    ("panic_that_aborts", || {
        churn();
        panics();
    }),
    ("stack_overflow", || {
        churn();
        black_box(deeper(1));
    }),
    ("exit_at_once", || {
        churn();
        // SAFETY: ends the process without running anything of it.
        unsafe { libc::_exit(0) }
    }),
    ("out_of_address_space", || {
        churn();
        take_all_there_is();
    }),
    ("takes_all_memory", || {
        churn();
        let mut blocks = Vec::new();
        loop {
            blocks.push(vec![1u8; 1 << 20]);
        }
    }),
];

/// Four threads that allocate, grow and free for ever; returns when they have begun.
fn churn() {
    for number in 0..THREADS {
        std::thread::spawn(move || {
            let mut state = number;
            let mut kept: [Vec<u8>; 16] = Default::default();
            loop {
                let number = random(&mut state);
                let size = number % (LARGEST / 2);
                let slot = &mut kept[(number >> 32) as usize % 16];
                if slot.capacity() > 0 && number & 1 == 0 {
                    slot.reserve_exact(slot.capacity() + size as usize / 16);
                } else {
                    *slot = black_box(Vec::with_capacity(size as usize));
                }
            }
        });
    }
    std::thread::sleep(Duration::from_millis(20));
}

/// A panic that nothing may unwind.
extern "C" fn panics() {
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| drop(black_box(vec![1u8; 100]))));
    drop(quiet);
    panic!("on purpose");
}

fn deeper(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    if depth.is_multiple_of(64) {
        drop(black_box(vec![1u8; 64]));
    }
    if depth == 0 {
        return 0;
    }
    frame[1] + deeper(depth + 1)
}

fn take_all_there_is() {
    let mut blocks = Vec::new();
    loop {
        blocks.push(Vec::<u8>::with_capacity(LARGEST as usize));
    }
}

/// Every block of these programs is at most so large.
fn slack(place: &Place) {
    place.check_totals(THREADS + 1, 2 << 20);
}

fn killed_at_any_moment() {
    let mut state = 1;
    for round in 0..times(100, 20) {
        let place = Place::new();
        let sample = ["all", "65536", "auto"][round % 3];
        let mut child = place.command("churn", sample).spawn().unwrap();
        wait_until(&mut child, || place.is_counting());
        std::thread::sleep(Duration::from_micros(random(&mut state) % 100_000));
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
        slack(&place);
    }
}

fn ends(role: &str, signals: &[i32]) {
    for round in 0..times(10, 2) {
        let place = Place::new();
        let mut command = place.command(role, ["all", "65536"][round % 2]);
        command.stderr(std::process::Stdio::null());
        if role == "out_of_address_space" {
            limit(&mut command, libc::RLIMIT_AS, 400 << 20);
        }
        limit(&mut command, libc::RLIMIT_CORE, 0);
        check_end(role, command.status().unwrap(), signals);
        slack(&place);
    }
}

fn check_end(role: &str, status: ExitStatus, signals: &[i32]) {
    let expected = match status.signal() {
        Some(signal) => signals.contains(&signal),
        None => signals.is_empty() && status.success(),
    };
    assert!(expected, "{role}: {status}");
}

/// The child may have no more than `most` of `resource`.
pub fn limit(command: &mut Command, resource: libc::__rlimit_resource_t, most: u64) {
    let limit = libc::rlimit {
        rlim_cur: most,
        rlim_max: most,
    };
    // SAFETY: a system call, which is all that may be done between fork and exec.
    unsafe {
        command.pre_exec(move || match libc::setrlimit(resource, &limit) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
}

fn killed_for_its_memory() {
    for round in 0..times(10, 2) {
        let name = format!("memprof-test-{}-{round}", std::process::id());
        let Some(group) = MemoryGroup::new(&name, 96 << 20) else {
            return skip("the OOM killer: this user cannot make a memory group");
        };
        let place = Place::new();
        let mut command = place.command("takes_all_memory", ["all", "65536"][round % 2]);
        let members = group.members();
        let members =
            std::ffi::CString::new(members.into_os_string().into_encoded_bytes()).unwrap();
        // SAFETY: opens and writes a file, without allocating: the path was made before.
        unsafe {
            command.pre_exec(move || {
                let fd = libc::open(members.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
                match libc::write(fd, b"0".as_ptr().cast(), 1) {
                    1 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                }
            });
        }
        check_end("out of memory", command.status().unwrap(), &[libc::SIGKILL]);
        slack(&place);
    }
}
