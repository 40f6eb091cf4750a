//! Which moment of a profile is looked at, and which blocks: those of the end, of the peak, of a
//! mark or of a time; all of them, or those that were allocated since.

use std::str::FromStr;

use super::counters::Counters;
use super::moments::KeptMoment;
use super::shown::{ShownMoment, ShownView};
use super::{Profile, Stack, Totals};
use crate::units::{Seconds, parse_duration};

/// Marks that a message lists.
const LISTED: usize = 12;

/// What is meant by the text that names a moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum When {
    /// When the heap was highest.
    Peak,
    /// The end of the recording, or now.
    End,
    /// The mark of that name, or else that time, as a user writes it.
    Named(String),
}

impl FromStr for When {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<When, Self::Err> {
        Ok(match text {
            "peak" => When::Peak,
            "end" => When::End,
            name => When::Named(name.to_owned()),
        })
    }
}

/// What is looked at: without either, all of the profile.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct View {
    /// What was live then.
    pub at: Option<When>,
    /// Only what was allocated after it.
    pub since: Option<When>,
}

/// Why a profile cannot be looked at so.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MomentError {
    /// The recording was too short for a snapshot, and has no marks; or the recorder kept none.
    #[error("the profile keeps no moments but peak and end{}", hint(*.is_old))]
    NoMoments {
        /// Whether another recorder might have.
        is_old: bool,
    },
    /// No mark of that name, and no time.
    #[error("{name} is neither a mark of the profile nor a time such as 1.5s; it has {}", listed(.marks, *.times))]
    Unknown {
        /// What was asked for.
        name: String,
        /// The marks that there are.
        marks: Vec<String>,
        /// From the first moment that the clock made to the last.
        times: Option<(u64, u64)>,
    },
    /// Nothing is known of a time so early.
    #[error("nothing is known of {time}: the first moment that is kept is at {first}")]
    TooEarly {
        /// What was asked for.
        time: String,
        /// The first that there is.
        first: String,
    },
    /// What was allocated before the peak, and what after.
    #[error(
        "which blocks were allocated after or before the peak is not kept: choose a mark or a time"
    )]
    SincePeak,
    /// The blocks would have been freed before they were allocated.
    #[error("{since} is not before {at}")]
    NotBefore {
        /// The later one.
        since: String,
        /// The earlier one.
        at: String,
    },
}

fn hint(is_old: bool) -> &'static str {
    match is_old {
        true => {
            ": it was too short, or recorded by an older profiler-alloc; profiler_alloc::mark(NAME) keeps one"
        }
        false => "",
    }
}

fn listed(marks: &[String], times: Option<(u64, u64)>) -> String {
    let mut said: Vec<String> = marks.iter().take(LISTED).cloned().collect();
    if let Some(more) = marks.len().checked_sub(LISTED).filter(|&more| more > 0) {
        said.push(format!("{more} more marks"));
    }
    said.extend(["peak".to_owned(), "end".to_owned()]);
    if let Some((first, last)) = times {
        said.push(format!(
            "times from {} to {}",
            Seconds(first),
            Seconds(last)
        ));
    }
    said.join(", ")
}

/// A moment that was found.
enum FoundMoment<'a> {
    Peak,
    End,
    Kept(&'a KeptMoment),
}

impl FoundMoment<'_> {
    fn serial(&self) -> Option<u32> {
        match self {
            FoundMoment::Kept(moment) => Some(moment.serial),
            FoundMoment::Peak | FoundMoment::End => None,
        }
    }
}

