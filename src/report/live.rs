//! The model of a program that still runs: what its memory is now, and how fast it changes, from
//! two readings of its profile.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::iter;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::naming;
use super::{Bytes, Counters, Figures, Loss, Recording, Sampling, Summary, TopLine};
use crate::defect::Defect;
use crate::profile::{Point, Profile};
use crate::source::Sources;
use crate::symbolize::Symbols;

/// A running program's memory at one reading of its profile.
#[derive(Clone, PartialEq, Debug)]
pub struct Live {
    /// Which program, and its exact totals.
    pub recording: Recording,
    /// How it is sampled.
    pub sampling: Sampling,
    /// Whether the program still runs.
    pub status: ProcessStatus,
    /// When the profile was read, by the reader's clock.
    pub at: Duration,
    /// Resident set size as last recorded, in bytes; 0 if unknown.
    pub rss: u64,
    /// Exact rates since the reading before; `None` at the first.
    pub rates: Option<Rates>,
    /// Every line that allocated, by the innermost frame of the user's own source, and what had
    /// none. Each block counts for one row only.
    pub rows: Vec<LiveRow>,
    /// What could not be charged to any stack.
    pub unattributed: Figures,
    /// Heap and RSS over time.
    pub timeline: Vec<Point>,
    /// What the recorder could not keep.
    pub losses: Vec<Loss>,
    /// What is wrong with the profile, or missing beside it.
    pub defects: Vec<Defect>,
}

/// Whether the recorded program still runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProcessStatus {
    /// It runs.
    Running,
    /// It runs, and has paused the recording.
    Paused,
    /// It ended the recording, and may run on.
    Finished,
    /// It ended in order.
    Ended,
    /// It is gone and did not end in order.
    Killed,
    /// Its process cannot be seen from here.
    Unknown,
}

impl ProcessStatus {
    /// Whether the profile will change no more.
    pub fn is_final(self) -> bool {
        matches!(self, ProcessStatus::Finished | ProcessStatus::Ended)
    }
}

/// What happened in a second, from exact counters.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rates {
    /// Bytes allocated.
    pub alloc_bytes: f64,
    /// Bytes freed.
    pub freed_bytes: f64,
    /// Blocks allocated.
    pub allocs: f64,
    /// Blocks freed.
    pub frees: f64,
    /// Blocks reallocated.
    pub reallocs: f64,
}

/// A line, or everything outside the user's own source.
#[derive(Clone, PartialEq, Debug)]
pub struct LiveRow {
    /// Where. `None` is everything with no frame of the user's own source on the stack.
    pub place: Option<Place>,
    /// The figures of this row alone.
    pub figures: Figures,
    /// Bytes allocated in a second since the reading before; `None` at the first.
    pub rate: Option<Bytes>,
}

/// A line of a function.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Place {
    /// The source file, as it is shown.
    pub file: String,
    /// Where it is. Empty where lines are not known.
    pub path: PathBuf,
    /// From 1. `None` where lines are not known.
    pub line: Option<u32>,
    /// The function, or `module+0xoffset` where lines are not known.
    pub function: String,
}

impl Place {
    /// Whether `other` is the same place, though more of the function's path may be known by now.
    pub fn is(&self, other: &Place) -> bool {
        self.identity() == other.identity()
    }

    fn identity(&self) -> (&str, Option<u32>, &str) {
        (&self.file, self.line, naming::last(&self.function))
    }
}

/// What rows are ordered by, highest first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LiveSort {
    /// Bytes in use now
    #[default]
    Live,
    /// Bytes allocated in a second
    Rate,
    /// Bytes allocated since the start
    Allocated,
    /// Bytes in use at the peak
    Peak,
}

impl LiveSort {
    /// The number that rows are ordered by.
    pub fn figure(self, row: &LiveRow) -> i64 {
        match self {
            LiveSort::Live => row.figures.live.bytes,
            LiveSort::Rate => row.rate.map_or(0, |rate| rate.bytes),
            LiveSort::Allocated => row.figures.allocated.bytes,
            LiveSort::Peak => row.figures.at_peak.bytes,
        }
    }
}

