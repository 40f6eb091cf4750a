//! Where the resident memory was, for people.

use std::io::{self, Write};

use super::escape::escape;
use super::footer;
use super::format::{self, seconds};
use super::style::TITLE;
use super::tree_text::frame_name;
use crate::report::{
    Bytes, Figures, Metric, PartKind, Recording, Resident, ResidentAccount, ResidentLines, Site,
    Stacks, State,
};

/// The account of the resident memory as text.
#[derive(Clone, Copy, Debug)]
pub struct RssText {
    /// Lines shown of those that have untouched memory.
    pub top: usize,
}

/// Less than this much untouched memory of a line is not listed, in bytes.
const LITTLE: i64 = 64 << 10;
/// The allocator keeps much if it keeps this part of what is resident, and so many bytes.
const MUCH_PART: u64 = 4;
const MUCH: u64 = 16 << 20;

impl RssText {
    /// Writes the accounts `shown` of `resident` side by side, and the lines behind the last one,
    /// to `out`.
    pub fn rss(
        &self,
        resident: &Resident,
        shown: &[&ResidentAccount],
        lines: Option<&ResidentLines>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let program = escape(&resident.recording.program);
        writeln!(
            out,
            "{TITLE}Resident memory of {program}, process {}{TITLE:#}\n",
            resident.recording.pid
        )?;
        parts(&resident.recording, shown, out)?;
        writeln!(out)?;
        self.beside(shown, out)?;
        if let Some(lines) = lines {
            let titles = [
                "Asked for and not resident, in blocks of 64 KiB and more",
                "Untouched",
                "Of",
            ];
            self.lines(&lines.untouched, titles, out)?;
            let titles = [
                "Free on pages that these blocks are on, which so cannot be given back",
                "Pinned",
                "In use",
            ];
            self.lines(&lines.pinned, titles, out)?;
        }
        if let Some((seen, time_ns)) = resident.missed() {
            writeln!(
                out,
                "RSS was up to {}, after {}: no account was taken so near to that.\n",
                format::size(seen),
                seconds(time_ns)
            )?;
        }
        advice(shown, out)?;
        for words in footer::ends(&resident.recording) {
            writeln!(out, "{words}")?;
        }
        footer::sampling(&resident.sampling, &resident.losses, out)?;
        footer::faults(
            &Figures::default(),
            &resident.losses,
            &resident.defects,
            out,
        )
    }