impl Profile {
    /// Makes every stack's figures what it had live at a moment, of what was allocated after
    /// another; its allocated and peak figures are the same then, and nothing was freed. What is
    /// only known of the whole run, such as sizes, is left out. To be called once a heap is chosen.
    ///
    /// # Errors
    /// If the profile has no such moment.
    pub fn look_at(&mut self, view: &View) -> Result<(), MomentError> {
        if *view == View::default() {
            return Ok(());
        }
        let at = self.find_moment(view.at.as_ref().unwrap_or(&When::End))?;
        let since = view.since.as_ref();
        let since = since.map(|when| self.find_moment(when)).transpose()?;
        let is_peak = matches!(at, FoundMoment::Peak);
        let since_serial = match &since {
            None => None,
            Some(_) if is_peak => return Err(MomentError::SincePeak),
            Some(FoundMoment::Peak) => return Err(MomentError::SincePeak),
            Some(since) => Some(since.serial().unwrap_or(u32::MAX)),
        };
        let at_serial = at.serial();
        let mut shown = ShownView {
            at: self.shown(&at),
            since: since.as_ref().map(|since| self.shown(since)),
            counters: self.counters_at(&at),
        };
        if let Some(since) = &since {
            if since_serial >= at_serial.or(Some(u32::MAX)) {
                let [since, at] = [shown.since.unwrap_or(shown.at.clone()), shown.at]
                    .map(|moment| moment.to_string());
                return Err(MomentError::NotBefore { since, at });
            }
            let before = self.counters_at(since);
            shown.counters = difference(&shown.counters, &before);
        }
        let live = |number: u32, totals: &Totals| match (is_peak, since_serial, at_serial) {
            (true, ..) => totals.at_peak(),
            (false, None, None) => *totals,
            (false, since, at) => self.moments.live(number, since, at),
        };
        let mut stacks = Vec::with_capacity(self.stacks.len());
        for stack in &self.stacks {
            let totals = live(stack.number, &stack.totals);
            if totals.has_live() {
                stacks.push(Stack {
                    totals: totals.only_live(),
                    span: None,
                    course: super::Course::default(),
                    ..*stack
                });
            }
        }
        let unattributed = match self.of_heap {
            Some(_) => Totals::default(),
            None => live(0, &self.unattributed).only_live(),
        };
        if self.of_heap.is_some() {
            let sum = |sum: i64, stack: &Stack| sum.saturating_add(stack.totals.live_bytes);
            if at_serial.is_some() {
                shown.at.heap = stacks.iter().fold(0, sum);
            }
        }
        self.stacks = stacks;
        self.unattributed = unattributed;
        self.count_contexts_anew();
        for node in &mut self.nodes {
            node.heap_after = None;
        }
        self.sizes.clear();
        self.threads.clear();
        self.functions.clear();
        self.waypoints.clear();
        self.accounts.clear();
        self.shown = Some(shown);
        Ok(())
    }

    /// The blocks of a stack by when they were live: how many of the
    /// [moments](Profile::moments) were before they were allocated, how many before they were freed
    /// (one more than there are, of those that were not), and their bytes. Those that were live at
    /// no moment are left out.
    pub fn cohorts_of(&self, stack: &Stack) -> impl Iterator<Item = (usize, usize, i64)> {
        let all = self.moments.by_place(stack.number);
        all.filter(|&(birth, last, _)| birth < last)
    }

    /// The exact counts of contexts are of the whole run: here they have what their stacks have.
    fn count_contexts_anew(&mut self) {
        for context in &mut self.contexts.all {
            context.forget_counts();
        }
        for stack in &self.stacks {
            for &id in self.contexts.sets.get(stack.contexts).into_iter().flatten() {
                if let Some(context) = self.contexts.all.get_mut(id) {
                    context.add_live(&stack.totals);
                }
            }
        }
    }

