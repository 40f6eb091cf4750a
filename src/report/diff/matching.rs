//! Finds each function and line of one report in another, although the source was edited in
//! between.
//!
//! A function is the same if its name is, and its path below the folder of the package: two
//! checkouts differ in what is above. Of several with one name (`from` of `impl From<u8>` and of
//! `impl From<bool>`), those are the same that share a name with arguments, else those with the
//! same text, else those that took the same, else those in the same place of the order. A function
//! with another name is the same if its text is much the same. Lines are aligned by their text
//! where both reports have it, else by how far most of those that took memory moved.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

use similar::{Algorithm, DiffOp, TextDiff, capture_diff_slices};

use super::change::{FunctionChange, LineChange, Pair, Presence, has_changed};
use crate::report::{Figures, Line, Note, Table};
use crate::source::below_package;

/// A text is much the same as another if so much of it is.
const ALIKE: f32 = 0.6;
/// Lines whose text differs are still the same line if so much of it is the same.
const ALIKE_LINE: f32 = 0.5;
/// Most pairs of functions of a file whose texts are compared.
const MOST_COMPARED: usize = 2500;

/// Indices of tables in the base and in the new report.
type OfBoth = (Vec<usize>, Vec<usize>);

/// Pairs the tables of both reports; what is in one only stands alone.
pub(super) fn functions(base: Vec<Table>, new: Vec<Table>) -> Vec<FunctionChange> {
    let pairs = pairs(&base, &new);
    let mut base: Vec<Option<Table>> = base.into_iter().map(Some).collect();
    let mut changes = Vec::new();
    for (table, pair) in new.into_iter().zip(pairs) {
        let before = pair.and_then(|index| base[index].take());
        changes.push(change(before, Some(table)));
    }
    changes.extend(
        base.into_iter()
            .flatten()
            .map(|gone| change(Some(gone), None)),
    );
    changes
}

/// For every table of `new`, the index of its table in `base`.
fn pairs(base: &[Table], new: &[Table]) -> Vec<Option<usize>> {
    let mut pairs = vec![None; new.len()];
    let mut taken = vec![false; base.len()];
    let keys: [fn(&Table) -> String; 3] = [
        |table| table.file.clone(),
        |table| below_package(&table.file, 1),
        |table| below_package(&table.file, 0),
    ];
    let mut pair_by = |key: &dyn Fn(&Table) -> String, ambiguous: bool| {
        let mut named: BTreeMap<(String, &str), OfBoth> = BTreeMap::new();
        for (index, table) in base.iter().enumerate().filter(|(index, _)| !taken[*index]) {
            let name = (key(table), table.function.as_str());
            named.entry(name).or_default().0.push(index);
        }
        for (index, table) in (new.iter().enumerate()).filter(|(index, _)| pairs[*index].is_none())
        {
            let name = (key(table), table.function.as_str());
            named.entry(name).or_default().1.push(index);
        }
        for (old, now) in named.into_values() {
            let unique = old.len() == 1 && now.len() == 1;
            if unique || ambiguous {
                for (old, now) in namesakes(base, new, old, now) {
                    taken[old] = true;
                    pairs[now] = Some(old);
                }
            }
        }
    };
    for key in keys {
        pair_by(&key, true);
    }
    // In another file, one of several cannot be told to be the one.
    pair_by(&|_| String::new(), false);
    pair_by_text(base, new, &mut pairs, &mut taken);
    pairs
}

/// Pairs functions of one name and file: by their names with arguments, by their text, by what they
/// took, by their order.
fn namesakes(
    base: &[Table],
    new: &[Table],
    mut old: Vec<usize>,
    mut now: Vec<usize>,
) -> Vec<(usize, usize)> {
    if old.len() == 1 && now.len() == 1 {
        return vec![(old[0], now[0])];
    }
    let mut pairs = Vec::new();
    let mut pair_if = |is_same: &dyn Fn(&Table, &Table) -> bool| {
        now.retain(|&index| {
            let same = |&of_base: &usize| is_same(&base[of_base], &new[index]);
            let mut found = (old.iter().enumerate()).filter(|(_, of_base)| same(of_base));
            // What fits several tells nothing.
            let place = found.next().filter(|_| found.next().is_none());
            let place = place.map(|(place, _)| place);
            if let Some(place) = place {
                pairs.push((old.remove(place), index));
            }
            place.is_none()
        });
    };
    pair_if(&|a, b| a.instances.iter().any(|name| b.instances.contains(name)));
    pair_if(&|a, b| text(a).is_some_and(|lines| Some(lines) == text(b)));
    pair_if(&|a, b| a.total == b.total);
    let first_line = |table: &Table| table.lines.iter().find_map(|line| line.number);
    old.sort_by_key(|&index| first_line(&base[index]));
    now.sort_by_key(|&index| first_line(&new[index]));
    pairs.extend(old.into_iter().zip(now));
    pairs
}

