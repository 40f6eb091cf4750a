//! Keeps a thread from entering the slow path while it is in it: by a signal handler that allocates,
//! or by our own doing.

use core::cell::Cell;

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// The calling thread is in the slow path while this lives.
pub struct Inside(());

impl Inside {
    pub fn enter() -> Option<Inside> {
        let was_inside = INSIDE
            .try_with(|inside| inside.replace(true))
            .unwrap_or(true);
        // Not `then_some`: a guard made for nothing would open the door when it is dropped.
        if was_inside { None } else { Some(Inside(())) }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let _ = INSIDE.try_with(|inside| inside.set(false));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_enters_twice_however_often_it_is_tried() {
        let first = Inside::enter();
        assert!(first.is_some());
        assert!((0..3).all(|_| Inside::enter().is_none()));
        drop(first);
        assert!(Inside::enter().is_some());
    }
}
