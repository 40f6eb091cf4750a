//! The records of the profile, with the fields that the modelled parts touch.

use crate::lockfree::atomic::{AtomicU32, AtomicU64, Ordering};

macro_rules! records {
    ($($name:ident { $($field:ident: $cell:ident,)* })*) => {
        $(
            #[derive(Debug)]
            pub struct $name { $(pub $field: $cell,)* }

            impl $name {
                pub const fn empty() -> $name {
                    $name { $($field: $cell::new(0),)* }
                }

                pub fn touch_fields(&self) {
                    $(self.$field.load(Ordering::Relaxed);)*
                }
            }
        )*
    };
}

records! {
    AgeCells {
        bytes: AtomicU64,
        count: AtomicU64,
        variance: AtomicU64,
        count_variance: AtomicU64,
    }
    HeaderCells {
        node_count: AtomicU64,
        stack_count: AtomicU64,
    }
    ThreadCells {
        state: AtomicU32,
        alloc_bytes: AtomicU64,
        alloc_next: AtomicU64,
        free_next: AtomicU64,
    }
    NodeCells {
        parent: AtomicU32,
        stack: AtomicU32,
        frame: AtomicU64,
    }
    StackCells {
        node: AtomicU32,
        first_ms: AtomicU32,
        live_bytes: AtomicU64,
        live_count: AtomicU64,
        live_variance: AtomicU64,
        peak_bytes: AtomicU64,
        peak_count: AtomicU64,
        peak_variance: AtomicU64,
        peak_epoch: AtomicU64,
    }
}
