//! memprof against its peers: builds one program for each allocator, runs all of them interleaved,
//! and says what came out.
//!
//! ```text
//! cargo run --release --manifest-path benches/peers/Cargo.toml -- \
//!     [--quick] [--json FILE] [--page docs/performance.md]
//! ```

mod harness;

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

use harness::results::Results;
use harness::{build, page, plan, show};

/// Measures memprof and its peers on the same workloads, in turn.
#[derive(Parser, Debug)]
struct Options {
    /// A quarter of the work, fewer rounds: about three minutes instead of twelve.
    #[arg(long)]
    quick: bool,
    /// Rounds; every round runs everything once.
    #[arg(long)]
    rounds: Option<usize>,
    /// Only workloads whose name contains this.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Writes everything that was measured to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Shows what an earlier `--json` wrote instead of measuring.
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    from: Option<PathBuf>,
    /// Fills in the tables and draws the plots of this page.
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// The folder that docs/programs/repeat.sh was given: its two programs are measured too.
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,
    /// libbytehound.so, built from https://github.com/koute/bytehound: it is measured too.
    #[arg(long, value_name = "FILE")]
    bytehound: Option<PathBuf>,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let results = match &options.from {
        Some(file) => Results::read(file)?,
        None => measure(&options)?,
    };
    println!("{}", show::text(&results));
    if let Some(file) = &options.json {
        results.write(file)?;
    }
    if let Some(file) = &options.page {
        page::fill(file, &results)?;
    }
    Ok(())
}

fn measure(options: &Options) -> Result<Results> {
    let programs = build::all()?;
    let plan = plan::Plan {
        programs: &programs,
        rounds: options.rounds.unwrap_or(if options.quick { 2 } else { 3 }),
        part: if options.quick { 0.25 } else { 0.6 },
        only: options.only.as_deref(),
        published: options.programs.as_deref(),
        bytehound: options.bytehound.as_deref(),
    };
    let mut results = Results::here(options.quick);
    plan.instructions(&mut results)?;
    plan.times(&mut results)?;
    Ok(results)
}
