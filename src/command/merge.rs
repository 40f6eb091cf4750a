//! `memprof merge`: one profile of many, in a file.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;

use super::load::{Input, Output};
use super::many;
use crate::units::{ByteSize, Count};

/// Make one profile of many: of a test suite, of all workers of a server.
///
/// Every view reads the file, and so does `memprof merge`, so that a fleet can be merged part by
/// part. Exact counts, samples and losses add up, standard errors in squares, timelines by the
/// clock; docs/many.md says what each figure of many processes means.
#[derive(clap::Args, Debug)]
pub struct MergeArgs {
    /// Write the merged profile to FILE
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Merge these profiles
    #[arg(value_name = "FILE", required_unless_present = "run")]
    files: Vec<PathBuf>,
    /// Merge all profiles of the last run in this folder (1), or of the Nth last
    #[arg(long, value_name = "N", conflicts_with = "files")]
    run: Option<std::num::NonZeroUsize>,
}

pub fn run(args: MergeArgs) -> anyhow::Result<ExitCode> {
    if args.output == Path::new("-") {
        bail!(
            "a profile is read back and forth, so it cannot go to standard output: name a file with -o"
        );
    }
    let input = Input {
        files: args.files,
        run: args.run,
        ..Input::default()
    };
    let (profile, defects) = many::merge(&input.paths()?)?.finish();
    let bytes = profile.to_bytes();
    let code = Output::to(Some(&args.output)).write_private(|out| out.write_all(&bytes))?;
    let mut stderr = io::stderr().lock();
    let _ = writeln!(
        stderr,
        "memprof: merged {} profiles into {} ({})",
        Count(profile.processes.len() as u64),
        args.output.display(),
        ByteSize(bytes.len() as u64)
    );
    for defect in defects {
        let _ = writeln!(stderr, "memprof: {defect}");
    }
    Ok(code)
}
