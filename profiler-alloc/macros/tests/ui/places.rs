//! Attributes where they cannot stand.

use profiler_alloc::{budget, elapsed_timer, profile, profile_block, ram_profiler};

#[profile]
const fn in_the_compiler() -> u32 {
    1
}

#[ram_profiler]
struct Structure;

#[elapsed_timer]
impl Structure {}

trait Trait {
    #[budget(no_leaks)]
    fn without_a_body();
}

fn main() {
    profile_block!({ 1 });
}
