//! Figures in words, as `memprof report` writes them.

/// Bytes as in a table: in MiB, or in KiB or bytes where MiB would show nothing.
pub(super) fn table_bytes(bytes: i64, precision: usize) -> String {
    let sign = if bytes < 0 { "-" } else { "" };
    let size = bytes.unsigned_abs();
    for (unit, name) in [(1 << 20, "MiB"), (1 << 10, "KiB")] {
        let shown = format!("{:.precision$}", size as f64 / f64::from(unit));
        if size == 0 || shown.contains(|digit| matches!(digit, '1'..='9')) {
            return format!("{sign}{shown} {name}");
        }
    }
    format!("{bytes} B")
}

/// Bytes in a column of MiB: `   197.250 MiB`.
pub(super) fn mib(bytes: i64) -> String {
    format!("{:>9.3} MiB", bytes as f64 / f64::from(1 << 20))
}

/// As [`mib`], with its sign.
pub(super) fn mib_change(bytes: i64) -> String {
    format!("{:>+9.3} MiB", bytes as f64 / f64::from(1 << 20))
}

/// Nanoseconds as seconds, to the nanosecond: `0.018615750`.
pub(super) fn seconds(ns: u64) -> String {
    format!("{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000)
}

/// As [`seconds`], without zeros at the end.
pub(super) fn short_seconds(ns: u64) -> String {
    let text = seconds(ns);
    let short = text.trim_end_matches('0');
    match short.strip_suffix('.') {
        Some(whole) => format!("{whole}.0"),
        None => short.to_owned(),
    }
}

/// Nanoseconds as h:mm:ss.ffffff, rounded to the microsecond.
pub(super) fn clock(ns: u64) -> String {
    let us = ns.saturating_add(500) / 1000;
    let (seconds, us) = (us / 1_000_000, us % 1_000_000);
    let (minutes, second) = (seconds / 60, seconds % 60);
    format!("{}:{:02}:{second:02}.{us:06}", minutes / 60, minutes % 60)
}

/// A label as it may be shown: nothing in it steers the terminal.
pub(super) fn sanitized(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        let is_steering = char.is_control()
            || matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if is_steering {
            shown.extend(char.escape_unicode());
        } else {
            shown.push(char);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_the_report() {
        assert_eq!(table_bytes(800_000, 1), "0.8 MiB");
        assert_eq!(table_bytes(-800_000, 3), "-0.763 MiB");
        assert_eq!(table_bytes(0, 1), "0.0 MiB");
        assert_eq!(table_bytes(5000, 1), "4.9 KiB");
        assert_eq!(table_bytes(-7, 1), "-7 B");
        assert_eq!(mib(206_831_616), "  197.250 MiB");
        assert_eq!(mib_change(-1 << 20), "   -1.000 MiB");
    }

    #[test]
    fn times_are_those_of_the_ancestor() {
        assert_eq!(seconds(18_615_750), "0.018615750");
        assert_eq!(short_seconds(8_705_878_000), "8.705878");
        assert_eq!(short_seconds(8_724_493_750), "8.72449375");
        assert_eq!(short_seconds(2_000_000_000), "2.0");
        assert_eq!(clock(18_615_750), "0:00:00.018616");
        assert_eq!(clock(3_661_000_000_000), "1:01:01.000000");
    }

    #[test]
    fn labels_do_not_steer() {
        assert_eq!(sanitized("a\u{1b}[1m"), "a\\u{1b}[1m");
    }
}
