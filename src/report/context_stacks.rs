//! The stacks of a profile context by context, for lists of lines: leaks, and what is temporary.

use std::cmp::Reverse;

use super::attribution::Attribution;
use super::{Filter, Granularity, Leak, Metric, Scope, Stacks};
use crate::profile::{ContextPattern, Profile};
use crate::source::Sources;
use crate::symbolize::Symbols;

/// The stacks of each context of a key.
#[derive(Clone, PartialEq, Debug)]
pub struct StacksBy {
    /// The key.
    pub key: String,
    /// What was done in each context that allocated or freed anything.
    pub contexts: Vec<ContextStacks>,
}

/// What was done in one context.
#[derive(Clone, PartialEq, Debug)]
pub struct ContextStacks {
    /// The key's value. `None`: no context of the key was in force.
    pub value: Option<String>,
    /// Its stacks, with the frames that were asked for.
    pub stacks: Stacks,
}

impl ContextStacks {
    /// The context as it is asked for: `route=/orders`, or `route=(none)`.
    pub fn title(&self, key: &str) -> String {
        ContextPattern::new(key, self.value.as_deref()).to_string()
    }
}

impl StacksBy {
    /// The stacks of the contexts of `key`, line by line, with the frames of `scope`.
    pub fn new(
        profile: &Profile,
        symbols: &Symbols,
        sources: &mut Sources,
        (scope, key): (Scope, &str),
    ) -> StacksBy {
        let attribution = Attribution::new(profile, symbols, sources, Scope::User);
        let parts = profile.stacks_by(key).into_iter();
        let parts = parts.filter(|(_, stacks)| !stacks.is_empty());
        let contexts = parts.map(|(context, stacks)| {
            let stacks = Stacks::of(profile, &stacks, symbols, &attribution);
            ContextStacks {
                value: context.map(|id| profile.contexts.all[id].value.clone()),
                stacks: stacks.restricted(scope, Granularity::Line),
            }
        });
        StacksBy {
            key: key.to_owned(),
            contexts: contexts.collect(),
        }
    }

    /// Keeps of each context the stacks of the lines that `filter` says. A context without any is
    /// left out; that a name is in no context at all, the stacks of the whole tell.
    pub fn select(&mut self, filter: &Filter) {
        self.contexts
            .retain_mut(|context| context.stacks.select(filter).is_ok());
    }

    /// Puts what looks most like a leak first, and leaves out contexts that have nothing live.
    pub fn sort_by_leak(&mut self) {
        let mut ranked: Vec<(Leak, ContextStacks)> = (self.contexts.drain(..))
            .map(|context| (context.stacks.leak(), context))
            .filter(|(leak, _)| leak.site.figures.live.bytes > 0)
            .collect();
        ranked.sort_by(|(a, _), (b, _)| a.order(b));
        self.contexts = ranked.into_iter().map(|(_, context)| context).collect();
    }

    /// Puts what has most of the first of `metrics` first, and leaves out contexts that have
    /// nothing of any of them.
    pub fn sort_by(&mut self, metrics: &[Metric]) {
        let figures = |context: &ContextStacks| {
            let whole = context.stacks.whole().figures;
            metrics
                .iter()
                .map(|metric| metric.of(&whole).bytes)
                .collect::<Vec<i64>>()
        };
        self.contexts
            .retain(|context| figures(context).iter().any(|&bytes| bytes > 0));
        (self.contexts).sort_by_cached_key(|context| Reverse(figures(context)));
    }
}
