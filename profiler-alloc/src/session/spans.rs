//! In which span of a trace a stack took blocks: an example that leads from a line to a trace.
//!
//! A stack is taken in by thousands of requests, each with ids of its own. So its record has the
//! span that took blocks there last, and what that took: enough to look at one request, without a
//! record for each.

use core::sync::atomic::{Ordering, fence};

use profiler_alloc_format::StackSpanCells;

use super::Recorder;
use crate::contexts::span_ids::{self, SpanIds};
use crate::sampling::weights::Weight;

impl Recorder {
    /// A stack has allocated `weight`, in the span that the calling thread is in, if it is in one.
    #[inline]
    pub(super) fn note_span(&self, stack: u32, weight: Weight) {
        if let Some(ids) = span_ids::current() {
            self.note_ids(stack, ids, weight);
        }
    }

    #[cold]
    fn note_ids(&self, stack: u32, ids: SpanIds, weight: Weight) {
        let stack = stack as usize;
        let known = self.store.spans.get(stack);
        if let Some(cells) = known.or_else(|| self.store.make_span(stack)) {
            note(cells, ids, weight);
        }
    }
}

fn note(cells: &StackSpanCells, ids: SpanIds, weight: Weight) {
    let turn = cells.turn.load(Ordering::Relaxed);
    let writing = turn.wrapping_add(1);
    // Of two threads that come at once, the second leaves it to the first: neither waits.
    let is_ours = turn.is_multiple_of(2)
        && (cells.turn)
            .compare_exchange(turn, writing, Ordering::Acquire, Ordering::Relaxed)
            .is_ok();
    if !is_ours {
        return;
    }
    fence(Ordering::Release);
    let is_known = cells.span_id.load(Ordering::Relaxed) == ids.span
        && (cells.trace_id.iter().zip(ids.trace))
            .all(|(cell, id)| cell.load(Ordering::Relaxed) == id);
    let sum = |cell: &core::sync::atomic::AtomicU64, more: u64| {
        let before = if is_known {
            cell.load(Ordering::Relaxed)
        } else {
            0
        };
        cell.store(before.wrapping_add(more), Ordering::Relaxed);
    };
    sum(&cells.alloc_bytes, weight.bytes);
    sum(&cells.alloc_count, weight.count);
    for (cell, id) in cells.trace_id.iter().zip(ids.trace) {
        cell.store(id, Ordering::Relaxed);
    }
    cells.span_id.store(ids.span, Ordering::Relaxed);
    cells.turn.store(turn.wrapping_add(2), Ordering::Release);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(span: u64) -> SpanIds {
        SpanIds {
            trace: [7, 8],
            span,
        }
    }

    fn weight(bytes: u64) -> Weight {
        Weight {
            bytes,
            count: 1,
            variance: 0.0,
            count_variance: 0.0,
        }
    }

    #[test]
    fn what_one_span_took_adds_up_until_another_comes() {
        let cells = StackSpanCells::empty();
        let read = || {
            let of = |cell: &core::sync::atomic::AtomicU64| cell.load(Ordering::Relaxed);
            [
                &cells.turn,
                &cells.span_id,
                &cells.alloc_bytes,
                &cells.alloc_count,
            ]
            .map(of)
        };
        note(&cells, ids(1), weight(10));
        note(&cells, ids(1), weight(20));
        assert_eq!(read(), [4, 1, 30, 2]);
        note(&cells, ids(2), weight(5));
        assert_eq!(read(), [6, 2, 5, 1]);
        // Another thread is writing: what it has is left alone.
        cells.turn.store(7, Ordering::Relaxed);
        note(&cells, ids(3), weight(9));
        assert_eq!(read(), [7, 2, 5, 1]);
    }
}
