//! Says what the target can do: whether programs are recorded there, and which unwinder walks their
//! stacks. That is our own where it knows the machine, the `backtrace` crate elsewhere or on
//! request.

use std::env;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(can_record)");
    println!("cargo::rustc-check-cfg=cfg(portable_unwinder)");
    println!("cargo::rerun-if-changed=build.rs");
    let target = |what: &str| env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
    let can_record =
        target("OS") == "linux" && target("POINTER_WIDTH") == "64" && target("ENDIAN") == "little";
    if can_record {
        println!("cargo::rustc-cfg=can_record");
    }
    let is_known = matches!(target("ARCH").as_str(), "x86_64" | "aarch64");
    let is_asked_for = env::var_os("CARGO_FEATURE_PORTABLE_UNWINDER").is_some();
    if !is_known || is_asked_for {
        println!("cargo::rustc-cfg=portable_unwinder");
    }
}
