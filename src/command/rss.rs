//! `memprof rss`: where the resident memory was.

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::{Context, bail};

use super::load::{Input, Output};
use crate::profile::{Profile, When};
use crate::render::{RssJson, RssText};
use crate::report::{Resident, ResidentAccount, ResidentLines};
use crate::units::Seconds;

/// Show where the resident memory was: heap in use, what the allocator keeps, what was mapped, at
/// the highest and at the end. The parts add up to the resident set size.
#[derive(clap::Args, Debug)]
pub struct RssArgs {
    #[command(flatten)]
    input: Input,
    /// Show the account at this moment instead, or the last one before: when most was resident
    /// (highest), at a time such as 1.5s, at a mark of the program, at the heap's peak or the end;
    /// may be given several times
    #[arg(long, value_name = "highest|TIME|MARK|peak|end")]
    at: Vec<Which>,
    /// Show at most N lines that asked for memory and did not touch it
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
    /// Write this form
    #[arg(long, value_enum, default_value_t)]
    format: RssFormat,
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum RssFormat {
    /// For people
    #[default]
    Text,
    /// For programs: all accounts; see docs/json.md
    Json,
}

/// Which account.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Which {
    /// The one with most resident.
    Highest,
    /// The one at this moment.
    At(When),
}

impl FromStr for Which {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Which, Self::Err> {
        if text == "highest" {
            return Ok(Which::Highest);
        }
        let Ok(when) = text.parse();
        Ok(Which::At(when))
    }
}

impl Which {
    fn of<'a>(
        &self,
        profile: &Profile,
        resident: &'a Resident,
    ) -> anyhow::Result<&'a ResidentAccount> {
        let found = match self {
            Which::Highest => resident.highest(),
            Which::At(When::End) => resident.accounts.last(),
            Which::At(When::Named(name)) => {
                let when = When::Named(name.clone());
                let Ok(time_ns) = profile.time_of(&when) else {
                    bail!(
                        "{name} is neither a mark of the profile nor a time such as 1.5s; \
                         others are highest, peak and end"
                    );
                };
                resident.at(time_ns)
            }
            Which::At(when) => resident.at(profile.time_of(when)?),
        };
        found.with_context(|| {
            let first = resident.accounts.first();
            let first = first.map_or(0, |account| account.time_ns);
            format!(
                "nothing is known of that moment: the first account was taken after {}",
                Seconds(first)
            )
        })
    }
}

pub fn run(args: RssArgs) -> anyhow::Result<ExitCode> {
    let mut loaded = args.input.load()?;
    if loaded.profile.is_merged() {
        bail!("an account of resident memory is of one process: name the profile of one");
    }
    let resident = Resident::new(&loaded.profile, loaded.defects.clone());
    if resident.accounts.is_empty() {
        bail!(
            "the profile says nothing of resident memory: the program was killed in its first \
             moments, was recorded with `--account-interval off` or by an older recorder, or the \
             system has no /proc/self/smaps"
        );
    }
    let mut shown = match args.at.as_slice() {
        [] => resident.highest_and_last(),
        asked => {
            let found: anyhow::Result<Vec<_>> = (asked
                .iter()
                .map(|which| which.of(&loaded.profile, &resident)))
            .collect();
            found?
        }
    };
    shown.dedup();
    // Only of the last account is it known which lines are behind it.
    let is_last = shown.iter().any(|account| account.is_last);
    let lines = ResidentLines::new(loaded.profile, &loaded.symbols, &mut loaded.sources);
    Output::to(args.output.as_deref()).write(|out| match args.format {
        RssFormat::Text => {
            let text = RssText { top: args.top };
            text.rss(&resident, &shown, is_last.then_some(&lines), out)
        }
        RssFormat::Json => RssJson.rss(&resident, &lines, out),
    })
}
