//! Where the resident memory was, as JSON.

use std::io::{self, Write};

use serde::Serialize;

use super::shape::{self, LossShape, RecordingShape, SamplingShape};
use crate::report::{Bytes, Metric, Resident, ResidentAccount, ResidentLines, Stacks};

/// Name and version of the shape.
const RSS: &str = "memprof-rss/1";

/// The accounts as JSON: `docs/json.md` describes the shape.
#[derive(Clone, Copy, Debug, Default)]
pub struct RssJson;

impl RssJson {
    /// Writes all accounts of `resident`, and the lines behind the last one, to `out`.
    pub fn rss(
        &self,
        resident: &Resident,
        behind: &ResidentLines,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let shape = RssShape {
            schema: RSS,
            recording: RecordingShape::of(&resident.recording),
            sampling: SamplingShape::of(&resident.sampling),
            highest_rss: (resident.seen_highest)
                .map(|(bytes, time_ns)| SeenShape { bytes, time_ns }),
            accounts: resident.accounts.iter().map(AccountShape::of).collect(),
            untouched_lines: lines(&behind.untouched),
            pinned_lines: lines(&behind.pinned),
            losses: shape::losses(&resident.losses),
            defects: shape::defects(&resident.defects),
        };
        super::json::write(&shape, out)
    }
}

#[derive(Serialize)]
struct RssShape<'a> {
    schema: &'static str,
    recording: RecordingShape<'a>,
    sampling: SamplingShape,
    /// Null where the timeline saw none.
    highest_rss: Option<SeenShape>,
    accounts: Vec<AccountShape>,
    untouched_lines: Vec<ResidentLineShape>,
    pinned_lines: Vec<ResidentLineShape>,
    losses: Vec<LossShape>,
    defects: Vec<String>,
}

#[derive(Serialize)]
struct SeenShape {
    bytes: u64,
    time_ns: u64,
}

#[derive(Serialize)]
pub(super) struct AccountShape {
    time_ns: u64,
    resident: u64,
    parts: Vec<PartShape>,
    in_use: i64,
    untouched: EstimateShape,
    swap: u64,
    huge_pages: u64,
    stacks_mapped: u64,
    rounding_known: bool,
    pinned_known: bool,
    all_mappings_told_apart: bool,
    cost_ns: u64,
}

#[derive(Serialize)]
struct PartShape {
    part: &'static str,
    bytes: i64,
    standard_error: f64,
}

#[derive(Serialize)]
struct EstimateShape {
    bytes: i64,
    standard_error: f64,
}

#[derive(Serialize)]
struct ResidentLineShape {
    file: String,
    line: Option<u32>,
    function: String,
    /// Untouched, or pinned.
    bytes: EstimateShape,
    /// Of so many bytes that were asked for.
    of: i64,
    blocks: i64,
}

impl AccountShape {
    pub(super) fn of(account: &ResidentAccount) -> AccountShape {
        let parts = account.parts.iter().map(|part| PartShape {
            part: part.kind.key(),
            bytes: part.bytes.bytes,
            standard_error: part.bytes.standard_error,
        });
        AccountShape {
            time_ns: account.time_ns,
            resident: account.resident,
            parts: parts.collect(),
            in_use: account.in_use,
            untouched: estimate(account.untouched),
            swap: account.swap,
            huge_pages: account.huge,
            stacks_mapped: account.stacks_mapped,
            rounding_known: account.knows_rounding,
            pinned_known: account.knows_pinned,
            all_mappings_told_apart: !account.is_cut,
            cost_ns: account.cost_ns,
        }
    }
}

fn estimate(bytes: Bytes) -> EstimateShape {
    EstimateShape {
        bytes: bytes.bytes,
        standard_error: bytes.standard_error,
    }
}

fn lines(stacks: &Stacks) -> Vec<ResidentLineShape> {
    let sites = stacks.sites().into_iter();
    let mut sites: Vec<_> = sites.filter(|site| site.figures.live.bytes > 0).collect();
    sites.sort_by_key(|site| (std::cmp::Reverse(site.figures.live.bytes), site.frame));
    let shapes = sites.iter().map(|site| {
        let frame = &stacks.frames[site.frame as usize];
        ResidentLineShape {
            file: frame.file.clone(),
            line: frame.line,
            function: frame.function.clone(),
            bytes: estimate(site.figures.live),
            of: site.figures.allocated.bytes,
            blocks: Metric::Live.blocks(&site.figures).bytes,
        }
    });
    shapes.collect()
}
