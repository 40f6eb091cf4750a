//! What a block is: the type that the frames between the allocator and the user's line name.
//!
//! ```text
//! malloc
//! ◀─ Global::alloc                   skipped
//! ◀─ RawVec::grow_one<Bucket<K, V>>  Vec of Bucket<K, V>, a guess
//! ◀─ Vec::push<Order>, inlined       Vec of Order, and that is it
//! ◀─ app::load                       the walk ends
//! ```
//!
//! LLVM merges functions of equal code, so a function that was not inlined may be called by those
//! who wrote another type: `grow_one<Bucket<K, V>>` above serves all elements of that size. What
//! is inlined into a function without type arguments is certain.

mod containers;
mod cpp;
mod finding;
mod holders;
mod module_path;
mod name;
mod rules;
mod walk;

pub use finding::{TypeFinding, TypeName};
pub use walk::Attributor;
