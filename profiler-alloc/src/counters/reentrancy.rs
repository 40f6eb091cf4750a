//! Keeps a thread from entering the slow path twice: a signal handler may allocate while the
//! thread is in it.

use crate::ffi::thread_local::thread_locals;
use core::cell::Cell;

thread_locals! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// The calling thread is in the slow path while this lives.
pub struct Inside(());

impl Inside {
    pub fn enter() -> Option<Inside> {
        let was_inside = INSIDE
            .try_with(|inside| inside.replace(true))
            .unwrap_or(true);
        // `then_some` would build the guard eagerly; dropping it would clear the flag.
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
