//! What is told apart by name in many profiles: contexts, threads, functions with `#[profile]`,
//! source files.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::super::{
    Context, ContextId, Contexts, Profile, ProfiledFunction, ProfiledLine, SourceState, Thread,
};

/// Threads that are told apart by name; those that are more have none.
const MOST_THREADS: usize = 4096;

/// All of these.
#[derive(Default)]
pub struct Named {
    pub contexts: ContextSum,
    pub threads: ThreadSum,
    pub functions: FunctionSum,
    pub sources: SourceSum,
    /// What counts as the user's own.
    pub own: BTreeSet<String>,
}

impl Named {
    /// Adds those of a profile. Gives what its sets of contexts are here.
    pub fn add(&mut self, profile: &Profile) -> Vec<usize> {
        let started = profile.header.started_unix_ns;
        self.threads.add(&profile.threads);
        self.functions.add(&profile.functions, started);
        self.sources.add(profile, started);
        let patterns = profile.own.split(',').map(str::trim);
        let patterns = patterns.filter(|pattern| !pattern.is_empty());
        self.own.extend(patterns.map(str::to_owned));
        self.contexts.add(&profile.contexts)
    }
}

/// Contexts by key and value.
#[derive(Default)]
pub struct ContextSum {
    all: Vec<Context>,
    by_name: HashMap<(String, String), ContextId>,
    sets: Vec<Vec<ContextId>>,
    by_members: HashMap<Vec<ContextId>, usize>,
}

impl ContextSum {
    fn add(&mut self, contexts: &Contexts) -> Vec<usize> {
        let mut ids = Vec::with_capacity(contexts.all.len());
        for context in &contexts.all {
            let name = (context.key.clone(), context.value.clone());
            let id = *self.by_name.entry(name).or_insert(self.all.len());
            match self.all.get_mut(id) {
                Some(known) => known.add(context),
                None => self.all.push(context.clone()),
            }
            ids.push(id);
        }
        let sets = contexts.sets.iter().map(|set| {
            let mut members: Vec<ContextId> = set.iter().map(|&id| ids[id]).collect();
            members.sort_unstable();
            self.set(members)
        });
        sets.collect()
    }

    fn set(&mut self, members: Vec<ContextId>) -> usize {
        if self.sets.is_empty() {
            // Number 0 is none.
            self.sets.push(Vec::new());
            self.by_members.insert(Vec::new(), 0);
        }
        let next = self.sets.len();
        let number = *self.by_members.entry(members.clone()).or_insert(next);
        if number == next {
            self.sets.push(members);
        }
        number
    }

    /// The contexts in the order of their names, and what each set of before is now.
    pub fn finish(self) -> (Contexts, Vec<usize>) {
        let mut order: Vec<ContextId> = (0..self.all.len()).collect();
        order.sort_by(|&a, &b| {
            let name = |id: ContextId| (&self.all[id].key, &self.all[id].value);
            name(a).cmp(&name(b))
        });
        let mut ids = vec![0; order.len()];
        for (id, &was) in order.iter().enumerate() {
            ids[was] = id;
        }
        let mut sets: Vec<(Vec<ContextId>, usize)> = Vec::with_capacity(self.sets.len());
        for (number, set) in self.sets.iter().enumerate() {
            let mut members: Vec<ContextId> = set.iter().map(|&id| ids[id]).collect();
            members.sort_unstable();
            sets.push((members, number));
        }
        sets.sort();
        let mut numbers = vec![0; sets.len()];
        for (number, (_, was)) in sets.iter().enumerate() {
            numbers[*was] = number;
        }
        let contexts = Contexts {
            all: order.iter().map(|&id| self.all[id].clone()).collect(),
            sets: match sets.is_empty() {
                true => vec![Vec::new()],
                false => sets.into_iter().map(|(members, _)| members).collect(),
            },
        };
        (contexts, numbers)
    }
}

/// Threads by name.
#[derive(Default)]
pub struct ThreadSum(BTreeMap<String, Thread>);

impl ThreadSum {
    fn add(&mut self, threads: &[Thread]) {
        for thread in threads {
            let is_known = self.0.contains_key(&thread.name) || self.0.len() < 4 * MOST_THREADS;
            let name = if is_known { &*thread.name } else { "" };
            self.add_one(name, thread);
        }
    }

