//! Recordings started from code: a builder that gives a guard.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use core::sync::atomic::Ordering;

use profiler_alloc_format::env::{
    AccountInterval, Grant, Overhead, Sample, StackDepth, TimelineInterval,
};
use profiler_alloc_format::{STATE_PAUSED, STATE_RECORDING};

use crate::counters::installed::is_installed;
use crate::counters::reentrancy::Inside;
use crate::ffi::os;
use crate::profile_file::store::OpenFailure;
use crate::session::settings::Settings;
use crate::session::start::{self, Refusal};
use crate::session::{self, Recorder};

/// Settings of a recording to be started from code.
///
/// ```
/// use profiler_alloc::{ProfilerAlloc, Recording, Sample};
///
/// #[global_allocator]
/// static ALLOC: ProfilerAlloc = ProfilerAlloc::system();
///
/// # fn main() -> Result<(), profiler_alloc::StartError> {
/// # let folder = std::env::temp_dir();
/// # let path = folder.join(format!("doc-{}.memprof", std::process::id()));
/// let recording = Recording::builder().path(&path).sample(Sample::All).start()?;
/// let list = vec![1u8; 1 << 20];
/// assert_eq!(recording.path(), path);
/// drop(list);
/// drop(recording); // ends it; `memprof report` reads the file
/// # std::fs::remove_file(path).unwrap();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a recording begins with `start`"]
pub struct RecordingBuilder {
    path: PathBuf,
    settings: Settings,
}

impl RecordingBuilder {
    /// Where to write the profile. `%e` stands for the program's file name, `%p` for its process
    /// number, `%%` for `%`. The default is `%e.%p.memprof` in the current folder. An existing file
    /// is never overwritten: `.NAME.PID.memprof` is appended instead, or `.2` put before the
    /// extension where `%p` is in the pattern.
    pub fn path(mut self, path: impl AsRef<Path>) -> Self {
        self.path = path.as_ref().to_owned();
        self
    }

    /// Which allocations to record with their stack. The default is [`Sample::Auto`]; an interval
    /// is kept between 1 byte and 1 TiB.
    pub fn sample(mut self, sample: Sample) -> Self {
        self.settings.sample = sample.within_range();
        self
    }

    /// Time the recorder may take under [`Sample::Auto`], in percent of the program's CPU time,
    /// after the [`grant`](Self::grant). The default is 2; values are kept between 0 and 100.
    pub fn overhead(mut self, percent: f64) -> Self {
        self.settings.overhead = Overhead::clamped(percent);
        self
    }

    /// Time the recorder may take under [`Sample::Auto`] on top of the overhead, 6 ms by default
    /// and an hour at most: until half of it is used up, every allocation is recorded.
    pub fn grant(mut self, time: Duration) -> Self {
        self.settings.grant = Grant::clamped(time);
        self
    }

    /// Frames to keep of one stack. The default is 512; values are kept between 16 and 8192. Of a
    /// deeper stack both ends are kept.
    pub fn stack_depth(mut self, frames: u32) -> Self {
        self.settings.stack_depth = StackDepth::clamped(frames);
        self
    }

    /// First time between two points of the timeline. It doubles each time the timeline is full, at
    /// 2,048 points. The default is 1 ms; values are kept between 1 ms and a day, and the system's
    /// tick (1 to 4 ms) bounds them from below.
    pub fn timeline(mut self, interval: Duration) -> Self {
        self.settings.timeline = TimelineInterval::clamped(interval);
        self
    }

    /// First time between two accounts of where the resident memory is, which `memprof rss` shows;
    /// `None` for no accounts. It doubles each time there is no more room, at 127 accounts. One
    /// takes a thread some milliseconds where there is much memory, and 0.4 % of the program's time
    /// in all. The default is 1 s; values are kept between 10 ms and a day.
    pub fn accounts(mut self, interval: Option<Duration>) -> Self {
        self.settings.accounts = AccountInterval::clamped(interval);
        self
    }

    /// Starts recording. Threads that run already join at their next allocation or free.
    ///
    /// # Errors
    /// [`StartError`] says what stands in the way and what to do about it. Nothing is written then.
    pub fn start(self) -> Result<Recording, StartError> {
        if !is_installed() {
            return Err(StartError::NotInstalled);
        }
        let path = std::path::absolute(&self.path).unwrap_or(self.path);
        let result = {
            let _inside = Inside::enter();
            start::start(path.as_os_str().as_encoded_bytes(), &self.settings)
        };
        match result {
            Ok(recorder) => Ok(Recording { recorder }),
            Err(refusal) => Err(StartError::from_refusal(refusal, path)),
        }
    }
}

/// Keeps the heap as it is now, under a name: `memprof report --at NAME` shows what was live then,
/// and `memprof leaks --since NAME` what was allocated afterwards and is still there.
///
/// A recording keeps 64 marks exactly, however long it goes on; more are counted as a loss, which
/// every view says. Of a name, 128 bytes are kept. Several marks may have one name; then `NAME#1`
/// is the first of them. Where nothing is recorded, this does nothing. It takes a few microseconds,
/// whatever the size of the heap.
///
/// ```
/// use profiler_alloc::{ProfilerAlloc, mark};
///
/// #[global_allocator]
/// static ALLOC: ProfilerAlloc = ProfilerAlloc::system();
///
/// let table: Vec<u64> = (0..1000).collect();
/// mark("after warm-up");
/// drop(table);
/// ```
pub fn mark(name: &str) {
    let _errno = os::Errno::keep();
    let Some(_inside) = Inside::enter() else {
        return;
    };
    if let Some(recorder) = session::current().filter(|recorder| recorder.is_ours()) {
        recorder.mark(name.as_bytes());
    }
}

