//! Which functions of a report matter: those that a reader in a hurry is shown.
//!
//! A stack belongs to the function of it that is innermost, so what functions have of their own
//! adds up to the whole, and a few have nearly all of it:
//!
//! ```text
//!                  through it   its own
//! app::main            100 %       0 %    kept: as a caller, there is room for it
//! app::load             62 %      60 %    kept
//! app::parse            38 %      39 %    kept: 99 % are reached
//! app::log               1 %       1 %    left out, and said so
//! ```

use super::{Figures, LeftOut, Sort, Table};

/// So much of each figure is shown, if there is room.
const SHARE: f64 = 0.99;
/// Most functions that are kept.
const MOST: usize = 40;
/// Places that are kept for callers.
const FOR_CALLERS: usize = 10;
/// So few are not worth a choice.
const FEW: usize = 10;
/// A caller matters if so much passes through it.
const THROUGH_CALLER: f64 = 0.01;

type Figure<'a> = &'a dyn Fn(&Figures) -> i64;

/// Leaves out of `tables`, which are sorted by `sort`, what does not matter.
pub(super) fn keep_what_matters(tables: &mut Vec<Table>, sort: Sort) -> Option<LeftOut> {
    if tables.len() <= FEW {
        return None;
    }
    let kept = kept(tables, sort);
    let own: Vec<Figures> = tables.iter().map(|table| table.own).collect();
    retain(tables, &own, &kept)
}

/// Leaves out of `items`, each of which has some of `figures` and shares none of it, what does not
/// matter.
pub(super) fn keep_holders<T>(
    items: &mut Vec<T>,
    figures: impl Fn(&T) -> Figures,
    sort: Sort,
) -> Option<LeftOut> {
    let own: Vec<Figures> = items.iter().map(figures).collect();
    let mut kept = vec![own.len() <= FEW; own.len()];
    keep_in_turns(&own, sort, MOST, &mut kept);
    retain(items, &own, &kept)
}

/// Drops what is not kept, and says what share of the whole that had.
fn retain<T>(items: &mut Vec<T>, own: &[Figures], kept: &[bool]) -> Option<LeftOut> {
    let all_left_out = |figure: Figure| {
        let of = |figures: &Figures| figure(figures).max(0) as f64;
        let left_out = (own.iter().zip(kept)).filter(|(_, kept)| !**kept);
        let (part, whole): (f64, f64) = (
            left_out.map(|(figures, _)| of(figures)).sum(),
            own.iter().map(of).sum(),
        );
        if whole > 0.0 { part / whole } else { 0.0 }
    };
    let left_out = LeftOut {
        count: kept.iter().filter(|kept| !**kept).count(),
        of_peak: all_left_out(&|figures| figures.at_peak.bytes),
        of_allocated: all_left_out(&|figures| figures.allocated.bytes),
    };
    let mut kept = kept.iter();
    items.retain(|_| *kept.next().unwrap_or(&true));
    (left_out.count > 0).then_some(left_out)
}

fn kept(tables: &[Table], sort: Sort) -> Vec<bool> {
    let own: Vec<Figures> = tables.iter().map(|table| table.own).collect();
    let mut kept = vec![false; tables.len()];
    keep_in_turns(&own, sort, MOST - FOR_CALLERS, &mut kept);
    let mut room = MOST - kept.iter().filter(|kept| **kept).count();
    let by_sort = |figures: &Figures| sort.figure(figures);
    for table in callers(tables, &what_counts(&by_sort)) {
        if !kept[table] && room > 0 {
            room -= 1;
            kept[table] = true;
        }
    }
    kept
}

/// The figures of which nearly all is to be shown.
fn what_counts<'a>(by_sort: Figure<'a>) -> [Figure<'a>; 3] {
    [
        &|figures| figures.at_peak.bytes,
        &|figures| figures.allocated.bytes,
        by_sort,
    ]
}

/// Marks what together has most of each figure, if there is room; in turns, so that no figure takes
/// the room of another.
fn keep_in_turns(own: &[Figures], sort: Sort, mut room: usize, kept: &mut [bool]) {
    let by_sort = |figures: &Figures| sort.figure(figures);
    let figures = what_counts(&by_sort);
    let mut holders = figures.map(|figure| holders(own, figure).into_iter());
    while let [Some(_), ..] | [_, Some(_), _] | [.., Some(_)] = holders.each_mut().map(|holders| {
        let holder = holders.next()?;
        if !kept[holder] && room > 0 {
            room -= 1;
            kept[holder] = true;
        }
        Some(holder)
    }) {}
}

/// Those that together have most of a figure, largest first.
fn holders(own: &[Figures], figure: Figure) -> Vec<usize> {
    let own: Vec<i64> = own.iter().map(|own| figure(own).max(0)).collect();
    let whole: f64 = own.iter().map(|&own| own as f64).sum();
    let mut order: Vec<usize> = (0..own.len()).filter(|&holder| own[holder] > 0).collect();
    order.sort_by_key(|&holder| std::cmp::Reverse(own[holder]));
    let mut sum = 0.0;
    order
        .into_iter()
        .take_while(|&holder| {
            let is_missing = sum < SHARE * whole;
            sum += own[holder] as f64;
            is_missing
        })
        .collect()
}

