//! Round ticks for the axes of plots: of bytes, and of time.

use super::format;

/// Marks from 0 up to `height` bytes, at most about `count`, and how each is written.
pub(super) fn byte_ticks(height: i64, count: i64) -> Vec<(i64, String)> {
    let min_step = height.max(1) / count.max(1);
    // Powers of two are round in binary units.
    let step = (min_step.max(1) as u64).next_power_of_two() as i64;
    (0..=height / step)
        .map(|number| {
            let at = number * step;
            let text = format::bytes(at);
            (at, text.replace(".0 ", " "))
        })
        .collect()
}

/// Marks from 0 up to `span_ns` nanoseconds, at most about `count`, and how each is written.
pub(super) fn time_ticks(span_ns: u64, count: u64) -> Vec<(u64, String)> {
    const UNITS: [(u64, &str); 7] = [
        (3_600_000_000_000, "h"),
        (60_000_000_000, "min"),
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
        (1_000, "µs"),
        (1, "ns"),
        (1, "ns"),
    ];
    let min_step = (span_ns / count.max(1)).max(1);
    let (unit, name) = (UNITS.into_iter())
        .find(|(unit, _)| *unit <= min_step)
        .unwrap_or((1, "ns"));
    let factors = match name {
        "h" | "ns" | "µs" | "ms" => [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000],
        _ => [1, 2, 5, 10, 15, 30, 60, 60, 60, 60, 60, 60],
    };
    let factor = (factors.into_iter())
        .find(|factor| factor * unit >= min_step)
        .unwrap_or_else(|| min_step.div_ceil(unit));
    let step = factor * unit;
    (0..=span_ns / step)
        .map(|number| (number * step, format!("{} {name}", number * factor)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        let texts = |ticks: Vec<(i64, String)>| -> Vec<String> {
            ticks.into_iter().map(|(_, text)| text).collect()
        };
        let of_bytes = texts(byte_ticks(5 << 20, 5));
        assert_eq!(
            of_bytes,
            ["0 B", "1 MiB", "2 MiB", "3 MiB", "4 MiB", "5 MiB"]
        );
        assert_eq!(texts(byte_ticks(1, 5)), ["0 B", "1 B"]);
        let of_time = |span| {
            time_ticks(span, 6)
                .into_iter()
                .map(|(_, text)| text)
                .collect::<Vec<_>>()
        };
        assert_eq!(of_time(1_000_000_000).last().unwrap(), "1000 ms");
        assert_eq!(
            of_time(90_000_000_000),
            ["0 s", "15 s", "30 s", "45 s", "60 s", "75 s", "90 s"]
        );
        assert_eq!(of_time(0), ["0 ns"]);
        for span in [1, 999, 1 << 40, u64::MAX / 2, u64::MAX] {
            assert!((1..=12).contains(&of_time(span).len()), "{span}");
            assert!(byte_ticks((span / 2) as i64, 5).len() <= 8, "{span}");
        }
    }
}
