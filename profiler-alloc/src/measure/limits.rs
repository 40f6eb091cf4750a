//! Budgets: limits on what a scope may use, for tests. Only the scope's own threads of execution
//! count, so tests that run beside each other do not disturb each other.

mod broken;
mod in_context;

use core::panic::Location;
use std::time::{Duration, Instant};

use super::enabled;
use super::installed;
use super::profile::function::Function;
use super::profile::line_uses::{self, LineUses};
use super::queries::model::{CollectOptions, OpenedAt};
use super::queries::site::{Collector, QuerySite};
use super::scope::{Entered, Scope};
use super::scope_counter::ScopeCounter;
use crate::contexts::names;
use crate::counters::thread_counts::{self, Untracked};

use in_context::ContextUse;

pub use broken::{Broken, Limit, LineUse, QueryUse};

/// Lines that a failure names.
const NAMED: usize = 5;

/// What a scope may use. Only what is set is limited.
///
/// ```
/// use profiler_alloc::ProfilerAlloc;
/// use profiler_alloc::measure::Budget;
///
/// #[global_allocator]
/// static ALLOC: ProfilerAlloc = ProfilerAlloc::system();
///
/// # fn main() {
/// let budget = Budget::new().max_heap(1 << 20).no_leaks();
/// assert!(budget.check(|| vec![0u8; 1 << 19].len()).is_ok());
/// let broken = budget.check(|| vec![0u8; 1 << 21].len()).unwrap_err();
/// assert!(broken.to_string().contains("2.0 MiB"));
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[must_use = "a budget does nothing until something is checked against it"]
pub struct Budget {
    max_heap: Option<u64>,
    max_allocations: Option<u64>,
    max_queries: Option<u64>,
    num_queries: Option<u64>,
    max_time: Option<Duration>,
    no_leaks: bool,
    /// Number of the context that memory is counted of; 0 if it cannot be told from others.
    context: Option<names::Id>,
}

impl Budget {
    /// Without limits.
    pub const fn new() -> Budget {
        Budget {
            max_heap: None,
            max_allocations: None,
            max_queries: None,
            num_queries: None,
            max_time: None,
            no_leaks: false,
            context: None,
        }
    }

    /// The scope may hold at most `bytes` bytes of its own allocations at any moment. Freeing
    /// blocks that are older than the scope is no credit to it.
    pub const fn max_heap(mut self, bytes: u64) -> Budget {
        self.max_heap = Some(bytes);
        self
    }

    /// The scope may allocate or reallocate at most `count` times.
    pub const fn max_allocations(mut self, count: u64) -> Budget {
        self.max_allocations = Some(count);
        self
    }

    /// The scope may run at most `count` queries. Only queries of libraries with a hook are seen:
    /// see [`queries`](crate::queries).
    pub const fn max_queries(mut self, count: u64) -> Budget {
        self.max_queries = Some(count);
        self
    }

    /// The scope must run exactly `count` queries.
    pub const fn num_queries(mut self, count: u64) -> Budget {
        self.num_queries = Some(count);
        self
    }

    /// The scope may take at most `time`. Leave room: on a busy machine everything takes longer.
    pub const fn max_time(mut self, time: Duration) -> Budget {
        self.max_time = Some(time);
        self
    }

    /// The scope must free everything it allocates. What it returns to its caller counts as not
    /// freed, and freeing blocks that are older than the scope is no credit to it.
    pub const fn no_leaks(mut self) -> Budget {
        self.no_leaks = true;
        self
    }

    /// Limits of memory count what is done while the context `value` of `key` is in force, on
    /// whichever thread, instead of what the scope's own thread does. The last one named counts.
    ///
    /// What the context holds is what was allocated in it minus what was freed in it since the
    /// scope began. A thread that entered it before the scope began is seen at its next 64 KiB at
    /// the latest, all others at each operation.
    ///
    /// ```
    /// use profiler_alloc::measure::Budget;
    /// use profiler_alloc::{Context, ProfilerAlloc};
    ///
    /// #[global_allocator]
    /// static ALLOC: ProfilerAlloc = ProfilerAlloc::system();
    ///
    /// # fn main() {
    /// let orders = Context::new("route", "/orders");
    /// let budget = Budget::new().max_heap(10_000).in_context("route", "/orders");
    /// let serve = |bytes| {
    ///     // Nothing of this is the route's.
    ///     let cache = vec![0u8; 1 << 20];
    ///     let work = move || {
    ///         let _context = orders.enter();
    ///         drop(vec![0u8; bytes]);
    ///     };
    ///     std::thread::spawn(work).join().unwrap();
    ///     cache.len()
    /// };
    /// assert!(budget.check(|| serve(9_000)).is_ok());
    /// assert!(budget.check(|| serve(11_000)).is_err());
    /// # }
    /// ```
    pub fn in_context(mut self, key: &str, value: impl AsRef<str>) -> Budget {
        if enabled::is_on() {
            let context = names::context(key, value.as_ref());
            self.context = Some(context.filter(|&id| !names::is_other(id)).unwrap_or(0));
        }
        self
    }

