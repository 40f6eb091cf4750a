//! What figures are summed for.

/// Number of something figures are summed for: a table or one of its rows.
pub(super) type Key = usize;
