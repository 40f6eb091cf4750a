//! Where the resident memory is: what the system says of each mapping, put together with what the
//! recorder knows of the heap.
//!
//! ```text
//! smaps        lines of /proc/self/smaps ─▶ mappings
//! mappings     mapping ─▶ a part of the account, or a region to be asked about
//! heap         live blocks ─▶ which regions are the allocator's, what of large blocks was touched
//! pages        live blocks ─▶ what is free beside them on their pages
//! ```
//! Never: knows what a recording is, or waits.

pub mod block_sizes;
pub mod heap;
pub mod mappings;
pub mod pages;
mod smaps;
