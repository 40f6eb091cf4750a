//! From frames to the number of a stack: what one walk leaves for the next, and each distinct
//! stack once.
//!
//! Never: reads the stack of a thread itself, or knows what a stack has allocated.

pub mod frame_buffer;
pub mod interner;
pub mod previous_stack;
pub mod stack_cache;
pub mod trie;
pub mod ways_out;
pub mod workspace;
