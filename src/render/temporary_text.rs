//! Allocations that lived for a moment, and blocks that grew step by step, by line.

use std::io::{self, Write};

use super::escape::escape;
use super::footer::footer;
use super::format;
use super::leaks_text::stack;
use super::style::TITLE;
use super::tree_text::{frame_name, value};
use crate::report::{Metric, Site, Stacks, StacksBy};

/// Lists of what could be allocated less often, for people.
#[derive(Clone, Copy, Debug)]
pub struct TemporaryText {
    /// Lines shown in each list.
    pub top: usize,
    /// Stacks shown for each line.
    pub stacks: usize,
    /// Characters of a line, if it is for a terminal.
    pub width: Option<usize>,
}

impl TemporaryText {
    /// Writes the lists for `stacks`, which are to be [restricted](Stacks::restricted), to `out`.
    pub fn temporary(&self, stacks: &Stacks, out: &mut dyn Write) -> io::Result<()> {
        self.both(stacks, out)?;
        writeln!(out)?;
        footer(stacks, out)
    }

    /// Writes the lists of each context to `out`. `stacks` are those of the whole.
    pub fn by_context(
        &self,
        stacks: &Stacks,
        by: &StacksBy,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        for context in by.contexts.iter().take(self.top) {
            let title = context.title(&by.key);
            writeln!(out, "{TITLE}Context: {}{TITLE:#}", escape(&title))?;
            self.both(&context.stacks, out)?;
            writeln!(out)?;
        }
        match by.contexts.len().checked_sub(self.top) {
            _ if by.contexts.is_empty() => writeln!(out, "No context has any.\n")?,
            Some(rest) if rest > 0 => writeln!(out, "{rest} more contexts\n")?,
            _ => {}
        }
        footer(stacks, out)
    }

    fn both(&self, stacks: &Stacks, out: &mut dyn Write) -> io::Result<()> {
        let sites = stacks.sites();
        let total = &stacks.total;
        let freed = if stacks.sampling.exact {
            "freed before the thread allocated again"
        } else {
            "freed before the thread's next sample"
        };
        writeln!(
            out,
            "{TITLE}Temporary: {} in {} blocks, {freed}{TITLE:#}\n",
            value(Metric::Temporary, total.temporary),
            format::blocks(Metric::Temporary.blocks(total)),
        )?;
        self.list(stacks, &sites, Metric::Temporary, out)?;
        writeln!(
            out,
            "\n{TITLE}Grown step by step: {} in {} reallocations; `with_capacity` or `reserve` saves them{TITLE:#}\n",
            value(Metric::Reallocated, total.reallocated),
            format::blocks(Metric::Reallocated.blocks(total)),
        )?;
        self.list(stacks, &sites, Metric::Reallocated, out)
    }

    fn list(
        &self,
        stacks: &Stacks,
        sites: &[Site],
        metric: Metric,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let bytes = |site: &Site| metric.of(&site.figures).bytes;
        let mut found: Vec<&Site> = sites.iter().filter(|site| bytes(site) > 0).collect();
        found.sort_by_key(|site| (std::cmp::Reverse(bytes(site)), site.frame));
        writeln!(
            out,
            "{:>12} {:>12} {:>16}",
            "Bytes", "Blocks", "Of all it took"
        )?;
        for site in found.iter().take(self.top) {
            let share = bytes(site) as f64 / site.figures.allocated.bytes.max(1) as f64 * 100.0;
            writeln!(
                out,
                "{:>12} {:>12} {share:>15.0}%  {TITLE}{}{TITLE:#}",
                value(metric, metric.of(&site.figures)),
                format::blocks(metric.blocks(&site.figures)),
                escape(&frame_name(&stacks.frames[site.frame as usize])),
            )?;
            for number in site.top_stacks(stacks, metric, self.stacks) {
                stack(stacks, number, metric, self.width, out)?;
            }
        }
        match found.len().checked_sub(self.top) {
            _ if found.is_empty() => writeln!(out, "{:>12}", "nothing"),
            Some(rest) if rest > 0 => {
                writeln!(out, "{:>12} more lines", format::count(rest as i64))
            }
            _ => Ok(()),
        }
    }
}
