//! The tables of a profile and the directory byte that names each.

/// A table of records. The directory holds its number for every chunk that belongs to it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Table {
    /// [`Thread`](crate::Thread) records: exact counters. Record 0 is shared by threads without one
    /// of their own.
    Threads = 1,
    /// [`Node`](crate::Node) records: the trie of stacks. Record 0 is the root.
    Nodes = 2,
    /// [`Stack`](crate::Stack) records: totals of each distinct stack. Record 0 is "other": what no
    /// longer fitted.
    Stacks = 3,
    /// [`Module`](crate::Module) records: executables and libraries.
    Modules = 4,
    /// UTF-8 text (or the bytes the system gave), referred to by offset and length.
    Strings = 5,
    /// [`Point`](crate::Point) records: heap and RSS over time. One chunk, thinned when full.
    Timeline = 6,
    /// [`Function`](crate::Function) records: functions with `#[profile]` that were called.
    Functions = 7,
    /// [`Share`](crate::Share) records: what one thread at a time did in one of them.
    Shares = 8,
    /// [`Line`](crate::Line) records: the counters of the lines of each share.
    Lines = 9,
    /// [`Further`](crate::Further) records: what came later to be known of stacks, by the numbers
    /// of these.
    Further = 10,
    /// Text that `memprof run` adds once the program has ended, a line for each of the program's
    /// own source files: its MD5, whether it was newer than the program, its path. See
    /// [`Header::source_bytes`](crate::Header::source_bytes).
    Sources = 11,
    /// [`Context`](crate::Context) records: what was done while each context was in force. Record 0
    /// is none.
    Contexts = 12,
    /// [`ContextSet`](crate::ContextSet) records: contexts that were in force together. Record 0 is
    /// none.
    ContextSets = 13,
    /// [`Heap`](crate::Heap) records: what was done in each heap beside the main one. Record 0 is
    /// the main one, of which the header and the threads tell.
    Heaps = 14,
    /// [`StackSpan`](crate::StackSpan) records: in which spans of traces stacks took blocks, by the
    /// numbers of these.
    Spans = 15,
    /// [`Account`](crate::Account) records: where the resident memory was, at moments of the run.
    Accounts = 16,
    /// [`Touched`](crate::Touched) records: what of the large blocks of stacks is resident, by the
    /// numbers of these.
    Touched = 17,
    /// [`Snapshot`](crate::Snapshot) records: the moments of which it is known what each stack had
    /// live. One chunk.
    Snapshots = 18,
    /// [`Age`](crate::Age) records: what stacks have live of older generations, by the numbers of
    /// these.
    Ages = 19,
    /// [`Cohort`](crate::Cohort) records: at which snapshots blocks were live.
    Cohorts = 20,
    /// [`Process`](crate::Process) records: the profiles that a merged one was made of.
    Processes = 21,
}

impl Table {
    /// All tables, in the order of their numbers.
    pub const ALL: [Table; 21] = [
        Table::Threads,
        Table::Nodes,
        Table::Stacks,
        Table::Modules,
        Table::Strings,
        Table::Timeline,
        Table::Functions,
        Table::Shares,
        Table::Lines,
        Table::Further,
        Table::Sources,
        Table::Contexts,
        Table::ContextSets,
        Table::Heaps,
        Table::Spans,
        Table::Accounts,
        Table::Touched,
        Table::Snapshots,
        Table::Ages,
        Table::Cohorts,
        Table::Processes,
    ];

    /// The table that a directory byte names.
    pub fn from_byte(byte: u8) -> Option<Table> {
        Self::ALL.into_iter().find(|&table| table as u8 == byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_bytes_round_trip() {
        for table in Table::ALL {
            assert_eq!(Table::from_byte(table as u8), Some(table));
        }
        assert_eq!(Table::from_byte(0), None);
        assert_eq!(Table::from_byte(22), None);
    }
}
