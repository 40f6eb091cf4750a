//! Where the resident memory was, as JSON.

use std::io::{self, Write};

use serde::Serialize;

use super::shape::{self, LossShape, RecordingShape, SamplingShape};
use crate::report::{Bytes, Metric, Resident, ResidentAccount, Stacks};

/// Name and version of the shape.
const RSS: &str = "memprof-rss/1";

/// The accounts as JSON: `docs/json.md` describes the shape.
#[derive(Clone, Copy, Debug, Default)]
pub struct RssJson;

impl RssJson {
    /// Writes all accounts of `resident`, and the lines of `untouched`, in which what is live is
    /// what was not resident at the last account, to `out`.
    pub fn rss(
        &self,
        resident: &Resident,
        untouched: Option<&Stacks>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let shape = RssShape {
            schema: RSS,
            recording: RecordingShape::of(&resident.recording),
            sampling: SamplingShape::of(&resident.sampling),
            accounts: resident.accounts.iter().map(AccountShape::of).collect(),
            untouched_lines: untouched.map(lines).unwrap_or_default(),
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
    accounts: Vec<AccountShape>,
    untouched_lines: Vec<UntouchedShape>,
    losses: Vec<LossShape>,
    defects: Vec<String>,
}

#[derive(Serialize)]
struct AccountShape {
    time_ns: u64,
    resident: u64,
    parts: Vec<PartShape>,
    in_use: i64,
    untouched: EstimateShape,
    swap: u64,
    huge_pages: u64,
    stacks_mapped: u64,
    rounding_known: bool,
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
struct UntouchedShape {
    file: String,
    line: Option<u32>,
    function: String,
    untouched: EstimateShape,
    allocated: i64,
    blocks: i64,
}

impl AccountShape {
    fn of(account: &ResidentAccount) -> AccountShape {
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

fn lines(stacks: &Stacks) -> Vec<UntouchedShape> {
    let sites = stacks.sites().into_iter();
    let mut sites: Vec<_> = sites.filter(|site| site.figures.live.bytes > 0).collect();
    sites.sort_by_key(|site| (std::cmp::Reverse(site.figures.live.bytes), site.frame));
    let shapes = sites.iter().map(|site| {
        let frame = &stacks.frames[site.frame as usize];
        UntouchedShape {
            file: frame.file.clone(),
            line: frame.line,
            function: frame.function.clone(),
            untouched: estimate(site.figures.live),
            allocated: site.figures.allocated.bytes,
            blocks: Metric::Live.blocks(&site.figures).bytes,
        }
    });
    shapes.collect()
}
