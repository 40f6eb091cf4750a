//! Sizes, times and counts as people write and read them: `64KiB`, `250ms`, `1.5 MiB`, `1,234,567`.
//!
//! Units of memory are binary throughout: K, KiB and KB all mean 1024 bytes.

use std::fmt;
use std::time::Duration;

use profiler_alloc_format::split_unit;
use thiserror::Error;

/// Why a size or a duration could not be read; the message shows how to write one.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum UnitError {
    /// Not a size.
    #[error("`{0}` is not a size: write bytes or a binary unit, such as 4096, 64KiB or 1.5MiB")]
    Size(String),
    /// Not a duration.
    #[error(
        "`{0}` is not a duration: write a number and a unit (us, ms, s, min), such as 100ms or 2s"
    )]
    Duration(String),
}

const SIZE_UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];

/// Reads a number of bytes: `4096`, `64K`, `64KiB`, `1.5 MiB`. The case of the unit does not
/// matter.
///
/// ```
/// assert_eq!(memprof::units::parse_size("64KiB"), Ok(65_536));
/// ```
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    profiler_alloc_format::parse_size(text).ok_or_else(|| UnitError::Size(text.to_owned()))
}

/// Reads a duration: `100ms`, `2s`, `1.5 min`. The unit must be there.
///
/// ```
/// use std::time::Duration;
/// assert_eq!(memprof::units::parse_duration("100ms"), Ok(Duration::from_millis(100)));
/// ```
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let error = || UnitError::Duration(text.to_owned());
    let (number, unit) = split_unit(text).ok_or_else(error)?;
    let seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "min" => 60.0,
        _ => return Err(error()),
    };
    Duration::try_from_secs_f64(number * seconds).map_err(|_| error())
}

/// Bytes, shown in the largest unit that keeps the number at 1 or more: `512 B`, `1.5 MiB`.
///
/// One decimal unless a precision is given; whole bytes never have decimals.
///
/// ```
/// use memprof::units::ByteSize;
/// assert_eq!(ByteSize(1_572_864).to_string(), "1.5 MiB");
/// assert_eq!(format!("{:.3}", ByteSize(800_000)), "781.250 KiB");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ByteSize(pub u64);

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1024 {
            return write!(f, "{} B", self.0);
        }
        let precision = f.precision().unwrap_or(1);
        let mut value = self.0 as f64;
        let mut unit = 0;
        // What would be rounded up to 1024 belongs to the next unit.
        let limit = 1024.0 - 0.5 * 0.1_f64.powi(precision as i32);
        while value >= limit && unit + 1 < SIZE_UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        write!(f, "{value:.precision$} {}", SIZE_UNITS[unit])
    }
}

/// A count, shown with a comma between thousands: `1,234,567`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Count(pub u64);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let mut text = String::with_capacity(digits.len() + digits.len() / 3);
        for (i, digit) in digits.chars().enumerate() {
            if i > 0 && (digits.len() - i).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        f.pad(&text)
    }
}

/// Nanoseconds, shown as seconds: `1.250 s`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Seconds(pub u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} s", self.0 as f64 / 1e9)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sizes() {
        let sizes = [
            ("0", 0),
            ("4096", 4096),
            ("64K", 65_536),
            ("64KiB", 65_536),
            ("64kb", 65_536),
            (" 1 MiB ", 1 << 20),
            ("1.5M", 3 << 19),
            ("2GiB", 2 << 30),
            ("1T", 1 << 40),
            ("7B", 7),
        ];
        for (text, bytes) in sizes {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_not_a_size() {
        for text in [
            "",
            "KiB",
            "-1",
            "1e9",
            "1.5",
            "1..5K",
            "64 KiBs",
            "99999999T",
            "inf",
        ] {
            assert_eq!(
                parse_size(text),
                Err(UnitError::Size(text.into())),
                "{text}"
            );
        }
    }

    #[test]
    fn reads_durations() {
        assert_eq!(parse_duration("100ms"), Ok(Duration::from_millis(100)));
        assert_eq!(parse_duration("250 us"), Ok(Duration::from_micros(250)));
        assert_eq!(parse_duration("0.5s"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("2min"), Ok(Duration::from_secs(120)));
        for text in ["", "5", "ms", "1h", "-1s"] {
            assert_eq!(parse_duration(text), Err(UnitError::Duration(text.into())));
        }
    }

    #[test]
    fn shows_bytes_in_the_largest_unit_that_fits() {
        let shown = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_048_524, "1023.9 KiB"),
            (1_048_525, "1.0 MiB"),
            (12_897_485, "12.3 MiB"),
            (u64::MAX, "16777216.0 TiB"),
        ];
        for (bytes, text) in shown {
            assert_eq!(ByteSize(bytes).to_string(), text);
        }
    }

    #[test]
    fn shows_counts_with_thousands() {
        let shown = [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ];
        for (count, text) in shown {
            assert_eq!(Count(count).to_string(), text);
        }
        assert_eq!(format!("{:>6}", Count(1000)), " 1,000");
    }
}
