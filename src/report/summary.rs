//! The summary's model: the recording as a whole, and the lines that matter most.

use super::attribution::Attribution;
use super::{
    Asked, ContextKey, Figures, Filter, Loss, Metric, NoMatch, Recording, Resident,
    ResidentAccount, Sampling, Scope, sums,
};
use crate::defect::Defect;
use crate::profile::{BlockCount, Profile, Thread};
use crate::source::Sources;
use crate::symbolize::Symbols;
use profiler_alloc_format::heaps::MAIN;

/// A recording at a glance.
#[derive(Clone, PartialEq, Debug)]
pub struct Summary {
    /// Which program, when, and its exact totals.
    pub recording: Recording,
    /// How it was sampled.
    pub sampling: Sampling,
    /// Every line that allocated, by the innermost frame of the user's own source; most allocated
    /// first. Each block counts for one line only, so that these add up to the whole.
    pub lines: Vec<TopLine>,
    /// What was allocated with no frame of the user's own source on the stack.
    pub elsewhere: Figures,
    /// All heaps, the main one first; empty if there is no other.
    pub heaps: Vec<HeapRow>,
    /// Where the resident memory was, when most was and at the end; empty where nobody looked.
    pub resident: Vec<ResidentAccount>,
    /// For whom it was, key by key; without lines. Empty if the program names no contexts.
    pub contexts: Vec<ContextKey>,
    /// What could not be charged to any stack.
    pub unattributed: Figures,
    /// Size histogram, smallest first, without the empty classes at both ends.
    pub sizes: Vec<SizeBar>,
    /// Threads, most allocated first.
    pub threads: Vec<ThreadRow>,
    /// The recorder's own cost.
    pub own: OwnCost,
    /// What the recorder could not keep.
    pub losses: Vec<Loss>,
    /// What is wrong with the profile, or missing beside it.
    pub defects: Vec<Defect>,
}

/// What a line allocated itself, or let a dependency allocate.
#[derive(Clone, PartialEq, Debug)]
pub struct TopLine {
    /// The source file.
    pub file: String,
    /// From 1. `None` where lines are not known.
    pub line: Option<u32>,
    /// The function, or `module+0xoffset` where lines are not known.
    pub function: String,
    /// The figures of this line alone.
    pub figures: Figures,
}

/// What was done in one heap, exactly.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeapRow {
    /// Its name: `malloc`, `mapped`, or what the program calls it.
    pub name: String,
    /// In use at the end or now, in bytes.
    pub in_use: i64,
    /// Highest in use, in bytes: each heap at its own peak.
    pub peak: i64,
    /// Bytes allocated.
    pub alloc_bytes: u64,
    /// Blocks allocated; reallocated ones are not counted again.
    pub allocs: u64,
    /// Bytes freed.
    pub freed_bytes: u64,
}

/// Blocks of one power-of-two range of sizes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SizeBar {
    /// Smallest size, in bytes.
    pub from: u64,
    /// Largest size, in bytes.
    pub to: u64,
    /// Blocks allocated.
    pub count: i64,
    /// Bytes allocated.
    pub bytes: u64,
}

/// What a thread did. A record is taken over by a later thread when its own has ended: then the
/// name is the latest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ThreadRow {
    /// Name; empty if unknown.
    pub name: String,
    /// The system's thread number.
    pub tid: u32,
    /// Whether it still ran when the profile ends.
    pub running: bool,
    /// Exact bytes allocated, those of earlier threads of the same record included.
    pub alloc_bytes: u64,
    /// Exact bytes freed, those of earlier threads of the same record included.
    pub freed_bytes: u64,
    /// Exact bytes allocated by the thread of this name alone.
    pub own_alloc_bytes: u64,
}

/// What the recorder cost the program.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct OwnCost {
    /// Measured time, in nanoseconds.
    pub time_ns: u64,
    /// The part of it for what was only counted while it was recorded, in nanoseconds.
    pub unsampled_ns: u64,
    /// CPU time of the whole process, in nanoseconds; 0 if unknown.
    pub cpu_ns: u64,
    /// Memory beside the profile's file, in bytes.
    pub bytes: u64,
    /// Stacks walked by frame pointers.
    pub frame_pointer_walks: u64,
    /// Stacks walked by unwind tables.
    pub table_walks: u64,
}

impl Summary {
    /// The summary of a profile, by lines of the user's own source. `defects` are those of the
    /// stages before.
    pub fn new(
        profile: &Profile,
        symbols: &Symbols,
        sources: &mut Sources,
        defects: Vec<Defect>,
    ) -> Summary {
        Summary::of_scope(profile, symbols, sources, Scope::User, defects)
    }

    /// The same by lines of `scope`.
    pub fn of_scope(
        profile: &Profile,
        symbols: &Symbols,
        sources: &mut Sources,
        scope: Scope,
        mut defects: Vec<Defect>,
    ) -> Summary {
        let header = &profile.header;
        let walks =
            |of: fn(&Thread) -> u64| profile.threads.iter().map(of).fold(0, u64::saturating_add);
        let (lines, elsewhere) = lines(profile, symbols, sources, scope);
        defects.append(&mut sources.take_defects());
        Summary {
            recording: Recording::of(profile),
            sampling: Sampling::of(profile),
            resident: Resident::highest_and_last_of(profile),
            lines,
            elsewhere,
            heaps: heaps(profile),
            contexts: contexts(profile, symbols, sources),
            unattributed: Figures::of(&profile.unattributed, None),
            sizes: sizes(profile),
            threads: threads(profile),
            own: OwnCost {
                time_ns: header.own_ns,
                unsampled_ns: header.unsampled_ns,
                cpu_ns: header.cpu_ns,
                bytes: header.own_bytes,
                frame_pointer_walks: walks(|thread| thread.frame_pointer_walks),
                table_walks: walks(|thread| thread.table_walks),
            },
            losses: Loss::of(profile),
            defects,
        }
    }

