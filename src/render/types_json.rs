//! Memory by type as JSON and as CSV, for programs and spreadsheets.

use std::io::{self, Write};

use serde::Serialize;

use super::FiguresShape;
use super::cell::{text, unwrapped};
use super::shape::{self, LossShape, RecordingShape, SamplingShape};
use crate::report::{
    Bytes, Figures, Kind, Metric, Steps, TypeHolder, TypeLine, TypeRow, Types, taken,
};

/// Name and version of the shape.
const SCHEMA: &str = "memprof-types/1";

/// Types as JSON: `docs/json.md` describes the shape.
#[derive(Clone, Copy, Debug, Default)]
pub struct TypesJson;

/// Types as CSV, one row for each line of each type. Bytes are exact integers.
#[derive(Clone, Copy, Debug, Default)]
pub struct TypesCsv;

impl TypesJson {
    /// Writes `types` to `out`.
    pub fn types(&self, types: &Types, out: &mut dyn Write) -> io::Result<()> {
        let shape = TypesShape {
            schema: SCHEMA,
            recording: RecordingShape::of(&types.recording),
            sampling: SamplingShape::of(&types.sampling),
            types: types.rows.iter().map(RowShape::of).collect(),
            total: FiguresShape::of(&types.total),
            guessed: FiguresShape::of(&types.guessed),
            untyped: FiguresShape::of(&types.untyped),
            foreign: FiguresShape::of(&types.foreign),
            unattributed: FiguresShape::of(&types.unattributed),
            losses: shape::losses(&types.losses),
            defects: shape::defects(&types.defects),
        };
        super::json::write(&shape, out)
    }
}

#[derive(Serialize)]
struct TypesShape<'a> {
    schema: &'static str,
    recording: RecordingShape<'a>,
    sampling: SamplingShape,
    types: Vec<RowShape<'a>>,
    total: FiguresShape,
    guessed: FiguresShape,
    untyped: FiguresShape,
    foreign: FiguresShape,
    unattributed: FiguresShape,
    losses: Vec<LossShape>,
    defects: Vec<String>,
}

#[derive(Serialize)]
struct RowShape<'a> {
    /// In full; null where there is none.
    r#type: Option<&'a str>,
    /// For people.
    short: String,
    certain: Option<bool>,
    element: Option<&'a str>,
    part: Option<&'static str>,
    /// Whose blocks they are, where there is no type.
    function: Option<&'a str>,
    foreign: bool,
    element_size: Option<u64>,
    /// That of all blocks, if they have one.
    block_size: Option<u64>,
    /// What glibc takes for one of them.
    taken_size: Option<u64>,
    growth_steps: i64,
    replaced: i64,
    #[serde(flatten)]
    figures: FiguresShape,
    lines: Vec<TypeLineShape<'a>>,
    held_by: Vec<HolderShape<'a>>,
}

#[derive(Serialize)]
struct HolderShape<'a> {
    r#type: &'a str,
    short: String,
    part: Option<&'static str>,
    certain: bool,
    #[serde(flatten)]
    figures: FiguresShape,
}

#[derive(Serialize)]
struct TypeLineShape<'a> {
    file: &'a str,
    line: Option<u32>,
    function: &'a str,
    growth_steps: i64,
    replaced: i64,
    #[serde(flatten)]
    figures: FiguresShape,
}

/// What a row is of, field by field.
struct KindFields<'a> {
    full: Option<&'a str>,
    certain: Option<bool>,
    element: Option<&'a str>,
    part: Option<&'static str>,
    function: Option<&'a str>,
    foreign: bool,
}

