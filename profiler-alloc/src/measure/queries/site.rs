//! `query_profiler`: one scope, and the function it stands on.

use core::marker::PhantomData;
use core::panic::Location;
use core::sync::atomic::{AtomicBool, Ordering};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::collection::Collected;
use super::frame::{Frame, FrameVisit};
use super::model::{CollectOptions, OpenedAt, Origin};
use crate::counters::thread_counts::Untracked;
use crate::measure::enabled;
use crate::measure::exit::{self, ExitHook};
use crate::measure::histogram::Histogram;
use crate::measure::output;
use crate::measure::report::Report;
use crate::measure::report::query::{Findings, QueryReport, QuerySummary};
use crate::measure::scope::{Entered, Scope};

/// Statements that a summary tells apart, and those that it shows.
const STATEMENTS: usize = 1000;
const STATEMENTS_SHOWN: usize = 10;

/// What a scope reports.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct QueryOptions {
    /// The SQL with its values.
    pub values: bool,
    /// SQLite's plan of slow queries.
    pub explain: bool,
    /// A query is slow from here on, in nanoseconds.
    pub slow_ns: u64,
    /// One report of all calls at the end.
    pub summary: bool,
    /// Queries shown one by one.
    pub limit: usize,
}

impl QueryOptions {
    /// Those of a scope that asks for nothing.
    pub const USUAL: QueryOptions = QueryOptions {
        values: false,
        explain: false,
        slow_ns: 100_000_000,
        summary: false,
        limit: 1000,
    };

    fn wanted(&self) -> CollectOptions {
        CollectOptions {
            values: self.values,
            plan_from_ns: self.explain.then_some(self.slow_ns),
        }
    }
}

/// A function with an attribute that looks at its queries.
#[doc(hidden)]
#[derive(Debug)]
pub struct QuerySite {
    origin: Origin,
    options: QueryOptions,
    totals: Mutex<Option<QueryTotals>>,
    registered: AtomicBool,
    said: AtomicBool,
}

#[derive(Debug)]
struct QueryTotals {
    queries: Histogram,
    time_ns: Histogram,
    with_n_plus_one: u64,
    /// As one of them was written, and how often, by what makes them alike.
    statements: HashMap<u64, (Arc<str>, u64)>,
}

impl QuerySite {
    /// A site that has seen no call. `line` is that of the `fn`.
    pub const fn new(
        label: &'static str,
        file: &'static str,
        line: u32,
        options: QueryOptions,
    ) -> QuerySite {
        QuerySite {
            origin: Origin { label, file, line },
            options,
            totals: Mutex::new(None),
            registered: AtomicBool::new(false),
            said: AtomicBool::new(false),
        }
    }

    pub(super) fn origin(&'static self) -> &'static Origin {
        &self.origin
    }

    /// As the place where a scope is opened.
    pub(in crate::measure) fn site(&'static self) -> OpenedAt {
        OpenedAt::Attribute(&self.origin)
    }

    fn add(&'static self, report: &QueryReport) {
        exit::register(self, &self.registered);
        let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        let totals = totals.get_or_insert_with(|| QueryTotals {
            queries: Histogram::new(),
            time_ns: Histogram::new(),
            with_n_plus_one: 0,
            statements: HashMap::new(),
        });
        totals.queries.add(report.count() as i64);
        totals.time_ns.add(report.total_ns() as i64);
        totals.with_n_plus_one += u64::from(!report.findings.n_plus_one.is_empty());
        for query in &report.queries {
            if let Some((_, times)) = totals.statements.get_mut(&query.shape) {
                *times += 1;
            } else if totals.statements.len() < STATEMENTS {
                let first = (Arc::clone(&query.normalised), 1);
                totals.statements.insert(query.shape, first);
            }
        }
    }

    fn summary(&self) -> Option<QuerySummary> {
        let totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        let totals = totals.as_ref()?;
        let mut statements: Vec<_> = totals.statements.values().cloned().collect();
        statements.sort_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(&other.0)));
        statements.truncate(STATEMENTS_SHOWN);
        Some(QuerySummary {
            label: self.origin.label.to_owned(),
            queries: totals.queries.spread()?,
            time_ns: totals.time_ns.spread()?,
            calls_with_n_plus_one: totals.with_n_plus_one,
            statements,
        })
    }
}

impl ExitHook for QuerySite {
    fn on_exit(&self) {
        let _untracked = Untracked::begin();
        let summary = self.summary();
        if let Some(summary) = summary.filter(|_| !self.said.swap(true, Ordering::Relaxed)) {
            output::send(&Report::QuerySummary(summary));
        }
    }
}

/// A scope that collects queries from its first run on.
#[derive(Debug)]
pub struct Collector {
    site: OpenedAt,
    wanted: CollectOptions,
    open: Option<(FrameVisit, bool)>,
}

impl Collector {
    pub fn new(site: OpenedAt, wanted: CollectOptions) -> Collector {
        let open = None;
        Collector { site, wanted, open }
    }

