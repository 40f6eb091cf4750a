//! Starts a recording: from the environment, when the program is loaded, or from code.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use profiler_alloc_format::env::{self, Only, Sample};
use profiler_alloc_format::{MAGIC, STATE_EXITED, STATE_RECORDING, VERSION};

use crate::ffi;
use crate::ffi::callbacks;
use crate::ffi::os;
use crate::profile_file::accounts::Accounts;
use crate::profile_file::path::{NoPath, ProfilePath};
use crate::profile_file::store::{OpenFailure, Store};
use crate::sampling::overhead::OverheadBudget;
use crate::session::capture::Capture;
use crate::session::clock::Clock;
use crate::session::for_children::ForChildren;
use crate::session::fork;
use crate::session::settings::{Settings, setting};
use crate::session::test_process;
use crate::session::threads;
use crate::session::{self, Recorder};

static ASKED: AtomicBool = AtomicBool::new(false);
static STARTING: AtomicBool = AtomicBool::new(false);

/// Why no recording was started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// This system only counts.
    NeedsLinux,
    /// One is active.
    AlreadyRecording,
    /// The program runs with more rights than its caller.
    Privileged,
    /// The path is too long.
    PathTooLong,
    /// The file could not be opened.
    File(OpenFailure),
    /// The system refuses memory.
    Memory,
}

impl From<NoPath> for Refusal {
    fn from(none: NoPath) -> Refusal {
        match none {
            NoPath::TooLong => Refusal::PathTooLong,
            NoPath::NoMemory => Refusal::Memory,
        }
    }
}

/// Starts a recording if the environment asks for one. Looks once in the life of a process.
pub fn from_env() {
    if ASKED.swap(true, Ordering::AcqRel) {
        return;
    }
    let Some(pattern) = os::env(env::OUTPUT).filter(|text| !text.is_empty()) else {
        return;
    };
    os::note_stderr();
    let only = setting::<Only>(os::env, env::ONLY).unwrap_or_default();
    if only == Only::Tests && !test_process::is_test(os::env) {
        return;
    }
    start_or_warn(pattern, &Settings::from(os::env));
}

/// As [`start`]; why it was not started is said in a line on stderr.
pub fn start_or_warn(pattern: &[u8], settings: &Settings) {
    if let Err(refusal) = start(pattern, settings) {
        warn(refusal, pattern);
    }
}

/// Starts a recording into the file that `pattern` names, or beside it if that exists.
pub fn start(pattern: &[u8], settings: &Settings) -> Result<&'static Recorder, Refusal> {
    if !ffi::CAN_RECORD {
        return Err(Refusal::NeedsLinux);
    }
    if os::is_privileged() {
        return Err(Refusal::Privileged);
    }
    if STARTING.swap(true, Ordering::Acquire) {
        return Err(Refusal::AlreadyRecording);
    }
    let result = match session::current() {
        Some(_) => Err(Refusal::AlreadyRecording),
        None => open(pattern, settings),
    };
    STARTING.store(false, Ordering::Release);
    result
}

/// The parts of the recorder are made one after the other, each in a function of its own that
/// leaves it where it stays: whoever starts a recording may have 8 KiB of stack in all.
fn open(pattern: &[u8], settings: &Settings) -> Result<&'static Recorder, Refusal> {
    let recorder = make(pattern, settings)?;
    recorder.note_beginning();
    fork::watch();
    watch_exit();
    session::activate(recorder, threads::force_slow_path_everywhere);
    Ok(recorder)
}

#[inline(never)]
fn make(pattern: &[u8], settings: &Settings) -> Result<&'static Recorder, Refusal> {
    let (store, output) = create(ProfilePath::expand(pattern)?)?;
    let output = output.leak();
    write_header(store, settings);
    let share = (settings.sample == Sample::Auto).then_some(u64::from(settings.overhead.ppm()));
    let overhead = OverheadBudget::new(share, settings.grant.ns());
    let clock = Clock::start();
    let capture = Capture::new(clock, settings.stack_depth.frames() as usize);
    let recorder = capture.and_then(|capture| {
        let for_children = ForChildren::of(pattern, settings);
        let accounts = Accounts::new(settings.accounts.ns());
        let limits = (overhead, accounts);
        Recorder::new(store, output, (clock, capture), limits, for_children)
    });
    recorder.ok_or_else(|| {
        store.close();
        os::remove_file(output);
        Refusal::Memory
    })
}

