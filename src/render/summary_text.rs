//! Summaries as text.

use std::io::{self, Write};

use super::contexts_text::{crowded, none};
use super::escape::escape;
use super::footer::{beginning, faults, sampling};
use super::format::{self, bytes, count, date, exact_bytes, exact_size, seconds, size};
use super::rss_text;
use super::style::TITLE;
use super::tree_text::value;
use super::{killed, moment};
use crate::report::{
    Bytes, ContextRow, Figures, HeapRow, Metric, Recording, ResidentAccount, ShownView, State,
    Summary, TopLine,
};
use crate::units::Count;

/// Characters of the longest bar.
const BAR: usize = 40;
/// Contexts shown of each key.
const FEW: usize = 5;

/// A summary for people.
#[derive(Clone, Copy, Debug)]
pub struct SummaryText {
    /// Lines shown in each list of lines.
    pub top: usize,
}

impl SummaryText {
    /// Writes `summary` to `out`.
    pub fn summary(&self, summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
        recording(&summary.recording, out)?;
        heaps(&summary.heaps, out)?;
        resident(summary, out)?;
        match &summary.recording.shown {
            Some(_) => self.lines(summary, "Top lines: live then", Metric::Live, out)?,
            None => {
                self.lines(summary, "Top lines: live at the end", Metric::Live, out)?;
                self.lines(summary, "Top lines: in use at the peak", Metric::Peak, out)?;
                self.lines(summary, "Top lines: allocated", Metric::Allocated, out)?;
            }
        }
        contexts(summary, out)?;
        // Of another heap than the main one, neither is known.
        if !summary.threads.is_empty() {
            sizes(summary, out)?;
            threads(summary, out)?;
        }
        heading("Recorder", out)?;
        sampling(&summary.sampling, &summary.losses, out)?;
        own_cost(summary, out)?;
        faults(
            &summary.unattributed,
            &summary.losses,
            &summary.defects,
            out,
        )
    }

    fn lines(
        &self,
        summary: &Summary,
        title: &str,
        metric: Metric,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        heading(title, out)?;
        let bytes = |line: &TopLine| metric.of(&line.figures).bytes;
        let lines = summary.top(usize::MAX, |figures| metric.of(figures).bytes);
        for line in lines.iter().take(self.top) {
            let place = match line.line {
                Some(number) => format!("{}:{number}", line.file),
                None => line.file.clone(),
            };
            let place = format!("{place}  {}", line.function);
            row(metric, &line.figures, &place, out)?;
        }
        if let Some(rest) = lines.get(self.top..).filter(|rest| !rest.is_empty()) {
            let sum = rest
                .iter()
                .map(|line| bytes(line))
                .fold(0, i64::saturating_add);
            let (sum, rest) = (format::bytes(sum), rest.len());
            writeln!(out, "{sum:>12}  in {rest} more lines")?;
        }
        let elsewhere = &summary.elsewhere;
        if metric.of(elsewhere).bytes > 0 {
            row(metric, elsewhere, "outside the program's own source", out)?;
        } else if lines.is_empty() {
            writeln!(out, "{:>12}", "nothing")?;
        }
        Ok(())
    }
}