    fn add_one(&mut self, name: &str, thread: &Thread) {
        let sum = self.0.entry(name.to_owned()).or_insert_with(|| Thread {
            name: name.to_owned(),
            tid: 0,
            running: false,
            counters: Default::default(),
            own_alloc_bytes: 0,
            own_freed_bytes: 0,
            frame_pointer_walks: 0,
            table_walks: 0,
        });
        sum.running |= thread.running;
        sum.counters.add(&thread.counters);
        for (total, more) in [
            (&mut sum.own_alloc_bytes, thread.own_alloc_bytes),
            (&mut sum.own_freed_bytes, thread.own_freed_bytes),
            (&mut sum.frame_pointer_walks, thread.frame_pointer_walks),
            (&mut sum.table_walks, thread.table_walks),
        ] {
            *total = total.saturating_add(more);
        }
    }

    /// The threads, most allocated first; those beyond the most are one without a name.
    pub fn finish(mut self) -> Vec<Thread> {
        let mut threads: Vec<Thread> = std::mem::take(&mut self.0).into_values().collect();
        let allocated = |thread: &Thread| std::cmp::Reverse(thread.counters.alloc_bytes);
        threads.sort_by(|a, b| (allocated(a), &a.name).cmp(&(allocated(b), &b.name)));
        let rest = threads.split_off(threads.len().min(MOST_THREADS));
        for thread in &rest {
            self.add_one("", thread);
        }
        threads.extend(self.0.into_values());
        threads
    }
}

/// What tells functions apart: where they stand, and their text.
type FunctionId = (String, String, u32, u32, u64);

/// Functions by name, place and text: of another build they are others.
#[derive(Default)]
pub struct FunctionSum(BTreeMap<FunctionId, ProfiledFunction>);

impl FunctionSum {
    fn add(&mut self, functions: &[ProfiledFunction], started_ns: u64) {
        for function in functions {
            let id = (
                function.name.clone(),
                function.file.clone(),
                function.first_line,
                function.last_line,
                function.source_hash,
            );
            let on_clock = |ns: Option<u64>| ns.map(|ns| ns.saturating_add(started_ns));
            let (first_ns, last_ns) = (on_clock(function.first_ns), on_clock(function.last_ns));
            match self.0.get_mut(&id) {
                None => {
                    let new = ProfiledFunction {
                        first_ns,
                        last_ns,
                        ..function.clone()
                    };
                    self.0.insert(id, new);
                }
                Some(sum) => {
                    sum.baseline = sum.baseline.min(function.baseline);
                    let firsts = [sum.first_ns, first_ns].into_iter().flatten();
                    sum.first_ns = firsts.min();
                    sum.last_ns = sum.last_ns.max(last_ns);
                    sum.is_open |= function.is_open;
                    add_lines(&mut sum.lines, &function.lines);
                }
            }
        }
    }

    /// The functions in the order of their first calls, in time since `started_ns`.
    pub fn finish(self, started_ns: u64) -> Vec<ProfiledFunction> {
        let since = |ns: Option<u64>| ns.map(|ns| ns.saturating_sub(started_ns));
        let mut functions: Vec<ProfiledFunction> = (self.0.into_values())
            .map(|function| ProfiledFunction {
                first_ns: since(function.first_ns),
                last_ns: since(function.last_ns),
                ..function
            })
            .collect();
        functions.sort_by_key(|function| function.first_ns);
        functions
    }
}

/// Lines are in the order of the file in both.
fn add_lines(sums: &mut Vec<ProfiledLine>, lines: &[ProfiledLine]) {
    for line in lines {
        match sums.binary_search_by_key(&line.number, |sum| sum.number) {
            Err(at) => sums.insert(at, *line),
            Ok(at) => {
                let sum = &mut sums[at];
                sum.runs = sum.runs.saturating_add(line.runs);
                sum.allocated = sum.allocated.saturating_add(line.allocated);
                sum.freed = sum.freed.saturating_add(line.freed);
                sum.mem_usage = sum.mem_usage.max(line.mem_usage);
            }
        }
    }
}

/// What source files held, as the newest process says.
#[derive(Default)]
pub struct SourceSum(HashMap<String, (u64, SourceState)>);

impl SourceSum {
    fn add(&mut self, profile: &Profile, started_ns: u64) {
        for (path, state) in &profile.sources {
            match self.0.get_mut(path) {
                Some(known) if known.0 >= started_ns => {}
                Some(known) => *known = (started_ns, *state),
                None => {
                    self.0.insert(path.clone(), (started_ns, *state));
                }
            }
        }
    }

    /// By path.
    pub fn finish(self) -> HashMap<String, SourceState> {
        let states = self.0.into_iter();
        states.map(|(path, (_, state))| (path, state)).collect()
    }
}