    fn find_moment(&self, when: &When) -> Result<FoundMoment<'_>, MomentError> {
        let text = match when {
            When::Peak => return Ok(FoundMoment::Peak),
            When::End => return Ok(FoundMoment::End),
            When::Named(text) => text,
        };
        if let Some(mark) = self.mark(text) {
            return Ok(FoundMoment::Kept(mark));
        }
        let Ok(time) = parse_duration(text) else {
            if self.moments.all.is_empty() {
                return Err(MomentError::NoMoments { is_old: true });
            }
            return Err(self.unknown(text));
        };
        let time_ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        if time_ns >= whole_ms(self.duration_ns()) {
            return Ok(FoundMoment::End);
        }
        let Some(first) = self.moments.all.first() else {
            return Err(MomentError::NoMoments { is_old: true });
        };
        let mut up_to = self.moments.all.iter().rev();
        let found = up_to.find(|moment| whole_ms(moment.time_ns) <= time_ns);
        found
            .map(FoundMoment::Kept)
            .ok_or_else(|| MomentError::TooEarly {
                time: text.clone(),
                first: Seconds(first.time_ns).to_string(),
            })
    }

    /// The latest mark of a name, or the one that `NAME#N` numbers.
    fn mark(&self, text: &str) -> Option<&KeptMoment> {
        let marks = |name: &str| {
            let name = name.to_owned();
            let all = self.moments.all.iter();
            all.filter(move |moment| moment.mark.as_ref() == Some(&name))
        };
        let numbered = || {
            let (name, number) = text.rsplit_once('#')?;
            let number: usize = number.parse().ok()?;
            marks(name).nth(number.checked_sub(1)?)
        };
        marks(text).next_back().or_else(numbered)
    }

    fn unknown(&self, name: &str) -> MomentError {
        let all = &self.moments.all;
        let mut marks: Vec<String> = all
            .iter()
            .filter_map(|moment| moment.mark.clone())
            .collect();
        marks.dedup();
        let times = all.first().zip(all.last());
        MomentError::Unknown {
            name: name.to_owned(),
            marks,
            times: times.map(|(first, last)| (first.time_ns, last.time_ns)),
        }
    }

    fn shown(&self, found: &FoundMoment<'_>) -> ShownMoment {
        let name = |name: &str| Some(name.to_owned());
        match found {
            FoundMoment::Peak => ShownMoment {
                name: name("peak"),
                time_ns: self.header.peak_ns,
                heap: self.peak(),
            },
            FoundMoment::End => ShownMoment {
                name: name("end"),
                time_ns: self.duration_ns(),
                heap: self.heap(),
            },
            FoundMoment::Kept(moment) => ShownMoment {
                name: moment.mark.clone(),
                time_ns: moment.time_ns,
                heap: moment.heap,
            },
        }
    }

    /// Exact totals at a moment, as far as they are known: of the peak, and of other heaps, only
    /// those of the end are.
    fn counters_at(&self, found: &FoundMoment<'_>) -> Counters {
        match found {
            FoundMoment::Kept(moment) if self.of_heap.is_none() => moment.counters,
            _ => self.counters(),
        }
    }
}

/// A time as it is shown, to the millisecond, finds its moment again.
fn whole_ms(ns: u64) -> u64 {
    ns - ns % 1_000_000
}