fn heading(title: &str, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n{TITLE}{title}{TITLE:#}")
}

fn row(metric: Metric, figures: &Figures, place: &str, out: &mut dyn Write) -> io::Result<()> {
    let (figure, blocks) = (metric.of(figures), metric.blocks(figures));
    let mark = if figure.is_noise() { "~" } else { "" };
    let shown = format!("{mark}{}", bytes(figure.bytes));
    let exact = if figure.standard_error == 0.0 {
        format!("{} B", count(figure.bytes))
    } else {
        percent(figure)
    };
    let error = match blocks.standard_error {
        0.0 => String::new(),
        _ => format!(" {}", percent(blocks)),
    };
    let blocks = format!("{} blocks{error}", format::blocks(blocks));
    writeln!(
        out,
        "{shown:>12}  {exact:>16}  {blocks:>14}  {}",
        escape(place)
    )
}

/// The standard error of a figure: `± 3 %`.
fn percent(figure: Bytes) -> String {
    format!("± {:.0} %", figure.relative_error().min(9.99) * 100.0)
}

fn recording(recording: &Recording, out: &mut dyn Write) -> io::Result<()> {
    let counters = &recording.counters;
    let program = match recording.program.as_str() {
        "" => "unknown program",
        program => program,
    };
    let killed = recording.killed.as_ref().map(killed::by);
    let state = killed.as_deref().unwrap_or(match recording.state {
        _ if recording.merged.is_some() => "merged",
        State::Finished => "recording finished",
        State::Exited => "program ended",
        State::Recording => "still running, or killed",
        State::Paused => "paused, or killed while it was",
    });
    writeln!(
        out,
        "{TITLE}{}{TITLE:#} ({}), {state}",
        escape(program),
        recording.who()
    )?;
    if let Some(sentence) = killed::sentence(recording) {
        writeln!(out, "  {sentence}")?;
    }
    if let Some(line) = moment::line(recording) {
        writeln!(out, "  {line}")?;
    }
    writeln!(out, "  started      {}", date(recording.started_unix_ns))?;
    writeln!(out, "  recorded     {}", seconds(recording.duration_ns))?;
    writeln!(
        out,
        "  allocations  {} (and {} reallocations), {}",
        Count(counters.allocs),
        Count(counters.reallocs),
        exact_size(counters.alloc_bytes),
    )?;
    writeln!(
        out,
        "  frees        {}, {}",
        Count(counters.frees),
        exact_size(counters.freed_bytes),
    )?;
    let span_ns = recording
        .shown
        .as_ref()
        .map_or(recording.duration_ns, ShownView::span_ns);
    if span_ns > 0 {
        let per_second = |number: u64| (number as f64 / (span_ns as f64 / 1e9)) as u64;
        writeln!(
            out,
            "  rate         {} allocations/s, {}/s",
            Count(per_second(
                counters.allocs.saturating_add(counters.reallocs)
            )),
            size(per_second(counters.alloc_bytes)),
        )?;
    }
    writeln!(
        out,
        "  peak         {} after {}",
        exact_bytes(recording.peak),
        seconds(recording.peak_ns)
    )?;
    let start = match recording.heap_at_start {
        1.. => format!("before the {}", beginning(recording)),
        _ => "at the start".to_owned(),
    };
    writeln!(
        out,
        "  heap in use  {} {}, {} {start}",
        exact_bytes(recording.heap),
        match (&recording.shown, recording.merged) {
            (Some(_), _) => "then",
            (None, None) => "at the end",
            (None, Some(_)) => "at the end of each",
        },
        bytes(recording.heap_at_start),
    )
}

fn heaps(heaps: &[HeapRow], out: &mut dyn Write) -> io::Result<()> {
    if heaps.is_empty() {
        return Ok(());
    }
    heading("Heaps, each at its own peak; --heap NAME shows one", out)?;
    let [in_use, peak, allocated, blocks] = ["In use", "At peak", "Allocated", "Blocks"];
    writeln!(out, "{in_use:>12} {peak:>12} {allocated:>12} {blocks:>14}")?;
    for heap in heaps {
        writeln!(
            out,
            "{:>12} {:>12} {:>12} {:>14}  {}",
            bytes(heap.in_use),
            bytes(heap.peak),
            size(heap.alloc_bytes),
            Count(heap.allocs).to_string(),
            escape(&heap.name),
        )?;
    }
    Ok(())
}

fn resident(summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    let shown: Vec<&ResidentAccount> = summary.resident.iter().collect();
    if shown.is_empty() {
        return Ok(());
    }
    heading("Resident memory", out)?;
    rss_text::parts(&summary.recording, &shown, out)
}

fn contexts(summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    for key in &summary.contexts {
        heading(&format!("Contexts: {}, by the peak", escape(&key.key)), out)?;
        writeln!(out, "{:>12} {:>12} {:>12}", "Live", "At peak", "Allocated")?;
        let line = |figures: &Figures, name: &str, out: &mut dyn Write| {
            let [live, peak, allocated] = [Metric::Live, Metric::Peak, Metric::Allocated]
                .map(|metric| value(metric, metric.of(figures)));
            writeln!(out, "{live:>12} {peak:>12} {allocated:>12}  {name}")
        };
        let touched: Vec<&ContextRow> = (key.rows.iter())
            .filter(|row| row.figures != Figures::default())
            .collect();
        for row in touched.iter().take(FEW) {
            line(&row.figures, &escape(&row.context.value), out)?;
        }
        if let Some(rest) = touched.get(FEW..).filter(|rest| !rest.is_empty()) {
            let mut sum = Figures::default();
            rest.iter().for_each(|row| sum.add(&row.figures));
            let name = format!("({} more; `memprof contexts` lists them)", rest.len());
            line(&sum, &name, out)?;
        }
        line(&key.none, &none(key, Metric::Peak), out)?;
        crowded(key, out)?;
    }
    Ok(())
}

fn sizes(summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    heading("Sizes of the blocks allocated", out)?;
    let most = summary.sizes.iter().map(|bar| bar.count).max().unwrap_or(0);
    if most <= 0 {
        return writeln!(out, "{:>12}", "nothing");
    }
    for bar in summary.sizes.iter().filter(|bar| bar.count > 0) {
        let range = match bar.to {
            0 => "0 B".to_owned(),
            _ => format!("from {}", size(bar.from)),
        };
        let part = bar.count as f64 / most as f64;
        let len = ((part * BAR as f64).round() as usize).max(1);
        let line = format!(
            "{range:>16} {:>14} {:>12}  {:#<len$}",
            count(bar.count),
            size(bar.bytes),
            ""
        );
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn threads(summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    heading("Threads", out)?;
    for thread in &summary.threads {
        let name = match thread.name.as_str() {
            "" => "unnamed",
            name => name,
        };
        let earlier = if thread.own_alloc_bytes == thread.alloc_bytes {
            ""
        } else {
            " and threads before it"
        };
        writeln!(
            out,
            "{:>12} allocated  {:>12} freed  {}{earlier}{}",
            size(thread.alloc_bytes),
            size(thread.freed_bytes),
            escape(name),
            if thread.running { "" } else { " (ended)" },
        )?;
    }
    Ok(())
}

fn own_cost(summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    let own = &summary.own;
    write!(out, "Own time: {} measured", seconds(own.time_ns))?;
    if own.cpu_ns > 0 {
        let percent = own.time_ns as f64 / own.cpu_ns as f64 * 100.0;
        write!(out, ", {percent:.1} % of {} CPU time", seconds(own.cpu_ns))?;
    }
    if own.unsampled_ns > 0 {
        let unsampled = seconds(own.unsampled_ns);
        write!(out, ", {unsampled} of it on what was not sampled")?;
    }
    writeln!(out, "; own memory: {}.", size(own.bytes))?;
    writeln!(
        out,
        "Stacks walked: {} by frame pointers, {} by unwind tables.",
        Count(own.frame_pointer_walks),
        Count(own.table_walks),
    )
}
