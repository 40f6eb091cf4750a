//! Disks, limits and filters that refuse the recorder something: the program runs on, its exit code
//! and output are its own, and at most one line says what is missing.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

use profiler_alloc::{Recording, Sample};
use profiler_alloc_format::env as settings;

use crate::Named;
use crate::child::{Place, times};
use crate::crash::limit;
use crate::skip::skip;
use crate::stacks::{LEAVES, visit_stacks};

pub const TESTS: &[Named] = &[
    ("refusals::small_disk", small_disk),
    ("refusals::read_only_folder", read_only_folder),
    ("refusals::a_device_in_the_way", a_device_in_the_way),
    ("refusals::limit_on_file_size", limit_on_file_size),
    ("refusals::limit_on_descriptors", limit_on_descriptors),
    ("refusals::closed_standard_files", closed_standard_files),
    ("refusals::all_descriptors_closed", all_descriptors_closed),
    ("refusals::filtered_system_calls", filtered_system_calls),
    (
        "refusals::a_program_shuts_itself_in",
        a_program_shuts_itself_in,
    ),
];

pub const ROLES: &[Named] = &[
    ("works", || {
        if std::env::var_os(CLOSES_ALL).is_some() {
            // SAFETY: nothing of this process is written to what it closes.
            unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) };
        }
        visit_stacks();
        if std::env::var_os(LOUD).is_some() {
            eprintln!("to whatever is number 2");
        }
        println!("done");
    }),
    ("works_without_descriptors", works_without_descriptors),
    ("works_in_a_sandbox", works_in_a_sandbox),
];

/// Has the program close every descriptor but the standard ones.
const CLOSES_ALL: &str = "CLOSES_ALL";
/// Has the program write to stderr.
const LOUD: &str = "LOUD";

/// A program that meets more stacks than the first chunks of the file hold.
pub fn works(place: &Place) -> Command {
    let mut command = place.command("works", "all");
    command.env(LEAVES, "2000").env_remove("MEMPROF_TEST_TRUTH");
    command
}

/// It did its work and ended well, with at most one line of the recorder's; gives that.
pub fn ran_on(output: &Output, what: &str) -> String {
    assert!(output.status.success(), "{what}: {output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "done\n", "{what}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let is_ours = |line: &str| line.starts_with("profiler-alloc: ");
    assert!(
        said.lines().count() <= 1 && said.lines().all(is_ours),
        "{what}: {said}"
    );
    said
}

/// What there is of a profile can be read.
pub fn check_profile(place: &Place, what: &str) {
    if place.profile_path().exists() {
        let (_, defects) = place.read();
        assert_eq!(defects, [], "{what}");
    }
}

/// A file system in memory; gone when dropped.
struct Mount<'a>(&'a Path);

impl Mount<'_> {
    fn new<'a>(at: &'a Path, options: &str) -> Option<Mount<'a>> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(at)
            .output();
        let is_there = mounted.is_ok_and(|output| output.status.success());
        if !is_there {
            skip("a disk that is full: this user cannot mount one");
        }
        is_there.then(|| Mount(at))
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

fn small_disk() {
    for kib in [4, 8, 100, 300, 460, 500, 1024] {
        let place = Place::new();
        let folder = place.folder().join("disk");
        fs::create_dir(&folder).unwrap();
        let Some(_mount) = Mount::new(&folder, &format!("size={kib}k")) else {
            return;
        };
        let path = folder.join("x.memprof");
        let output = works(&place).env(settings::OUTPUT, &path).output().unwrap();
        let said = ran_on(&output, &format!("{kib} KiB"));
        assert!(
            kib > 1000 || said.contains("No space left"),
            "{kib} KiB: {said}"
        );
        if path.exists() {
            let (profile, defects) = memprof::profile::read(&path).unwrap();
            assert_eq!(defects, []);
            assert!(said.is_empty() || profile.header.lost_growth == 1);
        }
    }
}

fn read_only_folder() {
    let place = Place::new();
    let folder = place.folder().join("disk");
    fs::create_dir(&folder).unwrap();
    let Some(_mount) = Mount::new(&folder, "ro") else {
        return;
    };
    let path = folder.join("x.memprof");
    let output = works(&place).env(settings::OUTPUT, path).output().unwrap();
    let said = ran_on(&output, "read-only");
    assert!(said.contains("Read-only file system"), "{said}");
}

fn a_device_in_the_way() {
    let place = Place::new();
    // A folder of their own, so that whatever is made beside the device is gone afterwards.
    let device = place.profile_path();
    std::os::unix::fs::symlink("/dev/full", &device).unwrap();
    let said = ran_on(&works(&place).output().unwrap(), "/dev/full");
    assert_eq!(said, "");
    let profiles = fs::read_dir(place.folder())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let beside =
        profiles.filter(|path| path != &device && path.extension().is_some_and(|e| e == "memprof"));
    assert_eq!(beside.count(), 1, "the profile stands beside it");
}

