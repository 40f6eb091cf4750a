//! From runs to ratios: each run is compared with the one of its base in the same round.

use super::results::{Results, Run};

/// Median and extremes of the paired ratios.
#[derive(Clone, Copy, Debug)]
pub struct Ratio {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Ratio {
    fn of(mut ratios: Vec<f64>) -> Option<Ratio> {
        ratios.sort_by(f64::total_cmp);
        Some(Ratio {
            median: median(&ratios)?,
            least: *ratios.first()?,
            most: *ratios.last()?,
        })
    }
}

/// The middle of sorted numbers.
pub fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        0 => Some((sorted.get(middle.checked_sub(1)?)? + sorted[middle]) / 2.0),
        _ => Some(sorted[middle]),
    }
}

/// How a subject's runs of a case compare with its base's, in what `value` takes.
pub fn ratio(
    results: &Results,
    case: &str,
    subject: &str,
    value: impl Fn(&Run) -> f64,
) -> Option<Ratio> {
    let of = |name: &str, round: usize| {
        results
            .runs
            .iter()
            .find(|run| run.case == case && run.subject == name && run.round == round)
    };
    let ratios = results
        .runs
        .iter()
        .filter(|run| run.case == case && run.subject == subject)
        .filter_map(|run| Some(value(run) / value(of(&run.base, run.round)?)))
        .collect();
    Ratio::of(ratios)
}

/// The median of a subject's runs of a case.
pub fn middle(
    results: &Results,
    case: &str,
    subject: &str,
    value: impl Fn(&Run) -> f64,
) -> Option<f64> {
    let runs = results
        .runs
        .iter()
        .filter(|run| run.case == case && run.subject == subject);
    let mut values: Vec<f64> = runs.map(value).collect();
    values.sort_by(f64::total_cmp);
    median(&values)
}

/// Instructions of a subject in relation to its base's.
pub fn instructions(results: &Results, workload: &str, subject: &str) -> Option<f64> {
    let of = |name: &str| {
        results
            .counted
            .iter()
            .find(|counted| counted.workload == workload && counted.subject == name)
    };
    let counted = of(subject)?;
    Some(counted.instructions as f64 / of(&counted.base)?.instructions as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_an_even_number_lies_between_two() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[1.0, 2.0, 4.0, 9.0]), Some(3.0));
    }

    #[test]
    fn runs_are_compared_within_their_round() {
        let run = |subject: &str, round, wall_ms| Run {
            case: "x".to_owned(),
            threads: 1,
            subject: subject.to_owned(),
            base: "a".to_owned(),
            round,
            wall_ms,
            cpu_ms: 0.0,
            peak_kib: 0,
        };
        let mut results = Results::here(true);
        results.runs = vec![
            run("a", 0, 1.0),
            run("b", 0, 2.0),
            run("a", 1, 10.0),
            run("b", 1, 40.0),
        ];
        let ratio = ratio(&results, "x", "b", |run| run.wall_ms).unwrap();
        assert_eq!((ratio.median, ratio.least, ratio.most), (3.0, 2.0, 4.0));
    }
}
