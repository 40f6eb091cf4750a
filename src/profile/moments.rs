//! The moments of which it is known what each stack had live, and by which blocks.

use profiler_alloc_format::moments::{ALIVE, LAST_SERIAL, MARK, MAX_NAME_LEN, parts, split};
use profiler_alloc_format::{Age, Cohort, Snapshot, Stack};

use super::counters::Counters;
use super::totals::{BlockCount, Totals};

/// A moment that the recorder kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptMoment {
    /// Its number, in the order of time. Those in between were dropped.
    pub serial: u32,
    /// Nanoseconds since the start.
    pub time_ns: u64,
    /// The name that the program or its user gave it; `None` of one that the clock made.
    pub mark: Option<String>,
    /// Heap in use then, in bytes.
    pub heap: i64,
    /// What the process had done by then.
    pub counters: Counters,
}

/// The moments of a profile, and what was live at each.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Moments {
    /// In the order of time.
    pub all: Vec<KeptMoment>,
    /// By the numbers of their stacks.
    cohorts: Vec<StackCohort>,
}

/// Blocks of one stack that were allocated between the same two moments, and freed between the
/// same two.
#[derive(Clone, Copy, PartialEq, Debug)]
struct StackCohort {
    stack: u32,
    /// Serial number of the last moment before they were allocated; 0 if there was none.
    birth: u32,
    /// That of the last moment before they were freed; [`ALIVE`] if they were not.
    last: u32,
    bytes: i64,
    count: i64,
    variance: f64,
    count_variance: f64,
}

/// The records that moments are made of.
pub(super) struct MomentRecords<'a> {
    /// As they were before the others were read, and after.
    pub snapshots: [&'a [Snapshot]; 2],
    pub ages: &'a [Age],
    pub cohorts: &'a [Cohort],
    pub stacks: &'a [Stack],
}

impl Moments {
    /// Decodes the records. The second value counts those that cannot be.
    pub(super) fn of(
        records: &MomentRecords<'_>,
        text: impl Fn(u32, u32) -> String,
    ) -> (Moments, u64) {
        let mut damaged = 0;
        let [before, after] = records.snapshots;
        let mut all: Vec<KeptMoment> = Vec::new();
        // One that was dropped meanwhile may have lost its cohorts, and one that was taken
        // meanwhile has not all of them.
        let both = before.iter().filter(|&record| after.contains(record));
        for record in both.filter(|record| record.serial != 0) {
            let moment = moment(record, &text);
            damaged += u64::from(moment.is_none());
            all.extend(moment);
        }
        all.sort_by_key(|moment| moment.serial);
        let count = all.len();
        all.dedup_by_key(|moment| moment.serial);
        damaged += (count - all.len()) as u64;
        if all.is_empty() {
            return (Moments::default(), damaged);
        }
        let mut cohorts = Vec::new();
        for record in records.cohorts {
            // A record without a key is being made.
            let Some((stack, birth, last)) = parts(record.key) else {
                continue;
            };
            let is_known = (stack as usize) < records.stacks.len() && birth < last;
            damaged += u64::from(!is_known);
            if is_known {
                cohorts.push(StackCohort {
                    stack,
                    birth,
                    last,
                    bytes: record.bytes as i64,
                    count: record.count as i64,
                    variance: finite(record.variance),
                    count_variance: finite(record.count_variance),
                });
            }
        }
        for (stack, record) in (0..).zip(records.stacks) {
            let age = records.ages.get(stack as usize);
            cohorts.extend(newest(stack, record, age));
        }
        cohorts.sort_by_key(|cohort| cohort.stack);
        (Moments { all, cohorts }, damaged)
    }

    /// The cohorts of a stack: by how many moments each was born, and was last live, and its bytes.
    /// What still lives was last live one moment after all that there are.
    pub(super) fn by_place(&self, stack: u32) -> impl Iterator<Item = (usize, usize, i64)> {
        let up_to = |serial: u32| self.all.partition_point(|moment| moment.serial <= serial);
        self.of_stack(stack).map(move |cohort| {
            let last = match cohort.last {
                ALIVE => self.all.len() + 1,
                last => up_to(last),
            };
            (up_to(cohort.birth), last, cohort.bytes)
        })
    }

