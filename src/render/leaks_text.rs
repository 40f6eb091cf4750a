//! What is live at the end, by line and stack, the most suspicious first.

use std::io::{self, Write};

use super::escape::escape;
use super::foot::foot;
use super::text::TITLE;
use super::tree_text::{frame_name, value};
use super::words;
use crate::report::{Metric, Site, Stacks};

/// A list of what looks like leaks, for people.
#[derive(Clone, Copy, Debug)]
pub struct LeaksText {
    /// Lines shown.
    pub top: usize,
    /// Stacks shown for each line.
    pub stacks: usize,
}

impl LeaksText {
    /// Writes what is live in `stacks`, which are to be [narrowed](Stacks::narrowed), to `out`.
    pub fn leaks(&self, stacks: &Stacks, out: &mut dyn Write) -> io::Result<()> {
        let mut sites = stacks.sites();
        sites.retain(|site| site.figures.live.bytes > 0);
        sites.sort_by(|a, b| {
            (b.leak_score().total_cmp(&a.leak_score())).then(a.frame.cmp(&b.frame))
        });
        let total = &stacks.total;
        writeln!(
            out,
            "{TITLE}Live at the end: {} in {} blocks, of {} allocated{TITLE:#}\n",
            value(Metric::Live, total.live),
            words::count(total.live_count),
            words::bytes(total.allocated.bytes),
        )?;
        writeln!(
            out,
            "{:>12} {:>12} {:>10} {:>6} {:>12} {:>10} {:>10} {:>14}",
            "Score", "Live", "Blocks", "Kept", "Since peak", "Oldest", "Youngest", "Growth"
        )?;
        for site in sites.iter().take(self.top) {
            self.site(stacks, site, out)?;
        }
        if sites.is_empty() {
            writeln!(out, "{:>12}", "nothing")?;
        }
        if let Some(rest) = sites.get(self.top..).filter(|rest| !rest.is_empty()) {
            let live = rest.iter().map(|site| site.figures.live.bytes);
            let sum = words::bytes(live.fold(0, i64::saturating_add));
            writeln!(out, "{:>12} {sum:>12}  in {} more lines", "", rest.len())?;
        }
        writeln!(
            out,
            "\nScore: bytes live, times the part of what the line allocated that is live (Kept). \
             Since peak: live at the end minus in use at the peak."
        )?;
        writeln!(
            out,
            "Oldest and youngest: time since the first and since the last block was taken; what is live is no older and no \
             younger. Growth: bytes live by the time in between."
        )?;
        foot(stacks, out)
    }

    fn site(&self, stacks: &Stacks, site: &Site, out: &mut dyn Write) -> io::Result<()> {
        let grown = site.since_peak();
        let sign = if grown > 0 { "+" } else { "" };
        let frame = &stacks.frames[site.frame as usize];
        let age = site.age(&stacks.recording);
        let ago = |ns: Option<u64>| ns.map(words::seconds).unwrap_or_default();
        let growth = age.and_then(|age| age.growth);
        let growth = growth.map(|bytes| format!("{}/s", words::bytes(bytes as i64)));
        writeln!(
            out,
            "{:>12} {:>12} {:>10} {:>5.0}% {:>12} {:>10} {:>10} {:>14}  {TITLE}{}{TITLE:#}",
            words::bytes(site.leak_score() as i64),
            value(Metric::Live, site.figures.live),
            words::count(site.figures.live_count),
            site.kept() * 100.0,
            format!("{sign}{}", words::bytes(grown)),
            ago(age.map(|age| age.oldest_ns)),
            ago(age.map(|age| age.youngest_ns)),
            growth.unwrap_or_default(),
            escape(&frame_name(frame)),
        )?;
        for number in site.top_stacks(stacks, Metric::Live, self.stacks) {
            stack(stacks, number, Metric::Live, out)?;
        }
        Ok(())
    }
}

/// A stack in one line, innermost frame first.
pub(super) fn stack(
    stacks: &Stacks,
    number: usize,
    metric: Metric,
    out: &mut dyn Write,
) -> io::Result<()> {
    const FRAMES: usize = 8;
    let stack = &stacks.stacks[number];
    let mut frames = stacks.path(stack.node);
    let names: Vec<String> = (frames.by_ref().take(FRAMES))
        .map(|frame| match (frame.line, frame.file.rsplit('/').next()) {
            (Some(line), Some(file)) => format!("{} ({file}:{line})", frame.function),
            _ => frame.function.clone(),
        })
        .collect();
    let more = if frames.next().is_some() {
        " ← …"
    } else {
        ""
    };
    let figure = value(metric, metric.of(&stack.figures));
    let path = names.join(" ← ");
    writeln!(out, "{:>25}  {}{more}", figure, escape(&path))
}
