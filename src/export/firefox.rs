//! Firefox Profiler: its processed profile format, for <https://profiler.firefox.com>.
//!
//! Allocation samples say where memory came from, a counter shows the heap over time. A profile has sums for each stack, not
//! every allocation, so each stack becomes at most three samples at the time it was last seen: what it kept, what it
//! allocated and freed again, and the free of that. The page's "Retained" and "Allocated" are then right.

use std::io::{self, Write};
use std::time::{Duration, UNIX_EPOCH};

use fxprof_processed_profile::{
    CategoryColor, Frame, FrameFlags, FrameHandle, FrameInfo, Profile, ReferenceTimestamp,
    SamplingInterval, StackHandle, ThreadHandle, Timestamp,
};

use super::{json_text, label};
use crate::render::escape::escape;
use crate::report::{Origin, StackTotal, Stacks, Timeline};

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
        let mut in_time: Vec<&StackTotal> = stacks.stacks.iter().collect();
        let last_ns = |stack: &StackTotal| stack.taken.map_or(0, |taken| taken.last_ns);
        in_time.sort_by_key(|stack| last_ns(stack));
        // Samples are told apart by the addresses of their blocks; any numbers will do.
        let mut address = 0;
        for stack in in_time {
            let handle = handles[stack.node as usize];
            let (live, allocated) = (stack.figures.live.bytes, stack.figures.allocated.bytes);
            let freed = allocated.saturating_sub(live);
            for size in [live, freed] {
                if size > 0 {
                    address += 1;
                    profile.add_allocation_sample(
                        thread,
                        at(last_ns(stack)),
                        handle,
                        address,
                        size,
                    );
                }
            }
            if freed > 0 {
                profile.add_allocation_sample(thread, at(last_ns(stack)), handle, address, -freed);
            }
        }
        profile
    }
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
