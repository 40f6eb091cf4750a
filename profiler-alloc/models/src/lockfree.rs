//! The recorder's lock-free structures, on this crate's atomics.

#[path = "../../src/lockfree/active.rs"]
pub mod active;
pub mod atomic;
#[path = "../../src/lockfree/cell_index.rs"]
pub mod cell_index;
#[path = "../../src/lockfree/index.rs"]
pub mod index;
#[path = "../../src/lockfree/lazy_slice.rs"]
pub mod lazy_slice;
#[path = "../../src/lockfree/serial_set.rs"]
pub mod serial_set;
#[path = "../../src/lockfree/slot_pool.rs"]
pub mod slot_pool;
#[path = "../../src/lockfree/static_ref.rs"]
pub mod static_ref;
