//! Differences as text: what changed as a whole, then function by function and line by line.

use std::io::{self, Write};

use super::escape::{escape, escape_source};
use super::footer;
use super::format;
use super::style::{FAINT, TITLE};
use crate::report::diff::{
    Change, Diff, FunctionChange, Growth, GrowthItem, LineChange, PartChanges, Presence, Side,
};
use crate::report::{Metric, Scope};

/// Differences for people.
#[derive(Clone, Copy, Debug)]
pub struct DiffText {
    /// The figure shown.
    pub metric: Metric,
    /// Decimal places of bytes.
    pub precision: usize,
    /// So many functions at most; `None` shows all.
    pub top: Option<usize>,
}

impl Default for DiffText {
    fn default() -> Self {
        DiffText {
            metric: Metric::default(),
            precision: 1,
            top: None,
        }
    }
}

impl DiffText {
    /// Writes `diff`, in the order its functions have, to `out`.
    pub fn diff(&self, diff: &Diff, out: &mut dyn Write) -> io::Result<()> {
        let name = |side: &Side| {
            let date = format::date(side.recording.started_unix_ns);
            let moment = side.recording.shown.as_ref();
            let moment = moment.map(|shown| format!(": {}", escape(&shown.to_string())));
            let moment = moment.unwrap_or_default();
            format!("{} of {date}{moment}", escape(&side.recording.program))
        };
        writeln!(out, "Base: {}", name(&diff.base))?;
        writeln!(out, "New:  {}\n", name(&diff.new))?;
        self.whole(diff, out)?;
        for parts in [&diff.contexts, &diff.types].into_iter().flatten() {
            writeln!(out)?;
            self.parts(parts, out)?;
        }
        let shown = self.top.unwrap_or(usize::MAX);
        for function in diff.functions.iter().take(shown) {
            writeln!(out)?;
            self.function(function, out)?;
        }
        let more = diff.functions.len().saturating_sub(shown);
        if more > 0 {
            writeln!(out, "\n{more} more functions changed; `--top` shows more.")?;
        }
        if diff.functions.is_empty() {
            writeln!(out, "\nNo function changed in any figure.")?;
        }
        writeln!(out)?;
        footer(diff, out)
    }

    /// Writes what grew beyond a limit.
    pub fn growths(&self, grown: &[Growth], limit: &str, out: &mut dyn Write) -> io::Result<()> {
        let metric = self.metric.name();
        let real = grown.iter().filter(|growth| !growth.within_noise).count();
        if real == 0 {
            writeln!(out, "{metric} grew nowhere by more than {limit}.")?;
        } else {
            writeln!(out, "{metric} grew by more than {limit}:")?;
        }
        for growth in grown {
            let what = match &growth.what {
                GrowthItem::Whole => "the whole program".to_owned(),
                GrowthItem::Part { of, name } => {
                    let name = name.as_deref().unwrap_or("(none)");
                    format!("{}={}", escape(of), escape(name))
                }
                GrowthItem::Function { file, function } => {
                    format!("{}  {}", escape(file), escape(function))
                }
                GrowthItem::Line {
                    file,
                    line,
                    function,
                } => {
                    let line = line.map(|line| format!(":{line}")).unwrap_or_default();
                    format!("{}{line}  {}", escape(file), escape(function))
                }
            };
            let note = if growth.within_noise {
                "  (within the error of sampling: not counted)"
            } else {
                ""
            };
            let value = |value: i64| match self.metric {
                Metric::Count => format::count(value),
                _ => format::bytes(value),
            };
            let (base, new) = (growth.change.base.bytes, growth.change.new.bytes);
            let change = format!("+{}", value(growth.change.difference().bytes));
            let (base, new) = (value(base), value(new));
            writeln!(out, "  {change:>12}  {base} -> {new}  {what}{note}")?;
        }
        Ok(())
    }

