//! Firefox Profiler: its processed profile format, for <https://profiler.firefox.com>.
//!
//! Allocation samples say where memory came from and where it was given back, a counter shows the
//! heap over time. A profile has sums for each stack, not every block, so a stack becomes a sample
//! of what it kept, at the time it was last seen, and samples of what was given back, in pieces
//! that one stack allocated and one freed. The page's four views of bytes are then right.

use std::io::{self, Write};
use std::time::{Duration, UNIX_EPOCH};

use fxprof_processed_profile::{
    CategoryColor, CategoryHandle, Frame, FrameFlags, FrameHandle, FrameInfo, MarkerTiming,
    Profile, ReferenceTimestamp, SamplingInterval, StackHandle, StaticSchemaMarker,
    StaticSchemaMarkerField, StringHandle, ThreadHandle, Timestamp,
};

use super::{json_text, label};
use crate::render::escape::escape;
use crate::report::{Origin, StackTotal, Stacks, Timeline};

/// A stretch of time with a name.
struct Span {
    name: StringHandle,
}

impl StaticSchemaMarker for Span {
    const UNIQUE_MARKER_TYPE_NAME: &'static str = "Span";
    const CHART_LABEL: Option<&'static str> = Some("{marker.name}");
    const FIELDS: &'static [StaticSchemaMarkerField] = &[];

    fn name(&self, _: &mut Profile) -> StringHandle {
        self.name
    }

    fn category(&self, _: &mut Profile) -> CategoryHandle {
        CategoryHandle::OTHER
    }

    fn string_field_value(&self, _: u32) -> StringHandle {
        self.name
    }

    fn number_field_value(&self, _: u32) -> f64 {
        0.0
    }
}

/// Bytes of one block, or of several that are told as one; less than 0 where it is freed.
#[derive(Clone, Copy, Debug)]
struct FirefoxSample {
    time_ns: u64,
    node: u32,
    /// Of the block: any number that no other has.
    address: u64,
    size: i64,
}

/// The JSON of the Firefox Profiler.
#[derive(Clone, Copy, Debug)]
pub struct Firefox<'a> {
    /// Heap in use over time.
    pub timeline: &'a Timeline,
}

impl Firefox<'_> {
    /// Writes the stacks to `out`.
    pub fn export(&self, stacks: &Stacks, out: &mut dyn Write) -> io::Result<()> {
        json_text::write(&self.profile(stacks), out)
    }

    fn profile(&self, stacks: &Stacks) -> Profile {
        let recording = &stacks.recording;
        let started = UNIX_EPOCH + Duration::from_nanos(recording.started_unix_ns);
        let program = escape(&recording.program);
        let mut profile = Profile::new(
            &program,
            ReferenceTimestamp::from(started),
            SamplingInterval::from_millis(1),
        );
        let at = Timestamp::from_nanos_since_reference;
        let process = profile.add_process(&program, recording.pid, at(0));
        profile.set_process_end_time(process, at(recording.duration_ns));
        let thread = profile.add_thread(process, recording.pid, at(0), true);
        profile.set_thread_name(thread, "heap");
        profile.set_symbolicated(true);

        let counter = profile.add_counter(process, "heap", "Memory", "Heap in use");
        let mut before = 0;
        for point in &self.timeline.points {
            let change = point.heap.saturating_sub(before);
            profile.add_counter_sample(counter, at(point.time_ns), change as f64, 1);
            before = point.heap;
        }

        let frames = frames(stacks, thread, &mut profile);
        // Parents come before children, so a caller's stack is known when a node asks for it.
        let mut handles: Vec<Option<StackHandle>> = Vec::with_capacity(stacks.nodes.len());
        for (number, node) in stacks.nodes.iter().enumerate() {
            let parent = handles.get(node.parent as usize).copied().flatten();
            handles.push(match number {
                0 => None,
                _ => {
                    let frame = frames[node.frame as usize];
                    Some(profile.intern_stack(thread, parent, frame))
                }
            });
        }
        for sample in samples(stacks) {
            let stack = handles[sample.node as usize];
            let time = at(sample.time_ns);
            profile.add_allocation_sample(thread, time, stack, sample.address, sample.size);
        }

        // The page takes its range of time from these and the samples alone.
        let whole = ("recording", 0, recording.duration_ns);
        let spans = self.timeline.spans.iter();
        let spans = spans.map(|span| (&*span.function, span.first_ns, span.last_ns));
        for (name, first_ns, last_ns) in core::iter::once(whole).chain(spans) {
            let name = profile.intern_string(&escape(name));
            let timing = MarkerTiming::Interval(at(first_ns), at(last_ns));
            profile.add_marker(thread, timing, Span { name });
        }
        profile
    }
}

/// What stacks kept and what was given back, in the order of time. Of what was given back, the sums
/// say how much each stack allocated and how much each freed, but not who freed whose: that is
/// settled in the order of time.
fn samples(stacks: &Stacks) -> Vec<FirefoxSample> {
    let last_ns = |stack: &StackTotal| stack.course.taken.map_or(0, |taken| taken.last_ns);
    let mut in_time: Vec<&StackTotal> = stacks.stacks.iter().collect();
    in_time.sort_by_key(|stack| last_ns(stack));
    let mut freeing = (in_time.iter())
        .map(|stack| (*stack, stack.figures.freed.bytes))
        .filter(|(_, freed)| *freed > 0);
    let mut next = freeing.next();
    let mut samples = Vec::new();
    let mut address = 0;
    for stack in &in_time {
        let allocated = FirefoxSample {
            time_ns: last_ns(stack),
            node: stack.node,
            address: 0,
            size: 0,
        };
        let live = stack.figures.live.bytes;
        if live > 0 {
            address += 1;
            samples.push(FirefoxSample {
                address,
                size: live,
                ..allocated
            });
        }
        let mut left = stack.figures.allocated.bytes.saturating_sub(live);
        while left > 0 {
            // Estimates need not add up: what no stack freed counts as freed where it was
            // allocated.
            let (by, size) = match &mut next {
                Some((by, rest)) => {
                    let size = left.min(*rest);
                    *rest -= size;
                    (*by, size)
                }
                None => (*stack, left),
            };
            left -= size;
            address += 1;
            samples.push(FirefoxSample {
                address,
                size,
                ..allocated
            });
            samples.push(FirefoxSample {
                time_ns: last_ns(by).max(allocated.time_ns),
                node: by.node,
                address,
                size: -size,
            });
            if next.is_some_and(|(_, rest)| rest == 0) {
                next = freeing.next();
            }
        }
    }
    samples.sort_by_key(|sample| sample.time_ns);
    samples
}

fn frames(stacks: &Stacks, thread: ThreadHandle, profile: &mut Profile) -> Vec<FrameHandle> {
    let user = profile.add_category("User", CategoryColor::Green);
    let other = profile.add_category("Dependencies", CategoryColor::Gray);
    let frames = stacks.frames.iter().map(|frame| {
        let text = profile.intern_string(&label::function_and_line(frame));
        let category = match frame.origin {
            Origin::User | Origin::Unknown => user,
            Origin::Dependency | Origin::Allocator => other,
        };
        let info = FrameInfo {
            frame: Frame::Label(text),
            category_pair: category.into(),
            flags: FrameFlags::empty(),
        };
        profile.intern_frame(thread, info)
    });
    frames.collect()
}