    /// Runs `scope` and checks it against the budget. With wrappers switched off, every scope
    /// passes.
    ///
    /// # Errors
    /// If the scope breaks a limit, or a limit cannot be checked.
    #[track_caller]
    pub fn check<R>(self, scope: impl FnOnce() -> R) -> Result<R, Broken> {
        if !enabled::is_on() {
            return Ok(scope());
        }
        let mut used = Used::new(&self, Some(OpenedAt::Spot(Location::caller())));
        let result = {
            let _running = Entered::new(&mut used);
            scope()
        };
        match used.told(&self) {
            Some(broken) => Err(broken),
            None => Ok(result),
        }
    }

    fn limits_queries(&self) -> bool {
        self.max_queries.is_some() || self.num_queries.is_some()
    }

    fn limits_memory(&self) -> bool {
        self.max_heap.is_some() || self.max_allocations.is_some() || self.no_leaks
    }
}

/// What a scope has used so far.
#[derive(Default, Debug)]
struct Used {
    counter: ScopeCounter,
    time: Duration,
    resumed: Option<Instant>,
    lines: LineUses,
    queries: Option<Collector>,
    /// Of the context that memory is counted of.
    watch: Option<ContextUse>,
}

impl Scope for &mut Used {
    fn resume(&mut self) {
        Scope::resume(*self);
    }

    fn pause(&mut self) {
        Scope::pause(*self);
    }
}

impl Scope for Used {
    fn resume(&mut self) {
        let untracked = Untracked::begin();
        line_uses::open(core::mem::take(&mut self.lines));
        drop(untracked);
        self.queries.resume();
        self.resumed = Some(Instant::now());
        self.counter.resume();
    }

    fn pause(&mut self) {
        self.counter.pause();
        self.time += self
            .resumed
            .take()
            .map_or(Duration::ZERO, |start| start.elapsed());
        self.queries.pause();
        let _untracked = Untracked::begin();
        self.lines = line_uses::close();
    }
}

impl Drop for Used {
    fn drop(&mut self) {
        // The list is memprof's own, also when it goes.
        let _untracked = Untracked::begin();
        self.lines = Vec::new();
        self.close_queries();
    }
}

impl Used {
    /// `site` is where its queries are told of, if they are limited.
    fn new(budget: &Budget, site: Option<OpenedAt>) -> Used {
        let site = site.filter(|_| budget.limits_queries());
        let mut used = Used::default();
        used.queries = site.map(|site| Collector::new(site, CollectOptions::default()));
        let context = budget.context.filter(|&context| context != 0);
        used.watch = context.and_then(ContextUse::begin);
        used
    }

    /// The queries of an inner call count in the outer one.
    fn close_queries(&mut self) -> Option<(u64, Vec<QueryUse>)> {
        let collected = self.queries.take()?.close()?;
        let count = collected.queries.len() as u64 + collected.lost;
        let mut used: Vec<QueryUse> = Vec::new();
        for query in collected.queries {
            let is_same = |other: &&mut QueryUse| {
                other.normalised == query.normalised && other.place == query.place
            };
            match used.iter_mut().find(is_same) {
                Some(known) => known.times += 1,
                None => used.push(QueryUse {
                    normalised: query.normalised,
                    place: query.place,
                    times: 1,
                }),
            }
        }
        Some((count, used))
    }

    /// What was broken, for the program to keep.
    fn told(&mut self, budget: &Budget) -> Option<Broken> {
        thread_counts::given(
            || self.broken(budget),
            |broken| broken.as_ref().map(Broken::copy),
        )
    }