fn difference(later: &Counters, earlier: &Counters) -> Counters {
    let since = |later: u64, earlier: u64| later.saturating_sub(earlier);
    Counters {
        allocs: since(later.allocs, earlier.allocs),
        frees: since(later.frees, earlier.frees),
        reallocs: since(later.reallocs, earlier.reallocs),
        alloc_bytes: since(later.alloc_bytes, earlier.alloc_bytes),
        freed_bytes: since(later.freed_bytes, earlier.freed_bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::defect::Defect;
    use crate::profile::builder::Builder;
    use crate::profile::{Frame, parse};

    const S: u64 = 1_000_000_000;

    /// A stack that has 100 bytes at 1 s, 300 at the mark of 2 s, 250 at 3 s, 50 of which are gone
    /// by 4 s, and 1000 more at the end; and another that has had 7 since before.
    fn builder() -> Builder {
        let mut builder = Builder::new();
        builder.module("/bin/app");
        let stack = builder.stack(&[Frame::new(0, 16)]);
        let other = builder.stack(&[Frame::new(0, 32)]);
        builder.allocated(other, 7, 1);
        builder.allocated(stack, 100, 1);
        builder.moment(S, None);
        builder.allocated(stack, 200, 2);
        builder.moment(2 * S, Some("warm"));
        builder.freed_older(stack, 0, 50, 1);
        builder.moment(3 * S + 400_000, None);
        builder.freed_older(stack, 1, 50, 1);
        builder.moment(4 * S, Some("warm"));
        builder.allocated(stack, 1000, 1);
        builder.header.final_ns = 5 * S;
        builder
    }

    fn profile() -> Profile {
        let (profile, defects) = parse("x".as_ref(), builder().to_input()).unwrap();
        assert_eq!(defects, []);
        profile
    }

    fn when(text: &str) -> Option<When> {
        (!text.is_empty()).then(|| text.parse().unwrap())
    }

    /// Bytes live of each stack that has any.
    fn live(at: &str, since: &str) -> Result<Vec<i64>, MomentError> {
        let mut profile = profile();
        let (at, since) = (when(at), when(since));
        profile.look_at(&View { at, since })?;
        let stacks = profile.stacks.iter();
        Ok(stacks.map(|stack| stack.totals.live_bytes).collect())
    }

    #[test]
    fn a_moment_has_what_was_live_then_of_what_was_allocated_since() {
        let known = |at, since| live(at, since).unwrap();
        assert_eq!(known("1s", ""), [100, 7]);
        assert_eq!(known("2s", ""), [300, 7]);
        assert_eq!(known("2.999s", ""), [300, 7], "the moment before");
        assert_eq!(known("3s", ""), [250, 7], "to the millisecond");
        assert_eq!(known("warm#1", ""), [300, 7]);
        assert_eq!(known("warm", ""), [200, 7], "the latest of that name");
        assert_eq!(known("end", ""), [1200, 7]);
        assert_eq!(known("9s", ""), [1200, 7]);
        assert_eq!(known("", "warm#1"), [1000]);
        assert_eq!(known("", "1s"), [1150]);
        assert_eq!(known("3s", "1s"), [200]);
        assert_eq!(known("peak", ""), [1200, 7]);
    }

    #[test]
    fn what_is_not_kept_is_said_with_what_is() {
        let said = |at, since| live(at, since).unwrap_err().to_string();
        assert_eq!(
            said("cold", ""),
            "cold is neither a mark of the profile nor a time such as 1.5s; it has warm, peak, end, times from 1.000 s to 4.000 s"
        );
        assert_eq!(
            said("0.5s", ""),
            "nothing is known of 0.5s: the first moment that is kept is at 1.000 s"
        );
        assert_eq!(
            said("1s", "warm"),
            "the mark warm (4.000 s) is not before 1.000 s"
        );
        assert!(said("peak", "warm").contains("choose a mark or a time"));
        assert!(said("", "peak").contains("choose a mark or a time"));
        let mut builder = builder();
        builder.snapshots.clear();
        let (mut old, _) = parse("x".as_ref(), builder.to_input()).unwrap();
        let error = old.look_at(&View {
            at: when("1s"),
            since: None,
        });
        assert!(error.unwrap_err().to_string().contains("keeps no moments"));
    }

    #[test]
    fn a_view_of_a_moment_has_its_heap_and_counts() {
        let mut profile = profile();
        let (at, since) = (when("warm"), when("1s"));
        profile.look_at(&View { at, since }).unwrap();
        assert_eq!((profile.heap(), profile.counters().alloc_bytes), (207, 200));
        let shown = profile.shown.unwrap().to_string();
        assert_eq!(
            shown,
            "what was allocated after 1.000 s and live at the mark warm (4.000 s)"
        );
        let totals = profile.stacks[0].totals;
        assert_eq!((totals.alloc_bytes, totals.peak_bytes), (150, 150));
        assert_eq!(totals.freed_bytes, 0);
    }

    #[test]
    fn damaged_moments_are_counted_and_left_out() {
        let mut damaged = builder();
        damaged.snapshots[0].serial = u32::MAX;
        damaged.snapshots[2].serial = 4;
        damaged.cohorts[0].key = profiler_alloc_format::moments::key(99, 0, 3);
        damaged.cohorts[1].variance = f64::NAN.to_bits();
        damaged.ages[1].bytes = u64::MAX;
        let (profile, defects) = parse("x".as_ref(), damaged.to_input()).unwrap();
        assert_eq!(defects, [Defect::MomentsDropped { records: 3 }]);
        assert_eq!(profile.moments.all.len(), 2);
        for moment in ["warm", "2s", "end"] {
            let view = View {
                at: when(moment),
                since: None,
            };
            profile.clone().look_at(&view).unwrap();
        }
    }
    #[test]
    fn every_byte_of_the_records_may_change() {
        let mut bytes = builder().to_bytes();
        let used: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at] != 0).collect();
        let mut looked_at = 0;
        for at in used {
            let before = bytes[at];
            for value in [0, 0xff, before ^ 0x80, before.wrapping_add(1)] {
                bytes[at] = value;
                let input = std::io::Cursor::new(&bytes);
                let Ok((profile, _)) = parse("x".as_ref(), input) else {
                    continue;
                };
                for (at, since) in [("1s", ""), ("warm", "2s"), ("", "1s"), ("peak", "")] {
                    let (at, since) = (when(at), when(since));
                    let view = View { at, since };
                    looked_at += u32::from(profile.clone().look_at(&view).is_ok());
                }
            }
            bytes[at] = before;
        }
        assert!(looked_at > 1000, "{looked_at}");
    }
}
