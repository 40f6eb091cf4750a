//! The report of `ram_profiler`: its figures, its text, its JSON.

use std::fmt;

use crate::measure::histogram::Spread;
use crate::measure::json::Object;
use crate::measure::words;

/// A report notes RSS that stays although at least this much of the heap was freed. *Bytes.*
const WORTH_A_NOTE: i64 = 1 << 20;

/// Memory before and after one call. *All in bytes.*
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct RamReport {
    /// The function's name, or the label given.
    pub label: String,
    /// When it began.
    pub before: Moment,
    /// When it ended.
    pub after: Moment,
    /// The heap; `None` if `ProfilerAlloc` is not the global allocator.
    pub heap: Option<HeapUse>,
    /// Highest resident set size inside, if asked for and known.
    pub peak_rss: Option<u64>,
}

/// Memory at one moment, as the system sees it.
#[derive(Clone, Copy, PartialEq, Debug)]
#[non_exhaustive]
pub struct Moment {
    /// Share of the system's memory that is not available, in percent.
    pub system_percent: Option<f64>,
    /// Resident set size of the process.
    pub rss: u64,
}

/// The heap around one call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct HeapUse {
    /// In use in the process before.
    pub before: i64,
    /// In use in the process after.
    pub after: i64,
    /// Highest heap in use in the process meanwhile. Exact for the call's own thread; other threads
    /// are seen at least every 64 KiB that they allocate or free.
    pub peak: i64,
    /// Allocated by the call itself, on the threads that ran it.
    pub own_allocated: u64,
    /// Freed by the call itself.
    pub own_freed: u64,
    /// The most of its own allocations that the call held at one moment.
    pub own_peak: i64,
}

impl HeapUse {
    /// After minus before.
    pub fn change(&self) -> i64 {
        self.after.wrapping_sub(self.before)
    }
}

/// Memory of all calls of a function. *All in bytes.*
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct RamSummary {
    /// The function's name.
    pub label: String,
    /// Resident set size after minus before.
    pub rss_change: Spread,
    /// Heap in use after minus before.
    pub heap_change: Option<Spread>,
    /// Highest heap in use inside minus before.
    pub heap_rise: Option<Spread>,
}

impl RamReport {
    /// Resident set size after minus before.
    pub fn rss_change(&self) -> i64 {
        self.after.rss.wrapping_sub(self.before.rss) as i64
    }

    /// What the heap gave back, after its peak, and RSS kept.
    fn kept(&self) -> Option<i64> {
        let heap = self.heap?;
        let given_back = heap.peak.wrapping_sub(heap.after);
        let kept = given_back.min(self.rss_change() - heap.change().max(0));
        (kept >= WORTH_A_NOTE).then_some(kept)
    }

    pub(in crate::measure) fn json(&self) -> Object {
        let moment = |moment: &Moment| {
            Object::new()
                .maybe("system_percent", moment.system_percent)
                .number("rss", moment.rss)
        };
        let mut object = Object::new()
            .number("version", 1)
            .text("kind", "ram")
            .text("label", &self.label)
            .object("before", moment(&self.before))
            .object("after", moment(&self.after))
            .number("rss_change", self.rss_change())
            .maybe("peak_rss", self.peak_rss);
        if let Some(heap) = &self.heap {
            let heap = Object::new()
                .number("before", heap.before)
                .number("after", heap.after)
                .number("change", heap.change())
                .number("peak", heap.peak)
                .number("own_allocated", heap.own_allocated)
                .number("own_freed", heap.own_freed)
                .number("own_peak", heap.own_peak);
            object = object.object("heap", heap);
        }
        object
    }
}

