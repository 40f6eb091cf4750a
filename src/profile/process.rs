//! Which of the profiles of one process to look at first.

use std::path::Path;

use profiler_alloc_format::Header;

/// A profile among those of one process.
///
/// A Python has several that loads two extension modules which record, and so has a shell that
/// executed another program.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The executable, if it is known.
    pub program: Option<&'a Path>,
    /// See [`own_peak`].
    pub own_peak: u64,
    /// When it began, nanoseconds since 1970.
    pub started_ns: u64,
}

/// The place of the profile to look at first: of the program that used most memory, which is not
/// the shell that became it, the one that began first, as a library's begins after its program's.
pub fn first_of_process<'a>(
    candidates: impl Iterator<Item = Candidate<'a>> + Clone,
) -> Option<usize> {
    let most = candidates.clone().max_by_key(|one| one.own_peak)?;
    let of_program = candidates
        .enumerate()
        .filter(|(_, one)| one.program == most.program);
    of_program
        .min_by_key(|(_, one)| one.started_ns)
        .map(|(place, _)| place)
}

/// Highest heap in use, in bytes, without what came with a fork: the parent has that too.
pub fn own_peak(header: &Header) -> u64 {
    let before_fork = match header.forked_from {
        0 => 0,
        _ => header.heap_base,
    };
    header.peak.saturating_sub(before_fork)
}
