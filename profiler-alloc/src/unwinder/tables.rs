//! What a walk by unwind tables looks up: the modules, and the rules compiled from their tables.

use crate::profile_file::store::Store;
#[cfg(not(portable_unwinder))]
use crate::unwinder::cfi;
#[cfg(not(portable_unwinder))]
use crate::unwinder::cfi::UnwindRule;
use crate::unwinder::modules::{CodeAddress, Modules};
use crate::unwinder::rule_cache::RuleCache;
#[cfg(not(portable_unwinder))]
use crate::unwinder::run_time_code;

/// Everything a table walk needs beside the stack.
pub struct Tables<'a> {
    pub rules: &'a RuleCache,
    pub modules: &'a Modules,
    pub store: &'a Store,
    pub now_ns: u64,
}

impl Tables<'_> {
    #[inline]
    pub(super) fn site(&self, return_address: usize) -> CodeAddress {
        self.modules.site(self.store, return_address, self.now_ns)
    }

    /// The site of a return address, and the rule for the frame of its function.
    #[cfg(not(portable_unwinder))]
    #[inline]
    pub(super) fn caller(&mut self, return_address: usize) -> (CodeAddress, UnwindRule) {
        let site = self.site(return_address);
        match self.rules.find(site.call()) {
            Some(rule) => (site, rule),
            None => self.meet(return_address, site),
        }
    }

    /// As [`caller`](Self::caller), where no rule is known. The module may have been met just now,
    /// and be one that may be unloaded: what was taken for the site then was not.
    #[cfg(not(portable_unwinder))]
    #[cold]
    #[inline(never)]
    fn meet(&mut self, return_address: usize, site: CodeAddress) -> (CodeAddress, UnwindRule) {
        let rule = self.compile(site.call());
        match self.site(return_address) {
            same if same == site => (site, rule),
            site => (site, self.rule(site.call())),
        }
    }

    #[cfg(not(portable_unwinder))]
    #[inline]
    pub(super) fn rule(&mut self, at: CodeAddress) -> UnwindRule {
        match self.rules.find(at) {
            Some(rule) => rule,
            None => self.compile(at),
        }
    }

    #[cfg(not(portable_unwinder))]
    #[cold]
    #[inline(never)]
    fn compile(&mut self, at: CodeAddress) -> UnwindRule {
        let rule = match self.modules.find(self.store, at, self.now_ns) {
            Some(module) => cfi::compile(&module, at.address()),
            None if run_time_code::keeps_frame_pointers(at.address()) => {
                UnwindRule::BY_FRAME_POINTER
            }
            None => UnwindRule::UNKNOWN,
        };
        self.rules.insert(at, rule);
        rule
    }
}
