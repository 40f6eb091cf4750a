//! What the recorder could not keep, in words.

use super::Profile;

/// Something the recorder could not keep, and how often.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Loss {
    /// How often.
    pub count: u64,
    /// What, in words that follow the number.
    pub what: &'static str,
}

impl Loss {
    /// All that were, those that did not happen left out.
    pub fn of(profile: &Profile) -> Vec<Loss> {
        let header = &profile.header;
        let with_reason = [
            header.lost_in_run_time_code,
            header.lost_on_other_stack,
            header.lost_without_table,
        ];
        let with_reason: u64 = with_reason.into_iter().fold(0, u64::saturating_add);
        let all = [
            (
                header.lost_stacks,
                "samples without a stack, as a table was full",
            ),
            (
                header.lost_starts,
                "samples without a stack, as the program has no unwind tables where it allocates \
                 (-C force-unwind-tables=yes makes them)",
            ),
            (
                header.lost_crowded,
                "samples without a stack, as too many threads were taking one at once",
            ),
            (
                header.lost_in_run_time_code,
                "stacks end in code made at run time: the lines that called it are not credited",
            ),
            (
                header.lost_on_other_stack,
                "stacks end on a stack of their own, as of a coroutine: the lines that resumed it \
                 are not credited",
            ),
            (
                header.lost_without_table,
                "stacks end in code without unwind tables: the lines that called it are not \
                 credited",
            ),
            (
                header.lost_outer_frames.saturating_sub(with_reason),
                "stacks whose outer end could not be walked",
            ),
            (
                header.lost_middle_frames,
                "stacks too deep to keep their middle",
            ),
            (
                header.lost_reentrant,
                "allocations and frees made inside the recorder, counted but not sampled",
            ),
            (
                header.lost_blocks,
                "sampled blocks not remembered, whose free is charged to no line",
            ),
            (header.lost_modules, "frames of unknown modules"),
            (
                header.lost_threads,
                "threads that shared one counter record",
            ),
            (
                header.lost_calls,
                "calls of #[profile] functions that the exact tables do not have",
            ),
            (
                header.lost_moments,
                "marks, or changes of what was live at earlier moments, not kept",
            ),
            (
                header.lost_growth,
                "attempts to grow the profile that failed",
            ),
            (
                // Whether they went on or executed another program at once, the parent cannot see.
                header.forks,
                "forked children without a profile, unless they executed a program that has one",
            ),
            (header.pauses, "pauses, during which nothing was sampled"),
        ];
        (all.into_iter())
            .filter(|&(count, _)| count > 0)
            .map(|(count, what)| Loss { count, what })
            .collect()
    }
}
