//! The exact tables of a profile: functions with `#[profile]`, and what their lines did.

use std::collections::HashMap;
use std::ops::Range;

use profiler_alloc_format as format;
use profiler_alloc_format::NEVER;

/// Longest name or path that is taken for one, in bytes.
const LONGEST_NAME: u32 = 4096;
/// Most lines that all functions together can have.
const MOST_LINES: u32 = 1 << 20;

/// A function with `#[profile]`, counted between its statements.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProfiledFunction {
    /// Its path: `app::module::name`.
    pub name: String,
    /// Its file, as the compiler wrote it.
    pub file: String,
    /// Folder of its package when it was built; the file's path is relative to it or to one around
    /// it. Empty if unknown.
    pub folder: String,
    /// Line of the `fn`.
    pub first_line: u32,
    /// Line of the closing brace.
    pub last_line: u32,
    /// Its text, if it was embedded.
    pub source: Option<String>,
    /// FNV-1a hash of its lines when it was built, each with a line end; 0 if unknown.
    pub source_hash: u64,
    /// Heap in use in the whole process when it was first called in this recording, in bytes.
    pub baseline: i64,
    /// When it was first called in this recording, nanoseconds since the start. `None` if the
    /// recorder did not say.
    pub first_ns: Option<u64>,
    /// When a call last ended or gave way, nanoseconds since the start. `None` if none did, or the
    /// recorder did not say.
    pub last_ns: Option<u64>,
    /// Whether a call was under way when the profile was read or cut off.
    pub is_open: bool,
    /// Lines with a counter, in the order of the file; the first is that of the `fn`.
    pub lines: Vec<ProfiledLine>,
}

/// What one line did, in all threads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProfiledLine {
    /// From 1.
    pub number: u32,
    /// Runs begun.
    pub runs: u64,
    /// Bytes allocated, callees included.
    pub allocated: u64,
    /// Bytes freed, callees included.
    pub freed: u64,
    /// Highest heap in use in the whole process after it ran, in bytes.
    pub mem_usage: Option<i64>,
}

impl ProfiledLine {
    fn new(number: u32) -> ProfiledLine {
        ProfiledLine {
            number,
            runs: 0,
            allocated: 0,
            freed: 0,
            mem_usage: None,
        }
    }

    /// Whether it ran, or anything happened on it.
    pub fn is_touched(&self) -> bool {
        self.runs > 0 || self.allocated | self.freed != 0
    }
}

impl ProfiledFunction {
    /// Calls of it; of an `async fn`, futures that were polled.
    pub fn calls(&self) -> u64 {
        let first = self
            .lines
            .iter()
            .find(|line| line.number == self.first_line);
        first.map_or(0, |line| line.runs)
    }
}

/// The records of the exact tables, as they stand in the file.
pub(super) struct Records<'a> {
    pub functions: &'a [format::Function],
    pub shares: &'a [format::Share],
    pub lines: &'a [format::Line],
    pub threads: &'a [format::Thread],
    pub strings: &'a [u8],
    /// Heap in use as last published, where threads may be on a line: the recording has not ended
    /// in order.
    pub heap: Option<i64>,
}

