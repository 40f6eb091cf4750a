//! Heap and RSS over time.

use super::{Figures, Loss, Recording, Sampling};
use crate::defect::Defect;
use crate::profile::Profile;

/// Heap and RSS over time, and the peak.
#[derive(Clone, PartialEq, Debug)]
pub struct Timeline {
    /// Which program and when, its peak included.
    pub recording: Recording,
    /// How it was sampled.
    pub sampling: Sampling,
    /// In the order of time; start, peak and end are among them if they are known.
    pub points: Vec<TimePoint>,
    /// What could not be charged to any stack.
    pub unattributed: Figures,
    /// What the recorder could not keep.
    pub losses: Vec<Loss>,
    /// What is wrong with the profile, or missing beside it.
    pub defects: Vec<Defect>,
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
    /// Bytes allocated since the start. `None` where it was not looked at.
    pub allocated: Option<u64>,
}

impl Timeline {
    /// The timeline of a profile. `defects` are those of reading it.
    pub fn new(profile: &Profile, defects: Vec<Defect>) -> Timeline {
        let recording = Recording::of(profile);
        let at = |time_ns, heap| TimePoint {
            time_ns,
            heap,
            rss: None,
            allocated: None,
        };
        let points = profile.timeline.iter().map(|point| TimePoint {
            time_ns: point.time_ns,
            heap: point.heap as i64,
            rss: (point.rss != 0).then_some(point.rss),
            allocated: Some(point.alloc_bytes),
        });
        let mut points: Vec<TimePoint> = points.collect();
        points.push(at(0, recording.heap_at_start));
        if recording.peak > 0 {
            points.push(at(recording.peak_ns, recording.peak));
        }
        points.push(at(recording.duration_ns, recording.heap));
        points.sort_by_key(|point| point.time_ns);
        Timeline {
            sampling: Sampling::of(profile),
            points,
            unattributed: Figures::of(&profile.unattributed, None),
            losses: Loss::of(profile),
            defects,
            recording,
        }
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
