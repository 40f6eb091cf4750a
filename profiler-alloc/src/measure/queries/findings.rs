//! What stands out among the queries of a scope: duplicates, N+1, full scans, slow and failed
//! ones.

use core::hash::Hash;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::model::StatementRun;
use crate::measure::report::query::{Finding, Findings, Query};

impl Findings {
    /// What `queries` show.
    pub(super) fn of(queries: &[Query], slow_ns: u64) -> Findings {
        let which = |is: &dyn Fn(&Query) -> bool| {
            let all = queries.iter().enumerate();
            all.filter(|(_, query)| is(query))
                .map(|(index, _)| index)
                .collect()
        };
        // The same statement on another database, or that other lines lead to, is another query.
        // One that reads no table asks for no row: what a function does, nobody else can do.
        let is_read_in = |query: &Query| {
            let reads = query.facts.reads && query.facts.has_table;
            (query.place.is_exact && reads).then_some((
                query.shape,
                query.place,
                query.database,
                query.caller.map(|caller| caller.way),
            ))
        };
        let mut n_plus_one = groups(queries, is_read_in);
        n_plus_one.retain(|finding| could_be_one(&finding.of(queries)));
        for finding in &mut n_plus_one {
            finding.place = finding.queries.first().map(|&first| queries[first].place);
        }
        // `BEGIN` is the same wherever it stands, and none too many.
        let is_work = |query: &Query| !query.facts.is_transaction;
        let same = |query: &Query| Some((query.key?, query.database));
        Findings {
            duplicates: groups(queries, |query| same(query).filter(|_| is_work(query))),
            similar: groups(queries, |query| is_work(query).then_some(query.shape)),
            n_plus_one,
            full_scans: which(&|query| query.full_scan == Some(true)),
            slow: which(&|query| query.elapsed_ns.is_some_and(|ns| ns >= slow_ns)),
            failed: which(&|query| query.failed == Some(true)),
        }
    }
}

impl Finding {
    fn of<'a>(&self, queries: &'a [Query]) -> Vec<&'a Query> {
        let of = |&index: &usize| queries.get(index);
        self.queries.iter().filter_map(of).collect()
    }
}

/// Whether one query could have done what these do, which differ in their values alone and come
/// from one call.
fn could_be_one(queries: &[&Query]) -> bool {
    has_several(queries.iter().map(|query| query.key))
        && !are_written(queries)
        && !are_chunks(queries)
        && !are_pages(queries)
}

/// Whether what is written on their line calls something as often as there are queries, and no loop
/// does.
///
/// ```text
/// let pair = (account(1), account(2));    two queries in one run of one statement, which calls
///                                         `account` twice
/// account(1); account(2);                 one query in one run of each of two statements
/// ```
fn are_written(queries: &[&Query]) -> bool {
    if are_runs_of_one_line(queries.iter().map(|query| query.statement)) {
        return true;
    }
    // A function with a scope of its own, called several times.
    let callers: Option<Vec<_>> = queries.iter().map(|query| query.caller).collect();
    let frames: HashSet<u64> = queries.iter().map(|query| query.statement.frame).collect();
    let callers = callers.filter(|_| frames.len() == queries.len());
    callers
        .is_some_and(|callers| are_runs_of_one_line(callers.iter().map(|caller| caller.statement)))
}

/// Whether statements of one line ran, none of them again, and there are no more than are called
/// there.
fn are_runs_of_one_line(statements: impl Iterator<Item = StatementRun>) -> bool {
    let mut runs: HashMap<u32, StatementRun> = HashMap::new();
    let (mut count, mut frame) = (0, None);
    for statement in statements {
        let run = *runs.entry(statement.written).or_insert(statement);
        let is_same_call = *frame.get_or_insert(statement.frame) == statement.frame;
        count += 1;
        if run != statement || !is_same_call || count > u64::from(statement.calls) {
            return false;
        }
    }
    true
}

/// Whether there are two different ones; those that are not known are taken to be.
fn has_several(mut keys: impl Iterator<Item = Option<u64>>) -> bool {
    let first = keys.next().flatten();
    keys.any(|key| key.is_none() || key != first)
}

/// Long lists are asked for in chunks of one length, the last of which is what is left: 100, 100,
/// 7.
fn are_chunks(queries: &[&Query]) -> bool {
    if queries.iter().all(|query| query.facts.has_array) {
        // How long an array is, nobody tells.
        return true;
    }
    let lengths: Vec<u32> = queries.iter().map(|query| query.facts.list).collect();
    match lengths.split_last() {
        Some((&last, [first, others @ ..])) => {
            *first > 1 && last <= *first && others.iter().all(|other| other == first)
        }
        _ => false,
    }
}

/// Pages of one list.
fn are_pages(queries: &[&Query]) -> bool {
    let lists: Option<Vec<_>> = queries.iter().map(|query| query.page).collect();
    let Some(lists) = lists else {
        return false;
    };
    let mut known = lists.iter().filter_map(|page| page.list);
    let first = known.next();
    known.all(|list| Some(list) == first)
}

/// Groups of two and more with the same key.
fn groups<K: Hash + Eq>(queries: &[Query], key: impl Fn(&Query) -> Option<K>) -> Vec<Finding> {
    let mut order: HashMap<K, usize> = HashMap::new();
    let mut found: Vec<Finding> = Vec::new();
    for (index, query) in queries.iter().enumerate() {
        let Some(key) = key(query) else {
            continue;
        };
        let group = *order.entry(key).or_insert(found.len());
        if group == found.len() {
            found.push(Finding {
                normalised: Arc::clone(&query.normalised),
                queries: Vec::new(),
                place: None,
            });
        }
        found[group].queries.push(index);
    }
    found.retain(|finding| finding.queries.len() > 1);
    found.sort_by_key(|finding| core::cmp::Reverse(finding.queries.len()));
    found
}