/// The former name of [`RecordingBuilder`].
#[deprecated(since = "0.1.0", note = "renamed to `RecordingBuilder`")]
pub type Builder = RecordingBuilder;

/// A recording under way; ends when dropped.
///
/// Blocks that were allocated before it began are in *Mem usage* and in the heap in use, and on no
/// line. Freeing one is attributed to the line that does it as long as every block is recorded, and
/// no longer once only some are. The same holds for blocks allocated during a pause.
///
/// One may follow another any time. As threads may still be at work in a recording that is over, 2
/// MiB of its address space and 0.3 MiB of its memory stay taken until the process ends: room for
/// thousands, not for millions.
#[derive(Debug)]
#[must_use = "the recording ends when this is dropped"]
pub struct Recording {
    recorder: &'static Recorder,
}

impl Recording {
    /// Settings to start from.
    pub fn builder() -> RecordingBuilder {
        RecordingBuilder {
            path: PathBuf::from("%e.%p.memprof"),
            settings: Settings::DEFAULT,
        }
    }

    /// Path of the profile, as opened.
    pub fn path(&self) -> &Path {
        Path::new(os::os_str(self.recorder.path()))
    }

    /// Stops taking samples. Exact counts go on, and frees of blocks sampled before are still seen.
    pub fn pause(&self) {
        self.recorder.paused.store(true, Ordering::Relaxed);
        let header = self.recorder.store.header();
        header.pauses.fetch_add(1, Ordering::Relaxed);
        header.state.store(STATE_PAUSED, Ordering::Relaxed);
    }

    /// Takes samples again.
    pub fn resume(&self) {
        self.recorder.paused.store(false, Ordering::Relaxed);
        self.recorder
            .store
            .header()
            .state
            .store(STATE_RECORDING, Ordering::Relaxed);
    }

    /// Brings the timeline up to date and writes the file to disk. Readers on the same machine need
    /// no flush: the file is always current for them.
    ///
    /// # Errors
    /// What the system says if the disk cannot be written.
    pub fn flush(&self) -> io::Result<()> {
        let _inside = Inside::enter();
        self.recorder.bring_up_to_date();
        self.recorder
            .store
            .sync()
            .map_err(io::Error::from_raw_os_error)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let _errno = os::Errno::keep();
        let _inside = Inside::enter();
        // A forked child that drops its copy of the guard leaves the parent's recording alone.
        if !self.recorder.is_ours() {
            return;
        }
        self.recorder.stop();
    }
}

/// Why a recording could not be started.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The program's global allocator is not a [`ProfilerAlloc`](crate::ProfilerAlloc).
    NotInstalled,
    /// On this system the allocator only counts. See [`docs/platforms.md`].
    ///
    /// [`docs/platforms.md`]: https://github.com/memprof/memprof/blob/main/docs/platforms.md
    NeedsLinux,
    /// A recording is under way, perhaps started by `memprof run`.
    AlreadyRecording,
    /// The program runs with more rights than its caller (setuid and the like).
    Privileged,
    /// The profile could not be made.
    File {
        /// Where.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The system refuses memory for the recorder's tables.
    Memory,
}

impl StartError {
    fn from_refusal(refusal: Refusal, path: PathBuf) -> StartError {
        let number = match refusal {
            Refusal::NeedsLinux => return StartError::NeedsLinux,
            Refusal::AlreadyRecording => return StartError::AlreadyRecording,
            Refusal::Privileged => return StartError::Privileged,
            Refusal::Memory => return StartError::Memory,
            Refusal::PathTooLong => os::NAME_TOO_LONG,
            Refusal::File(OpenFailure::Exists) => os::EXISTS,
            Refusal::File(
                OpenFailure::Create(number)
                | OpenFailure::Reserve(number)
                | OpenFailure::Map(number),
            ) => number,
        };
        StartError::File {
            path,
            error: io::Error::from_raw_os_error(number),
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::NotInstalled => f.write_str(
                "the program's allocator is not ProfilerAlloc; add to main.rs: \
                 #[global_allocator] static ALLOC: profiler_alloc::ProfilerAlloc = profiler_alloc::ProfilerAlloc::system();",
            ),
            StartError::NeedsLinux => f.write_str(
                "recording needs 64-bit Linux; here, stats() and the attributes measure without one",
            ),
            StartError::AlreadyRecording => {
                f.write_str("a recording is under way already; end it first, or run without `memprof run`")
            }
            StartError::Privileged => f.write_str("a program with raised privileges is not recorded"),
            StartError::File { path, error } => {
                write!(f, "cannot make the profile {}: {error}; choose another path", path.display())
            }
            StartError::Memory => f.write_str("the system refuses memory for recording; raise the limit on address space"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::File { error, .. } => Some(error),
            _ => None,
        }
    }
}
