//! For whom the memory is: what was allocated, freed and kept while each context was in force.

use super::{Bytes, Figures, Granularity, Loss, Metric, Recording, Sampling, Scope, Stacks};
use crate::defect::Defect;
use crate::profile::{Context, ContextPattern, Profile, Totals};
use crate::source::Sources;
use crate::symbolize::Symbols;
use profiler_alloc_format::contexts::{LAYER_IS_THERE, LAYER_SAW_CONTEXT, LAYER_SAW_SPAN};

/// A key with more values is taken for one that has a value for each request.
const MANY: usize = 256;

/// The contexts of a recording, key by key.
#[derive(Clone, PartialEq, Debug)]
pub struct ContextsReport {
    /// Which program and when.
    pub recording: Recording,
    /// How it was sampled.
    pub sampling: Sampling,
    /// The keys, in the order of the alphabet.
    pub keys: Vec<ContextKey>,
    /// What the layer of `tracing` has not seen, if there is one.
    pub layer: Option<LayerSaw>,
    /// What could not be charged to any stack, nor to a context.
    pub unattributed: Figures,
    /// What the recorder could not keep.
    pub losses: Vec<Loss>,
    /// What is wrong with the profile, or missing beside it.
    pub defects: Vec<Defect>,
}

/// What a layer of `tracing` in the program has seen, where that is too little.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LayerSaw {
    /// No span at all.
    NoSpan,
    /// Spans, but none with a field that it was told to look for.
    NoField,
}

/// The contexts of one key.
#[derive(Clone, PartialEq, Debug)]
pub struct ContextKey {
    /// The key.
    pub key: String,
    /// Its values, what is most of the figure asked for first.
    pub rows: Vec<ContextRow>,
    /// What was done while no context of the key was in force.
    pub none: Figures,
    /// The whole process: all rows, and what was done in none of them.
    pub total: Figures,
    /// Most entries had a value of their own.
    pub is_crowded: bool,
}

/// What was done while one context was in force.
#[derive(Clone, PartialEq, Debug)]
pub struct ContextRow {
    /// The context, with its exact counts.
    pub context: Context,
    /// What its stacks did.
    pub figures: Figures,
    /// By how much what it has live grew in a second, since the program was warm. `None` if the run
    /// was too short to tell.
    pub growth: Option<Bytes>,
    /// The lines that hold most of it, of the rows that are looked into.
    pub lines: Vec<ContextLine>,
}

/// A line, and what it did for a context.
#[derive(Clone, PartialEq, Debug)]
pub struct ContextLine {
    /// Its function, as in the report's tables.
    pub function: String,
    /// Its source file; empty if unknown.
    pub file: String,
    /// From 1. `None` if unknown.
    pub line: Option<u32>,
    /// What it did.
    pub figures: Figures,
}

impl ContextsReport {
    /// Of the keys that `key` chooses, or of all; rows ordered by `metric`. The first `looked_into`
    /// of each key have so many lines.
    pub fn new(
        profile: &Profile,
        symbols: &Symbols,
        sources: &mut Sources,
        ask: &Asked<'_>,
        defects: Vec<Defect>,
    ) -> ContextsReport {
        let keys = profile.contexts.keys().into_iter();
        let keys = keys.filter(|&key| ask.key.is_none_or(|wanted| wanted == key));
        let keys = keys.map(|key| ContextKey::new(profile, symbols, sources, key, ask));
        let keys = keys.collect();
        let mut defects = defects;
        defects.append(&mut sources.take_defects());
        ContextsReport {
            recording: Recording::of(profile),
            sampling: Sampling::of(profile),
            keys,
            layer: layer(profile),
            unattributed: Figures::of(&profile.unattributed, None),
            losses: Loss::of(profile),
            defects,
        }
    }
}

