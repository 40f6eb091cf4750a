//! Sizes as people write them: `4096`, `64KiB`, `1.5 MiB`. Read without allocating, as the recorder
//! reads them too.

/// Reads a number of bytes; the case of the unit does not matter, and K, KiB and KB all mean 1024.
/// `None` if it is not a whole number of bytes, or above 2^53.
///
/// ```
/// use profiler_alloc_format::parse_size;
/// assert_eq!(parse_size("1.5 MiB"), Some(3 << 19));
/// assert_eq!(parse_size("1.5"), None);
/// ```
pub fn parse_size(text: &str) -> Option<u64> {
    const UNITS: [&[&str]; 5] = [
        &["", "b"],
        &["k", "kb", "kib"],
        &["m", "mb", "mib"],
        &["g", "gb", "gib"],
        &["t", "tb", "tib"],
    ];
    let (number, unit) = split_unit(text)?;
    let is_unit = |names: &&[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(unit));
    let power = UNITS.iter().position(is_unit)?;
    let bytes = number * 1024_f64.powi(power as i32);
    // 2^53: above it, not every whole number of bytes is an f64.
    let exact = bytes.fract() == 0.0 && bytes <= 9_007_199_254_740_992.0;
    exact.then_some(bytes as u64)
}

/// Splits `1.5 MiB` into 1.5 and `MiB`; `None` if it does not start with a plain decimal number.
pub fn split_unit(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim_start()))
}