    /// What is no part of the resident memory.
    fn beside(&self, shown: &[&ResidentAccount], out: &mut dyn Write) -> io::Result<()> {
        type Row = (&'static str, fn(&ResidentAccount) -> Bytes);
        let rows: [Row; 4] = [
            ("asked for, not resident", |account| account.untouched),
            ("in swap", |account| exact(account.swap)),
            ("in huge pages, of RSS", |account| exact(account.huge)),
            ("stacks, address space", |account| {
                exact(account.stacks_mapped)
            }),
        ];
        let mut is_any = false;
        for (label, of) in rows {
            if shown.iter().any(|account| of(account).bytes > 0) {
                write!(out, "{label:28}")?;
                for account in shown {
                    write!(out, "{:>17}{:7}", value(of(account)), "")?;
                }
                writeln!(out)?;
                is_any = true;
            }
        }
        if is_any { writeln!(out) } else { Ok(()) }
    }

    /// Lines by what is live of them, which is not what is in use: `titles` say what it is, and
    /// what it is of.
    fn lines(&self, stacks: &Stacks, titles: [&str; 3], out: &mut dyn Write) -> io::Result<()> {
        let sites = stacks.sites();
        let mut sites: Vec<&Site> = sites
            .iter()
            .filter(|site| site.figures.live.bytes >= LITTLE)
            .collect();
        if sites.is_empty() {
            return Ok(());
        }
        sites.sort_by_key(|site| (std::cmp::Reverse(site.figures.live.bytes), site.frame));
        let [title, what, of] = titles;
        writeln!(
            out,
            "{TITLE}{title}{TITLE:#}\n\n{what:>12} {of:>12} {:>10}",
            "Blocks"
        )?;
        for site in sites.iter().take(self.top) {
            writeln!(
                out,
                "{:>12} {:>12} {:>10}  {TITLE}{}{TITLE:#}",
                value(site.figures.live),
                value(site.figures.allocated),
                format::blocks(Metric::Live.blocks(&site.figures)),
                escape(&frame_name(&stacks.frames[site.frame as usize])),
            )?;
        }
        if let Some(rest) = sites.len().checked_sub(self.top).filter(|&rest| rest > 0) {
            writeln!(out, "{:>12} more lines", format::count(rest as i64))?;
        }
        writeln!(out)
    }
}

/// Writes what each part had in the accounts `shown`, side by side, and their sums.
pub(super) fn parts(
    recording: &Recording,
    shown: &[&ResidentAccount],
    out: &mut dyn Write,
) -> io::Result<()> {
    write!(out, "{:28}", "")?;
    for account in shown {
        write!(out, "{:>24}", moment(recording, account))?;
    }
    writeln!(out)?;
    let kinds = shown.first().map_or(&[][..], |account| &account.parts);
    for kind in kinds.iter().map(|part| part.kind) {
        if shown.iter().all(|account| account.part(kind).bytes == 0) {
            continue;
        }
        write!(out, "{:28}", label(kind))?;
        for account in shown {
            cell(account.part(kind), account.resident, out)?;
        }
        writeln!(out)?;
    }
    write!(out, "{TITLE}{:28}", "resident (RSS)")?;
    for account in shown {
        cell(exact(account.resident), account.resident, out)?;
    }
    writeln!(out, "{TITLE:#}")
}

fn exact(bytes: u64) -> Bytes {
    Bytes {
        bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
        standard_error: 0.0,
    }
}

fn cell(bytes: Bytes, whole: u64, out: &mut dyn Write) -> io::Result<()> {
    let share = bytes.bytes as f64 / whole.max(1) as f64 * 100.0;
    write!(out, "{:>17}{share:>5.0} %", value(bytes))
}

fn value(bytes: Bytes) -> String {
    let mark = if bytes.is_noise() { "~" } else { "" };
    format!("{mark}{}", format::table_bytes(bytes.bytes, 1))
}

/// When an account was taken, in words.
pub(super) fn moment(recording: &Recording, account: &ResidentAccount) -> String {
    let has_ended = matches!(recording.state, State::Finished | State::Exited);
    let name = match (account.is_last, account.is_highest) {
        (true, _) if has_ended => "at the end",
        (true, _) => "last seen",
        (_, true) => "highest",
        _ => "at",
    };
    format!("{name}, {}", seconds(account.time_ns))
}

/// The name of a part.
pub(super) fn label(kind: PartKind) -> &'static str {
    match kind {
        PartKind::InUse => "heap in use, as asked for",
        PartKind::Rounding => "rounding by the allocator",
        PartKind::Pinned => "free beside blocks in use",
        PartKind::Kept => "kept by the allocator",
        PartKind::Mapped => "mapped by the program",
        PartKind::Stacks => "stacks of threads",
        PartKind::Programs => "program and libraries",
        PartKind::Files => "other files, mapped",
        PartKind::Shared => "shared memory",
        PartKind::Recorder => "memprof itself",
        PartKind::Kernel => "the kernel's",
    }
}

/// What the figures call for.
fn advice(shown: &[&ResidentAccount], out: &mut dyn Write) -> io::Result<()> {
    let Some(last) = shown.last() else {
        return Ok(());
    };
    let kept = last.part(PartKind::Kept).bytes.max(0) as u64;
    if kept >= MUCH && kept >= last.resident / MUCH_PART {
        writeln!(
            out,
            "The allocator keeps much: free blocks that it does not give back, its caches, and blocks of\n\
             code that does not allocate through memprof. docs/rss.md says what helps.\n"
        )?;
    }
    if !last.knows_rounding {
        writeln!(
            out,
            "How the allocator rounds sizes is not known, so its rounding is in what it keeps;\n\
             `profiler_alloc::set_inner_statistics` tells it.\n"
        )?;
    }
    if last.is_cut {
        writeln!(
            out,
            "There were too many mappings to tell all apart: some of the heap is in \"mapped\".\n"
        )?;
    }
    Ok(())
}