fn limit_on_file_size() {
    for chunks in 0..16 {
        let place = Place::new();
        let mut command = works(&place);
        limit(
            &mut command,
            libc::RLIMIT_FSIZE,
            8192 + chunks * 65536 + 100,
        );
        ran_on(&command.output().unwrap(), &format!("{chunks} chunks"));
        check_profile(&place, &format!("{chunks} chunks"));
    }
}

fn limit_on_descriptors() {
    // The loader needs one to open the libraries, so 3 cannot be had from outside.
    for most in 4..8 {
        let place = Place::new();
        let mut command = works(&place);
        limit(&mut command, libc::RLIMIT_NOFILE, most);
        ran_on(&command.output().unwrap(), &format!("{most} descriptors"));
        check_profile(&place, "few descriptors");
    }
    // One is left, in the second case, but it is that of stderr.
    for closed in ["", "2"] {
        let place = Place::new();
        let mut command = place.command("works_without_descriptors", "all");
        command
            .env_remove(settings::OUTPUT)
            .env("LATE", place.profile_path())
            .env(CLOSED, closed)
            .env(LEAVES, "100");
        ran_on(&command.output().unwrap(), "3 descriptors");
        assert!(!place.profile_path().exists());
    }
}

/// Number of the descriptor to close first; none if empty.
const CLOSED: &str = "CLOSED";

fn works_without_descriptors() {
    let limit = libc::rlimit {
        rlim_cur: 3,
        rlim_max: 3,
    };
    if let Ok(closed) = std::env::var(CLOSED).unwrap().parse() {
        // SAFETY: nothing is written to it until the process ends.
        assert_eq!(unsafe { libc::close(closed) }, 0);
    }
    // SAFETY: has no preconditions on memory.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
    let path = std::env::var_os("LATE").unwrap();
    let refused = Recording::builder().path(path).sample(Sample::All).start();
    let said = refused.unwrap_err().to_string();
    visit_stacks();
    match said.contains("Too many open files") {
        true => println!("done"),
        false => println!("{said}"),
    }
}

/// A program that closes every descriptor it did not open, as daemons and helpers of subprocesses
/// do: the profile grows all the same.
fn all_descriptors_closed() {
    let place = Place::new();
    let mut command = works(&place);
    command.env(CLOSES_ALL, "");
    let said = ran_on(&command.output().unwrap(), "all closed");
    assert_eq!(said, "");
    let (profile, defects) = place.read();
    assert_eq!(defects, []);
    assert!(
        profile.header.stack_count > 1000,
        "several chunks of stacks"
    );
    assert_eq!(profile.header.lost_stacks, 0);
    assert_eq!(profile.header.lost_growth, 0);
}

/// With stderr closed and few descriptors, neither a warning nor the profile takes its number.
fn closed_standard_files() {
    for (descriptors, chunks) in [(1024, 99), (8, 99), (4, 99), (1024, 6), (8, 6)] {
        let place = Place::new();
        let mut command = works(&place);
        command.env(LOUD, "");
        limit(&mut command, libc::RLIMIT_NOFILE, descriptors);
        limit(&mut command, libc::RLIMIT_FSIZE, 8192 + chunks * 65536);
        // SAFETY: closes descriptors of the child's.
        unsafe {
            command.pre_exec(|| {
                libc::close(2);
                Ok(())
            })
        };
        let what = format!("{descriptors} descriptors, {chunks} chunks");
        let said = ran_on(&command.output().unwrap(), &what);
        assert_eq!(said, "", "{what}");
        check_profile(&place, &what);
    }
}

/// A filter that refuses a system call, where the low half of one argument fits.
struct Refusal {
    what: &'static str,
    call: i64,
    argument: usize,
    test: Test,
    then: Then,
}

#[derive(Clone, Copy)]
enum Test {
    Is(u32),
    Has(u32),
    Any,
}

