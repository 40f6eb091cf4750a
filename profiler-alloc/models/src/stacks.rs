//! Where stacks are interned.

#[path = "../../src/stacks/trie.rs"]
pub mod trie;
