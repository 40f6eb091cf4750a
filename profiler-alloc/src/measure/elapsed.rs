//! `elapsed_timer`: how long a call took, on the wall clock and in CPU time.

use core::marker::PhantomData;
use core::sync::atomic::{AtomicBool, Ordering};
use std::borrow::Cow;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::enabled;
use super::exit::{self, ExitHook};
use super::histogram::Histogram;
use super::output;
use super::report::Report;
use super::report::elapsed::{ElapsedReport, ElapsedSummary};
use super::scope::{Entered, Scope};
use crate::counters::thread_counts::Untracked;
use crate::ffi::os;

/// A function with the attribute.
#[doc(hidden)]
#[derive(Debug)]
pub struct ElapsedSite {
    label: &'static str,
    /// Durations, if calls are summed up rather than reported one by one.
    histogram: Option<Mutex<Histogram>>,
    registered: AtomicBool,
    said: AtomicBool,
}

impl ElapsedSite {
    /// A site that has seen no call.
    pub const fn new(label: &'static str, summary: bool) -> ElapsedSite {
        ElapsedSite {
            label,
            histogram: if summary {
                Some(Mutex::new(Histogram::new()))
            } else {
                None
            },
            registered: AtomicBool::new(false),
            said: AtomicBool::new(false),
        }
    }
}

impl ExitHook for ElapsedSite {
    fn on_exit(&self) {
        let _untracked = Untracked::begin();
        let histogram = self.histogram.as_ref();
        let spread = histogram.and_then(|histogram| {
            let histogram = histogram.lock().unwrap_or_else(PoisonError::into_inner);
            histogram.spread()
        });
        if let Some(duration_ns) = spread.filter(|_| !self.said.swap(true, Ordering::Relaxed)) {
            output::send(&Report::ElapsedSummary(ElapsedSummary {
                label: self.label.to_owned(),
                duration_ns,
            }));
        }
    }
}

/// One call under way.
#[doc(hidden)]
#[derive(Debug)]
pub struct ElapsedScope {
    label: Cow<'static, str>,
    site: Option<&'static ElapsedSite>,
    /// Wall clock and CPU time of the process at the start.
    start: Option<(u64, u64)>,
    resumed_cpu: u64,
    thread_cpu: u64,
}

impl ElapsedScope {
    fn new(label: Cow<'static, str>, site: Option<&'static ElapsedSite>) -> ElapsedScope {
        ElapsedScope {
            label,
            site,
            start: None,
            resumed_cpu: 0,
            thread_cpu: 0,
        }
    }
}

impl Scope for ElapsedScope {
    fn resume(&mut self) {
        if self.start.is_none() {
            origin();
            self.start = Some((os::now_ns(), os::cpu_ns()));
        }
        self.resumed_cpu = os::thread_cpu_ns();
    }

    fn pause(&mut self) {
        self.thread_cpu += os::thread_cpu_ns().saturating_sub(self.resumed_cpu);
    }
}

impl Drop for ElapsedScope {
    fn drop(&mut self) {
        let Some((start, start_cpu)) = self.start else {
            return;
        };
        let (end, end_cpu) = (os::now_ns(), os::cpu_ns());
        let _untracked = Untracked::begin();
        // Taken out, so that it is dropped here.
        let label = core::mem::take(&mut self.label);
        let duration_ns = end.saturating_sub(start);
        let site = self
            .site
            .and_then(|site| Some((site, site.histogram.as_ref()?)));
        if let Some((site, histogram)) = site {
            exit::register(site, &site.registered);
            let mut histogram = histogram.lock().unwrap_or_else(PoisonError::into_inner);
            return histogram.add(i64::try_from(duration_ns).unwrap_or(i64::MAX));
        }
        output::send(&Report::Elapsed(ElapsedReport {
            label: label.into_owned(),
            start_ns: start.saturating_sub(origin()),
            end_ns: end.saturating_sub(origin()),
            duration_ns,
            thread_cpu_ns: self.thread_cpu,
            process_cpu_ns: end_cpu.saturating_sub(start_cpu),
        }));
    }
}

/// When the program started.
fn origin() -> u64 {
    static ORIGIN: OnceLock<u64> = OnceLock::new();
    *ORIGIN.get_or_init(|| {
        let _untracked = Untracked::begin();
        os::started_ns().unwrap_or_else(os::now_ns)
    })
}

/// One call of a function with the attribute.
#[doc(hidden)]
pub fn scope(site: &'static ElapsedSite) -> Option<ElapsedScope> {
    enabled::is_on().then(|| ElapsedScope::new(Cow::Borrowed(site.label), Some(site)))
}

/// Times a closure and reports under `label`.
///
/// ```
/// let sum: u64 = profiler_alloc::elapsed_timer("sum", || (1..1000).sum());
/// assert_eq!(sum, 499_500);
/// ```
pub fn elapsed_timer<R>(label: &str, timed: impl FnOnce() -> R) -> R {
    let _timer = ElapsedTimer::start(label);
    timed()
}

/// Times from where it is started to where it is dropped, in the middle of a function.
///
/// ```
/// use profiler_alloc::measure::ElapsedTimer;
///
/// let timer = ElapsedTimer::start("the slow part");
/// let sum: u64 = (1..1000).sum();
/// drop(timer); // reports
/// # assert_eq!(sum, 499_500);
/// ```
#[derive(Debug)]
#[must_use = "it reports when it is dropped"]
pub struct ElapsedTimer {
    _running: Entered<Option<ElapsedScope>>,
    /// It is the calling thread that is measured.
    _thread: PhantomData<*const ()>,
}

impl ElapsedTimer {
    /// Starts under a label.
    pub fn start(label: &str) -> ElapsedTimer {
        let scope = enabled::is_on().then(|| {
            let _untracked = Untracked::begin();
            ElapsedScope::new(Cow::Owned(label.to_owned()), None)
        });
        ElapsedTimer {
            _running: Entered::new(scope),
            _thread: PhantomData,
        }
    }
}
