//! Memory by what it is: one row for each type of block, opened to the lines that made it.

use std::collections::HashMap;

use super::attribution::Attribution;
use super::{Figures, Loss, Metric, Recording, Sampling, Scope, naming};
use crate::defect::Defect;
use crate::profile::{Frame, Profile, Stack, Totals};
use crate::source::Sources;
use crate::symbolize::{CodeFrameId, Origin, Symbols};
use crate::types::{Attributor, TypeFinding, TypeName};

/// Memory by type.
#[derive(Clone, PartialEq, Debug)]
pub struct Types {
    /// Which program and when.
    pub recording: Recording,
    /// How it was sampled.
    pub sampling: Sampling,
    /// One for each type, and for each function whose blocks have none.
    pub rows: Vec<TypeRow>,
    /// The sum of all rows.
    pub total: Figures,
    /// The part whose type is a guess.
    pub guessed: Figures,
    /// The part of Rust's code without a type.
    pub untyped: Figures,
    /// The part of code in other languages without a type.
    pub foreign: Figures,
    /// Whether any function with type arguments was met at all.
    pub has_names: bool,
    /// What could not be charged to any stack.
    pub unattributed: Figures,
    /// What the recorder could not keep.
    pub losses: Vec<Loss>,
    /// What is wrong with the profile, or missing beside it.
    pub defects: Vec<Defect>,
}

/// Blocks of one type.
#[derive(Clone, PartialEq, Debug)]
pub struct TypeRow {
    /// What they are.
    pub kind: Kind,
    /// Bytes of an element, where debug information says.
    pub element_size: Option<u64>,
    /// What was done with them.
    pub figures: Figures,
    /// How they grew.
    pub growth: Steps,
    /// The lines that made them.
    pub lines: Vec<TypeLine>,
    /// The types that hold them, where stacks tell.
    pub holders: Vec<TypeHolder>,
}

/// A type that holds blocks of another.
#[derive(Clone, PartialEq, Debug)]
pub struct TypeHolder {
    /// Which.
    pub name: TypeName,
    /// Whether it is certain; if not, the blocks may have been for something else beside it.
    pub certain: bool,
    /// What was done with the blocks that it holds.
    pub figures: Figures,
}

/// What blocks are.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// Of a type.
    Typed {
        /// Which.
        name: TypeName,
        /// Whether it is certain; if not, another type with elements of that size may be meant.
        certain: bool,
    },
    /// Asked for by size alone, by this function.
    Untyped {
        /// The outermost function below the user's own, or the user's own if there is none.
        function: String,
        /// Whether it is of another language than Rust.
        is_foreign: bool,
    },
}

/// A line that made blocks of a type.
#[derive(Clone, PartialEq, Debug)]
pub struct TypeLine {
    /// The function, as in the report's tables.
    pub function: String,
    /// The source file, as in the report's tables; empty if unknown.
    pub file: String,
    /// From 1. `None` if unknown.
    pub line: Option<u32>,
    /// What was done with its blocks.
    pub figures: Figures,
    /// How they grew.
    pub growth: Steps,
}

/// How blocks grew, or shrank, by `realloc`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Steps {
    /// Times that a block was changed in size.
    pub steps: i64,
    /// Bytes of blocks that larger ones took the place of: what would not have been allocated had
    /// the first block had its last size.
    pub replaced: i64,
}

/// The sums of a row or a line in the making.
#[derive(Default)]
struct Sum {
    totals: Totals,
    replaced: i64,
}

impl Sum {
    fn add(&mut self, totals: &Totals) {
        self.totals.add(totals);
        // A stack that ends in `realloc` frees nothing but what it replaces, by something smaller
        // where it shrinks.
        let grows = totals.alloc_bytes > totals.freed_bytes;
        if totals.realloc_count.rounded() > 0 && grows {
            self.replaced = self.replaced.saturating_add(totals.freed_bytes);
        }
    }

    fn growth(&self) -> Steps {
        Steps {
            steps: self.totals.realloc_count.rounded(),
            replaced: self.replaced,
        }
    }
}

/// Function, file and line.
type Place = (String, String, Option<u32>);

#[derive(Default)]
struct RowBuilder {
    sum: Sum,
    element_size: Option<u64>,
    lines: HashMap<Place, Sum>,
    holders: HashMap<(TypeName, bool), Totals>,
}