/// Pairs functions that were given another name, within a file.
fn pair_by_text(base: &[Table], new: &[Table], pairs: &mut [Option<usize>], taken: &mut [bool]) {
    let mut left: BTreeMap<&str, OfBoth> = BTreeMap::new();
    for (index, table) in base.iter().enumerate().filter(|(index, _)| !taken[*index]) {
        left.entry(&table.file).or_default().0.push(index);
    }
    for (index, table) in new
        .iter()
        .enumerate()
        .filter(|(index, _)| pairs[*index].is_none())
    {
        left.entry(&table.file).or_default().1.push(index);
    }
    for (before, after) in left.into_values() {
        if before.len() * after.len() > MOST_COMPARED {
            continue;
        }
        let mut alike: Vec<(f32, usize, usize)> = Vec::new();
        for (&old, &now) in before
            .iter()
            .flat_map(|old| after.iter().map(move |now| (old, now)))
        {
            if let (Some(a), Some(b)) = (text(&base[old]), text(&new[now])) {
                let ratio = similar::get_diff_ratio(
                    &capture_diff_slices(Algorithm::Patience, &a, &b),
                    a.len(),
                    b.len(),
                );
                if ratio >= ALIKE {
                    alike.push((ratio, old, now));
                }
            }
        }
        alike.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (_, old, now) in alike {
            if !taken[old] && pairs[now].is_none() {
                taken[old] = true;
                pairs[now] = Some(old);
            }
        }
    }
}

/// The lines' texts without indentation, if all are known and are those of the recorded program.
fn text<'a>(table: &'a Table) -> Option<Vec<&'a str>> {
    if table.notes.contains(&Note::SourceChanged) || table.lines.is_empty() {
        return None;
    }
    let trimmed = |line: &'a Line| {
        line.number?;
        line.contents.as_deref().map(str::trim)
    };
    table.lines.iter().map(trimmed).collect()
}

fn change(base: Option<Table>, new: Option<Table>) -> FunctionChange {
    let total = Pair {
        base: base.as_ref().map(|table| table.total),
        new: new.as_ref().map(|table| table.total),
    };
    let name = |table: &Table| (table.file.clone(), table.function.clone());
    let (before, after) = (base.as_ref().map(name), new.as_ref().map(name));
    // The same file of another checkout is no other file.
    let differs = |(file, function): &(String, String), after: &(String, String)| {
        *function != after.1 || below_package(file, 0) != below_package(&after.0, 0)
    };
    let is_other = |before: &_| after.as_ref().is_some_and(|after| differs(before, after));
    let was = before.clone().filter(is_other);
    let (file, function) = after.or(before).unwrap_or_default();
    FunctionChange {
        function,
        file,
        was,
        total,
        lines: lines(base.as_ref(), new.as_ref()),
    }
}

/// The lines of both, in the order of the source; those that touched memory in neither are left
/// out.
fn lines(base: Option<&Table>, new: Option<&Table>) -> Vec<LineChange> {
    let rows = |table: Option<&'_ Table>| {
        let mut rows = table.map_or(&[][..], |table| &table.lines[..]).to_vec();
        // What stands there now is not what stood there.
        if table.is_some_and(|table| table.notes.contains(&Note::SourceChanged)) {
            rows.iter_mut()
                .filter(|row| row.number.is_some())
                .for_each(|row| row.contents = None);
        }
        rows
    };
    let (before, after) = (rows(base), rows(new));
    let texts = base.and_then(text).zip(new.and_then(text));
    let pairs = match &texts {
        Some((a, b)) => align(a, b),
        None => by_distance(&before, &after),
    };
    let mut changes: Vec<LineChange> = (pairs.into_iter())
        .map(|(old, now)| line_change(old.map(|old| &before[old]), now.map(|now| &after[now])))
        .collect();
    changes.retain(|line| has_changed(&line.figures) || !line.figures.is_empty());
    changes
}

fn line_change(base: Option<&Line>, new: Option<&Line>) -> LineChange {
    let contents = |line: Option<&Line>| line.and_then(|line| line.contents.clone());
    let (before, after) = (contents(base), contents(new));
    let trimmed = |text: &Option<String>| text.as_deref().map(str::trim).map(str::to_owned);
    let differs = before.is_some() && after.is_some() && trimmed(&before) != trimmed(&after);
    LineChange {
        base_number: base.and_then(|line| line.number),
        number: new.and_then(|line| line.number),
        was: before.clone().filter(|_| differs),
        contents: after.or(before),
        presence: match (base, new) {
            (Some(_), None) => Presence::Base,
            (None, _) => Presence::New,
            (Some(_), Some(_)) => Presence::Both,
        },
        figures: Pair {
            base: base.and_then(|line| line.figures),
            new: new.and_then(|line| line.figures),
        },
    }
}

type Indices = (Option<usize>, Option<usize>);