    fn broken(&mut self, budget: &Budget) -> Option<Broken> {
        let mut limits = Vec::new();
        let mut queries = Vec::new();
        if let Some((used, list)) = self.close_queries() {
            let most = budget.max_queries.filter(|&limit| used > limit);
            limits.extend(most.map(|limit| Limit::Queries { limit, used }));
            let exact = budget.num_queries.filter(|&expected| used != expected);
            limits.extend(exact.map(|expected| Limit::NumQueries { expected, used }));
            queries = if limits.is_empty() { Vec::new() } else { list };
        }
        match self.memory(budget.context.is_some()) {
            Ok(memory) => {
                let used = memory.peak.max(0) as u64;
                let heap = budget.max_heap.filter(|&limit| used > limit);
                limits.extend(heap.map(|limit| Limit::Heap { limit, used }));
                let used = memory.allocations;
                let allocations = budget.max_allocations.filter(|&limit| used > limit);
                limits.extend(allocations.map(|limit| Limit::Allocations { limit, used }));
                let bytes = memory.left.max(0) as u64;
                limits.extend((budget.no_leaks && bytes > 0).then_some(Limit::Leak { bytes }));
            }
            Err(unknown) => limits.extend(budget.limits_memory().then_some(unknown)),
        }
        let used = self.time;
        let time = budget.max_time.filter(|&limit| used > limit);
        limits.extend(time.map(|limit| Limit::Time { limit, used }));
        if limits.is_empty() {
            return None;
        }
        let mut lines: Vec<LineUse> = self
            .lines
            .iter()
            .filter(|(_, _, bytes)| *bytes > 0)
            .map(|&(function, slot, bytes)| line_use(function, slot, bytes))
            .collect();
        lines.sort_by_key(|line| core::cmp::Reverse(line.bytes));
        lines.truncate(NAMED);
        Some(Broken {
            limits,
            context: (budget.context.filter(|&context| context != 0)).map(name),
            lines,
            queries,
        })
    }

    /// What was used of memory: by the scope's own thread, or in the context that is watched.
    fn memory(&self, in_context: bool) -> Result<MemoryUse, Limit> {
        if !installed::is_heap_known() {
            return Err(Limit::Unknown);
        }
        match &self.watch {
            Some(watch) => {
                let (done, peak) = watch.so_far();
                Ok(MemoryUse {
                    peak,
                    allocations: done.allocations,
                    left: done.held(),
                })
            }
            None if in_context => Err(Limit::TooManyContexts),
            None => Ok(MemoryUse {
                peak: self.counter.peak(),
                allocations: self.counter.counts().allocations,
                left: self.counter.left(),
            }),
        }
    }
}

/// What a scope has used of memory.
struct MemoryUse {
    /// The most that it held. *Bytes.*
    peak: i64,
    allocations: u64,
    /// What it has not freed. *Bytes.*
    left: i64,
}

/// `route=/orders`
fn name(context: names::Id) -> String {
    let text = String::from_utf8_lossy;
    names::with_name(context, |key, value| {
        format!("{}={}", text(key), text(value))
    })
}

/// What the line of a slot used, by name.
fn line_use(function: &Function, slot: u32, bytes: i64) -> LineUse {
    let about = &function.about;
    LineUse {
        function: about.name(),
        file: about.file,
        line: about.lines.get(slot as usize).copied().unwrap_or(0),
        bytes,
    }
}

/// One call of a function with the attribute.
#[doc(hidden)]
#[derive(Debug)]
pub struct BudgetScope {
    label: &'static str,
    budget: Budget,
    used: Used,
    is_complete: bool,
}

impl Scope for BudgetScope {
    fn resume(&mut self) {
        self.used.resume();
    }

    fn pause(&mut self) {
        self.used.pause();
    }

    fn complete(&mut self) {
        self.is_complete = true;
    }
}

impl Drop for BudgetScope {
    fn drop(&mut self) {
        // A test that fails already says why; a future that is given up half-way has not freed what
        // it will.
        if std::thread::panicking() || !self.is_complete {
            return;
        }
        if let Some(broken) = self.used.told(&self.budget) {
            panic!("{} broke its budget\n{broken}", self.label);
        }
    }
}

/// One call of a function with the attribute.
#[doc(hidden)]
pub fn scope(
    label: &'static str,
    budget: Budget,
    site: Option<&'static QuerySite>,
) -> Option<BudgetScope> {
    enabled::is_on().then(|| BudgetScope {
        label,
        used: Used::new(&budget, site.map(QuerySite::site)),
        budget,
        is_complete: false,
    })
}
