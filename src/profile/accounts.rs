//! Where the resident memory was, at moments of the run.

use profiler_alloc_format as format;

use super::totals::BlockCount;

/// One account: `profiler_alloc_format::Account` says what its parts are. `time_ns` counts from
/// the start.
pub use profiler_alloc_format::Account;

/// The accounts in the order of time; those that were being written are left out.
pub(super) fn in_order(records: &[Account]) -> Vec<Account> {
    let is_whole = |account: &&Account| account.turn.is_multiple_of(2) && account.time_ns != 0;
    let mut accounts: Vec<Account> = (records.iter().filter(is_whole))
        .map(|account| Account {
            time_ns: account.time_ns - 1,
            ..*account
        })
        .collect();
    accounts.sort_by_key(|account| account.time_ns);
    accounts.dedup_by_key(|account| account.time_ns);
    accounts
}

/// What was resident of a stack's large blocks, and what its blocks pinned.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Touched {
    /// When it was looked at, nanoseconds since the start.
    pub time_ns: u64,
    /// Bytes in blocks of 64 KiB and more.
    pub bytes: i64,
    /// The part of them that was not resident.
    pub untouched: i64,
    /// Such blocks.
    pub count: BlockCount,
    /// Variance of `untouched`.
    pub variance: f64,
    /// What blocks of any size pin: free bytes on the pages that they are on, their share of them.
    pub pinned: i64,
}

impl Touched {
    /// `None` if the stack has none.
    pub(super) fn of(record: &format::Touched) -> Option<Touched> {
        let variance = f64::from_bits(record.variance);
        (record.time_ns != 0).then(|| Touched {
            time_ns: record.time_ns - 1,
            bytes: record.bytes as i64,
            untouched: (record.bytes as i64)
                .saturating_sub(record.resident as i64)
                .max(0),
            count: BlockCount(record.count as i64),
            variance: if variance.is_finite() {
                variance.max(0.0)
            } else {
                0.0
            },
            pinned: (record.pinned as i64).max(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use profiler_alloc_format::COUNT_FRACTION_BITS;

    use super::*;

    fn account(time_ns: u64, turn: u64) -> Account {
        Account {
            time_ns,
            turn,
            ..Account::empty()
        }
    }

    #[test]
    fn accounts_come_in_order_without_copies_or_halves() {
        let records = [
            account(8, 2),
            account(3, 4),
            account(5, 3),
            account(8, 2),
            account(0, 0),
        ];
        let times: Vec<u64> = in_order(&records).iter().map(|a| a.time_ns).collect();
        assert_eq!(times, [2, 7]);
    }

    #[test]
    fn what_is_not_resident_is_untouched() {
        let record = format::Touched {
            time_ns: 5,
            bytes: 100,
            resident: 30,
            count: 3 << COUNT_FRACTION_BITS,
            variance: f64::NAN.to_bits(),
            pinned: 9,
        };
        let touched = Touched::of(&record).expect("one");
        assert_eq!(
            (touched.bytes, touched.untouched, touched.time_ns),
            (100, 70, 4)
        );
        assert_eq!(touched.variance, 0.0);
        let more = format::Touched {
            resident: 130,
            ..record
        };
        assert_eq!(Touched::of(&more).map(|touched| touched.untouched), Some(0));
        assert_eq!(Touched::of(&format::Touched::empty()), None);
    }
}
