//! The memory of the process and of the system, as the system sees it.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::ffi::os::Statm;

/// Resident set size of the process in bytes; one `pread`, about 1.5 us.
pub fn of_process() -> u64 {
    static STATM: OnceLock<Statm> = OnceLock::new();
    STATM.get_or_init(Statm::open).rss()
}

/// Share of the system's memory that is not available, in percent.
#[cfg(feature = "sysinfo")]
pub fn system_percent() -> Option<f64> {
    static SYSTEM: OnceLock<Mutex<sysinfo::System>> = OnceLock::new();
    let system = SYSTEM.get_or_init(|| Mutex::new(sysinfo::System::new()));
    let mut system = system.lock().unwrap_or_else(PoisonError::into_inner);
    system.refresh_memory();
    percent_of(system.total_memory(), system.available_memory())
}

/// Share of the system's memory that is not available, in percent.
#[cfg(not(feature = "sysinfo"))]
pub fn system_percent() -> Option<f64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    percent_of(
        kib_field(&text, "MemTotal:")?,
        kib_field(&text, "MemAvailable:")?,
    )
}

fn percent_of(total: u64, available: u64) -> Option<f64> {
    (total > 0).then(|| 100.0 * total.saturating_sub(available) as f64 / total as f64)
}

/// The number of KiB beside `name`.
fn kib_field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// Highest resident set size inside open scopes.
///
/// The kernel keeps one mark for the process. Opening a scope sets it back, after folding it into the scopes that are
/// open already; so nested and concurrent scopes all stay right. `ru_maxrss` is set back with it.
#[derive(Debug)]
pub struct RssPeak {
    id: u64,
}

#[derive(Default)]
struct Open {
    next: u64,
    peaks: BTreeMap<u64, u64>,
}

static OPEN: Mutex<Open> = Mutex::new(Open {
    next: 0,
    peaks: BTreeMap::new(),
});

impl RssPeak {
    /// `None` if the system does not let the mark be set back.
    pub fn open() -> Option<RssPeak> {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let mark = high_water()?;
        open.peaks
            .values_mut()
            .for_each(|peak| *peak = mark.max(*peak));
        fs::write("/proc/self/clear_refs", "5").ok()?;
        let id = open.next;
        open.next += 1;
        open.peaks.insert(id, 0);
        Some(RssPeak { id })
    }

    /// *Bytes.*
    pub fn close(self) -> Option<u64> {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let folded = open.peaks.remove(&self.id)?;
        Some(high_water()?.max(folded))
    }
}

fn high_water() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    Some(kib_field(&text, "VmHWM:")? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_name() {
        let text = "MemTotal:       100 kB\nMemAvailable:    25 kB\n";
        assert_eq!(kib_field(text, "MemTotal:"), Some(100));
        assert_eq!(kib_field(text, "SwapTotal:"), None);
        assert_eq!(percent_of(100, 25), Some(75.0));
        assert_eq!(percent_of(0, 0), None);
    }

    #[test]
    fn the_system_tells() {
        let percent = system_percent().unwrap();
        assert!((0.0..=100.0).contains(&percent), "{percent}");
        assert!(of_process() > 100_000);
    }
}