    /// Keeps the lines that `filter` says; what is elsewhere is none of them.
    pub fn select(&mut self, filter: &Filter) -> Result<(), NoMatch> {
        if !filter.is_empty() {
            filter.apply(&mut self.lines, |line| &line.file, |line| &line.function)?;
            self.elsewhere = Figures::default();
            // Nor are contexts of lines.
            self.contexts.clear();
        }
        Ok(())
    }

    /// The `count` lines with the highest `figure`, highest first; lines where it is not above 0
    /// are left out.
    pub fn top(&self, count: usize, figure: impl Fn(&Figures) -> i64) -> Vec<&TopLine> {
        let mut lines: Vec<&TopLine> = (self.lines.iter())
            .filter(|line| figure(&line.figures) > 0)
            .collect();
        lines.sort_by_key(|line| std::cmp::Reverse(figure(&line.figures)));
        lines.truncate(count);
        lines
    }
}

fn lines(
    profile: &Profile,
    symbols: &Symbols,
    sources: &mut Sources,
    scope: Scope,
) -> (Vec<TopLine>, Figures) {
    let attribution = Attribution::new(profile, symbols, sources, scope);
    let mut lines = Vec::new();
    let mut elsewhere = Figures::default();
    for (place, totals) in sums::exclusive(profile, &profile.stacks, symbols, &attribution) {
        let figures = Figures::of(&totals, None);
        let Some(place) = place else {
            elsewhere = figures;
            continue;
        };
        let code = symbols.code(place.code);
        let (file, function) = attribution.title(place.table);
        lines.push(TopLine {
            file: file.to_owned(),
            line: code.line,
            function: code.offset.clone().unwrap_or(function),
            figures,
        });
    }
    lines.sort_by(|a, b| {
        let allocated = |line: &TopLine| std::cmp::Reverse(line.figures.allocated.bytes);
        (allocated(a).cmp(&allocated(b))).then_with(|| (&a.file, a.line).cmp(&(&b.file, b.line)))
    });
    (lines, elsewhere)
}

fn heaps(profile: &Profile) -> Vec<HeapRow> {
    // Of one heap alone there are no others.
    if profile.heaps.is_empty() || profile.of_heap.is_some() {
        return Vec::new();
    }
    let counters = profile.counters();
    let main = HeapRow {
        name: MAIN.to_owned(),
        in_use: profile.heap(),
        peak: profile.peak(),
        alloc_bytes: counters.alloc_bytes,
        allocs: counters.allocs,
        freed_bytes: counters.freed_bytes,
    };
    let others = profile.heaps.iter().map(|heap| HeapRow {
        name: heap.name.clone(),
        in_use: heap.in_use(),
        peak: heap.peak,
        alloc_bytes: heap.counters.alloc_bytes,
        allocs: heap.counters.allocs,
        freed_bytes: heap.counters.freed_bytes,
    });
    let mut rows: Vec<HeapRow> = [main].into_iter().chain(others).collect();
    rows[1..].sort_by_key(|row| std::cmp::Reverse(row.peak));
    rows
}

fn contexts(profile: &Profile, symbols: &Symbols, sources: &mut Sources) -> Vec<ContextKey> {
    let ask = Asked {
        key: None,
        metric: Metric::Peak,
        looked_into: 0,
        lines: 0,
        scope: Scope::User,
    };
    let keys = profile.contexts.keys().into_iter();
    keys.map(|key| ContextKey::new(profile, symbols, sources, key, &ask))
        .collect()
}

fn sizes(profile: &Profile) -> Vec<SizeBar> {
    let bars: Vec<SizeBar> = (profile.sizes.iter().enumerate())
        .map(|(class, record)| SizeBar {
            from: if class == 0 { 0 } else { 1 << (class - 1) },
            to: if class == 0 {
                0
            } else {
                u64::MAX >> (64 - class)
            },
            count: BlockCount(record.count as i64).rounded(),
            bytes: record.bytes,
        })
        .collect();
    let used = |bar: &SizeBar| bar.count != 0 || bar.bytes != 0;
    let Some(first) = bars.iter().position(used) else {
        return Vec::new();
    };
    let last = bars.iter().rposition(used).unwrap_or(first);
    bars[first..=last].to_vec()
}

fn threads(profile: &Profile) -> Vec<ThreadRow> {
    let mut rows: Vec<ThreadRow> = (profile.threads.iter())
        .filter(|thread| thread.tid != 0 || thread.counters != Default::default())
        .map(|thread| ThreadRow {
            name: thread.name.clone(),
            tid: thread.tid,
            running: thread.running,
            alloc_bytes: thread.counters.alloc_bytes,
            freed_bytes: thread.counters.freed_bytes,
            own_alloc_bytes: thread.own_alloc_bytes,
        })
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.alloc_bytes));
    rows
}
