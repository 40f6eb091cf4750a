//! Programs of any bytes: lines that are unresolved, or made up.

#![no_main]

#[path = "../inputs.rs"]
mod inputs;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    inputs::program(input);
});
