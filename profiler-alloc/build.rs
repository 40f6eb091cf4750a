//! Chooses the unwinder: our own where it knows the machine, the `backtrace` crate elsewhere or on request.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(portable_unwinder)");
    println!("cargo::rerun-if-changed=build.rs");
    let machine = std::env::var("CARGO_CFG_TARGET_ARCH");
    let is_known = matches!(machine.as_deref(), Ok("x86_64" | "aarch64"));
    let is_asked_for = std::env::var_os("CARGO_FEATURE_PORTABLE_UNWINDER").is_some();
    if !is_known || is_asked_for {
        println!("cargo::rustc-cfg=portable_unwinder");
    }
}
