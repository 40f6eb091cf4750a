//! What stands out among the queries of a scope: the same ones again, whole tables read, slow ones.

use core::hash::Hash;
use std::collections::HashMap;
use std::sync::Arc;

use super::normal;
use super::report::{Place, Query};

/// Queries that belong together.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Finding {
    /// The SQL they share, without values.
    pub normalised: Arc<str>,
    /// Which they are, by their place in the report.
    pub queries: Vec<usize>,
    /// The line they share, if it is what makes them belong together.
    pub place: Option<Place>,
}

/// What there is to say about the queries of a scope. The greatest groups come first.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Findings {
    /// The same SQL with the same values, more than once. Where values are not known, nothing is said.
    pub duplicates: Vec<Finding>,
    /// The same SQL but for its values, more than once; duplicates are among them.
    pub similar: Vec<Finding>,
    /// The same `SELECT` but for its values, from the same line, more than once: one query could have done.
    pub n_plus_one: Vec<Finding>,
    /// Queries that read a whole table.
    pub full_scans: Vec<usize>,
    /// Queries that took at least the time given.
    pub slow: Vec<usize>,
    /// Queries that failed.
    pub failed: Vec<usize>,
}

impl Findings {
    /// What `queries` show.
    pub(super) fn of(queries: &[Query], slow_ns: u64) -> Findings {
        let which = |is: &dyn Fn(&Query) -> bool| {
            let all = queries.iter().enumerate();
            all.filter(|(_, query)| is(query))
                .map(|(index, _)| index)
                .collect()
        };
        let is_read_in = |query: &Query| {
            (query.place.is_exact && normal::is_select(&query.normalised))
                .then(|| (Arc::clone(&query.normalised), query.place))
        };
        let mut n_plus_one = groups(queries, is_read_in);
        for finding in &mut n_plus_one {
            finding.place = finding.queries.first().map(|&first| queries[first].place);
        }
        Findings {
            duplicates: groups(queries, |query| query.key),
            similar: groups(queries, |query| Some(Arc::clone(&query.normalised))),
            n_plus_one,
            full_scans: which(&|query| query.full_scan == Some(true)),
            slow: which(&|query| query.elapsed_ns.is_some_and(|ns| ns >= slow_ns)),
            failed: which(&|query| query.failed == Some(true)),
        }
    }
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
