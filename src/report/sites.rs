//! Stacks by the line of the user's own source that allocated: each stack counts for one line, so
//! lines add up to the whole.

use std::collections::{HashMap, HashSet};

use super::stacks::{FrameId, StackFrame, StackTotal, Stacks};
use super::{Course, Figures, Filter, Metric, NoMatch, Origin, Recording, Scope, Taken};

/// A line of the user's own source, and the stacks that end in it or in what it calls outside of
/// that source.
#[derive(Clone, PartialEq, Debug)]
pub struct Site {
    /// The line: a number in [`Stacks::frames`].
    pub frame: FrameId,
    /// The sum of its stacks.
    pub figures: Figures,
    /// Its stacks: numbers in [`Stacks::stacks`].
    pub stacks: Vec<usize>,
    /// When those of its stacks that have something live took blocks.
    pub taken: Option<Taken>,
    /// What all of them had live, over time.
    pub course: Course,
}

/// How long ago what is live was taken.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Age {
    /// No live block is older, nanoseconds.
    pub oldest_ns: u64,
    /// Nor is any younger, nanoseconds.
    pub youngest_ns: u64,
}

impl Stacks {
    /// All stacks, as if one line had them.
    pub fn whole(&self) -> Site {
        let mut whole = Site {
            frame: 0,
            figures: Figures::default(),
            stacks: (0..self.stacks.len()).collect(),
            taken: None,
            course: Course::default(),
        };
        for stack in &self.stacks {
            whole.add(stack);
        }
        whole
    }

    /// The lines that allocated or freed: the innermost of the user's own source, or of all code,
    /// as the stacks were [restricted](Stacks::restricted).
    pub fn sites(&self) -> Vec<Site> {
        let has_user = (self.frames.iter()).any(|frame| frame.origin == Origin::User);
        let is_site = |frame: FrameId| {
            let frame = &self.frames[frame as usize];
            match frame.origin {
                Origin::User => true,
                Origin::Unknown => !has_user || self.scope == Scope::All,
                _ => frame.is_outside() || self.scope == Scope::All,
            }
        };
        // Parents come before children, so the site of a caller is known when its callee asks for
        // it.
        let mut innermost: Vec<Option<FrameId>> = vec![None; self.nodes.len()];
        for (number, node) in self.nodes.iter().enumerate().skip(1) {
            let own = Some(node.frame).filter(|&frame| is_site(frame));
            innermost[number] = own.or(innermost[node.parent as usize]);
        }
        let mut sites: Vec<Site> = Vec::new();
        let mut by_frame: HashMap<FrameId, usize> = HashMap::new();
        for (number, stack) in self.stacks.iter().enumerate() {
            let end = self.nodes[stack.node as usize].frame;
            let frame = innermost[stack.node as usize].unwrap_or(end);
            let index = *by_frame.entry(frame).or_insert_with(|| {
                sites.push(Site {
                    frame,
                    figures: Figures::default(),
                    stacks: Vec::new(),
                    taken: None,
                    course: Course::default(),
                });
                sites.len() - 1
            });
            sites[index].add(stack);
            sites[index].stacks.push(number);
        }
        sites
    }

    /// Keeps the stacks of the lines that `filter` says; totals stay those of the whole.
    pub fn select(&mut self, filter: &Filter) -> Result<(), NoMatch> {
        if filter.is_empty() {
            return Ok(());
        }
        let sites = self.sites().into_iter();
        let mut sites: Vec<(&StackFrame, Site)> = sites
            .map(|site| (&self.frames[site.frame as usize], site))
            .collect();
        filter.apply(
            &mut sites,
            |(frame, _)| &frame.file,
            |(frame, _)| &frame.function,
        )?;
        let kept = sites.into_iter().flat_map(|(_, site)| site.stacks);
        let kept: HashSet<usize> = kept.collect();
        let mut number = 0..;
        (self.stacks).retain(|_| number.next().is_some_and(|number| kept.contains(&number)));
        Ok(())
    }
}

impl Site {
    fn add(&mut self, stack: &StackTotal) {
        self.figures.add(&stack.figures);
        if stack.figures.live.bytes > 0 {
            self.taken = Taken::both(self.taken, stack.course.taken);
        }
        self.course.add(&stack.course);
    }

    /// How much this line looks like a leak where nothing is known of the time, in bytes: what it
    /// has live, times the part of what it allocated that this is. Else its [growth](Self::growth)
    /// says.
    ///
    /// A cache that is filled once and a line that never frees hold on to what they hold; a line
    /// that frees nearly all it allocates to little, however much it happens to hold. Neither the
    /// height nor the time of the peak matters.
    pub fn held(&self) -> f64 {
        self.figures.live.bytes.max(0) as f64 * self.kept()
    }

    /// The part of what the line allocated that is live at the end, from 0 to 1.
    pub fn kept(&self) -> f64 {
        let allocated = self.figures.allocated.bytes.max(1) as f64;
        (self.figures.live.bytes as f64 / allocated).clamp(0.0, 1.0)
    }

    /// Bytes live at the end minus bytes in use at the peak of the whole process: what the line
    /// still grew by since.
    pub fn since_peak(&self) -> i64 {
        let figures = &self.figures;
        figures.live.bytes.saturating_sub(figures.at_peak.bytes)
    }

    /// How old what it has live is at the end of the recording. `None` if nothing is live, or the
    /// recorder did not say.
    pub fn age(&self, recording: &Recording) -> Option<Age> {
        let taken = self.taken?;
        let since = |ns: u64| recording.duration_ns.saturating_sub(ns);
        Some(Age {
            oldest_ns: since(taken.first_ns),
            youngest_ns: since(taken.last_ns),
        })
    }

    /// Its stacks with the highest `metric`, highest first; those where it is not above 0 are left
    /// out.
    pub fn top_stacks(&self, stacks: &Stacks, metric: Metric, count: usize) -> Vec<usize> {
        let value = |number: usize| metric.of(&stacks.stacks[number].figures).bytes;
        let mut numbers = self.stacks.clone();
        numbers.retain(|&number| value(number) > 0);
        numbers.sort_by_key(|&number| std::cmp::Reverse(value(number)));
        numbers.truncate(count);
        numbers
    }

    /// Whether it stands for everything outside of the user's own source.
    pub fn is_outside(&self, stacks: &Stacks) -> bool {
        stacks.frames[self.frame as usize].is_outside()
    }
}
