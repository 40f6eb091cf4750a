//! The parts of a page's data that a context has of its own: trees, figures of lines, types.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::render::escape::escape;
use crate::render::footer::cut_words;
use crate::report::{
    CallTree, ContextView, Figures, Limits, Metric, Origin, StackFrame, Stacks, Table, TypeRow,
};

/// What the page can switch between.
const METRICS: [Metric; 4] = [
    Metric::Peak,
    Metric::Live,
    Metric::Allocated,
    Metric::Temporary,
];
/// Types at most.
const TYPES: usize = 200;

/// Function, file, line, whether it is the user's own.
pub type FrameData = (String, String, Option<u32>, bool);

/// The frames that trees show, each once.
#[derive(Default)]
pub struct Frames {
    pub used: Vec<FrameData>,
    numbers: HashMap<FrameData, usize>,
}

impl Frames {
    pub fn number(&mut self, frame: &StackFrame) -> usize {
        let frame = (
            escape(&frame.function).into_owned(),
            escape(&frame.file).into_owned(),
            frame.line,
            frame.origin == Origin::User,
        );
        let next = self.used.len();
        let number = *self.numbers.entry(frame.clone()).or_insert(next);
        if number == next {
            self.used.push(frame);
        }
        number
    }
}

/// By metric: frame, parent, sum.
#[derive(Serialize)]
pub struct Trees(BTreeMap<&'static str, Vec<(usize, usize, i64)>>);

impl Trees {
    /// The trees of `stacks`, and what was left out of them.
    pub fn of(stacks: &Stacks, limits: Limits, frames: &mut Frames) -> (Trees, Option<String>) {
        let mut trees = BTreeMap::new();
        let mut cut = None;
        for metric in METRICS {
            let tree = CallTree::new(stacks, metric, false, limits);
            cut = cut.or(cut_words(tree.cut, tree.whole()));
            let nodes = tree.nodes.iter().enumerate().map(|(number, node)| {
                let frame = match number {
                    0 => 0,
                    _ => frames.number(&stacks.frames[node.frame as usize]),
                };
                (frame, node.parent, node.sum.bytes)
            });
            trees.insert(metric.name(), nodes.collect());
        }
        (Trees(trees), cut)
    }
}

/// Number among the tables of the whole, what the function did, and its lines: number among the
/// table's, what they did.
type PartOfTable = (usize, FiguresData, Vec<(usize, FiguresData)>);

/// What was done in one context.
#[derive(Serialize)]
pub struct PartData {
    key: String,
    /// `None`: in no context of the key.
    value: Option<String>,
    total: FiguresData,
    tables: Vec<PartOfTable>,
    trees: Trees,
    types: Vec<TypeData>,
}

impl PartData {
    /// Of a context, on a page that shows the tables `all` of the whole.
    pub fn of(view: &ContextView, all: &[Table], limits: Limits, frames: &mut Frames) -> PartData {
        let own: HashMap<_, &Table> = view.tables.iter().map(|table| (id(table), table)).collect();
        let tables = all.iter().enumerate().filter_map(|(number, table)| {
            let own = own.get(&id(table))?;
            let lines = (own.lines.iter())
                .filter_map(|line| Some(((line.number, &line.contents), line.figures.as_ref()?)));
            let lines: HashMap<_, _> = lines.collect();
            let lines = table.lines.iter().enumerate().filter_map(|(number, line)| {
                let figures = lines.get(&(line.number, &line.contents))?;
                Some((number, FiguresData::of(figures)))
            });
            Some((number, FiguresData::of(&own.total), lines.collect()))
        });
        PartData {
            key: escape(&view.key).into_owned(),
            value: (view.value.as_ref()).map(|value| escape(value).into_owned()),
            total: FiguresData::of(&view.total),
            tables: tables.collect(),
            trees: Trees::of(&view.stacks, limits, frames).0,
            types: TypeData::all(&view.types),
        }
    }
}

/// What tells a function from others: its file, its name, and where it begins.
fn id(table: &Table) -> (&str, &str, Option<u32>) {
    let first = table.lines.first().and_then(|line| line.number);
    (&table.file, &table.function, first)
}

/// Blocks of one type.
#[derive(Serialize)]
pub struct TypeData {
    name: String,
    /// In full, and the lines that made most.
    title: String,
    figures: FiguresData,
}

impl TypeData {
    /// The first of `rows`.
    pub fn all(rows: &[TypeRow]) -> Vec<TypeData> {
        rows.iter().take(TYPES).map(TypeData::of).collect()
    }

    fn of(row: &TypeRow) -> TypeData {
        const LINES: usize = 3;
        let lines = row.lines.iter().take(LINES).map(|line| match line.line {
            Some(number) => format!("{}  {}:{number}", line.function, line.file),
            None => line.function.clone(),
        });
        let title: Vec<String> = std::iter::once(row.kind.full()).chain(lines).collect();
        let title = title.iter().map(|line| escape(line).into_owned());
        TypeData {
            name: escape(&row.kind.short()).into_owned(),
            title: title.collect::<Vec<_>>().join("\n"),
            figures: FiguresData::of(&row.figures),
        }
    }
}

/// What was done somewhere.
#[derive(Serialize)]
pub struct FiguresData {
    allocated: i64,
    freed: i64,
    live: i64,
    peak: i64,
    count: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    noise: Vec<&'static str>,
}

impl FiguresData {
    pub fn of(figures: &Figures) -> FiguresData {
        let all = [
            ("allocated", figures.allocated),
            ("freed", figures.freed),
            ("live", figures.live),
            ("peak", figures.at_peak),
            ("count", Metric::Count.blocks(figures)),
        ];
        let noise = all.into_iter().filter(|(_, figure)| figure.is_noise());
        FiguresData {
            allocated: figures.allocated.bytes,
            freed: figures.freed.bytes,
            live: figures.live.bytes,
            peak: figures.at_peak.bytes,
            count: figures.count,
            noise: noise.map(|(name, _)| name).collect(),
        }
    }
}
