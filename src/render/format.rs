//! Figures in words, with their signs.

use crate::report::Bytes;
use crate::units::{self, Count, Seconds};

/// Bytes as in a table: in MiB, or in KiB or bytes where MiB would show nothing.
pub(crate) fn table_bytes(bytes: i64, precision: usize) -> String {
    let size = bytes.unsigned_abs();
    for (unit, name) in [(1 << 20, "MiB"), (1 << 10, "KiB")] {
        let shown = format!("{:.precision$}", size as f64 / f64::from(unit));
        if size == 0 || shown.contains(|digit| matches!(digit, '1'..='9')) {
            return format!("{}{shown} {name}", sign(bytes));
        }
    }
    format!("{bytes} B")
}

/// Bytes in running text: in the largest unit that makes at least 1.
pub(crate) fn bytes(bytes: i64) -> String {
    format!("{}{}", sign(bytes), units::ByteSize(bytes.unsigned_abs()))
}

/// Bytes that have no sign, as [`bytes`].
pub(crate) fn size(size: u64) -> String {
    units::ByteSize(size).to_string()
}

/// Bytes to the byte: `9.8 MiB (10,240,620 B)`.
pub(crate) fn exact_bytes(number: i64) -> String {
    format!("{}{}", sign(number), exact_size(number.unsigned_abs()))
}

/// Bytes that have no sign, as [`exact_bytes`].
pub(crate) fn exact_size(number: u64) -> String {
    let exact = if number < 1024 {
        String::new()
    } else {
        format!(" ({} B)", Count(number))
    };
    format!("{}{exact}", units::ByteSize(number))
}

/// A count with its thousands apart: `1,234,567`.
pub(crate) fn count(count: i64) -> String {
    format!("{}{}", sign(count), Count(count.unsigned_abs()))
}

/// A count of blocks, marked if it is mostly noise.
pub(crate) fn blocks(blocks: Bytes) -> String {
    let mark = if blocks.is_noise() { "~" } else { "" };
    format!("{mark}{}", count(blocks.bytes))
}

fn sign(number: i64) -> &'static str {
    if number < 0 { "-" } else { "" }
}

/// Nanoseconds as seconds: `1.234 s`.
pub(crate) fn seconds(ns: u64) -> String {
    Seconds(ns).to_string()
}

/// Nanoseconds since 1970 as date and time: `2026-11-23 02:41:33 UTC`.
pub(crate) fn date(unix_ns: u64) -> String {
    let seconds = unix_ns / 1_000_000_000;
    let (days, second) = (seconds / 86400, seconds % 86400);
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days: years begin
    // in March, so that the leap day is the last of its year.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_bytes_are_mib_unless_that_shows_nothing() {
        assert_eq!(table_bytes(800_000, 1), "0.8 MiB");
        assert_eq!(table_bytes(-800_000, 3), "-0.763 MiB");
        assert_eq!(table_bytes(0, 1), "0.0 MiB");
        assert_eq!(table_bytes(5000, 1), "4.9 KiB");
        assert_eq!(table_bytes(-7, 1), "-7 B");
        assert_eq!(table_bytes(i64::MIN, 0), "-8796093022208 MiB");
        assert_eq!(table_bytes(6 << 30, 1), "6144.0 MiB");
    }

    #[test]
    fn running_text_takes_the_fitting_unit() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(-1536), "-1.5 KiB");
        assert_eq!(bytes(6 << 30), "6.0 GiB");
        assert_eq!(count(-1_234_567), "-1,234,567");
        assert_eq!(count(12), "12");
        assert_eq!(seconds(1_234_567_890), "1.235 s");
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(date(951_782_400_000_000_000), "2000-02-29 00:00:00 UTC");
        assert_eq!(date(1_795_401_693_000_000_000), "2026-11-23 02:41:33 UTC");
    }
}
