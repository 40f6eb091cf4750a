//! Which contexts are in force in the calling thread: those that it has entered and not left.
//!
//! Spans are not always left in the order in which they were entered: two guards that are held
//! over an `.await` on one thread go enter a, enter b, exit a, exit b. So leaving takes away the
//! entry of that name, wherever it stands:
//!
//! ```text
//! enter a   a            in force: a
//! enter b   a b          in force: a and b
//! leave a     b          in force: b
//! ```

use core::cell::Cell;

use super::sets::{self, Id};
use crate::ffi::thread_local::thread_locals;

/// Entries that are told apart. Those further in change nothing: what is in force stays so.
const MOST: usize = 32;

struct InForce {
    /// The contexts in force: all entries together.
    all: Cell<Id>,
    len: Cell<usize>,
    /// Entries beyond [`MOST`].
    beyond: Cell<usize>,
    /// What was entered, and what was in force before.
    entries: [Cell<(Id, Id)>; MOST],
}

thread_locals! {
    static IN_FORCE: InForce = const {
        InForce {
            all: Cell::new(0),
            len: Cell::new(0),
            beyond: Cell::new(0),
            entries: [const { Cell::new((0, 0)) }; MOST],
        }
    };
}

/// The set of contexts in force.
#[inline]
pub fn all() -> Id {
    IN_FORCE
        .try_with(|in_force| in_force.all.get())
        .unwrap_or(0)
}

/// These come into force too.
#[inline]
pub fn enter(set: Id) {
    let _ = IN_FORCE.try_with(|in_force| {
        let (len, before) = (in_force.len.get(), in_force.all.get());
        match in_force.entries.get(len) {
            Some(entry) => {
                entry.set((set, before));
                in_force.len.set(len + 1);
                in_force.all.set(sets::both(before, set));
            }
            None => in_force.beyond.set(in_force.beyond.get() + 1),
        }
    });
}

/// These are no longer in force, unless they were entered more than once.
#[inline]
pub fn leave(set: Id) {
    let _ = IN_FORCE.try_with(|in_force| in_force.leave(set));
}

impl InForce {
    #[inline]
    fn leave(&self, set: Id) {
        let (len, beyond) = (self.len.get(), self.beyond.get());
        if beyond > 0 {
            return self.beyond.set(beyond - 1);
        }
        let Some(last) = len.checked_sub(1) else {
            return;
        };
        let (entered, before) = self.entries[last].get();
        if entered == set {
            self.len.set(last);
            self.all.set(before);
        } else {
            self.leave_within(set, len);
        }
    }

    /// It is not the innermost that is left.
    #[cold]
    fn leave_within(&self, set: Id, len: usize) {
        let entries = &self.entries[..len];
        let Some(at) = entries.iter().rposition(|entry| entry.get().0 == set) else {
            return;
        };
        let mut all = entries[at].get().1;
        for (place, next) in entries[at..].iter().zip(&entries[at + 1..]) {
            let (entered, _) = next.get();
            place.set((entered, all));
            all = sets::both(all, entered);
        }
        self.len.set(len - 1);
        self.all.set(all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contexts::names;

    fn set(key: &str, value: &str) -> Id {
        sets::alone(names::context(key, value).unwrap())
    }

    #[test]
    fn entries_are_left_in_any_order() {
        let (a, b) = (set("in force route", "/a"), set("in force route", "/b"));
        let acme = set("in force tenant", "acme");
        enter(a);
        enter(acme);
        enter(b);
        assert_eq!(all(), sets::both(acme, b));
        leave(acme);
        assert_eq!(all(), b);
        leave(acme);
        assert_eq!(all(), b, "it is left already");
        leave(b);
        assert_eq!(all(), a);
        enter(a);
        leave(a);
        assert_eq!(all(), a, "entered twice");
        leave(a);
        assert_eq!(all(), 0);
    }

    #[test]
    fn any_depth_is_left_again() {
        let (outer, inner) = (set("in force deep", "outer"), set("in force deep", "inner"));
        enter(outer);
        (0..1000).for_each(|_| enter(inner));
        assert_eq!(all(), inner);
        (0..1000).for_each(|_| leave(inner));
        assert_eq!(all(), outer);
        leave(outer);
        assert_eq!(all(), 0);
    }
}
