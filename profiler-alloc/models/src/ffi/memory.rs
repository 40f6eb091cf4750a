//! Plain memory where the recorder maps some: zeros that live as long as the process.

use crate::lockfree::atomic::{AtomicU8, AtomicU64, Ordering};
use crate::records::{AgeCells, NodeCells, StackCells, ThreadCells};

/// What memory can be made of.
pub trait Zeroed: Sync + 'static {
    fn zero() -> Self;

    /// Makes it exist, for loom.
    fn touch(&self);
}

pub fn zeroed<T: Zeroed>(count: usize) -> Option<&'static [T]> {
    let cells: &'static [T] = untouched(count);
    cells.iter().for_each(T::touch);
    Some(cells)
}

pub fn wiped_on_fork<T: Zeroed>(count: usize) -> Option<&'static [T]> {
    zeroed(count)
}

/// Memory that is there for whoever comes after the thread that touches it.
pub fn untouched<T: Zeroed>(count: usize) -> &'static [T] {
    (0..count).map(|_| T::zero()).collect::<Vec<T>>().leak()
}

macro_rules! zeroed {
    ($($name:ident),*) => {
        $(
            impl Zeroed for $name {
                fn zero() -> $name {
                    $name::new(0)
                }

                fn touch(&self) {
                    self.load(Ordering::Relaxed);
                }
            }
        )*
    };
}
zeroed!(AtomicU8, AtomicU64);

macro_rules! record {
    ($($name:ident),*) => {
        $(
            impl Zeroed for $name {
                fn zero() -> $name {
                    $name::empty()
                }

                fn touch(&self) {
                    self.touch_fields();
                }
            }
        )*
    };
}
record!(AgeCells, NodeCells, StackCells, ThreadCells);