/// What becomes of the recording.
#[derive(Clone, Copy)]
enum Then {
    /// It is whole, and nothing is said.
    Whole,
    /// It has every block, but no stack to its end; where the end of a page is near, none at all.
    CutOff,
    /// There is none, no file is left behind, and this is said.
    Refused(&'static str),
}

const REFUSALS: &[Refusal] = &[
    refusal(
        "fallocate",
        (libc::SYS_fallocate, 0, Test::Any),
        Then::Refused("no room for the profile"),
    ),
    refusal(
        "shared mapping",
        (libc::SYS_mmap, 3, Test::Has(libc::MAP_SHARED as u32)),
        Then::Refused("cannot map the profile"),
    ),
    refusal(
        "reserving addresses",
        (libc::SYS_mmap, 2, Test::Is(libc::PROT_NONE as u32)),
        Then::Refused("cannot map the profile"),
    ),
    refusal(
        "madvise",
        (libc::SYS_madvise, 0, Test::Any),
        Then::Refused("refuses memory for recording"),
    ),
    refusal(
        "creating files",
        (libc::SYS_openat, 2, Test::Has(libc::O_CREAT as u32)),
        Then::Refused("cannot create the profile"),
    ),
    refusal(
        "asking for the limit on file size",
        (libc::SYS_prlimit64, 1, Test::Is(libc::RLIMIT_FSIZE)),
        Then::Refused("no room for the profile"),
    ),
    refusal("fcntl", (libc::SYS_fcntl, 0, Test::Any), Then::Whole),
    refusal(
        "readlink",
        (libc::SYS_readlinkat, 0, Test::Any),
        Then::Whole,
    ),
    refusal("asking for memory", ASKING[0], Then::Whole),
    refusal("asking for memory otherwise", ASKING[1], Then::Whole),
    refusal("gettid", (libc::SYS_gettid, 0, Test::Any), Then::Whole),
    refusal(
        "prctl",
        (libc::SYS_prctl, 0, Test::Is(libc::PR_GET_NAME as u32)),
        Then::Whole,
    ),
];

const fn refusal(
    what: &'static str,
    (call, argument, test): (i64, usize, Test),
    then: Then,
) -> Refusal {
    Refusal {
        what,
        call,
        argument,
        test,
        then,
    }
}

impl Refusal {
    /// The program of the filter: load the number, compare, load the argument, compare.
    fn filter(&self, error: i32) -> Vec<libc::sock_filter> {
        const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
        let jump = |test: u32| (libc::BPF_JMP | test | libc::BPF_K) as u16;
        let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
        let (test, value) = match self.test {
            Test::Is(value) => (jump(libc::BPF_JEQ), value),
            Test::Has(bits) => (jump(libc::BPF_JSET), bits),
            Test::Any => (jump(libc::BPF_JGE), 0),
        };
        let give = (libc::BPF_RET | libc::BPF_K) as u16;
        vec![
            step(LOAD, 0, 0, 0),
            step(jump(libc::BPF_JEQ), 0, 3, self.call as u32),
            step(LOAD, 0, 0, 16 + 8 * self.argument as u32),
            step(test, 0, 1, value),
            step(give, 0, 0, libc::SECCOMP_RET_ERRNO | error as u32),
            step(give, 0, 0, libc::SECCOMP_RET_ALLOW),
        ]
    }

    /// What becomes of the recording with this error.
    fn then(&self, error: i32) -> Then {
        // A kernel without this call has room all the same.
        let is_unknown = self.call == libc::SYS_fallocate && error == libc::ENOSYS;
        if is_unknown { Then::Whole } else { self.then }
    }
}

impl Then {
    /// It has become that.
    fn check(self, place: &Place, said: &str, what: &str) {
        if let Then::Refused(reason) = self {
            assert!(said.contains(reason), "{what}: {said}");
            return assert!(!place.profile_path().exists(), "{what}: a file is left");
        }
        assert_eq!(said, "", "{what}");
        let profile = place.profile();
        let stacks = profile.stacks.iter().map(|stack| &stack.totals);
        let totals = stacks.chain([&profile.unattributed]);
        let sampled: u64 = totals.map(|totals| totals.alloc_samples).sum();
        assert_eq!(sampled, profile.counters().allocs, "{what}");
        let lost = (profile.header.lost_outer_frames, profile.header.lost_stacks);
        match self {
            Then::CutOff => assert!(lost.0 > 0, "{what}: {lost:?}"),
            _ => assert_eq!(lost, (0, 0), "{what}"),
        }
    }
}

fn apply(filter: &mut [libc::sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the filter is as long as stated and copied by the kernel.
    let refused = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            || libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_FILTER,
                &raw const program,
            ) != 0
    };
    match refused {
        true => Err(io::Error::last_os_error()),
        false => Ok(()),
    }
}

/// The two ways to ask whether memory can be read: to have it made ready, and a call that is
/// invalid but for its memory.
const ASKING: [(i64, usize, Test); 2] = [
    (
        libc::SYS_madvise,
        2,
        Test::Is(libc::MADV_POPULATE_READ as u32),
    ),
    (libc::SYS_rt_sigprocmask, 0, Test::Is(u32::MAX)),
];

/// Where the system tells in neither way, memory is not there.
fn no_way_to_ask(place: &Place, what: &'static str) {
    let mut command = works(place);
    let mut filters = ASKING.map(|asking| refusal(what, asking, Then::CutOff).filter(libc::EPERM));
    // SAFETY: two system calls each, which may be made between fork and exec.
    unsafe { command.pre_exec(move || filters.iter_mut().try_for_each(|filter| apply(filter))) };
    let output = command.output().unwrap();
    Then::CutOff.check(place, &ran_on(&output, what), what);
}