    fn of_stack(&self, stack: u32) -> impl Iterator<Item = &StackCohort> {
        let first = self.cohorts.partition_point(|cohort| cohort.stack < stack);
        let from_there = self.cohorts[first..].iter();
        from_there.take_while(move |cohort| cohort.stack == stack)
    }

    /// What stack number `stack` had live at the moment `at` of what was allocated after `since`,
    /// both serial numbers; `None` stands for the end, and for the beginning.
    pub(super) fn live(&self, stack: u32, since: Option<u32>, at: Option<u32>) -> Totals {
        let mut live = Totals::default();
        for cohort in self.of_stack(stack) {
            let was_live = match at {
                Some(at) => cohort.birth < at && at <= cohort.last,
                None => cohort.last == ALIVE,
            };
            if was_live && since.is_none_or(|since| cohort.birth >= since) {
                live.live_bytes = live.live_bytes.saturating_add(cohort.bytes);
                live.live_count.0 = live.live_count.0.saturating_add(cohort.count);
                live.live_variance += cohort.variance;
                live.live_count_variance += cohort.count_variance;
            }
        }
        live.live_variance = live.live_variance.max(0.0);
        live.live_count_variance = live.live_count_variance.max(0.0);
        live
    }
}

/// `None` of a record that no recorder writes.
fn moment(record: &Snapshot, text: impl Fn(u32, u32) -> String) -> Option<KeptMoment> {
    let is_mark = record.flags & MARK != 0;
    let time_ns = record.time_ns.checked_sub(1)?;
    (record.serial <= LAST_SERIAL).then(|| KeptMoment {
        serial: record.serial,
        time_ns,
        mark: is_mark.then(|| text(record.name_at, record.name_len.min(MAX_NAME_LEN as u32))),
        heap: record.heap as i64,
        counters: Counters {
            allocs: record.allocs,
            frees: record.frees,
            reallocs: record.reallocs,
            alloc_bytes: record.alloc_bytes,
            freed_bytes: record.freed_bytes,
        },
    })
}

/// What a stack has live of its newest generation.
fn newest(stack: u32, record: &Stack, age: Option<&Age>) -> Option<StackCohort> {
    let age = age.copied().unwrap_or(Age::empty());
    let (birth, older_bytes) = split(age.bytes);
    let (_, older_count) = split(age.count);
    let newest = StackCohort {
        stack,
        birth,
        last: ALIVE,
        bytes: (record.live_bytes as i64).wrapping_sub(older_bytes),
        count: (record.live_count as i64).wrapping_sub(older_count),
        variance: finite(record.live_variance) - finite(age.variance),
        count_variance: -finite(age.count_variance),
    };
    ((newest.bytes, newest.count) != (0, 0)).then_some(newest)
}

/// A sum of variances; 0 if it cannot be one.
fn finite(bits: u64) -> f64 {
    Some(f64::from_bits(bits))
        .filter(|variance| variance.is_finite())
        .unwrap_or(0.0)
}

impl Totals {
    /// As if what is live had been allocated and nothing else been done.
    pub(super) fn only_live(&self) -> Totals {
        Totals {
            alloc_bytes: self.live_bytes,
            alloc_count: self.live_count,
            alloc_variance: self.live_variance,
            alloc_count_variance: self.live_count_variance,
            live_bytes: self.live_bytes,
            live_count: self.live_count,
            live_variance: self.live_variance,
            live_count_variance: self.live_count_variance,
            peak_bytes: self.live_bytes,
            peak_count: self.live_count,
            peak_variance: self.live_variance,
            peak_count_variance: self.live_count_variance,
            ..Totals::default()
        }
    }

    /// As if what was live at the peak were so now.
    pub(super) fn at_peak(&self) -> Totals {
        Totals {
            live_bytes: self.peak_bytes,
            live_count: self.peak_count,
            live_variance: self.peak_variance,
            live_count_variance: self.peak_count_variance,
            ..Totals::default()
        }
    }

    /// Whether something is live.
    pub(super) fn has_live(&self) -> bool {
        (self.live_bytes, self.live_count) != (0, BlockCount(0))
    }
}