/// What is to be in the report.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Only this key.
    pub key: Option<&'a str>,
    /// What rows and lines are ordered by.
    pub metric: Metric,
    /// Rows of each key that are looked into.
    pub looked_into: usize,
    /// Lines of each of them.
    pub lines: usize,
    /// Whose lines.
    pub scope: Scope,
}

fn layer(profile: &Profile) -> Option<LayerSaw> {
    let saw = |bit| profile.header.span_layer & bit != 0;
    match saw(LAYER_IS_THERE) && !saw(LAYER_SAW_CONTEXT) {
        true if saw(LAYER_SAW_SPAN) => Some(LayerSaw::NoField),
        true => Some(LayerSaw::NoSpan),
        false => None,
    }
}

impl ContextKey {
    /// The share of the process's figure that was done while no context of the key was in force,
    /// 0 to 1.
    pub fn share_of_none(&self, metric: Metric) -> f64 {
        let whole = metric.of(&self.total).bytes.max(1);
        metric.of(&self.none).bytes as f64 / whole as f64
    }

    pub(super) fn new(
        profile: &Profile,
        symbols: &Symbols,
        sources: &mut Sources,
        key: &str,
        ask: &Asked<'_>,
    ) -> ContextKey {
        let contexts = &profile.contexts;
        let mut sums = vec![Totals::default(); contexts.all.len()];
        let (mut none, mut total) = (Totals::default(), Totals::default());
        for stack in &profile.stacks {
            total.add(&stack.totals);
            match contexts.value_of(stack.contexts, key) {
                Some(id) => sums[id].add(&stack.totals),
                None => none.add(&stack.totals),
            }
        }
        let of_key = contexts.all.iter().zip(&sums);
        let of_key = of_key.filter(|(context, _)| context.key == key);
        let mut rows: Vec<ContextRow> = of_key
            .map(|(context, totals)| ContextRow {
                context: context.clone(),
                figures: Figures::of(totals, None),
                growth: None,
                lines: Vec::new(),
            })
            .collect();
        let order = |row: &ContextRow| {
            let figure = ask.metric.of(&row.figures).bytes;
            (
                row.context.is_other,
                std::cmp::Reverse((figure, row.context.alloc_bytes)),
            )
        };
        rows.sort_by(|a, b| {
            let name = || a.context.value.cmp(&b.context.value);
            order(a).cmp(&order(b)).then_with(name)
        });
        for row in rows.iter_mut().take(ask.looked_into) {
            row.look_into(profile, symbols, sources, ask);
        }
        let entries: u64 = rows.iter().map(|row| row.context.entries).sum();
        ContextKey {
            key: key.to_owned(),
            is_crowded: rows.len() > MANY && entries < 4 * rows.len() as u64,
            rows,
            none: Figures::of(&none, None),
            total: Figures::of(&total, None),
        }
    }
}

impl ContextRow {
    fn look_into(
        &mut self,
        profile: &Profile,
        symbols: &Symbols,
        sources: &mut Sources,
        ask: &Asked<'_>,
    ) {
        let pattern = ContextPattern::new(&self.context.key, Some(&self.context.value));
        let mut part = profile.clone();
        if part.select_contexts(&[pattern]).is_err() {
            return;
        }
        let stacks = Stacks::new(&part, symbols, sources, Vec::new());
        let whole = stacks.whole();
        self.growth = whole.growth(&stacks).map(|growth| growth.per_second());
        let stacks = stacks.restricted(ask.scope, Granularity::Line);
        let mut sites = stacks.sites();
        sites.retain(|site| ask.metric.of(&site.figures).bytes > 0);
        sites.sort_by_key(|site| std::cmp::Reverse(ask.metric.of(&site.figures).bytes));
        let lines = sites.iter().take(ask.lines).map(|site| {
            let frame = &stacks.frames[site.frame as usize];
            ContextLine {
                function: frame.function.clone(),
                file: frame.file.clone(),
                line: frame.line,
                figures: site.figures,
            }
        });
        self.lines = lines.collect();
    }
}
