//! Budgets: limits on what a scope may use, for tests. Only the scope's own threads of execution
//! count, so tests that run beside each other do not disturb each other.

mod broken;

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
use crate::counters::thread_counts::{self, Untracked};

pub use broken::{Broken, Limit, LineUse, QueryUse};

/// Lines that a failure names.
const NAMED: usize = 5;

/// What a scope may use; nothing is limited that is not named.
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
        }
    }

    /// The scope may hold at most so many bytes of what it takes itself, at any moment. Blocks from
    /// before that it frees are no credit.
    pub const fn max_heap(mut self, bytes: u64) -> Budget {
        self.max_heap = Some(bytes);
        self
    }

    /// The scope may allocate, or reallocate, at most so often.
    pub const fn max_allocations(mut self, count: u64) -> Budget {
        self.max_allocations = Some(count);
        self
    }

    /// The scope may run at most so many queries, of libraries that tell of them: see
    /// [`queries`](crate::queries).
    pub const fn max_queries(mut self, count: u64) -> Budget {
        self.max_queries = Some(count);
        self
    }

    /// The scope must run exactly so many queries.
    pub const fn num_queries(mut self, count: u64) -> Budget {
        self.num_queries = Some(count);
        self
    }

    /// The scope may take at most so long. Machines are noisy: leave room, or a busy machine breaks
    /// the budget.
    pub const fn max_time(mut self, time: Duration) -> Budget {
        self.max_time = Some(time);
        self
    }

    /// The scope must free what it allocates. What it returns to its caller counts as not freed,
    /// and blocks from before that it frees are no credit.
    pub const fn no_leaks(mut self) -> Budget {
        self.no_leaks = true;
        self
    }

    /// Runs `scope` and says whether it kept to the budget. If wrappers are switched off it did.
    ///
    /// # Errors
    /// If a limit was broken, or cannot be checked.
    #[track_caller]
    pub fn check<R>(self, scope: impl FnOnce() -> R) -> Result<R, Broken> {
        if !enabled::is_on() {
            return Ok(scope());
        }
        let mut used = Used::new(&self, OpenedAt::Spot(Location::caller()));
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
    fn new(budget: &Budget, site: OpenedAt) -> Used {
        let queries =
            (budget.limits_queries()).then(|| Collector::new(site, CollectOptions::default()));
        let mut used = Used::default();
        used.queries = queries;
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
        if budget.limits_memory() && !installed::is_heap_known() {
            limits.push(Limit::Unknown);
        } else {
            let counts = self.counter.counts();
            let used = self.counter.peak().max(0) as u64;
            let heap = budget.max_heap.filter(|&limit| used > limit);
            limits.extend(heap.map(|limit| Limit::Heap { limit, used }));
            let used = counts.allocations;
            let allocations = budget.max_allocations.filter(|&limit| used > limit);
            limits.extend(allocations.map(|limit| Limit::Allocations { limit, used }));
            let bytes = self.counter.left().max(0) as u64;
            limits.extend((budget.no_leaks && bytes > 0).then_some(Limit::Leak { bytes }));
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
            lines,
            queries,
        })
    }
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
        used: site.map_or_else(Used::default, |site| Used::new(&budget, site.site())),
        budget,
        is_complete: false,
    })
}
