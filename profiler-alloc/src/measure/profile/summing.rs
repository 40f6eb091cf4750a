//! From counters to a table: the sums of each line, beside its text.

use core::sync::atomic::Ordering;

use profiler_alloc_format::LineCells;

use super::function::Function;
use super::source;
use crate::measure::installed;
use crate::measure::report::profile::{Line, Metric, ProfileReport};

/// Sums of one line.
#[derive(Clone, Copy, Debug)]
pub struct LineSum {
    pub runs: u64,
    pub allocated: u64,
    pub freed: u64,
    pub mem_usage: i64,
}

/// Adds the counters of threads up, for each of `count` slots.
pub fn sums_of(count: usize, shares: &[&[LineCells]]) -> Vec<LineSum> {
    let nothing = LineSum {
        runs: 0,
        allocated: 0,
        freed: 0,
        mem_usage: i64::MIN,
    };
    let mut sums = vec![nothing; count];
    for share in shares {
        for (sum, line) in sums.iter_mut().zip(*share) {
            sum.runs += line.runs.load(Ordering::Relaxed);
            sum.allocated = (sum.allocated).wrapping_add(line.alloc_bytes.load(Ordering::Relaxed));
            sum.freed = (sum.freed).wrapping_add(line.freed_bytes.load(Ordering::Relaxed));
            sum.mem_usage = (sum.mem_usage).max(line.mem_usage.load(Ordering::Relaxed) as i64);
        }
    }
    sums
}

/// The table of `function`, whose slots come to `sums`, with so much heap in use when it was called.
pub fn report_of(function: &Function, sums: &[LineSum], baseline: i64) -> ProfileReport {
    let about = &function.about;
    let text = source::lines_of(about);
    let (first, last) = about.span;
    let mut lines: Vec<Line> = (first..=last)
        .enumerate()
        .map(|(index, number)| Line {
            number,
            contents: text.lines.get(index).cloned(),
            mem_usage: None,
            increment: None,
            allocated: None,
            freed: None,
            occurrences: None,
        })
        .collect();
    for (slot, (&number, sum)) in about.lines.iter().zip(sums).enumerate() {
        let is_touched = sum.runs > 0 || sum.allocated | sum.freed != 0;
        let index = number.wrapping_sub(first) as usize;
        let Some(line) = lines.get_mut(index).filter(|_| is_touched) else {
            continue;
        };
        line.mem_usage = (sum.mem_usage != i64::MIN).then_some(sum.mem_usage);
        line.occurrences = Some(sum.runs).filter(|&runs| runs > 0);
        let net = sum.allocated.wrapping_sub(sum.freed) as i64;
        if slot == 0 && about.span.0 != about.span.1 {
            line.increment = Some(baseline.wrapping_add(net));
            // Blank, unless the call itself has worked there: what the attribute above does
            // first, for one.
            if sum.allocated | sum.freed == 0 {
                continue;
            }
        } else {
            line.increment = Some(net);
        }
        line.allocated = Some(sum.allocated);
        line.freed = Some(sum.freed);
    }
    let metric = match installed::is_heap_known() {
        true => Metric::Heap,
        false => Metric::Rss,
    };
    ProfileReport {
        function: about.name().to_owned(),
        file: about.file.to_owned(),
        metric,
        calls: sums.first().map_or(0, |sum| sum.runs),
        lines,
        note: text.note,
        columns: about.columns,
        precision: about.precision,
    }
}