impl Types {
    /// The types of a profile, whose functions' type arguments were looked up. `defects` are those
    /// of the stages before.
    pub fn new(
        profile: &Profile,
        symbols: &Symbols,
        sources: &mut Sources,
        mut defects: Vec<Defect>,
    ) -> Types {
        let attribution = Attribution::new(profile, symbols, sources, Scope::User);
        defects.append(&mut sources.take_defects());
        let rows = TypeRows::new(profile, symbols, &attribution).of(&profile.stacks);
        let sum = |wanted: &dyn Fn(&Kind) -> bool| {
            let mut sum = Figures::default();
            for row in rows.iter().filter(|row| wanted(&row.kind)) {
                sum.add(&row.figures);
            }
            sum
        };
        Types {
            recording: Recording::of(profile),
            sampling: Sampling::of(profile),
            total: sum(&|_| true),
            guessed: sum(&|kind| matches!(kind, Kind::Typed { certain: false, .. })),
            untyped: sum(&|kind| {
                matches!(
                    kind,
                    Kind::Untyped {
                        is_foreign: false,
                        ..
                    }
                )
            }),
            foreign: sum(&|kind| {
                matches!(
                    kind,
                    Kind::Untyped {
                        is_foreign: true,
                        ..
                    }
                )
            }),
            has_names: rows
                .iter()
                .any(|row| matches!(row.kind, Kind::Typed { .. })),
            rows,
            unattributed: Figures::of(&profile.unattributed, None),
            losses: Loss::of(profile),
            defects,
        }
    }

    /// Puts the rows with the highest `metric` first, and the lines in each.
    pub fn sort(&mut self, metric: Metric) {
        let value = |figures: &Figures| std::cmp::Reverse(metric.of(figures).bytes);
        (self.rows).sort_by(|a, b| (value(&a.figures), &a.kind).cmp(&(value(&b.figures), &b.kind)));
        for row in &mut self.rows {
            row.lines.sort_by(|a, b| {
                let place = |line: &TypeLine| (line.file.clone(), line.line, line.function.clone());
                let by_value = value(&a.figures).cmp(&value(&b.figures));
                by_value.then_with(|| place(a).cmp(&place(b)))
            });
            row.holders.sort_by(|a, b| {
                let by_value = value(&a.figures).cmp(&value(&b.figures));
                by_value.then_with(|| a.name.cmp(&b.name))
            });
        }
    }
}

impl TypeRow {
    /// Elements that there is room for in the blocks of `metric`, where the size of one is known.
    pub fn capacity(&self, metric: Metric) -> Option<i64> {
        let size = i64::try_from(self.element_size?)
            .ok()
            .filter(|&size| size > 0)?;
        Some(metric.of(&self.figures).bytes / size)
    }
}

impl Kind {
    /// The name with all paths and arguments.
    pub fn full(&self) -> String {
        match self {
            Kind::Typed { name, .. } => name.full.clone(),
            Kind::Untyped { function, .. } => function.clone(),
        }
    }

    /// The name for people, with the mark of a guess.
    pub fn short(&self) -> String {
        let mark = match self {
            Kind::Typed { certain: false, .. } => "~",
            _ => "",
        };
        format!("{mark}{}", self.title())
    }

    /// The name for people.
    pub fn title(&self) -> String {
        match self {
            Kind::Typed { name, .. } => name.short(),
            Kind::Untyped { function, .. } => format!("(untyped) {function}"),
        }
    }
}

fn row(kind: Kind, builder: RowBuilder) -> TypeRow {
    let line = |((function, file, line), sum): (Place, Sum)| TypeLine {
        function,
        file,
        line,
        figures: Figures::of(&sum.totals, None),
        growth: sum.growth(),
    };
    let holder = |((name, certain), totals): ((TypeName, bool), Totals)| TypeHolder {
        name,
        certain,
        figures: Figures::of(&totals, None),
    };
    TypeRow {
        kind,
        element_size: builder.element_size,
        figures: Figures::of(&builder.sum.totals, None),
        growth: builder.sum.growth(),
        lines: builder.lines.into_iter().map(line).collect(),
        holders: builder.holders.into_iter().map(holder).collect(),
    }
}

/// The frames of a stack, innermost first.
fn frames<'a>(
    profile: &'a Profile,
    stack: &Stack,
) -> impl Iterator<Item = Frame> + Clone + use<'a> {
    let mut at = stack.node;
    std::iter::from_fn(move || {
        let node = &profile.nodes[at as usize];
        at = node.parent;
        node.frame.filter(|&frame| frame != Frame::ELIDED)
    })
}