    fn whole(&self, diff: &Diff, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "{TITLE}{:<18} {:>12} {:>12} {:>12}{TITLE:#}",
            "Whole program", "Base", "New", "Change"
        )?;
        let rows = [
            ("peak", Metric::Peak),
            ("live at the end", Metric::Live),
            ("allocated", Metric::Allocated),
            ("freed", Metric::Freed),
            ("blocks", Metric::Count),
        ];
        for (name, metric) in rows {
            let Some(change) = diff.whole(metric) else {
                continue;
            };
            let Cells { base, new, change } = DiffText { metric, ..*self }.cells(&change);
            writeln!(out, "{name:<18} {base:>12} {new:>12} {change:>12}")?;
        }
        Ok(())
    }

    /// Writes which contexts or types changed.
    pub fn parts(&self, parts: &PartChanges, out: &mut dyn Write) -> io::Result<()> {
        let what = escape(&parts.what);
        writeln!(
            out,
            "{TITLE}{:>12} {:>12} {:>12}  {}, by {what}{TITLE:#}",
            "Base",
            "New",
            "Change",
            self.metric.name(),
        )?;
        let shown = self.top.unwrap_or(usize::MAX);
        for row in parts.rows.iter().take(shown) {
            let Cells { base, new, change } = self.cells(&row.figures.change(self.metric));
            let name = match &row.name {
                Some(name) => escape(name),
                None => format!("(no {what})").into(),
            };
            let state = match (&row.figures.base, &row.figures.new) {
                (None, _) => "  (new)",
                (_, None) => "  (gone)",
                _ => "",
            };
            writeln!(out, "{base:>12} {new:>12} {change:>12}  {name}{state}")?;
        }
        match parts.rows.len().saturating_sub(shown) {
            0 if parts.rows.is_empty() => writeln!(out, "None of them changed in any figure."),
            0 => Ok(()),
            more => writeln!(out, "{more} more changed; `--top` shows more."),
        }
    }

    fn function(&self, function: &FunctionChange, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{TITLE}Filename: {}{TITLE:#}", escape(&function.file))?;
        let Cells { base, new, change } = self.cells(&function.total.change(self.metric));
        let state = match (&function.total.base, &function.total.new) {
            (None, _) => "  (new)",
            (_, None) => "  (gone)",
            _ => "",
        };
        writeln!(
            out,
            "Function: {}{state}: {} {base} -> {new}, {change}",
            escape(&function.function),
            self.metric.name(),
        )?;
        if let Some((file, name)) = &function.was {
            writeln!(out, "(was {} in {})", escape(name), escape(file))?;
        }
        let title = format!(
            "{:>6} {:>6} {:>12} {:>12} {:>12}   Line Contents",
            "Line #", "(base)", "Base", "New", "Change"
        );
        writeln!(out, "\n{TITLE}{title}{TITLE:#}")?;
        writeln!(out, "{FAINT}{:=<1$}{FAINT:#}", "", title.len())?;
        for line in &function.lines {
            self.line(line, out)?;
        }
        Ok(())
    }

    fn line(&self, line: &LineChange, out: &mut dyn Write) -> io::Result<()> {
        let number = |number: Option<u32>| number.map(|n| n.to_string()).unwrap_or_default();
        let Cells { base, new, change } = self.cells(&line.figures.change(self.metric));
        let seen = |figures: bool, text: String| if figures { text } else { String::new() };
        let base = seen(line.figures.base.is_some(), base);
        let new = seen(line.figures.new.is_some(), new);
        let mark = match line.presence {
            Presence::Base => '-',
            Presence::New => '+',
            Presence::Both if line.was.is_some() => '~',
            Presence::Both => ' ',
        };
        let contents = escape_source(line.contents.as_deref().unwrap_or_default());
        let row = format!(
            "{:>6} {:>6} {base:>12} {new:>12} {change:>12} {mark} {contents}",
            number(line.number),
            number(line.base_number),
        );
        writeln!(out, "{}", row.trim_end())?;
        if let Some(was) = &line.was {
            let was = escape_source(was);
            writeln!(out, "{FAINT}{:>53}was {}{FAINT:#}", "", was.trim())?;
        }
        Ok(())
    }

    fn cells(&self, change: &Change) -> Cells {
        let value = |value: i64| match self.metric {
            Metric::Count => format::count(value),
            _ => format::table_bytes(value, self.precision),
        };
        let difference = change.difference().bytes;
        let (noise, plus) = (
            if change.is_within_noise() { "~" } else { "" },
            if difference > 0 { "+" } else { "" },
        );
        Cells {
            base: value(change.base.bytes),
            new: value(change.new.bytes),
            change: match difference {
                0 => "=".to_owned(),
                _ => format!("{noise}{plus}{}", value(difference)),
            },
        }
    }
}

/// A row's figures, as shown.
struct Cells {
    base: String,
    new: String,
    change: String,
}

pub(super) fn footer(diff: &Diff, out: &mut dyn Write) -> io::Result<()> {
    if !(diff.base.sampling.exact && diff.new.sampling.exact) {
        writeln!(
            out,
            "`~` marks changes that sampling alone may have made: below {} standard errors.",
            crate::report::diff::CONFIDENCE
        )?;
    }
    if diff
        .functions
        .iter()
        .flat_map(|f| &f.lines)
        .any(|line| line.was.is_some())
    {
        writeln!(
            out,
            "Lines marked `~`, `+` and `-` were edited, are new, or are gone."
        )?;
    }
    let elsewhere = diff.elsewhere.change(Metric::Allocated);
    if elsewhere.base.bytes != 0 || elsewhere.new.bytes != 0 {
        let whose = match diff.scope {
            Scope::User => "function of the program's own source",
            Scope::All => "known function",
        };
        writeln!(
            out,
            "Elsewhere: {} -> {} allocated with no {whose} on the stack.",
            format::bytes(elsewhere.base.bytes),
            format::bytes(elsewhere.new.bytes),
        )?;
    }
    for (name, side) in [("Base", &diff.base), ("New", &diff.new)] {
        write!(out, "{name}: ")?;
        footer::sampling(&side.sampling, &side.losses, out)?;
        if side.source_changed {
            writeln!(
                out,
                "{name}: source changed since the program was built: functions there are told by the debug information, \
                 lines without their text; --base-rev or --path-map can name the right source."
            )?;
        }
        footer::faults(&Default::default(), &side.losses, &side.defects, out)?;
    }
    Ok(())
}