impl fmt::Display for RamReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = words::sanitized(&self.label);
        let percent = |moment: &Moment| match moment.system_percent {
            Some(percent) => format!("{percent:.1}%"),
            None => "unknown".to_owned(),
        };
        let rss = |moment: &Moment| words::mib(moment.rss as i64);
        writeln!(f, "===== memory usage check =====")?;
        writeln!(
            f,
            "BEFORE CODE :: memory_usage_percent: {}",
            percent(&self.before)
        )?;
        writeln!(
            f,
            "BEFORE CODE :: Current memory MiB  : {}",
            rss(&self.before)
        )?;
        if let Some(heap) = &self.heap {
            writeln!(
                f,
                "BEFORE CODE :: Heap in use         : {}",
                words::mib(heap.before)
            )?;
        }
        writeln!(f, "========================================")?;
        writeln!(f, "== {label} memory usage check ==")?;
        writeln!(
            f,
            "AFTER  CODE :: memory_usage_percent: {}",
            percent(&self.after)
        )?;
        writeln!(
            f,
            "AFTER  CODE :: Current memory MiB  : {}",
            rss(&self.after)
        )?;
        if let Some(heap) = &self.heap {
            writeln!(
                f,
                "AFTER  CODE :: Heap in use         : {}",
                words::mib(heap.after)
            )?;
        }
        let change = words::mib_change(self.rss_change());
        writeln!(f, "DIFFERENCE  :: Current memory MiB  : {change}")?;
        match &self.heap {
            Some(heap) => {
                let change = words::mib_change(heap.change());
                writeln!(f, "DIFFERENCE  :: Heap in use         : {change}")?;
                writeln!(
                    f,
                    "PEAK INSIDE :: Heap in use         : {}",
                    words::mib(heap.peak)
                )?;
            }
            None => writeln!(
                f,
                "(heap unknown: ProfilerAlloc is not the global allocator)"
            )?,
        }
        if let Some(peak) = self.peak_rss {
            let peak = words::mib(peak as i64);
            writeln!(f, "PEAK INSIDE :: Current memory MiB  : {peak}")?;
        }
        if let Some(kept) = self.kept() {
            let kept = words::mib(kept);
            let kept = kept.trim_start();
            writeln!(
                f,
                "(the heap gave back {kept} that the process's memory kept)"
            )?;
        }
        Ok(())
    }
}

impl RamSummary {
    pub(in crate::measure) fn json(&self) -> Object {
        let mut object = Object::new()
            .number("version", 1)
            .text("kind", "ram_summary")
            .text("label", &self.label)
            .number("calls", self.rss_change.count)
            .object("rss_change", self.rss_change.json());
        for (name, spread) in [
            ("heap_change", self.heap_change),
            ("heap_rise", self.heap_rise),
        ] {
            if let Some(spread) = spread {
                object = object.object(name, spread.json());
            }
        }
        object
    }
}

impl fmt::Display for RamSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "===== {} memory usage summary =====",
            words::sanitized(&self.label)
        )?;
        writeln!(f, "MEMORY :: calls: {}", self.rss_change.count)?;
        let rows = [
            ("Current memory MiB, change", Some(self.rss_change)),
            ("Heap in use, change       ", self.heap_change),
            ("Heap in use, rise to peak ", self.heap_rise),
        ];
        for (name, spread) in rows {
            if let Some(spread) = spread {
                let [min, median, max, total] =
                    [spread.min, spread.median, spread.max, spread.total].map(words::mib_change);
                writeln!(
                    f,
                    "MEMORY :: {name} : min {min}  median {median}  max {max}  total {total}"
                )?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_that_of_the_ancestor() {
        const MIB: i64 = 1 << 20;
        let moment = |rss| Moment {
            system_percent: Some(79.7),
            rss,
        };
        let report = RamReport {
            label: "pre_allot_offering".to_owned(),
            before: moment(206_831_616),
            after: moment(248_774_656),
            heap: Some(HeapUse {
                before: 12 * MIB,
                after: 12 * MIB - MIB / 2,
                peak: 52 * MIB,
                own_allocated: 0,
                own_freed: 0,
                own_peak: 0,
            }),
            peak_rss: Some(300 << 20),
        };
        let expected = "\
===== memory usage check =====
BEFORE CODE :: memory_usage_percent: 79.7%
BEFORE CODE :: Current memory MiB  :   197.250 MiB
BEFORE CODE :: Heap in use         :    12.000 MiB
========================================
== pre_allot_offering memory usage check ==
AFTER  CODE :: memory_usage_percent: 79.7%
AFTER  CODE :: Current memory MiB  :   237.250 MiB
AFTER  CODE :: Heap in use         :    11.500 MiB
DIFFERENCE  :: Current memory MiB  :   +40.000 MiB
DIFFERENCE  :: Heap in use         :    -0.500 MiB
PEAK INSIDE :: Heap in use         :    52.000 MiB
PEAK INSIDE :: Current memory MiB  :   300.000 MiB
(the heap gave back 40.000 MiB that the process's memory kept)
";
        assert_eq!(report.to_string(), expected);
    }
}