/// Says of stacks of a profile what their blocks are.
pub(super) struct TypeRows<'a> {
    profile: &'a Profile,
    attributor: Attributor<'a>,
    makers: Makers<'a>,
}

impl<'a> TypeRows<'a> {
    pub(super) fn new(
        profile: &'a Profile,
        symbols: &'a Symbols,
        attribution: &'a Attribution,
    ) -> TypeRows<'a> {
        TypeRows {
            profile,
            attributor: Attributor::new(profile, symbols),
            makers: Makers {
                symbols,
                attribution,
            },
        }
    }

    /// One row for each type of the blocks of `stacks`.
    pub(super) fn of(&self, stacks: &[Stack]) -> Vec<TypeRow> {
        let mut builders: HashMap<Kind, RowBuilder> = HashMap::new();
        for stack in stacks {
            if stack.totals.alloc_count == Default::default() && stack.totals.alloc_bytes == 0 {
                continue;
            }
            let (kind, element_size, place) = self.kind(stack);
            let holder = match &kind {
                Kind::Typed { name, .. } => {
                    self.attributor.holder(frames(self.profile, stack), name)
                }
                Kind::Untyped { .. } => None,
            };
            let builder = builders.entry(kind).or_default();
            builder.sum.add(&stack.totals);
            builder.element_size = builder.element_size.or(element_size);
            builder.lines.entry(place).or_default().add(&stack.totals);
            if let Some(holder) = holder {
                builder
                    .holders
                    .entry(holder)
                    .or_default()
                    .add(&stack.totals);
            }
        }
        let rows = builders
            .into_iter()
            .map(|(kind, builder)| row(kind, builder));
        let mut rows: Vec<TypeRow> = rows.collect();
        rows.sort_by(|a, b| a.kind.cmp(&b.kind));
        rows
    }

    /// What the blocks of a stack are. `None` if it allocated none.
    pub(super) fn kind_of(&self, stack: &Stack) -> Option<Kind> {
        let allocated =
            stack.totals.alloc_count != Default::default() || stack.totals.alloc_bytes != 0;
        allocated.then(|| self.kind(stack).0)
    }

    /// What the blocks of a stack are, the size of an element, and the line that made them.
    fn kind(&self, stack: &Stack) -> (Kind, Option<u64>, Place) {
        let frames = frames(self.profile, stack);
        let (place, function) = self.makers.of(frames.clone());
        match self.attributor.of(frames) {
            TypeFinding::Typed {
                name,
                certain,
                element_size,
            } => (Kind::Typed { name, certain }, element_size, place),
            TypeFinding::Untyped { is_foreign } => {
                let kind = Kind::Untyped {
                    function,
                    is_foreign,
                };
                (kind, None, place)
            }
        }
    }
}

/// Where the user's own lines are in stacks.
struct Makers<'a> {
    symbols: &'a Symbols,
    attribution: &'a Attribution,
}

impl Makers<'_> {
    /// The innermost line of the user's own, and the function that it called to allocate.
    fn of(&self, frames: impl Iterator<Item = Frame>) -> (Place, String) {
        let symbols = self.symbols;
        let code = frames.flat_map(|frame| symbols.of(frame).iter().copied());
        let mut asked: Option<CodeFrameId> = None;
        // Where nothing is the user's own, the outermost function is where a thread begins, which
        // says nothing: then it is the innermost of all, or of C the one that Rust called.
        let mut innermost: Option<CodeFrameId> = None;
        let mut is_foreign = true;
        for id in code {
            if symbols.origin(id) == Origin::Allocator {
                continue;
            }
            let Some(place) = self.attribution.row_of(id) else {
                asked = Some(id);
                is_foreign &= !symbols.code(id).file.ends_with(".rs");
                if innermost.is_none() || is_foreign {
                    innermost = Some(id);
                }
                continue;
            };
            let (file, function) = self.attribution.title(place.table);
            let name = asked.map_or_else(|| function.clone(), |id| self.function(id));
            let line = symbols.code(id).line;
            return ((function, file.to_owned(), line), name);
        }
        let named = |id: Option<CodeFrameId>| {
            id.map_or_else(|| "(no frame)".to_owned(), |id| self.function(id))
        };
        ((named(asked), String::new(), None), named(innermost))
    }

    fn function(&self, id: CodeFrameId) -> String {
        naming::simplify(&self.symbols.code(id).function)
    }
}
