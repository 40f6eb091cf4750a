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
        let is_read_in = |query: &Query| {
            (query.place.is_exact && query.facts.reads).then_some((
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

/// Whether the statement that runs them calls something as often as there are queries, and no loop
/// does.
///
/// ```text
/// let pair = (account(1), account(2));    two queries in one run of one statement, which calls
///                                         `account` twice
/// ```
fn are_written(queries: &[&Query]) -> bool {
    let are_so_many = |statement: StatementRun| queries.len() as u64 <= u64::from(statement.calls);
    let Some((first, others)) = queries.split_first() else {
        return false;
    };
    if others
        .iter()
        .all(|query| query.statement == first.statement)
    {
        return are_so_many(first.statement);
    }
    // A function with a scope of its own, called several times.
    let Some(caller) = first.caller.filter(|caller| are_so_many(caller.statement)) else {
        return false;
    };
    let frames: HashSet<u64> = queries.iter().map(|query| query.statement.frame).collect();
    let mut callers = others.iter().map(|query| query.caller);
    frames.len() == queries.len()
        && callers.all(|other| other.is_some_and(|other| other.statement == caller.statement))
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
