//! The tables: what was measured, for the terminal and for Markdown.

use super::results::{Counted, Results};
use super::statistics::{Ratio, instructions, middle, ratio};

/// A table with a name, under which a page asks for it.
pub struct Table {
    pub name: &'static str,
    pub title: String,
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// All tables that there are figures for.
pub fn tables(results: &Results) -> Vec<Table> {
    let whole =
        |case: &str| !case.contains(" (small)") && !case.contains(" × ") && !case.contains(" for ");
    let mut tables = vec![
        counted(results),
        times(
            results,
            "wall",
            "Wall time, in relation to the base",
            &whole,
            |run| run.wall_ms,
        ),
        times(
            results,
            "cpu",
            "CPU time, in relation to the base",
            &whole,
            |run| run.cpu_ms,
        ),
        memory(results, &whole),
        times(
            results,
            "slow",
            "A twentieth of the work: wall time, in relation to system",
            &|case| case.contains(" (small)"),
            |run| run.wall_ms,
        ),
        times(
            results,
            "threads",
            "churn on more threads, all together doing the same work: wall time, in relation to the base",
            &|case| case.contains(" × "),
            |run| run.wall_ms,
        ),
        lengths(results),
        curve(
            results,
            "depth",
            "Instructions of one pair of allocation and free, by depth of the stack",
        ),
        curve(
            results,
            "walked",
            "Instructions of one pair of allocation and free on a stack that has to be walked, by its depth",
        ),
        curve(
            results,
            "stacks",
            "Instructions of one pair of allocation and free, by number of distinct stacks",
        ),
    ];
    tables.retain(|table| !table.rows.is_empty());
    tables
}

/// All tables, aligned for a terminal.
pub fn text(results: &Results) -> String {
    let mut text = about(results);
    for table in tables(results) {
        text += &format!("\n{} [{}]\n", table.title, table.name);
        let lines: Vec<_> = std::iter::once(&table.head).chain(&table.rows).collect();
        let width = |at: usize| {
            let cells = lines.iter().filter_map(|line| line.get(at));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        for line in &lines {
            for (at, cell) in line.iter().enumerate() {
                let width = width(at);
                text += &match at {
                    0 => format!("{cell:<width$}"),
                    _ => format!("  {cell:>width$}"),
                };
            }
            text.push('\n');
        }
    }
    text
}

/// A table as Markdown.
pub fn markdown(table: &Table) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = line(&table.head);
    let rule = (0..table.head.len()).map(|at| if at == 0 { "---" } else { "---:" });
    text += &line(&rule.map(str::to_owned).collect::<Vec<_>>());
    table.rows.iter().for_each(|row| text += &line(row));
    text
}

/// Where, when, and what was left out.
pub fn about(results: &Results) -> String {
    let machine = &results.machine;
    let rounds = results
        .runs
        .iter()
        .map(|run| run.round + 1)
        .max()
        .unwrap_or(0);
    let mut text = format!(
        "Measured {} on {} ({} cores), Linux {}, {}; {rounds} rounds{}; load average at the start {:.1}.\n",
        machine.date,
        machine.processor,
        machine.cores,
        machine.kernel,
        machine.rustc,
        if results.quick { ", quick form" } else { "" },
        machine.load,
    );
    if machine.load > 1.5 {
        text += "The machine was busy: times say little, instruction counts are unaffected.\n";
    }
    for note in &results.notes {
        text += &format!("Not measured: {note}.\n");
    }
    text
}

/// The distinct values that `of` gives, in the order of the runs.
fn distinct<'a, T>(items: &'a [T], of: impl Fn(&'a T) -> Option<&'a str>) -> Vec<&'a str> {
    let mut names = Vec::new();
    for name in items.iter().filter_map(of) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn times(
    results: &Results,
    name: &'static str,
    title: &str,
    takes: &dyn Fn(&str) -> bool,
    value: impl Fn(&super::results::Run) -> f64 + Copy,
) -> Table {
    let cases = distinct(&results.runs, |run| takes(&run.case).then_some(&run.case));
    let subjects = in_order(results, takes);
    let rows = subjects.iter().map(|subject| {
        let cells = cases
            .iter()
            .map(|case| cell(ratio(results, case, subject, value)));
        std::iter::once(named(results, subject))
            .chain(cells)
            .collect()
    });
    Table {
        name,
        title: title.to_owned(),
        head: head(&cases),
        rows: rows.collect(),
    }
}

/// Subjects as listed, not as they happened to run.
fn in_order<'a>(results: &'a Results, takes: &dyn Fn(&str) -> bool) -> Vec<&'a str> {
    let mut subjects = distinct(&results.runs, |run| {
        takes(&run.case).then_some(run.subject.as_str())
    });
    let place = |name: &str| {
        super::subjects::SUBJECTS
            .iter()
            .position(|subject| subject.name == name)
    };
    subjects.sort_by_key(|name| place(name));
    subjects
}

fn named(results: &Results, subject: &str) -> String {
    let base = results.runs.iter().find(|run| run.subject == subject);
    match base.map(|run| run.base.as_str()) {
        Some(base) if base != "system" && base != subject => format!("{subject} (to {base})"),
        _ => subject.to_owned(),
    }
}

