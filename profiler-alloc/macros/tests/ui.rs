//! What is wrong with the use of an attribute is said by the compiler, where it is wrong.

#![cfg(target_os = "linux")]

#[test]
fn mistakes_are_compile_errors_where_they_stand() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
}
