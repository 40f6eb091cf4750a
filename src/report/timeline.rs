//! Heap and RSS over time.

use profiler_alloc_format::{CHUNK_LEN, HEADER_LEN};

use super::{Figures, Loss, Recording, Resident, ResidentAccount, Sampling};
use crate::defect::Defect;
use crate::profile::{Profile, ProfiledFunction};

/// Heap and RSS over time, and the peak.
#[derive(Clone, PartialEq, Debug)]
pub struct Timeline {
    /// Which program and when, its peak included.
    pub recording: Recording,
    /// How it was sampled.
    pub sampling: Sampling,
    /// In the order of time; start, peak and end are among them if they are known.
    pub points: Vec<TimePoint>,
    /// Moments that the program or its user named, in the order of time.
    pub marks: Vec<TimelineMark>,
    /// Other moments that `--at` shows.
    pub other_moments: usize,
    /// Functions with `#[profile]`, in the order of their first calls.
    pub spans: Vec<CallSpan>,
    /// Memory of the recorder at the end, a part of the RSS.
    pub own: OwnMemory,
    /// Where the resident memory was, when most was and at the end; empty where nobody looked.
    pub resident: Vec<ResidentAccount>,
    /// What could not be charged to any stack.
    pub unattributed: Figures,
    /// What the recorder could not keep.
    pub losses: Vec<Loss>,
    /// What is wrong with the profile, or missing beside it.
    pub defects: Vec<Defect>,
}

/// Memory that the recorder takes in the program's process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OwnMemory {
    /// Beside the profile, in bytes; the part of it that was touched is resident.
    pub bytes: u64,
    /// The profile's pages, in bytes.
    pub file_bytes: u64,
}

impl OwnMemory {
    fn of(profile: &Profile) -> OwnMemory {
        let chunks = (profile.header.chunk_count).saturating_mul(CHUNK_LEN as u64);
        OwnMemory {
            bytes: profile.header.own_bytes,
            file_bytes: chunks.saturating_add(HEADER_LEN as u64),
        }
    }
}

/// From the first call of a function with `#[profile]` to the end of the last one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CallSpan {
    /// Its path: `app::module::name`.
    pub function: String,
    /// Nanoseconds since the start.
    pub first_ns: u64,
    /// Nanoseconds since the start; the end of the recording if a call was under way then.
    pub last_ns: u64,
    /// Calls of it.
    pub calls: u64,
    /// Whether a call was under way at the end of the recording.
    pub is_open: bool,
}

impl CallSpan {
    fn of(function: &ProfiledFunction, end_ns: u64) -> Option<CallSpan> {
        let first_ns = function.first_ns?.min(end_ns);
        let last_ns = match function.is_open {
            true => end_ns,
            false => function.last_ns.unwrap_or(first_ns).min(end_ns),
        };
        Some(CallSpan {
            function: function.name.clone(),
            first_ns,
            last_ns: last_ns.max(first_ns),
            calls: function.calls(),
            is_open: function.is_open,
        })
    }

    fn len_ns(&self) -> u64 {
        self.last_ns - self.first_ns
    }
}

/// A moment with a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TimelineMark {
    /// Its name.
    pub name: String,
    /// Nanoseconds since the start.
    pub time_ns: u64,
    /// Heap in use then, in bytes.
    pub heap: i64,
}

/// What was in use at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimePoint {
    /// Nanoseconds since the start.
    pub time_ns: u64,
    /// Heap in use, in bytes.
    pub heap: i64,
    /// Resident set size, in bytes. `None` where it was not looked at.
    pub rss: Option<u64>,
    /// Bytes that the recorder had taken: so much of the RSS may be its. `None` where it did not
    /// say.
    pub own: Option<u64>,
    /// Bytes allocated since the start. `None` where it was not looked at.
    pub allocated: Option<u64>,
}

impl TimePoint {
    /// The resident set without what may be the recorder's, in bytes. What the recorder has taken
    /// is not all touched: a table of 256 MiB that it has just opened takes none. So the heap is
    /// left out, as far as it can be resident.
    pub fn rss_without_own(&self) -> Option<u64> {
        let (rss, own) = (self.rss?, self.own?);
        let heap = u64::try_from(self.heap).unwrap_or(0);
        Some(rss.saturating_sub(own).max(heap.min(rss)))
    }
}

impl Timeline {
    /// The timeline of a profile. `defects` are those of reading it.
    pub fn new(profile: &Profile, defects: Vec<Defect>) -> Timeline {
        let recording = Recording::of(profile);
        let at = |time_ns, heap| TimePoint {
            time_ns,
            heap,
            rss: None,
            own: None,
            allocated: None,
        };
        let known = |bytes: u64| (bytes != 0).then_some(bytes);
        let points = profile.timeline.iter().map(|point| TimePoint {
            time_ns: point.time_ns,
            heap: point.heap as i64,
            rss: known(point.resident()),
            own: known(point.own()),
            allocated: Some(point.alloc_bytes),
        });
        let mut points: Vec<TimePoint> = points.collect();
        // What many processes have at their starts and ends, they do not have at one time.
        if recording.merged.is_none() {
            points.push(at(0, recording.heap_at_start));
            points.push(at(recording.duration_ns, recording.heap));
        }
        if recording.peak > 0 {
            points.push(at(recording.peak_ns, recording.peak));
        }
        points.sort_by_key(|point| point.time_ns);
        let end_ns = points.last().map_or(0, |point| point.time_ns);
        let spans =
            (profile.functions.iter()).filter_map(|function| CallSpan::of(function, end_ns));
        let mut spans: Vec<CallSpan> = spans.collect();
        spans.sort_by_key(|span| (span.first_ns, std::cmp::Reverse(span.last_ns)));
        let moments = &profile.moments.all;
        let marks = moments.iter().filter_map(|moment| {
            Some(TimelineMark {
                name: moment.mark.clone()?,
                time_ns: moment.time_ns,
                heap: moment.heap,
            })
        });
        let marks: Vec<TimelineMark> = marks.collect();
        Timeline {
            other_moments: moments.len() - marks.len(),
            marks,
            sampling: Sampling::of(profile),
            own: OwnMemory::of(profile),
            points,
            spans,
            resident: Resident::highest_and_last_of(profile),
            unattributed: Figures::of(&profile.unattributed, None),
            losses: Loss::of(profile),
            defects,
            recording,
        }
    }

    /// The `count` longest spans in the order of their starts, and how many others there are.
    pub fn longest_spans(&self, count: usize) -> (Vec<&CallSpan>, usize) {
        let mut longest: Vec<usize> = (0..self.spans.len()).collect();
        longest.sort_by_key(|&number| std::cmp::Reverse(self.spans[number].len_ns()));
        longest.truncate(count);
        longest.sort_unstable();
        let others = self.spans.len() - longest.len();
        (
            longest
                .into_iter()
                .map(|number| &self.spans[number])
                .collect(),
            others,
        )
    }

    /// Nanoseconds from the start to the last point.
    pub fn span_ns(&self) -> u64 {
        self.points.last().map_or(0, |point| point.time_ns)
    }

    /// The highest heap or RSS, in bytes; 1 at least.
    pub fn height(&self) -> i64 {
        let heights = self.points.iter().map(|point| {
            let rss = point
                .rss
                .map_or(0, |rss| i64::try_from(rss).unwrap_or(i64::MAX));
            point.heap.max(rss)
        });
        heights.max().unwrap_or(1).max(1)
    }
}