/// The tables through which much of any figure passes, most first.
fn callers(tables: &[Table], figures: &[Figure]) -> Vec<usize> {
    let wholes = figures.iter().map(|figure| {
        let own = tables.iter().map(|table| figure(&table.own).max(0) as f64);
        own.sum::<f64>().max(1.0)
    });
    let wholes: Vec<f64> = wholes.collect();
    let share = |table: &Table| {
        let shares = (figures.iter().zip(&wholes))
            .map(|(figure, whole)| figure(&table.total) as f64 / whole);
        shares.fold(0.0, f64::max)
    };
    let mut order: Vec<(f64, usize)> = (tables.iter().enumerate())
        .map(|(number, table)| (share(table), number))
        .filter(|(share, _)| *share >= THROUGH_CALLER)
        .collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0));
    order.into_iter().map(|(_, table)| table).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Bytes;

    fn figures(peak: i64, allocated: i64) -> Figures {
        let bytes = |bytes| Bytes {
            bytes,
            standard_error: 0.0,
        };
        Figures {
            at_peak: bytes(peak),
            allocated: bytes(allocated),
            ..Figures::default()
        }
    }

    /// A function through which `total` passes, of which `own` is its own: bytes at the peak, and
    /// allocated.
    fn table(name: &str, total: (i64, i64), own: (i64, i64)) -> Table {
        Table {
            file: "src/main.rs".to_owned(),
            function: name.to_owned(),
            instances: Vec::new(),
            total: figures(total.0, total.1),
            own: figures(own.0, own.1),
            lines: Vec::new(),
            gaps: Vec::new(),
            notes: Vec::new(),
            verified: true,
        }
    }

    fn names(tables: &[Table]) -> Vec<&str> {
        tables.iter().map(|table| table.function.as_str()).collect()
    }

    #[test]
    fn what_holds_nearly_all_is_kept_with_its_callers() {
        let mut tables = vec![
            table("main", (10_000, 1_000_000), (0, 0)),
            table("load", (9_950, 10_000), (9_950, 9_950)),
            // Nothing of it is there at the peak.
            table("churn", (0, 985_000), (0, 985_000)),
        ];
        // What each of them has would be shown alone, and matters little beside the others.
        tables.extend((0..50).map(|_| table("small", (1, 101), (1, 101))));
        let left_out = keep_what_matters(&mut tables, Sort::Peak).unwrap();
        assert_eq!(names(&tables), ["main", "load", "churn"]);
        assert_eq!(left_out.count, 50);
        assert!((left_out.of_peak - 0.005).abs() < 1e-9, "{left_out:?}");
        assert!((left_out.of_allocated - 0.005).abs() < 1e-4, "{left_out:?}");
    }

    #[test]
    fn a_few_functions_are_all_kept() {
        let mut tables = vec![table("main", (1000, 1000), (1000, 1000))];
        tables.extend((0..9).map(|_| table("nothing", (0, 0), (0, 0))));
        assert_eq!(keep_what_matters(&mut tables, Sort::Peak), None);
        assert_eq!(tables.len(), 10);
    }

    #[test]
    fn there_are_at_most_forty_and_callers_among_them() {
        // Sixty callers in each other, and two hundred functions with as much each.
        let mut tables: Vec<Table> = (0..60)
            .map(|depth| table(&format!("caller {depth}"), (20_000, 20_000), (0, 0)))
            .collect();
        tables.extend((0..200).map(|_| table("leaf", (100, 100), (100, 100))));
        let left_out = keep_what_matters(&mut tables, Sort::Peak).unwrap();
        assert_eq!((tables.len(), left_out.count), (40, 220));
        let leaves = names(&tables)
            .iter()
            .filter(|name| **name == "leaf")
            .count();
        assert_eq!(leaves, 30);
        assert_eq!(names(&tables)[0], "caller 0");
        assert!((left_out.of_peak - 0.85).abs() < 1e-9, "{left_out:?}");
    }

    #[test]
    fn what_tables_are_sorted_by_matters_too() {
        let mut tables = vec![table("holds", (1000, 1000), (1000, 1000))];
        let mut counts = table("counts", (0, 0), (0, 0));
        counts.own.count = 5;
        tables.push(counts);
        tables.extend((0..20).map(|_| table("nothing", (0, 0), (0, 0))));
        let mut by_peak = tables.clone();
        keep_what_matters(&mut by_peak, Sort::Peak);
        assert_eq!(names(&by_peak), ["holds"]);
        keep_what_matters(&mut tables, Sort::Count);
        assert_eq!(names(&tables), ["holds", "counts"]);
    }
}