/// Aligns two texts line by line.
fn align(before: &[&str], after: &[&str]) -> Vec<Indices> {
    let mut pairs = Vec::new();
    for op in capture_diff_slices(Algorithm::Patience, before, after) {
        match op {
            DiffOp::Equal {
                old_index,
                new_index,
                len,
            } => pairs.extend((0..len).map(|i| (Some(old_index + i), Some(new_index + i)))),
            DiffOp::Delete {
                old_index, old_len, ..
            } => pairs.extend((old_index..old_index + old_len).map(|i| (Some(i), None))),
            DiffOp::Insert {
                new_index, new_len, ..
            } => pairs.extend((new_index..new_index + new_len).map(|i| (None, Some(i)))),
            DiffOp::Replace {
                old_index,
                old_len,
                new_index,
                new_len,
            } => edited(
                (before, old_index..old_index + old_len),
                (after, new_index..new_index + new_len),
                &mut pairs,
            ),
        }
    }
    pairs
}

/// Pairs the lines of an edited stretch, in order, each with the next that is much like it.
fn edited(
    (before, old): (&[&str], std::ops::Range<usize>),
    (after, new): (&[&str], std::ops::Range<usize>),
    pairs: &mut Vec<Indices>,
) {
    let mut from = new.start;
    for index in old {
        let alike =
            |now: &usize| TextDiff::from_chars(before[index], after[*now]).ratio() >= ALIKE_LINE;
        match (from..new.end).find(alike) {
            Some(now) => {
                pairs.extend((from..now).map(|between| (None, Some(between))));
                pairs.push((Some(index), Some(now)));
                from = now + 1;
            }
            None => pairs.push((Some(index), None)),
        }
    }
    pairs.extend((from..new.end).map(|left| (None, Some(left))));
}

/// Pairs lines whose text is not known: those as far apart as most that took memory in both, then
/// those that took the same. Addresses are paired if they read the same.
fn by_distance(before: &[Line], after: &[Line]) -> Vec<Indices> {
    let moved = distance(before, after);
    type Key = (Option<i64>, Option<String>);
    let key = |line: &Line, moved: i64| -> Key {
        match line.number {
            Some(number) => (Some(i64::from(number) + moved), None),
            None => (None, line.contents.clone()),
        }
    };
    let known: HashMap<Key, usize> = (after.iter().enumerate())
        .map(|(index, line)| (key(line, 0), index))
        .collect();
    let mut found: Vec<Option<usize>> = before
        .iter()
        .map(|line| known.get(&key(line, moved)).copied())
        .collect();
    pair_equals(before, after, &mut found);
    let mut pairs: Vec<Indices> = Vec::new();
    let mut next = 0;
    let taken: HashSet<usize> = found.iter().flatten().copied().collect();
    let is_alone = |index: &usize| !taken.contains(index);
    for (index, pair) in found.iter().enumerate() {
        if let Some(now) = *pair {
            pairs.extend(
                (next..now)
                    .filter(is_alone)
                    .map(|between| (None, Some(between))),
            );
            next = next.max(now + 1);
        }
        pairs.push((Some(index), *pair));
    }
    pairs.extend(
        (next..after.len())
            .filter(is_alone)
            .map(|left| (None, Some(left))),
    );
    pairs
}

/// Most pairs of lines of a function whose distance is looked at.
const MOST_DISTANCES: usize = 10_000;

/// By how many lines the function moved: what most lines that took memory agree on. Where several
/// do, those that took the same decide, then how far the first line moved.
fn distance(before: &[Line], after: &[Line]) -> i64 {
    let first = |lines: &[Line]| lines.iter().find_map(|line| line.number).map(i64::from);
    let of_first = first(after).zip(first(before));
    let of_first = of_first.map_or(0, |(now, old)| now - old);
    let touched = |lines: &[Line]| -> Vec<(i64, Figures)> {
        let of = |line: &Line| Some((i64::from(line.number?), line.figures?));
        lines.iter().filter_map(of).collect()
    };
    let (old, now) = (touched(before), touched(after));
    if old.len().saturating_mul(now.len()) > MOST_DISTANCES {
        return of_first;
    }
    let mut votes: HashMap<i64, (usize, usize)> = HashMap::new();
    for (old, was) in &old {
        for (now, is) in &now {
            let (all, equal) = votes.entry(now - old).or_default();
            *all += 1;
            *equal += usize::from(was == is);
        }
    }
    let best = votes.into_iter().max_by_key(|&(moved, votes)| {
        let is_of_first = moved == of_first;
        (votes, is_of_first, Reverse(moved.abs()), moved)
    });
    best.map_or(of_first, |(moved, _)| moved)
}

/// Pairs lines that are left and took the same to the byte, in order: code of a macro, which stands
/// above the function or below it.
fn pair_equals(before: &[Line], after: &[Line], found: &mut [Option<usize>]) {
    let mut taken: HashSet<usize> = found.iter().flatten().copied().collect();
    for (line, pair) in before.iter().zip(found) {
        if pair.is_none() && line.figures.is_some() {
            let same = |index: &usize| {
                let is_same = line.figures == after[*index].figures;
                is_same && !taken.contains(index)
            };
            *pair = (0..after.len()).find(same);
            taken.extend(*pair);
        }
    }
}
