//! The stack that the recorder takes of whoever allocates, frees, or starts a recording, measured
//! by the example `stack_use`: threads of 16 KiB and signals' stacks must bear it.

mod built;

use std::path::{Path, PathBuf};
use std::process::Command;

/// Of an optimized program. Docs and README state it.
const OPTIMIZED: usize = 4 << 10;
/// Of a start in an optimized program: it looks a symbol up, for which the C library saves all
/// registers, 1.5 KiB more of them on a processor with AVX-512.
const OPTIMIZED_START: usize = 4608;
/// Of an unoptimized one, whose frames are several times as large. Of 16 KiB, a thread has 11 left
/// when its own code begins.
const UNOPTIMIZED: usize = 9 << 10;

/// The figures that the example prints with these arguments, each at most `most`.
fn figures(program: &Path, arguments: &[&str], most: usize, profile: Option<&Path>) -> Vec<usize> {
    let mut command = Command::new(program);
    command.args(arguments).env("MEMPROF_SAMPLE", "all");
    command.env("MEMPROF_ACCOUNTS_MS", "10");
    match profile {
        Some(profile) => command.env("MEMPROF_OUTPUT", profile),
        None => command.env_remove("MEMPROF_OUTPUT"),
    };
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", built::text(&output.stderr));
    let text = built::text(&output.stdout);
    let figures: Vec<usize> = text.lines().map(|line| line.parse().unwrap()).collect();
    println!("{arguments:?}: {figures:?} bytes of stack below the caller's frame");
    assert!(figures.iter().all(|&used| used <= most), "{figures:?}");
    figures
}

/// The example's program in both forms, and what each may take.
fn programs() -> [(PathBuf, usize); 2] {
    let name = "stack_use";
    [
        (built::optimized_example(name), OPTIMIZED),
        (built::example(name), UNOPTIMIZED),
    ]
}

#[test]
fn a_block_takes_no_more_stack_than_stated() {
    for (program, most) in programs() {
        let folder = tempfile::tempdir().unwrap();
        let profile = folder.path().join("x.memprof");
        let figures = figures(&program, &["operation"], most, Some(&profile));
        let [nothing, first, again, accounting] = figures[..] else {
            panic!("{figures:?}");
        };
        assert!(nothing < again && again <= first, "{figures:?}");
        assert!(again < accounting, "{figures:?}");
        let (profile, _) = memprof::profile::read(&profile).unwrap();
        // That one, and that of the end.
        assert!(profile.accounts.len() >= 2, "{:?}", profile.accounts);
        let samples = profile
            .stacks
            .iter()
            .map(|stack| stack.totals.alloc_samples);
        assert!(samples.sum::<u64>() >= 2, "both blocks were recorded");
    }
}

#[test]
fn a_start_takes_no_more_stack_than_a_block() {
    for (program, most) in programs() {
        let most = most.max(OPTIMIZED_START);
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().to_str().unwrap();
        assert_eq!(figures(&program, &["start", name], most, None).len(), 8);
        let profiles = std::fs::read_dir(&folder).unwrap().count();
        assert_eq!(profiles, 4, "each start made one");
    }
}
