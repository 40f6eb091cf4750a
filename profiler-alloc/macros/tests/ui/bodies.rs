//! Mistakes of the user's own stay where they are.

use profiler_alloc::{profile, ram_profiler};

#[profile]
#[ram_profiler]
fn wrong_type(list: Vec<u8>) -> usize {
    let length: String = list.len();
    list
}

#[profile]
async fn wrong_type_later() -> u8 {
    let number: u8 = "1";
    number
}

fn main() {}