fn cell(ratio: Option<Ratio>) -> String {
    match ratio {
        Some(Ratio {
            median,
            least,
            most,
        }) if least != most => {
            format!("{median:.2} ({least:.2}–{most:.2})")
        }
        Some(Ratio { median, .. }) => format!("{median:.2}"),
        None => "".to_owned(),
    }
}

fn head(cases: &[&str]) -> Vec<String> {
    let short = |case: &&str| case.replace(" (small)", "").replace("churn × ", "");
    std::iter::once(String::new())
        .chain(cases.iter().map(short))
        .collect()
}

fn memory(results: &Results, takes: &dyn Fn(&str) -> bool) -> Table {
    let cases = distinct(&results.runs, |run| takes(&run.case).then_some(&run.case));
    let rows = in_order(results, takes).into_iter().map(|subject| {
        let cells = cases.iter().map(|case| {
            let peak = middle(results, case, subject, |run| run.peak_kib as f64);
            peak.map_or(String::new(), |kib| format!("{:.1}", kib / 1024.0))
        });
        std::iter::once(subject.to_owned()).chain(cells).collect()
    });
    Table {
        name: "memory",
        title: "Peak RSS, MiB".to_owned(),
        head: head(&cases),
        rows: rows.collect(),
    }
}

fn counted(results: &Results) -> Table {
    let is_curve = |name: &str| peers::CURVES.iter().any(|curve| curve.name == name);
    let workloads = distinct(&results.counted, |counted| {
        (!is_curve(&counted.workload)).then_some(&counted.workload)
    });
    let subjects = distinct(&results.counted, |counted| {
        (!is_curve(&counted.workload)).then_some(&counted.subject)
    });
    let rows = subjects.iter().map(|subject| {
        let cells = workloads.iter().map(|workload| {
            instructions(results, workload, subject)
                .map_or(String::new(), |ratio| format!("{ratio:.3}"))
        });
        std::iter::once((*subject).to_owned())
            .chain(cells)
            .collect()
    });
    Table {
        name: "instructions",
        title: "Instructions of the whole program, in relation to the base (jemalloc, prof: to jemalloc)".to_owned(),
        head: head(&workloads),
        rows: rows.collect(),
    }
}

fn lengths(results: &Results) -> Table {
    let cases = distinct(&results.runs, |run| {
        (run.case == "churn" || run.case.contains(" for ")).then_some(&run.case)
    });
    let subject = "memprof, default";
    let mut rows: Vec<(f64, Vec<String>)> = cases
        .iter()
        .filter_map(|case| {
            let base = middle(results, case, "system", |run| run.cpu_ms)?;
            let own = middle(results, case, subject, |run| run.cpu_ms)?;
            let ratio = cell(ratio(results, case, subject, |run| run.cpu_ms));
            Some((
                base,
                vec![format!("{base:.0}"), format!("{:.0}", own - base), ratio],
            ))
        })
        .collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    Table {
        name: "lengths",
        title: "churn of several lengths: CPU time of the default recording".to_owned(),
        head: ["system, ms", "added, ms", "ratio"]
            .map(str::to_owned)
            .into(),
        rows: rows.into_iter().map(|(_, row)| row).collect(),
    }
}

/// Points of a curve: the number in the workload's name, and instructions beyond the system's for
/// one pair.
pub fn points(results: &Results, prefix: &str, subject: &str) -> Vec<(f64, f64)> {
    let of = |workload: &str, subject: &str| {
        results
            .counted
            .iter()
            .find(|counted| counted.workload == workload && counted.subject == subject)
    };
    let of_curve = results
        .counted
        .iter()
        .filter(|counted| counted.subject == subject);
    of_curve
        .filter_map(|counted| {
            let at = counted.workload.strip_prefix(prefix)?.strip_prefix('-')?;
            let of_pair = |counted: &Counted| counted.instructions as f64 / counted.amount as f64;
            let added = of_pair(counted) - of_pair(of(&counted.workload, "system")?);
            Some((at.parse().ok()?, added.max(0.0)))
        })
        .collect()
}

fn curve(results: &Results, prefix: &'static str, title: &str) -> Table {
    let subjects = distinct(&results.counted, |counted| {
        (counted.workload.starts_with(prefix) && counted.subject != "system")
            .then_some(&counted.subject)
    });
    let at: Vec<f64> = subjects
        .first()
        .map(|subject| {
            points(results, prefix, subject)
                .iter()
                .map(|point| point.0)
                .collect()
        })
        .unwrap_or_default();
    let rows = subjects.iter().map(|subject| {
        let values = points(results, prefix, subject);
        let cells = values.iter().map(|point| format!("+{:.0}", point.1));
        std::iter::once((*subject).to_owned())
            .chain(cells)
            .collect()
    });
    Table {
        name: prefix,
        title: format!("{title}, beyond the system's"),
        head: std::iter::once(String::new())
            .chain(at.iter().map(f64::to_string))
            .collect(),
        rows: rows.collect(),
    }
}