impl Live {
    /// What `profile` says, read at `at` by the reader's clock; rates are since `before`. `defects`
    /// are those of the stages before.
    pub fn new(
        profile: &Profile,
        symbols: &Symbols,
        sources: &mut Sources,
        defects: Vec<Defect>,
        (status, at): (ProcessStatus, Duration),
        before: Option<&Live>,
    ) -> Live {
        let summary = Summary::new(profile, symbols, sources, defects);
        let seconds = before.map(|before| at.saturating_sub(before.at).as_secs_f64());
        let seconds = seconds.filter(|&seconds| seconds > 0.0);
        let counters = before.map(|before| &before.recording.counters);
        Live {
            rates: (counters.zip(seconds))
                .map(|(before, seconds)| rates(&summary.recording.counters, before, seconds)),
            rows: rows(
                summary.lines,
                summary.elsewhere,
                before.zip(seconds),
                sources,
            ),
            recording: summary.recording,
            sampling: summary.sampling,
            status,
            at,
            rss: profile.timeline.last().map_or(0, |point| point.resident()),
            unattributed: summary.unattributed,
            timeline: profile.timeline.clone(),
            losses: summary.losses,
            defects: summary.defects,
        }
    }

    /// The rows whose file or function contains `filter`, whatever its case, in the order of
    /// `sort`; those where nothing was allocated are left out.
    pub fn select(&self, sort: LiveSort, filter: &str) -> Vec<&LiveRow> {
        let filter = filter.to_lowercase();
        let fits = |row: &&LiveRow| {
            let Some(place) = &row.place else {
                return filter.is_empty();
            };
            let contains = |text: &str| text.to_lowercase().contains(&filter);
            contains(&place.file) || contains(&place.function)
        };
        let held = |row: &&LiveRow| {
            let f = &row.figures;
            [f.live, f.allocated, f.at_peak]
                .iter()
                .any(|f| f.bytes != 0)
        };
        let mut rows: Vec<&LiveRow> = self.rows.iter().filter(held).filter(fits).collect();
        // A second order keeps rows from changing places where the first says nothing.
        rows.sort_by_key(|row| Reverse((sort.figure(row), row.figures.allocated.bytes)));
        rows
    }

    /// Heap in use from the start to now in `columns` steps of equal length, in bytes: the highest
    /// known of each step, or what it was before where nothing new is known.
    pub fn heap_over_time(&self, columns: usize) -> Vec<u64> {
        let recording = &self.recording;
        let points = self.timeline.iter();
        let mut known: Vec<(u64, i64)> = iter::once((0, recording.heap_at_start))
            .chain(points.map(|point| (point.time_ns, point.heap as i64)))
            .chain([
                (recording.peak_ns, recording.peak),
                (recording.duration_ns, recording.heap),
            ])
            .collect();
        known.sort_by_key(|&(time_ns, _)| time_ns);
        let end = known.last().map_or(0, |&(time_ns, _)| u128::from(time_ns)) + 1;
        let mut known = known.into_iter().peekable();
        let mut last = 0;
        (1..=columns as u128)
            .map(|column| {
                let before = column * end / columns as u128;
                let mut highest = None;
                while let Some((_, heap)) = known.next_if(|&(at, _)| u128::from(at) < before) {
                    last = heap.max(0) as u64;
                    highest = highest.max(Some(last));
                }
                highest.unwrap_or(last)
            })
            .collect()
    }
}

fn rates(now: &Counters, before: &Counters, seconds: f64) -> Rates {
    let rate = |of: fn(&Counters) -> u64| of(now).saturating_sub(of(before)) as f64 / seconds;
    Rates {
        alloc_bytes: rate(|c| c.alloc_bytes),
        freed_bytes: rate(|c| c.freed_bytes),
        allocs: rate(|c| c.allocs),
        frees: rate(|c| c.frees),
        reallocs: rate(|c| c.reallocs),
    }
}

