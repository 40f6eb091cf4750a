//! Which lines have used memory, for whoever wants to know on this thread: budgets, whose failure
//! names them.

use core::cell::{Cell, RefCell};

use super::function::Function;
use crate::counters::thread_counts::Untracked;

thread_local! {
    static WATCHING: Cell<u32> = const { Cell::new(0) };
    /// Lines that used memory, for each open list of the thread, the innermost last.
    static LINES: RefCell<Vec<LineUses>> = const { RefCell::new(Vec::new()) };
}

/// Functions, slots of their lines, and bytes.
pub type LineUses = Vec<(&'static Function, u32, i64)>;

/// True if somebody on the calling thread wants to know.
#[inline]
pub fn is_watched() -> bool {
    WATCHING.with(|watching| watching.get() > 0)
}

/// A line of a `#[profile]` function used so many bytes.
#[cold]
pub fn used(function: &'static Function, slot: u32, bytes: i64) {
    let _untracked = Untracked::begin();
    with_lines(|open| {
        if let Some(lines) = open.last_mut() {
            add(lines, function, slot, bytes);
        }
    });
}

fn add(lines: &mut LineUses, function: &'static Function, slot: u32, bytes: i64) {
    let known = lines
        .iter_mut()
        .find(|(other, at, _)| core::ptr::eq(*other, function) && *at == slot);
    match known {
        Some((_, _, sum)) => *sum = sum.wrapping_add(bytes),
        None => lines.push((function, slot, bytes)),
    }
}

/// At the very end of a thread there is no list any more, and nothing is noted.
fn with_lines<R>(change: impl FnOnce(&mut Vec<LineUses>) -> R) -> Option<R> {
    let changed = LINES.try_with(|open| {
        let mut open = open.try_borrow_mut().ok()?;
        Some(change(&mut open))
    });
    changed.ok().flatten()
}

/// From now on lines are noted in `lines`, until [`close`].
pub fn open(lines: LineUses) {
    WATCHING.with(|watching| watching.set(watching.get() + 1));
    with_lines(|open| open.push(lines));
}

/// Ends the list opened last, which it gives. What is in it counts in the one around it too.
pub fn close() -> LineUses {
    WATCHING.with(|watching| watching.set(watching.get().saturating_sub(1)));
    let lines = with_lines(|open| {
        let lines = open.pop().unwrap_or_default();
        match open.last_mut() {
            Some(outer) => {
                for &(function, slot, bytes) in &lines {
                    add(outer, function, slot, bytes);
                }
            }
            // Nothing is left for the thread to free, which would do so as the program.
            None => *open = Vec::new(),
        }
        lines
    });
    lines.unwrap_or_default()
}
