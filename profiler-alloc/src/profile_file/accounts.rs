//! The accounts in the file: where the resident memory was. When there is no more room, every other
//! one is removed and the wait doubles, so a run of any length fits. The one with most resident is
//! kept beside them, as record 0.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

use profiler_alloc_format::account::{Account, AccountCells, MAX_ACCOUNTS};

use crate::profile_file::store::Store;

/// A program that grows has accounts after this part of the interval.
const SOONEST: u64 = 10;
/// An account may take this part of the program's time, and of its CPU time.
const COST: u64 = 250;
/// A program that mostly waits has one after so many intervals more.
const LONGEST: u64 = 10;
/// And one of a program that grows this part: these are few, as each is of a program that is larger
/// by a quarter.
const COST_GROWN: u64 = 100;
/// An account is due early where the program has grown by so much beyond the largest: a quarter,
/// and a megabyte.
const GROWN_SHIFT: u32 = 2;
const GROWN: u64 = 1 << 20;

/// When accounts are taken, and where they stand.
pub struct Accounts {
    is_off: bool,
    first_ns: u64,
    next_ns: AtomicU64,
    soonest_ns: AtomicU64,
    next_cpu_ns: AtomicU64,
    interval_ns: AtomicU64,
    highest: AtomicU64,
    is_taking: AtomicBool,
}

impl Accounts {
    /// Of which there is to be one every `interval_ns` nanoseconds at first; `None` for none.
    pub fn new(interval_ns: Option<u64>) -> Accounts {
        let first = interval_ns.unwrap_or(u64::MAX);
        Accounts {
            is_off: interval_ns.is_none(),
            first_ns: first,
            next_ns: AtomicU64::new(first),
            soonest_ns: AtomicU64::new(first / SOONEST),
            next_cpu_ns: AtomicU64::new(0),
            interval_ns: AtomicU64::new(first),
            highest: AtomicU64::new(0),
            is_taking: AtomicBool::new(false),
        }
    }

    /// True if an account is due `now_ns` after the start, when the program has used `cpu_ns` and
    /// has `resident` bytes.
    pub fn is_due(&self, now_ns: u64, cpu_ns: u64, resident: u64) -> bool {
        if self.is_off {
            return false;
        }
        let highest = self.highest.load(Ordering::Relaxed);
        let much = highest
            .saturating_add(highest >> GROWN_SHIFT)
            .saturating_add(GROWN);
        if resident > much {
            return now_ns >= self.soonest_ns.load(Ordering::Relaxed);
        }
        let next_ns = self.next_ns.load(Ordering::Relaxed);
        let has_worked = cpu_ns >= self.next_cpu_ns.load(Ordering::Relaxed);
        let interval = self.interval_ns.load(Ordering::Relaxed);
        let longest = next_ns.saturating_add(interval.saturating_mul(LONGEST));
        now_ns >= if has_worked { next_ns } else { longest }
    }

    /// Puts the account that `make` gives into the file, unless another thread is taking one. Gives
    /// what it cost, in nanoseconds. `at` is the time and the CPU time before.
    pub fn take(
        &self,
        store: &Store,
        at: (u64, u64),
        make: impl FnOnce() -> Option<Account>,
    ) -> u64 {
        if self.is_off || self.is_taking.swap(true, Ordering::Acquire) {
            return 0;
        }
        let account = make();
        let cost = account.map_or(0, |account| account.cost_ns);
        if let Some(account) = account {
            self.keep(store, &account);
        }
        let (now_ns, cpu_ns) = at;
        let interval = self.interval_ns.load(Ordering::Relaxed);
        let after = |wait: u64, part: u64| {
            let wait = wait.max(cost.saturating_mul(part));
            now_ns.saturating_add(wait)
        };
        self.next_ns.store(after(interval, COST), Ordering::Relaxed);
        (self.soonest_ns).store(
            after(self.first_ns / SOONEST, COST_GROWN),
            Ordering::Relaxed,
        );
        let next_cpu_ns = cpu_ns.saturating_add(cost.saturating_mul(COST));
        self.next_cpu_ns.store(next_cpu_ns, Ordering::Relaxed);
        self.is_taking.store(false, Ordering::Release);
        cost
    }

    fn keep(&self, store: &Store, account: &Account) {
        let count = &store.header().account_count;
        let mut at = (count.load(Ordering::Relaxed) as usize).max(1);
        if at >= MAX_ACCOUNTS {
            at = thin(store);
            let interval = self.interval_ns.load(Ordering::Relaxed);
            self.interval_ns
                .store(interval.saturating_mul(2), Ordering::Relaxed);
        }
        if account.resident > self.highest.load(Ordering::Relaxed)
            && let Some(cells) = store.make_account(0)
        {
            self.highest.store(account.resident, Ordering::Relaxed);
            write(cells, account);
        }
        if let Some(cells) = store.make_account(at) {
            write(cells, account);
            count.store(at as u64 + 1, Ordering::Release);
        }
    }
}

/// Keeps the accounts with odd numbers, the first among them.
fn thin(store: &Store) -> usize {
    let kept = MAX_ACCOUNTS / 2;
    for at in 2..kept {
        if let (Some(to), Some(from)) = (store.accounts.get(at), store.accounts.get(2 * at - 1)) {
            write(to, &read(from));
        }
    }
    (store.header().account_count).store(kept as u64, Ordering::Release);
    kept
}