impl<'a> KindFields<'a> {
    fn of(kind: &'a Kind) -> KindFields<'a> {
        match kind {
            Kind::Typed { name, certain } => KindFields {
                full: Some(&name.full),
                certain: Some(*certain),
                element: Some(name.element.as_str()),
                part: name.part,
                function: None,
                foreign: false,
            },
            Kind::Untyped {
                function,
                is_foreign,
            } => KindFields {
                full: None,
                certain: None,
                element: None,
                part: None,
                function: Some(function),
                foreign: *is_foreign,
            },
        }
    }
}

impl<'a> RowShape<'a> {
    fn of(row: &'a TypeRow) -> Self {
        let names = KindFields::of(&row.kind);
        RowShape {
            r#type: names.full,
            short: row.kind.short(),
            certain: names.certain,
            element: names.element,
            part: names.part,
            function: names.function,
            foreign: names.foreign,
            element_size: row.element_size,
            block_size: row.block_size(),
            taken_size: row.block_size().map(taken),
            growth_steps: row.growth.steps,
            replaced: row.growth.replaced,
            figures: FiguresShape::of(&row.figures),
            lines: row.lines.iter().map(TypeLineShape::of).collect(),
            held_by: row.holders.iter().map(HolderShape::of).collect(),
        }
    }
}

impl<'a> HolderShape<'a> {
    fn of(holder: &'a TypeHolder) -> Self {
        HolderShape {
            r#type: &holder.name.full,
            short: holder.name.short(),
            part: holder.name.part,
            certain: holder.certain,
            figures: FiguresShape::of(&holder.figures),
        }
    }
}

impl<'a> TypeLineShape<'a> {
    fn of(line: &'a TypeLine) -> Self {
        TypeLineShape {
            file: &line.file,
            line: line.line,
            function: &line.function,
            growth_steps: line.growth.steps,
            replaced: line.growth.replaced,
            figures: FiguresShape::of(&line.figures),
        }
    }
}

type Figure = fn(&Figures) -> Bytes;

const FIGURES: [(&str, Figure); 9] = [
    ("live", |figures| figures.live),
    ("at_peak", |figures| figures.at_peak),
    ("allocated", |figures| figures.allocated),
    ("temporary", |figures| figures.temporary),
    ("reallocated", |figures| figures.reallocated),
    ("count", |figures| Metric::Count.blocks(figures)),
    ("live_count", |figures| Metric::Live.blocks(figures)),
    ("at_peak_count", |figures| Metric::Peak.blocks(figures)),
    ("temporary_count", |figures| {
        Metric::Temporary.blocks(figures)
    }),
];

impl TypesCsv {
    /// Writes `types` to `out`.
    pub fn types(&self, types: &Types, out: &mut dyn Write) -> io::Result<()> {
        let mut rows = csv::Writer::from_writer(out);
        let heading = [
            "type",
            "part",
            "certain",
            "element_size",
            "untyped_function",
            "file",
            "line",
            "function",
        ];
        let figures = FIGURES
            .iter()
            .flat_map(|(name, _)| [(*name).to_owned(), format!("{name}_standard_error")]);
        let heading = heading.into_iter().map(str::to_owned).chain(figures);
        let heading = heading.chain(["growth_steps", "replaced"].map(str::to_owned));
        rows.write_record(heading).map_err(unwrapped)?;
        for row in &types.rows {
            for line in &row.lines {
                rows.write_record(cells(row, line)).map_err(unwrapped)?;
            }
        }
        rows.flush()
    }
}

fn cells(row: &TypeRow, line: &TypeLine) -> Vec<String> {
    fn number<T: ToString>(value: Option<T>) -> String {
        value.map(|value| value.to_string()).unwrap_or_default()
    }
    let names = KindFields::of(&row.kind);
    let mut cells = vec![
        text(names.full.unwrap_or_default()),
        text(names.part.unwrap_or_default()),
        number(names.certain),
        number(row.element_size),
        text(names.function.unwrap_or_default()),
        text(&line.file),
        number(line.line),
        text(&line.function),
    ];
    for (_, figure) in FIGURES {
        let figure = figure(&line.figures);
        cells.push(figure.bytes.to_string());
        cells.push(figure.standard_error.to_string());
    }
    let Steps { steps, replaced } = line.growth;
    cells.push(steps.to_string());
    cells.push(replaced.to_string());
    cells
}
