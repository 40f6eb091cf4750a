//! Which part of a profile is looked at: what was done while contexts were in force.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use super::{ContextId, Node, NodeId, Profile, Stack, Totals};

/// Stands for stacks for which no context of a key is in force.
const NONE: &str = "(none)";
/// Values that a message lists.
const LISTED: usize = 8;

/// A value of a key, or that there is none of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ContextPattern {
    key: String,
    /// `None` where no context of the key is in force.
    value: Option<String>,
}

/// Why a pattern is none, or chooses nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ContextError {
    /// Without `=`.
    #[error("a context is written KEY=VALUE, such as route=/orders, or KEY={NONE}")]
    NotAContext,
    /// The program has named no context at all.
    #[error("the profile has no contexts; docs/contexts.md says how a program names them")]
    NoContexts,
    /// Not of this key.
    #[error("the profile has no context of the key {key}; it has {}", .keys.join(", "))]
    UnknownKey {
        /// The key.
        key: String,
        /// Those that there are.
        keys: Vec<String>,
    },
    /// Not this one.
    #[error("the profile has no context {pattern}; of this key it has {}", listed(.values))]
    UnknownValue {
        /// What was asked for.
        pattern: String,
        /// Those that there are.
        values: Vec<String>,
    },
}

fn listed(values: &[String]) -> String {
    let shown = values.iter().take(LISTED).cloned().collect::<Vec<_>>();
    match values.len().saturating_sub(LISTED) {
        0 => shown.join(", "),
        more => format!("{}, and {more} more", shown.join(", ")),
    }
}

impl ContextPattern {
    /// The context `value` of `key`; those stacks without one of the key, if there is no value.
    pub fn new(key: &str, value: Option<&str>) -> ContextPattern {
        ContextPattern {
            key: key.to_owned(),
            value: value.map(str::to_owned),
        }
    }

    /// The key, and its value. `None`: no context of the key is in force.
    pub fn into_parts(self) -> (String, Option<String>) {
        (self.key, self.value)
    }
}

impl FromStr for ContextPattern {
    type Err = ContextError;

    fn from_str(text: &str) -> Result<ContextPattern, ContextError> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok(ContextPattern {
                key: key.to_owned(),
                value: Some(value)
                    .filter(|&value| value != NONE)
                    .map(str::to_owned),
            }),
            _ => Err(ContextError::NotAContext),
        }
    }
}

impl fmt::Display for ContextPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value.as_deref().unwrap_or(NONE);
        write!(f, "{}={value}", self.key)
    }
}

impl Profile {
    /// Keeps what was done while all of these contexts were in force. What belongs to the whole
    /// process, such as its heap over time, stays.
    ///
    /// # Errors
    /// If the profile has no such context.
    pub fn select_contexts(&mut self, patterns: &[ContextPattern]) -> Result<(), ContextError> {
        for pattern in patterns {
            self.check(pattern)?;
            let kept = |stack: &Stack| self.is_in(stack, pattern);
            let kept: Vec<Stack> = self.stacks.iter().copied().filter(kept).collect();
            self.stacks = kept;
            self.unattributed = Totals::default();
        }
        if !patterns.is_empty() {
            self.drop_unused_nodes();
        }
        Ok(())
    }

    /// Which nodes `stacks` go through; the root always.
    pub(crate) fn nodes_of(&self, stacks: &[Stack]) -> Vec<bool> {
        let mut is_used = vec![false; self.nodes.len()];
        is_used[0] = true;
        for stack in stacks {
            let mut node = stack.node as usize;
            while !std::mem::replace(&mut is_used[node], true) {
                node = self.nodes[node].parent as usize;
            }
        }
        is_used
    }

    /// What no stack goes through any more is no function of the selection, and need not be looked
    /// up.
    fn drop_unused_nodes(&mut self) {
        let is_used = self.nodes_of(&self.stacks);
        // Parents come before children, so a parent's new number is known when a child asks for it.
        let mut numbers: Vec<NodeId> = Vec::with_capacity(self.nodes.len());
        let mut kept = Vec::new();
        for (node, is_used) in self.nodes.iter().zip(is_used) {
            numbers.push(kept.len() as NodeId);
            if is_used {
                let parent = numbers[node.parent as usize];
                kept.push(Node { parent, ..*node });
            }
        }
        self.nodes = kept;
        for stack in &mut self.stacks {
            stack.node = numbers[stack.node as usize];
        }
    }

    /// The parts of its stacks by what was in force of `key`: each value that the program named,
    /// and last, under `None`, what was done while there was none.
    pub fn stacks_by(&self, key: &str) -> Vec<(Option<ContextId>, Vec<Stack>)> {
        let mut of_value: HashMap<Option<ContextId>, Vec<Stack>> = HashMap::new();
        for stack in &self.stacks {
            let value = self.contexts.value_of(stack.contexts, key);
            of_value.entry(value).or_default().push(*stack);
        }
        let values = self.contexts.all.iter().enumerate();
        let values = values.filter(|(_, context)| context.key == key);
        let values = values.map(|(id, _)| Some(id)).chain([None]);
        let part = |value| (value, of_value.remove(&value).unwrap_or_default());
        values.map(part).collect()
    }

    /// Whether the program has named a context of that key.
    ///
    /// # Errors
    /// If not.
    pub fn check_key(&self, key: &str) -> Result<(), ContextError> {
        self.check(&ContextPattern::new(key, None))
    }

    fn is_in(&self, stack: &Stack, pattern: &ContextPattern) -> bool {
        let in_force = self.contexts.value_of(stack.contexts, &pattern.key);
        let in_force = in_force.map(|id| &self.contexts.all[id].value);
        in_force == pattern.value.as_ref()
    }

    fn check(&self, pattern: &ContextPattern) -> Result<(), ContextError> {
        let keys = self.contexts.keys();
        if keys.is_empty() {
            return Err(ContextError::NoContexts);
        }
        if !keys.contains(&&*pattern.key) {
            return Err(ContextError::UnknownKey {
                key: pattern.key.clone(),
                keys: keys.into_iter().map(str::to_owned).collect(),
            });
        }
        let of_key = (self.contexts.all.iter()).filter(|context| context.key == pattern.key);
        let mut values: Vec<&str> = of_key.map(|context| &*context.value).collect();
        match &pattern.value {
            Some(value) if !values.contains(&&**value) => {
                values.sort_unstable();
                Err(ContextError::UnknownValue {
                    pattern: pattern.to_string(),
                    values: values.into_iter().map(str::to_owned).collect(),
                })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_said_again() {
        for text in ["route=/a", "route=a=b", "route=(none)", "route="] {
            assert_eq!(text.parse::<ContextPattern>().unwrap().to_string(), text);
        }
        for text in ["route", "=a", ""] {
            assert_eq!(
                text.parse::<ContextPattern>(),
                Err(ContextError::NotAContext)
            );
        }
    }
}