fn filtered_system_calls() {
    let errors = [libc::EPERM, libc::ENOSYS, libc::ENOMEM, libc::EINTR];
    for refusal in REFUSALS {
        for error in errors.into_iter().take(times(4, 2)) {
            let place = Place::new();
            let mut command = works(&place);
            let mut filter = refusal.filter(error);
            // SAFETY: two system calls, which may be made between fork and exec.
            unsafe { command.pre_exec(move || apply(&mut filter)) };
            let what = format!("{} with error {error}", refusal.what);
            match command.output() {
                Ok(output) => {
                    let said = ran_on(&output, &what);
                    refusal.then(error).check(&place, &said, &what);
                }
                Err(error) => return skip(format!("filtered system calls: {error}")),
            }
        }
    }
    no_way_to_ask(&Place::new(), "no way to ask for memory");
}

/// What is done to a program that shuts itself in when it calls anything else.
const ACTION: &str = "SANDBOX_ACTION";

/// The system calls of a program that computes, has threads and says something: what a sandbox lets
/// through. Not among them are some of the recorder's: the name of a thread, reading at a place of
/// a file, growing one.
#[cfg(target_arch = "x86_64")]
const LET_THROUGH: &[i64] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
];

/// Says which system call was refused, and has it fail, as sandboxes do that are being fitted.
#[cfg(target_arch = "x86_64")]
extern "C" fn say_refused(_: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes both; the number of the call stands behind its address.
    let number = unsafe { *info.byte_add(24).cast::<libc::c_int>() };
    // SAFETY: as above.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    context.uc_mcontext.gregs[libc::REG_RAX as usize] = -i64::from(libc::ENOSYS);
    let digit = |unit: i32| b'0' + (number / unit % 10) as u8;
    let mut text = *b"refused 000\n";
    text[8..11].copy_from_slice(&[digit(100), digit(10), digit(1)]);
    // SAFETY: writes a text that is as long as stated.
    unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
}

/// Works, shuts itself in, and works on with more stacks than there is room for.
fn works_in_a_sandbox() {
    #[cfg(target_arch = "x86_64")]
    {
        let action: u32 = std::env::var(ACTION).unwrap().parse().unwrap();
        let step = |code: u32, jt, jf, k| libc::sock_filter {
            code: code as u16,
            jt,
            jf,
            k,
        };
        let give = libc::BPF_RET | libc::BPF_K;
        let compare = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
        let mut filter = vec![step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0)];
        for &call in LET_THROUGH {
            filter.push(step(compare, 0, 1, call as u32));
            filter.push(step(give, 0, 0, libc::SECCOMP_RET_ALLOW));
        }
        filter.push(step(give, 0, 0, action));
        // SAFETY: the handler has the type that these flags ask for, and calls nothing but `write`.
        unsafe {
            let mut handler: libc::sigaction = std::mem::zeroed();
            handler.sa_sigaction = say_refused as *const () as libc::sighandler_t;
            handler.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER;
            let refused = libc::sigaction(libc::SIGSYS, &handler, std::ptr::null_mut());
            assert_eq!(refused, 0);
        }
        apply(&mut filter).unwrap();
    }
    std::thread::spawn(visit_stacks).join().unwrap();
    visit_stacks();
    println!("done");
}

/// A program that shuts itself in while it is recorded works on; if it says something of every call
/// that is refused, then of each of the recorder's once.
fn a_program_shuts_itself_in() {
    if cfg!(not(target_arch = "x86_64")) {
        return;
    }
    let by_error = |error: i32| libc::SECCOMP_RET_ERRNO | error as u32;
    for action in [
        by_error(libc::EPERM),
        by_error(libc::ENOSYS),
        libc::SECCOMP_RET_TRAP,
    ] {
        let what = format!("{action:#x}");
        let place = Place::new();
        let mut command = place.command("works_in_a_sandbox", "auto");
        command
            .env(LEAVES, "20000")
            .env(ACTION, action.to_string())
            .env_remove("MEMPROF_TEST_TRUTH");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{what}: {output:?}");
        assert_eq!(output.stdout, b"done\n", "{what}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let mut lines: Vec<&str> = said.lines().collect();
        lines.sort_unstable();
        let count = lines.len();
        lines.dedup();
        assert_eq!(
            lines.len(),
            count,
            "{what}: something is said twice: {said}"
        );
        let ours = lines
            .iter()
            .filter(|line| line.starts_with("profiler-alloc: "));
        assert!(ours.count() <= 1, "{what}: {said}");
        let is_trap = action == libc::SECCOMP_RET_TRAP;
        assert!(is_trap || !said.contains("refused "), "{what}: {said}");
        check_profile(&place, &what);
        assert!(place.profile_path().exists(), "{what}");
    }
}
