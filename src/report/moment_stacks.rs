//! What each stack had live at every moment of a profile, for a page on which moments are chosen.

use std::collections::BTreeMap;

use super::Stacks;
use super::stacks::StackNodeId;
use crate::profile::{KeptMoment, Profile};

/// The moments of a profile, and the blocks of its stacks by when they were live.
#[derive(Clone, PartialEq, Debug)]
pub struct MomentStacks {
    /// In the order of time.
    pub moments: Vec<KeptMoment>,
    /// By node.
    pub cohorts: Vec<NodeCohort>,
}

/// Blocks of the stacks that end in one node, that were allocated between the same two moments, and
/// freed between the same two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NodeCohort {
    /// Of the stacks' innermost frame.
    pub node: StackNodeId,
    /// Moments before they were allocated.
    pub birth: usize,
    /// Moments before they were freed; one more than there are, if they were not.
    pub last: usize,
    /// Bytes.
    pub bytes: i64,
}

impl MomentStacks {
    /// Of a profile and its `stacks`, which may be restricted.
    pub fn new(profile: &Profile, stacks: &Stacks) -> MomentStacks {
        let mut sums: BTreeMap<(StackNodeId, usize, usize), i64> = BTreeMap::new();
        for (stack, &node) in profile.stacks.iter().zip(&stacks.ends) {
            for (birth, last, bytes) in profile.cohorts_of(stack) {
                let sum = sums.entry((node, birth, last)).or_default();
                *sum = sum.saturating_add(bytes);
            }
        }
        let cohorts = sums.into_iter().filter(|&(_, bytes)| bytes != 0);
        let cohorts = cohorts.map(|((node, birth, last), bytes)| NodeCohort {
            node,
            birth,
            last,
            bytes,
        });
        MomentStacks {
            moments: profile.moments.all.clone(),
            cohorts: cohorts.collect(),
        }
    }
}
