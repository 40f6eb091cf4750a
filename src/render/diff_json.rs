//! Differences as JSON, for programs. `docs/json.md` describes the shape.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::json::{FiguresShape, write};
use super::shape::{self, LossShape, RecordingShape, SamplingShape};
use crate::report::Metric;
use crate::report::diff::{
    Diff, FunctionChange, Growth, GrowthItem, LineChange, Pair, PartChanges, Presence, Side,
};

/// Name and version of the shape.
const DIFF: &str = "memprof-diff/1";

/// Differences for programs.
#[derive(Clone, Debug)]
pub struct DiffJson<'a> {
    /// The figure that `grown` is about.
    pub metric: Metric,
    /// What grew beyond a limit; `None` if no limit was set.
    pub grown: Option<&'a [Growth]>,
}

impl DiffJson<'_> {
    /// Writes `diff` to `out`.
    pub fn diff(&self, diff: &Diff, out: &mut dyn Write) -> io::Result<()> {
        let whole = Metric::ALL.into_iter().filter_map(|metric| {
            let change = diff.whole(metric)?;
            let bytes = [change.base.bytes, change.new.bytes];
            Some((metric.name(), bytes))
        });
        let shape = DiffShape {
            schema: DIFF,
            metric: self.metric.name(),
            base: SideShape::of(&diff.base),
            new: SideShape::of(&diff.new),
            scope: shape::scope(diff.scope),
            whole: whole.collect(),
            grown: self
                .grown
                .map(|all| all.iter().map(GrowthShape::of).collect()),
            contexts: diff.contexts.as_ref().map(ContextChangesShape::of),
            types: diff.types.as_ref().map(type_changes),
            functions: diff.functions.iter().map(FunctionChangeShape::of).collect(),
            elsewhere: PairShape::of(&diff.elsewhere),
        };
        write(&shape, out)
    }
}

#[derive(Serialize)]
struct DiffShape<'a> {
    schema: &'static str,
    metric: &'static str,
    base: SideShape<'a>,
    new: SideShape<'a>,
    scope: &'static str,
    /// Exact figures of the whole process: `[base, new]`.
    whole: BTreeMap<&'static str, [i64; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grown: Option<Vec<GrowthShape<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contexts: Option<ContextChangesShape<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    types: Option<Vec<TypeChangeShape<'a>>>,
    functions: Vec<FunctionChangeShape<'a>>,
    elsewhere: PairShape,
}

#[derive(Serialize)]
struct SideShape<'a> {
    recording: RecordingShape<'a>,
    sampling: SamplingShape,
    source_changed: bool,
    losses: Vec<LossShape>,
    defects: Vec<String>,
}

impl<'a> SideShape<'a> {
    fn of(side: &'a Side) -> Self {
        SideShape {
            recording: RecordingShape::of(&side.recording),
            sampling: SamplingShape::of(&side.sampling),
            source_changed: side.source_changed,
            losses: shape::losses(&side.losses),
            defects: shape::defects(&side.defects),
        }
    }
}

#[derive(Serialize)]
struct GrowthShape<'a> {
    part: Option<GrownPartShape<'a>>,
    file: Option<&'a str>,
    function: Option<&'a str>,
    line: Option<u32>,
    base: i64,
    new: i64,
    change: i64,
    standard_error: f64,
    within_noise: bool,
}

/// A context, or a type.
#[derive(Serialize)]
struct GrownPartShape<'a> {
    of: &'a str,
    name: Option<&'a str>,
}

impl<'a> GrowthShape<'a> {
    fn of(growth: &'a Growth) -> Self {
        let (file, function, line) = match &growth.what {
            GrowthItem::Whole | GrowthItem::Part { .. } => (None, None, None),
            GrowthItem::Function { file, function } => (Some(&**file), Some(&**function), None),
            GrowthItem::Line {
                file,
                line,
                function,
            } => (Some(&**file), Some(&**function), *line),
        };
        let part = match &growth.what {
            GrowthItem::Part { of, name } => Some(GrownPartShape {
                of,
                name: name.as_deref(),
            }),
            _ => None,
        };
        let difference = growth.change.difference();
        GrowthShape {
            part,
            file,
            function,
            line,
            base: growth.change.base.bytes,
            new: growth.change.new.bytes,
            change: difference.bytes,
            standard_error: difference.standard_error,
            within_noise: growth.within_noise,
        }
    }
}