/// All words but the turn, as [`Account`] lists them.
macro_rules! words {
    ($cells:ident, $account:ident, $each:ident) => {
        $each!(
            $cells,
            $account,
            time_ns,
            resident,
            swap,
            huge,
            in_use,
            untouched,
            untouched_variance,
            rounding,
            rounding_variance,
            heap,
            mapped,
            stacks,
            stacks_mapped,
            programs,
            files,
            shared,
            recorder,
            recorder_file,
            other,
            known,
            cost_ns,
            pinned
        )
    };
}

fn write(cells: &AccountCells, account: &Account) {
    let turn = cells.turn.load(Ordering::Relaxed);
    // A turn that was left odd stays odd until the record is whole.
    cells.turn.store(turn | 1, Ordering::Relaxed);
    fence(Ordering::Release);
    macro_rules! store {
        ($cells:ident, $account:ident, $($field:ident),*) => {
            $($cells.$field.store($account.$field, Ordering::Relaxed);)*
        };
    }
    words!(cells, account, store);
    cells
        .turn
        .store((turn | 1).wrapping_add(1), Ordering::Release);
}

fn read(cells: &AccountCells) -> Account {
    let mut account = Account::empty();
    let into = &mut account;
    macro_rules! load {
        ($cells:ident, $into:ident, $($field:ident),*) => {
            $($into.$field = $cells.$field.load(Ordering::Relaxed);)*
        };
    }
    words!(cells, into, load);
    account
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn store(name: &str) -> &'static Store {
        let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        let path = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        let store = Store::create(&path).unwrap();
        std::fs::remove_file(path.to_str().unwrap()).unwrap();
        store
    }

    fn account(second: u64, resident: u64, cost_ns: u64) -> Account {
        Account {
            time_ns: second * 1_000_000_000 + 1,
            resident,
            cost_ns,
            ..Account::empty()
        }
    }

    fn all(store: &Store) -> Vec<Account> {
        let count = store.header().account_count.load(Ordering::Relaxed) as usize;
        (0..count)
            .map(|at| read(store.accounts.get(at).unwrap()))
            .collect()
    }

    /// A day: accounts are spread over it, the largest is kept though it was early.
    #[test]
    fn a_long_run_fits() {
        let (store, accounts) = (store("accounts-long"), Accounts::new(Some(SECOND)));
        for second in 0..86_400u64 {
            let (now_ns, cpu_ns) = (second * 1_000_000_000, second * 1_000_000_000);
            let resident = if second == 77 { 9 << 30 } else { 1 << 20 };
            if accounts.is_due(now_ns, cpu_ns, resident) {
                let take = || Some(account(second, resident, 1_000));
                assert_eq!(accounts.take(store, (now_ns, cpu_ns), take), 1_000);
            }
        }
        let all = all(store);
        assert!((MAX_ACCOUNTS / 2..=MAX_ACCOUNTS).contains(&all.len()));
        assert_eq!((all[0].resident, all[0].time_ns), (9 << 30, 77_000_000_001));
        let times: Vec<u64> = all[1..].iter().map(|account| account.time_ns).collect();
        assert!(times.is_sorted(), "{times:?}");
        let gaps: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let (least, most) = (gaps.iter().min().unwrap(), gaps.iter().max().unwrap());
        assert!(most <= &(2 * least + 1_000_000_000), "{gaps:?}");
        assert!(times[times.len() - 1] > 84_000_000_000_000);
    }

    #[test]
    fn what_is_dear_is_rare() {
        let (store, accounts) = (store("accounts-dear"), Accounts::new(Some(SECOND)));
        let second = SECOND;
        assert!(!accounts.is_due(second / 2, second, 0));
        assert!(accounts.is_due(second, second, 0));
        accounts.take(store, (second, second), || {
            Some(account(1, 8 << 20, second / 50))
        });
        // 20 ms are to be a 250th of the time until the next: 5 s, also of CPU time.
        assert!(!accounts.is_due(5 * second, 60 * second, 0));
        assert!(!accounts.is_due(15 * second, 5 * second, 0));
        assert!(accounts.is_due(16 * second, 5 * second, 0));
        assert!(accounts.is_due(6 * second, 6 * second, 0));
        // One that another thread is taking, or the system refuses, is none.
        assert_eq!(accounts.take(store, (second, second), || None), 0);
        assert_eq!(all(store).len(), 2);
    }

    #[test]
    fn a_program_that_grows_has_one_early() {
        let (store, accounts) = (store("accounts-grown"), Accounts::new(Some(SECOND)));
        let (second, mib) = (SECOND, 1 << 20);
        accounts.take(store, (second, second), || {
            Some(account(1, 16 * mib, 1_000))
        });
        let soon = second + second / SOONEST;
        assert!(!accounts.is_due(soon, second, 21 * mib));
        assert!(accounts.is_due(soon, second, 22 * mib));
        assert!(!accounts.is_due(soon - 1, second, 22 * mib));
    }

    #[test]
    fn there_may_be_none() {
        let (store, accounts) = (store("accounts-off"), Accounts::new(None));
        assert!(!accounts.is_due(u64::MAX, u64::MAX, u64::MAX));
        assert_eq!(accounts.take(store, (0, 0), || Some(account(1, 1, 1))), 0);
        assert_eq!(all(store), []);
    }
}
