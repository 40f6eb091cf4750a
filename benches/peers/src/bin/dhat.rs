//! The workloads under dhat-rs. Its report goes to a file of the temporary folder and is removed.

#[global_allocator]
static ALLOC: dhat::Alloc = dhat::Alloc;

fn main() {
    let file = std::env::temp_dir().join(format!("peers-dhat-{}.json", std::process::id()));
    let profiler = dhat::Profiler::builder().file_name(&file).build();
    peers::main();
    drop(profiler);
    let _ = std::fs::remove_file(file);
}
