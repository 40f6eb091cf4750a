//! Where stacks begin is not asked here, as none is walked.

pub fn top() -> usize {
    0
}