impl Records<'_> {
    /// The functions, and how many records were damaged.
    pub(super) fn assemble(&self) -> (Vec<ProfiledFunction>, u64) {
        let mut damaged = 0;
        let mut functions: Vec<ProfiledFunction> = Vec::new();
        // Which function each record is one of; none for records being made, and damaged ones.
        let mut places: Vec<Option<usize>> = Vec::with_capacity(self.functions.len());
        let mut known: HashMap<u32, usize> = HashMap::new();
        let mut strings_used = 0;
        let mut lines_left = MOST_LINES;
        for record in self.functions {
            if record.number == 0 {
                places.push(None);
                continue;
            }
            let function = self.function(record, &mut strings_used, &mut lines_left);
            damaged += u64::from(function.is_none());
            let place = function.map(|function| {
                *known.entry(record.number).or_insert_with(|| {
                    functions.push(function);
                    functions.len() - 1
                })
            });
            places.push(place);
        }
        let mut sums: Vec<HashMap<u32, ProfiledLine>> = vec![HashMap::new(); functions.len()];
        let mut lines_used = 0;
        for share in self.shares.iter().filter(|share| share.function != 0) {
            let place = places.get(share.function as usize - 1).copied().flatten();
            let lines = self.lines_of(share, &mut lines_used);
            let (Some(place), Some(lines)) = (place, lines) else {
                damaged += 1;
                continue;
            };
            let function = &mut functions[place];
            function.last_ns = function.last_ns.max(share.last_ns.checked_sub(1));
            function.is_open |= self.heap.is_some() && share.open as u32 != 0;
            let is_inside = |line: u32| (function.first_line..=function.last_line).contains(&line);
            let now = self.now(share);
            for (slot, line) in lines.iter().enumerate() {
                if !is_inside(line.number) {
                    damaged += 1;
                    continue;
                }
                let sum = sums[place]
                    .entry(line.number)
                    .or_insert_with(|| ProfiledLine::new(line.number));
                add(sum, line);
                if let Some(now) = &now {
                    self.add_present(sum, slot, line, share, now);
                }
            }
        }
        for (function, sums) in functions.iter_mut().zip(sums) {
            function.lines = sums.into_values().collect();
            function.lines.sort_unstable_by_key(|line| line.number);
        }
        (functions, damaged)
    }

    /// What a record says, without lines yet. Strings stand in the order of the records, so none is
    /// taken twice: however damaged a profile is, its functions are not larger than the file.
    fn function(
        &self,
        record: &format::Function,
        strings_used: &mut usize,
        lines_left: &mut u32,
    ) -> Option<ProfiledFunction> {
        let mut text = |at: u32, len: u32, most: u32| {
            let range = following(at, len, *strings_used)?;
            let bytes = self.strings.get(range.clone()).filter(|_| len <= most)?;
            *strings_used = range.end;
            Some(String::from_utf8_lossy(bytes).into_owned())
        };
        let name = text(record.name_at, record.name_len, LONGEST_NAME)?;
        let file = text(record.file_at, record.file_len, LONGEST_NAME)?;
        let folder = text(record.folder_at, record.folder_len, LONGEST_NAME)?;
        let source = match record.source_len {
            0 => None,
            len => Some(text(record.source_at, len, u32::MAX)?),
        };
        let count = record.last_line.checked_sub(record.first_line)?;
        *lines_left = lines_left.checked_sub(count.checked_add(1)?)?;
        Some(ProfiledFunction {
            name,
            file,
            folder,
            first_line: record.first_line,
            last_line: record.last_line,
            source,
            source_hash: record.source_hash,
            baseline: record.baseline as i64,
            first_ns: record.first_ns.checked_sub(1),
            last_ns: None,
            is_open: false,
            lines: Vec::new(),
        })
    }

    /// The lines of a share. They stand in the order of the shares, so none is taken twice.
    fn lines_of(&self, share: &format::Share, used: &mut usize) -> Option<&[format::Line]> {
        let range = following(share.lines_at, share.line_count, *used)?;
        let lines = self.lines.get(range.clone())?;
        *used = range.end;
        Some(lines)
    }

    /// Bytes allocated and freed by the thread that is in the share, by its own count; none if
    /// there is none.
    fn now(&self, share: &format::Share) -> Option<(u64, u64)> {
        self.heap?;
        let number = (share.open >> 32) as usize;
        let thread = self.threads.get(number).filter(|_| number != 0)?;
        Some((
            thread.alloc_bytes.wrapping_add(thread.own_alloc_offset),
            thread.freed_bytes.wrapping_add(thread.own_freed_offset),
        ))
    }

    /// Adds what the line did in the run that is not over.
    fn add_present(
        &self,
        sum: &mut ProfiledLine,
        slot: usize,
        line: &format::Line,
        share: &format::Share,
        now: &(u64, u64),
    ) {
        let since = match line.suspended {
            0 if share.open as u32 as usize != slot + 1 => return,
            0 => (share.since_alloc_bytes, share.since_freed_bytes),
            _ => (line.since_alloc_bytes, line.since_freed_bytes),
        };
        let (more, less) = (now.0.wrapping_sub(since.0), now.1.wrapping_sub(since.1));
        // A file that was read while it was written may be off by a statement.
        if (more | less) as i64 >= 0 {
            sum.allocated = sum.allocated.saturating_add(more);
            sum.freed = sum.freed.saturating_add(less);
            sum.mem_usage = sum.mem_usage.max(self.heap);
        }
    }
}

fn add(sum: &mut ProfiledLine, line: &format::Line) {
    sum.runs = sum.runs.saturating_add(line.runs);
    sum.allocated = sum.allocated.saturating_add(line.alloc_bytes);
    sum.freed = sum.freed.saturating_add(line.freed_bytes);
    let mem_usage = (line.mem_usage != NEVER).then_some(line.mem_usage as i64);
    sum.mem_usage = sum.mem_usage.max(mem_usage);
}

/// `len` from `at`, if that is not before `used`.
fn following(at: u32, len: u32, used: usize) -> Option<Range<usize>> {
    let start = at as usize;
    (start >= used).then(|| start..start.saturating_add(len as usize))
}