fn rows(
    lines: Vec<TopLine>,
    elsewhere: Figures,
    before: Option<(&Live, f64)>,
    sources: &Sources,
) -> Vec<LiveRow> {
    let known: HashMap<_, _> = (before.iter())
        .flat_map(|(before, _)| &before.rows)
        .map(|row| (row.place.as_ref().map(Place::identity), &row.figures))
        .collect();
    let places = lines.into_iter().map(|line| {
        let path = sources.path_of(&line.file).map(Path::to_owned);
        let place = Place {
            path: path.unwrap_or_default(),
            file: line.file,
            line: line.line,
            function: line.function,
        };
        (Some(place), line.figures)
    });
    let elsewhere = (elsewhere != Figures::default()).then_some((None, elsewhere));
    (places.chain(elsewhere))
        .map(|(place, figures)| {
            let then = known.get(&place.as_ref().map(Place::identity));
            let then = then.map_or_else(Bytes::default, |figures| figures.allocated);
            let rate = before.map(|(_, seconds)| figures.allocated.since(then).per(seconds));
            LiveRow {
                place,
                figures,
                rate,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::builder::Builder;
    use crate::profile::{Frame, parse};
    use crate::symbolize::CodeFrame;

    const KIB: u64 = 1024;

    /// What is read after `seconds` of a program whose two lines allocated so many KiB.
    fn read(seconds: u64, kib: [u64; 2], before: Option<&Live>) -> Live {
        let mut builder = Builder::new();
        builder.module("/bin/app");
        let mut symbols = Symbols::default();
        for (line, kib) in (1..).zip(kib) {
            let frame = Frame::new(0, u64::from(line));
            let path = if seconds == 0 { "grow" } else { "app::grow" };
            symbols.insert(frame, vec![CodeFrame::new(path, "/none/a.rs", line)]);
            let stack = builder.stack(&[frame]);
            builder.allocated(stack, kib * KIB, kib);
        }
        let (profile, defects) = parse("app".as_ref(), builder.to_input()).unwrap();
        let at = (ProcessStatus::Running, Duration::from_secs(seconds));
        let mut sources = Sources::new(Default::default());
        Live::new(&profile, &symbols, &mut sources, defects, at, before)
    }

    fn shown(live: &Live, sort: LiveSort, filter: &str) -> Vec<(u32, i64)> {
        let rows = live.select(sort, filter).into_iter();
        rows.map(|row| {
            let rate = row.rate.map_or(-1, |rate| rate.bytes);
            (row.place.as_ref().unwrap().line.unwrap(), rate)
        })
        .collect()
    }

    #[test]
    fn rates_are_between_two_readings() {
        let first = read(0, [10, 30], None);
        assert_eq!(first.rates, None);
        assert_eq!(shown(&first, LiveSort::Live, ""), [(2, -1), (1, -1)]);

        let second = read(2, [50, 40], Some(&first));
        let rates = second.rates.unwrap();
        assert_eq!((rates.alloc_bytes, rates.allocs), (25.0 * 1024.0, 25.0));
        assert_eq!((rates.frees, rates.reallocs), (0.0, 0.0));
        // The function's path came to be known meanwhile: it is the same place all the same.
        let expected = [(1, 20 << 10), (2, 5 << 10)];
        assert_eq!(shown(&second, LiveSort::Rate, ""), expected);
    }

    #[test]
    fn a_line_that_is_new_began_at_nothing() {
        let first = read(1, [10, 0], None);
        let second = read(2, [10, 3], Some(&first));
        let expected = [(2, 3 << 10), (1, 0)];
        assert_eq!(shown(&second, LiveSort::Rate, ""), expected);
    }

    #[test]
    fn readings_at_the_same_moment_have_no_rates() {
        let first = read(1, [10, 0], None);
        assert_eq!(read(1, [20, 0], Some(&first)).rates, None);
    }

    #[test]
    fn the_filter_looks_at_files_and_functions() {
        let live = read(1, [1, 2], None);
        assert_eq!(live.select(LiveSort::Live, "A.RS").len(), 2);
        assert_eq!(live.select(LiveSort::Live, "App::").len(), 2);
        assert_eq!(live.select(LiveSort::Live, "other").len(), 0);
    }

    #[test]
    fn the_heap_over_time_shows_peaks_and_carries_on_between_points() {
        let mut live = read(1, [4, 0], None);
        live.recording.duration_ns = 99;
        live.recording.heap = 7;
        live.recording.peak = 90;
        live.recording.peak_ns = 25;
        let point = |time_ns, heap| Point {
            time_ns,
            heap,
            ..Point::empty()
        };
        live.timeline = vec![point(0, 10), point(21, 80), point(28, 20), point(61, 30)];
        let expected = [10, 10, 90, 20, 20, 20, 30, 30, 30, 7];
        assert_eq!(live.heap_over_time(10), expected);
        assert_eq!(live.heap_over_time(0), [0; 0]);
        live.timeline.clear();
        assert_eq!(live.heap_over_time(2), [90, 7]);
    }
}
