//! `ram_profiler`: the memory of the process before and after a call.

use core::marker::PhantomData;
use core::sync::atomic::{AtomicBool, Ordering};
use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

use super::enabled;
use super::exit::{self, ExitHook};
use super::histogram::Histogram;
use super::installed;
use super::output;
use super::report::Report;
use super::report::ram::{HeapUse, Moment, RamReport, RamSummary};
use super::rss::{self, RssPeak};
use super::scope::{Entered, Scope};
use super::scope_counter::ScopeCounter;
use crate::counters::heap;
use crate::counters::thread_counts::Untracked;

/// What is measured beyond the usual.
#[doc(hidden)]
#[derive(Clone, Copy, Default, Debug)]
pub struct RamOptions {
    pub peak_rss: bool,
    pub summary: bool,
}

/// A function with the attribute.
#[doc(hidden)]
#[derive(Debug)]
pub struct RamSite {
    label: &'static str,
    options: RamOptions,
    calls: Mutex<Calls>,
    registered: AtomicBool,
    said: AtomicBool,
}

#[derive(Debug)]
struct Calls {
    rss: Histogram,
    heap: Histogram,
    heap_peak: Histogram,
}

impl RamSite {
    /// A site that has seen no call.
    pub const fn new(label: &'static str, options: RamOptions) -> RamSite {
        RamSite {
            label,
            options,
            calls: Mutex::new(Calls {
                rss: Histogram::new(),
                heap: Histogram::new(),
                heap_peak: Histogram::new(),
            }),
            registered: AtomicBool::new(false),
            said: AtomicBool::new(false),
        }
    }

    fn add(&'static self, report: &RamReport) {
        exit::register(self, &self.registered);
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.rss.add(report.rss_change());
        if let Some(heap) = &report.heap {
            calls.heap.add(heap.change());
            calls.heap_peak.add(heap.peak.wrapping_sub(heap.before));
        }
    }
}

impl ExitHook for RamSite {
    fn on_exit(&self) {
        let _untracked = Untracked::begin();
        let summary = {
            let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            calls.rss.spread().map(|rss_change| RamSummary {
                label: self.label.to_owned(),
                rss_change,
                heap_change: calls.heap.spread(),
                heap_rise: calls.heap_peak.spread(),
            })
        };
        if let Some(summary) = summary.filter(|_| !self.said.swap(true, Ordering::Relaxed)) {
            output::send(&Report::RamSummary(summary));
        }
    }
}

/// One call under way.
#[doc(hidden)]
#[derive(Debug)]
pub struct RamScope {
    label: Cow<'static, str>,
    options: RamOptions,
    site: Option<&'static RamSite>,
    before: Option<(Moment, i64)>,
    rss_peak: Option<RssPeak>,
    counter: ScopeCounter,
}

impl RamScope {
    fn new(
        label: Cow<'static, str>,
        options: RamOptions,
        site: Option<&'static RamSite>,
    ) -> RamScope {
        RamScope {
            label,
            options,
            site,
            before: None,
            rss_peak: None,
            counter: ScopeCounter::default(),
        }
    }

    /// A call that is summed up needs no look at the system.
    fn moment(&self) -> Moment {
        Moment {
            system_percent: if self.options.summary {
                None
            } else {
                rss::system_percent()
            },
            rss: rss::of_process(),
        }
    }

    fn report(&mut self, before: Moment, heap_before: i64) -> RamReport {
        let after = self.moment();
        let heap_after = heap::heap();
        let peak = self
            .counter
            .process_peak()
            .unwrap_or(heap_before.wrapping_add(self.counter.peak()));
        let counts = self.counter.counts();
        let heap = installed::is_heap_known().then(|| HeapUse {
            before: heap_before,
            after: heap_after,
            peak: peak.max(heap_before).max(heap_after),
            own_allocated: counts.allocated,
            own_freed: counts.freed,
            own_peak: self.counter.peak(),
        });
        RamReport {
            // Taken out, so that it is dropped while the thread is untracked.
            label: core::mem::take(&mut self.label).into_owned(),
            before,
            after,
            heap,
            peak_rss: self.rss_peak.take().and_then(RssPeak::close),
        }
    }
}

impl Scope for RamScope {
    fn resume(&mut self) {
        if self.before.is_none() {
            let _untracked = Untracked::begin();
            let before = self.moment();
            self.rss_peak = match self.options.peak_rss {
                true => RssPeak::open(),
                false => None,
            };
            self.before = Some((before, heap::heap()));
        }
        self.counter.resume();
    }

    fn pause(&mut self) {
        self.counter.pause();
    }
}

impl Drop for RamScope {
    fn drop(&mut self) {
        let Some((before, heap_before)) = self.before else {
            return;
        };
        let _untracked = Untracked::begin();
        let report = self.report(before, heap_before);
        match self.site.filter(|_| self.options.summary) {
            Some(site) => site.add(&report),
            None => output::send(&Report::Ram(report)),
        }
    }
}

/// One call of a function with the attribute.
#[doc(hidden)]
pub fn scope(site: &'static RamSite) -> Option<RamScope> {
    enabled::is_on().then(|| RamScope::new(Cow::Borrowed(site.label), site.options, Some(site)))
}

/// Runs a closure and reports the memory before and after it under `label`.
///
/// ```
/// let list = profiler_alloc::ram_profiler("list", || vec![0u8; 1 << 20]);
/// # drop(list);
/// ```
pub fn ram_profiler<R>(label: &str, measured: impl FnOnce() -> R) -> R {
    let _profiler = RamProfiler::start(label);
    measured()
}

/// Measures from where it is started to where it is dropped, in the middle of a function.
///
/// ```
/// use profiler_alloc::measure::RamProfiler;
///
/// let profiler = RamProfiler::start("list");
/// let list = vec![0u8; 1 << 20];
/// drop(profiler); // reports
/// # drop(list);
/// ```
#[derive(Debug)]
#[must_use = "it reports when it is dropped"]
pub struct RamProfiler {
    _running: Entered<Option<RamScope>>,
    /// It is the calling thread that is measured.
    _thread: PhantomData<*const ()>,
}

impl RamProfiler {
    /// Starts under a label.
    pub fn start(label: &str) -> RamProfiler {
        RamProfiler::with(label, RamOptions::default())
    }

    /// Starts under a label, and asks the system for the highest resident set size inside too.
    ///
    /// This sets the process's own mark back (`VmHWM` in /proc/self/status, and `ru_maxrss`).
    pub fn start_with_peak_rss(label: &str) -> RamProfiler {
        let options = RamOptions {
            peak_rss: true,
            summary: false,
        };
        RamProfiler::with(label, options)
    }

    fn with(label: &str, options: RamOptions) -> RamProfiler {
        let scope = enabled::is_on().then(|| {
            let _untracked = Untracked::begin();
            RamScope::new(Cow::Owned(label.to_owned()), options, None)
        });
        RamProfiler {
            _running: Entered::new(scope),
            _thread: PhantomData,
        }
    }
}