    /// What has been collected; `None` for an inner call, whose queries are the outer one's.
    pub fn close(&mut self) -> Option<Collected> {
        let (visit, is_outermost) = self.open.take()?;
        is_outermost.then(|| visit.frame().collection.close())
    }
}

impl Scope for Collector {
    fn resume(&mut self) {
        let _untracked = Untracked::begin();
        let (visit, _) = self.open.get_or_insert_with(|| {
            let (frame, is_outermost) = Frame::open(self.site, self.wanted);
            (FrameVisit::new(frame), is_outermost)
        });
        visit.resume();
    }

    fn pause(&mut self) {
        let _untracked = Untracked::begin();
        if let Some((visit, _)) = &mut self.open {
            visit.pause();
        }
    }
}

/// One call under way.
#[doc(hidden)]
#[derive(Debug)]
pub struct QueryScope {
    label: Cow<'static, str>,
    options: QueryOptions,
    site: Option<&'static QuerySite>,
    collecting: Collector,
}

impl QueryScope {
    fn new(
        label: Cow<'static, str>,
        options: QueryOptions,
        site: OpenedAt,
        summed: Option<&'static QuerySite>,
    ) -> QueryScope {
        QueryScope {
            label,
            options,
            site: summed,
            collecting: Collector::new(site, options.wanted()),
        }
    }

    fn report(&mut self, collected: Collected) -> QueryReport {
        let (mut queries, mut of_libraries) = (collected.queries, collected.of_libraries);
        if !self.options.values {
            // A scope around this one may have asked for them.
            let all = queries.iter_mut().chain(&mut of_libraries);
            all.for_each(|query| query.sql = None);
        }
        QueryReport {
            label: core::mem::take(&mut self.label).into_owned(),
            lost: collected.lost,
            inner_calls: collected.inner_calls,
            slow_ns: self.options.slow_ns,
            findings: Findings::of(&queries, self.options.slow_ns),
            shown: self.options.limit,
            has_values: self.options.values,
            queries,
            of_libraries,
        }
    }
}

impl Scope for QueryScope {
    fn resume(&mut self) {
        self.collecting.resume();
    }

    fn pause(&mut self) {
        self.collecting.pause();
    }
}

impl Drop for QueryScope {
    fn drop(&mut self) {
        let _untracked = Untracked::begin();
        // Taken out, so that it is dropped here; so is what it collected.
        let collected = self.collecting.close();
        let Some(collected) = collected else {
            self.label = Cow::Borrowed("");
            return;
        };
        let report = self.report(collected);
        match self.site.filter(|site| site.options.summary) {
            Some(site) => site.add(&report),
            None => output::send(&Report::Query(report)),
        }
    }
}

/// One call of a function with the attribute.
#[doc(hidden)]
pub fn scope(site: &'static QuerySite) -> Option<QueryScope> {
    let label = Cow::Borrowed(site.origin.label);
    enabled::is_on().then(|| QueryScope::new(label, site.options, site.site(), Some(site)))
}

/// Reports the queries that a closure runs, under `label`. The line shown for each is that of this
/// call: only the attribute knows the lines inside.
///
/// ```
/// use profiler_alloc::queries::{QueryEvent, record};
///
/// let sum = profiler_alloc::query_profiler("sum", || {
///     record(QueryEvent::new("my database", "SELECT 1")); // what a library's hook does
///     1
/// });
/// assert_eq!(sum, 1);
/// ```
#[track_caller]
pub fn query_profiler<R>(label: &str, work: impl FnOnce() -> R) -> R {
    let _running = QueryProfiler::start(label);
    work()
}

/// Reports the queries from where it is started to where it is dropped, in the middle of a
/// function. The line shown for each is that of the start.
///
/// ```
/// use profiler_alloc::measure::QueryProfiler;
///
/// let profiler = QueryProfiler::start("the part with the queries");
/// // …
/// drop(profiler); // reports
/// ```
#[derive(Debug)]
#[must_use = "it reports when it is dropped"]
pub struct QueryProfiler {
    _running: Entered<Option<QueryScope>>,
    /// It is the calling thread whose queries are reported.
    _thread: PhantomData<*const ()>,
}

impl QueryProfiler {
    /// Starts under a label.
    #[track_caller]
    pub fn start(label: &str) -> QueryProfiler {
        QueryProfiler::start_with(label, QueryOptions::USUAL)
    }

    /// Starts under a label, and shows the values of queries.
    #[track_caller]
    pub fn start_with_values(label: &str) -> QueryProfiler {
        let options = QueryOptions {
            values: true,
            ..QueryOptions::USUAL
        };
        QueryProfiler::start_with(label, options)
    }

    #[track_caller]
    fn start_with(label: &str, options: QueryOptions) -> QueryProfiler {
        let site = OpenedAt::Spot(Location::caller());
        let scope = enabled::is_on().then(|| {
            let _untracked = Untracked::begin();
            QueryScope::new(Cow::Owned(label.to_owned()), options, site, None)
        });
        QueryProfiler {
            _running: Entered::new(scope),
            _thread: PhantomData,
        }
    }
}
