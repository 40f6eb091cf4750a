//! The workloads under heapscope, which takes ten frames of every allocation. Its report goes to a
//! file of the temporary folder and is removed.

#[global_allocator]
static ALLOC: heapscope::Alloc = heapscope::Alloc::system();

fn main() {
    let file = std::env::temp_dir().join(format!("peers-heapscope-{}.json", std::process::id()));
    let profiler = heapscope::Profiler::builder()
        .output(heapscope::Output::dhat_v2(&file))
        .build()
        .expect("built with frame pointers");
    peers::main();
    drop(profiler);
    let _ = std::fs::remove_file(file);
}