/// Creates the file, or one beside it if that exists; nothing is ever overwritten.
#[inline(never)]
fn create(output: ProfilePath) -> Result<(&'static Store, ProfilePath), Refusal> {
    const MOST: u32 = 1000;
    for times in 0..=MOST {
        let beside = match times {
            0 => None,
            times => Some(output.beside(times)?),
        };
        match Store::create(beside.as_ref().unwrap_or(&output).as_c_str()) {
            Err(OpenFailure::Exists) => {}
            Err(failure) => return Err(Refusal::File(failure)),
            Ok(store) => return Ok((store, beside.unwrap_or(output))),
        }
    }
    Err(Refusal::File(OpenFailure::Exists))
}

/// Notes in the profile when the program ends in order. Recording goes on to the very end.
fn watch_exit() {
    static WATCHING: AtomicBool = AtomicBool::new(false);
    extern "C" fn at_exit() {
        if let Some(recorder) = session::current().filter(|recorder| recorder.is_ours()) {
            // The last point of the timeline tells of the file as it then is.
            recorder.take_account();
            recorder.bring_up_to_date();
            recorder
                .store
                .header()
                .state
                .store(STATE_EXITED, Ordering::Relaxed);
        }
    }
    if !WATCHING.swap(true, Ordering::AcqRel) {
        callbacks::at_exit(at_exit);
    }
}

#[inline(never)]
fn write_header(store: &Store, settings: &Settings) {
    let header = store.header();
    let (mode, interval) = settings.mode();
    let heap = threads::process_totals().heap() as u64;
    let set =
        |cell: &core::sync::atomic::AtomicU64, value: u64| cell.store(value, Ordering::Relaxed);
    let set32 = |cell: &AtomicU32, value: u32| cell.store(value, Ordering::Relaxed);
    set32(&header.version, VERSION);
    set32(&header.state, STATE_RECORDING);
    set32(&header.pid, os::process_id());
    set32(&header.mode, mode);
    set32(&header.budget_ppm, settings.overhead.ppm());
    set32(&header.stack_depth, settings.stack_depth.frames());
    set(&header.run_id, settings.run_id);
    set(&header.forked_from, settings.forked_from.into());
    set(&header.started_unix_ns, os::unix_ns());
    set(&header.interval, interval);
    set(&header.interval_widest, interval);
    set(&header.grant_ns, settings.grant.ns());
    set(&header.heap_base, heap);
    set(&header.heap, heap);
    set(&header.peak, heap);
    // Epoch 0 is what fresh stack records carry: the first peak needs another.
    set(&header.peak_epoch, 1);
    // Record 0 of these tables is taken: the shared thread, the root, "other".
    set(&header.thread_count, 1);
    set(&header.node_count, 1);
    set(&header.stack_count, 1);
    set(&header.timeline_interval_ns, settings.timeline.ns());
    if let Some((at, len)) = store.add_string(settings.own).filter(|&(_, len)| len > 0) {
        set32(&header.own_at, at);
        set32(&header.own_len, len);
    }
    settings.test.note(store);
    header.magic.store(MAGIC, Ordering::Release);
}

#[cold]
#[inline(never)]
fn warn(refusal: Refusal, pattern: &[u8]) {
    let (what, error): (&[u8], i32) = match refusal {
        Refusal::NeedsLinux => (b"recording needs 64-bit Linux", 0),
        Refusal::AlreadyRecording => (b"already recording", 0),
        Refusal::Privileged => (b"a program with raised privileges is not recorded", 0),
        Refusal::PathTooLong => (b"the path of the profile is too long", 0),
        Refusal::File(OpenFailure::Exists) => (b"the profile exists already", 0),
        Refusal::File(OpenFailure::Create(error)) => (b"cannot create the profile", error),
        Refusal::File(OpenFailure::Reserve(error)) => (b"no room for the profile", error),
        Refusal::File(OpenFailure::Map(error)) => (b"cannot map the profile", error),
        Refusal::Memory => (b"the system refuses memory for recording", 0),
    };
    let mut text = [0u8; 96];
    let reason: &[u8] = if error == 0 {
        b""
    } else {
        os::error_text(error, &mut text)
    };
    let colon: &[u8] = if error == 0 { b"" } else { b": " };
    os::warn(&[
        what,
        b" (",
        pattern,
        b")",
        colon,
        reason,
        b"; the program runs on unprofiled",
    ]);
}