#[derive(Serialize)]
struct ContextChangesShape<'a> {
    key: &'a str,
    contexts: Vec<ContextChangeShape<'a>>,
}

#[derive(Serialize)]
struct ContextChangeShape<'a> {
    value: Option<&'a str>,
    #[serde(flatten)]
    figures: PairShape,
}

impl<'a> ContextChangesShape<'a> {
    fn of(changes: &'a PartChanges) -> Self {
        let rows = changes.rows.iter().map(|row| ContextChangeShape {
            value: row.name.as_deref(),
            figures: PairShape::of(&row.figures),
        });
        ContextChangesShape {
            key: &changes.what,
            contexts: rows.collect(),
        }
    }
}

#[derive(Serialize)]
struct TypeChangeShape<'a> {
    short: Option<&'a str>,
    #[serde(flatten)]
    figures: PairShape,
}

fn type_changes(changes: &PartChanges) -> Vec<TypeChangeShape<'_>> {
    let rows = changes.rows.iter().map(|row| TypeChangeShape {
        short: row.name.as_deref(),
        figures: PairShape::of(&row.figures),
    });
    rows.collect()
}

#[derive(Serialize)]
struct FunctionChangeShape<'a> {
    name: &'a str,
    file: &'a str,
    was: Option<WasShape<'a>>,
    total: PairShape,
    lines: Vec<LineChangeShape<'a>>,
}

#[derive(Serialize)]
struct WasShape<'a> {
    name: &'a str,
    file: &'a str,
}

#[derive(Serialize)]
struct LineChangeShape<'a> {
    line: Option<u32>,
    base_line: Option<u32>,
    presence: &'static str,
    source: Option<&'a str>,
    base_source: Option<&'a str>,
    #[serde(flatten)]
    figures: PairShape,
}

impl<'a> FunctionChangeShape<'a> {
    fn of(function: &'a FunctionChange) -> Self {
        let was = function.was.as_ref();
        FunctionChangeShape {
            name: &function.function,
            file: &function.file,
            was: was.map(|(file, name)| WasShape { name, file }),
            total: PairShape::of(&function.total),
            lines: function.lines.iter().map(LineChangeShape::of).collect(),
        }
    }
}

impl<'a> LineChangeShape<'a> {
    fn of(line: &'a LineChange) -> Self {
        LineChangeShape {
            line: line.number,
            base_line: line.base_number,
            presence: match line.presence {
                Presence::Base => "base",
                Presence::New => "new",
                Presence::Both => "both",
            },
            source: line.contents.as_deref(),
            base_source: line.was.as_deref(),
            figures: PairShape::of(&line.figures),
        }
    }
}

#[derive(Serialize)]
struct PairShape {
    base: Option<FiguresShape>,
    new: Option<FiguresShape>,
    /// New minus base, of every figure that differs.
    change: BTreeMap<&'static str, ChangeShape>,
}

#[derive(Serialize)]
struct ChangeShape {
    value: i64,
    standard_error: f64,
    within_noise: bool,
}

impl PairShape {
    fn of(pair: &Pair) -> Self {
        let change = Metric::ALL.into_iter().filter_map(|metric| {
            let change = pair.change(metric);
            let difference = change.difference();
            let shape = ChangeShape {
                value: difference.bytes,
                standard_error: difference.standard_error,
                within_noise: change.is_within_noise(),
            };
            (difference.bytes != 0).then_some((metric.name(), shape))
        });
        PairShape {
            base: pair.base.as_ref().map(FiguresShape::of),
            new: pair.new.as_ref().map(FiguresShape::of),
            change: change.collect(),
        }
    }
}
