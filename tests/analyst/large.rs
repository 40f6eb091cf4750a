//! Large profiles through every view: they fit into 2 GiB of memory, and the views agree.
//!
//! The million nodes are for a release build and by hand; the times it prints are no limits, as
//! machines differ: `cargo build --release && MEMPROF=target/release/memprof cargo test --test
//! analyst large -- --ignored --nocapture`

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use memprof::profile::{Frame, builder::Builder};
use object::{Object, ObjectSection};
use profiler_alloc_format::{COUNT_FRACTION_BITS, Node, Point, Stack};

/// The command that is tested.
fn memprof() -> PathBuf {
    let built = PathBuf::from(env!("CARGO_BIN_EXE_memprof"));
    let path = std::env::var_os("MEMPROF").map_or(built, PathBuf::from);
    fs::canonicalize(path).expect("the command")
}

/// A profile of `count` nodes, as if the command itself had been recorded: half of them end stacks,
/// up to 20 frames deep, of so many addresses all over its code.
fn profile(program: &Path, count: u64, addresses: u64) -> Vec<u8> {
    let bytes = fs::read(program).unwrap();
    let object = object::File::parse(&*bytes).unwrap();
    let text = object.section_by_name(".text").unwrap();
    let mut builder = Builder::new();
    builder.module(program);
    let mut random = 1_u64;
    for number in 1..count {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let step = (random >> 33) % addresses;
        let parent = number / 2;
        let is_leaf = 2 * number >= count;
        builder.nodes.push(Node {
            parent: parent as u32,
            frame: Frame::new(0, text.address() + 1 + step * (text.size() / addresses)).to_bits(),
            stack: if is_leaf {
                builder.stacks.len() as u32
            } else {
                0
            },
            ..Node::empty()
        });
        if is_leaf {
            let size = 16 + (random >> 40) % 100_000;
            let live = if number % 3 == 0 { size } else { 0 };
            builder.stacks.push(Stack {
                node: number as u32,
                alloc_bytes: size,
                alloc_count: 1 << COUNT_FRACTION_BITS,
                alloc_samples: 1,
                freed_bytes: size - live,
                live_bytes: live,
                peak_bytes: size,
                peak_count: 1 << COUNT_FRACTION_BITS,
                ..Stack::empty()
            });
            builder.header.final_allocs += 1;
            builder.header.final_alloc_bytes += size;
            builder.header.final_freed_bytes += size - live;
            builder.header.peak += size;
        }
    }
    for number in 0..2000 {
        builder.timeline.push(Point {
            time_ns: number * 1_000_000 + 1,
            heap: builder.header.peak / 2000 * number,
            rss: builder.header.peak,
            alloc_bytes: 0,
        });
    }
    builder.header.final_ns = 2_000_000_000;
    builder.to_bytes()
}

const VIEWS: [&[&str]; 10] = [
    &["report"],
    &["report", "--format", "html"],
    &["summary"],
    &["tree", "--all"],
    &["tree", "--inverted", "--of", "allocated"],
    &["flamegraph", "--of", "allocated"],
    &["flamegraph", "--all", "--inverted"],
    &["leaks"],
    &["temporary"],
    &["timeline"],
];

fn through_every_view(count: u64, addresses: u64) {
    let program = memprof();
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("large.memprof"),
        profile(&program, count, addresses),
    )
    .unwrap();
    for view in VIEWS {
        let started = Instant::now();
        let output = Command::new("sh")
            // More than the memory that is touched: addresses that are only set aside count too.
            .args(["-c", "ulimit -v 2097152 && exec \"$@\" -o out", "sh"])
            .arg(&program)
            .args(view)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{view:?}: {errors}");
        let len = fs::metadata(folder.path().join("out")).unwrap().len();
        eprintln!(
            "{view:?}: {:.1} s, {len} bytes",
            started.elapsed().as_secs_f64()
        );
        assert!(len > 0, "{view:?}");
    }
}

#[test]
fn every_view_of_a_large_profile_fits_into_memory() {
    // Looking up lines is what takes an unoptimized build so long.
    through_every_view(20_000, 100);
}

#[test]
#[ignore = "a minute, and of interest for a release build: see the top of the file"]
fn every_view_of_a_million_nodes_fits_into_memory() {
    through_every_view(1_000_000, 50_000);
}
