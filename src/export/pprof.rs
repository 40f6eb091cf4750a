//! pprof: the gzipped protobuf of `go tool pprof`, Parca, Pyroscope and others.
//!
//! The messages are those of `profile.proto` in <https://github.com/google/pprof>, written by hand.
//! They are encoded one by one into the compressor, so that the file is never in memory as a whole;
//! their order in it is free.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;

use super::comments::comments;
use super::label;
use super::values::{self, VALUES};
use crate::render::escape::escape;
use crate::report::{Calls, Metric};

/// pprof's protobuf.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pprof {
    /// The value shown if none is asked for.
    pub default: Metric,
}

/// `perftools.profiles.Profile`.
#[derive(Clone, PartialEq, Message)]
pub struct PprofProfile {
    #[prost(message, repeated, tag = "1")]
    sample_type: Vec<PprofValueType>,
    #[prost(message, repeated, tag = "2")]
    sample: Vec<PprofSample>,
    #[prost(message, repeated, tag = "3")]
    mapping: Vec<PprofMapping>,
    #[prost(message, repeated, tag = "4")]
    location: Vec<PprofLocation>,
    #[prost(message, repeated, tag = "5")]
    function: Vec<PprofFunction>,
    #[prost(string, repeated, tag = "6")]
    string_table: Vec<String>,
    #[prost(int64, tag = "9")]
    time_nanos: i64,
    #[prost(int64, tag = "10")]
    duration_nanos: i64,
    #[prost(message, optional, tag = "11")]
    period_type: Option<PprofValueType>,
    #[prost(int64, tag = "12")]
    period: i64,
    #[prost(int64, repeated, tag = "13")]
    comment: Vec<i64>,
    #[prost(int64, tag = "14")]
    default_sample_type: i64,
}

const SAMPLE: u32 = 2;
const LOCATION: u32 = 4;
const FUNCTION: u32 = 5;
const STRING_TABLE: u32 = 6;

#[derive(Clone, Copy, PartialEq, Message)]
struct PprofValueType {
    #[prost(int64, tag = "1")]
    r#type: i64,
    #[prost(int64, tag = "2")]
    unit: i64,
}

#[derive(Clone, PartialEq, Message)]
struct PprofSample {
    /// Innermost first.
    #[prost(uint64, repeated, tag = "1")]
    location_id: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    value: Vec<i64>,
    /// The contexts that were in force.
    #[prost(message, repeated, tag = "3")]
    label: Vec<PprofLabel>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct PprofLabel {
    #[prost(int64, tag = "1")]
    key: i64,
    #[prost(int64, tag = "2")]
    str: i64,
}

#[derive(Clone, PartialEq, Message)]
struct PprofMapping {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint64, tag = "2")]
    memory_start: u64,
    #[prost(uint64, tag = "3")]
    memory_limit: u64,
    #[prost(int64, tag = "5")]
    filename: i64,
    #[prost(int64, tag = "6")]
    build_id: i64,
    #[prost(bool, tag = "7")]
    has_functions: bool,
    #[prost(bool, tag = "8")]
    has_filenames: bool,
    #[prost(bool, tag = "9")]
    has_line_numbers: bool,
    #[prost(bool, tag = "10")]
    has_inline_frames: bool,
}

#[derive(Clone, PartialEq, Message)]
struct PprofLocation {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint64, tag = "2")]
    mapping_id: u64,
    #[prost(uint64, tag = "3")]
    address: u64,
    /// Innermost inlined function first.
    #[prost(message, repeated, tag = "4")]
    line: Vec<PprofLine>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct PprofLine {
    #[prost(uint64, tag = "1")]
    function_id: u64,
    #[prost(int64, tag = "2")]
    line: i64,
}

#[derive(Clone, PartialEq, Message)]
struct PprofFunction {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "2")]
    name: i64,
    #[prost(int64, tag = "3")]
    system_name: i64,
    #[prost(int64, tag = "4")]
    filename: i64,
}

impl Pprof {
    /// Writes the profile to `out`.
    pub fn export(&self, calls: &Calls, out: &mut dyn Write) -> io::Result<()> {
        let mut out = GzEncoder::new(out, Compression::default());
        let mut buffer = Vec::new();
        let mut strings = Strings::new();
        samples(calls, &mut strings, &mut out, &mut buffer)?;
        functions_and_locations(calls, &mut strings, &mut out, &mut buffer)?;
        let head = self.head(calls, &mut strings);
        out.write_all(&head.encode_to_vec())?;
        for string in strings.all {
            buffer.clear();
            prost::encoding::string::encode(STRING_TABLE, &string.into_owned(), &mut buffer);
            out.write_all(&buffer)?;
        }
        out.finish()?.flush()
    }

    /// Everything that there is once.
    fn head<'a>(&self, calls: &'a Calls, strings: &mut Strings<'a>) -> PprofProfile {
        let recording = &calls.recording;
        let mut limits = vec![0; calls.modules.len()];
        for location in &calls.locations {
            if let Some(limit) = location.module.and_then(|module| limits.get_mut(module)) {
                *limit = location.address.max(*limit);
            }
        }
        let mapping =
            (calls.modules.iter().zip(&limits).enumerate()).map(|(index, (module, limit))| {
                PprofMapping {
                    id: index as u64 + 1,
                    // Addresses are those of the file, as if each were loaded at 0.
                    memory_start: 0,
                    memory_limit: limit.saturating_add(1).next_multiple_of(4096),
                    filename: strings.id(escape_owned(&module.path.to_string_lossy())),
                    build_id: strings.id(Cow::Borrowed(&module.build_id)),
                    has_functions: true,
                    has_filenames: true,
                    has_line_numbers: true,
                    has_inline_frames: true,
                }
            });
        let mapping = mapping.collect();
        let sample_type = VALUES.iter().map(|value| PprofValueType {
            r#type: strings.id(Cow::Borrowed(value.name)),
            unit: strings.id(Cow::Borrowed(value.unit)),
        });
        let sample_type = sample_type.collect();
        let comments = comments(calls).into_iter();
        let comment = comments.map(|text| strings.id(Cow::Owned(text))).collect();
        PprofProfile {
            sample_type,
            mapping,
            time_nanos: recording.started_unix_ns as i64,
            duration_nanos: recording.duration_ns as i64,
            period_type: Some(PprofValueType {
                r#type: strings.id(Cow::Borrowed("space")),
                unit: strings.id(Cow::Borrowed("bytes")),
            }),
            period: calls.sampling.interval.max(1) as i64,
            comment,
            default_sample_type: strings.id(Cow::Borrowed(values::showing(self.default).name)),
            ..PprofProfile::default()
        }
    }
}

fn samples<'a>(
    calls: &'a Calls,
    strings: &mut Strings<'a>,
    out: &mut dyn Write,
    buffer: &mut Vec<u8>,
) -> io::Result<()> {
    let mut label = |(key, value): &'a (String, String)| PprofLabel {
        key: strings.id(escape(key)),
        str: strings.id(escape(value)),
    };
    let labels = calls.contexts.iter();
    let labels: Vec<Vec<PprofLabel>> = labels
        .map(|set| set.iter().map(&mut label).collect())
        .collect();
    let mut sample = PprofSample::default();
    for stack in &calls.parts {
        let Some(values) = values::values(&stack.figures) else {
            continue;
        };
        sample.location_id.clear();
        let path = calls
            .path(stack.node)
            .map(|location| u64::from(location) + 1);
        sample.location_id.extend(path);
        sample.value.clear();
        sample.value.extend(values);
        sample.label.clear();
        let labels = labels.get(stack.contexts);
        sample.label.extend(labels.into_iter().flatten());
        buffer.clear();
        prost::encoding::message::encode(SAMPLE, &sample, buffer);
        out.write_all(buffer)?;
    }
    Ok(())
}

fn functions_and_locations<'a>(
    calls: &'a Calls,
    strings: &mut Strings<'a>,
    out: &mut dyn Write,
    buffer: &mut Vec<u8>,
) -> io::Result<()> {
    // Two lines of one function are two frames of the model, and one function here.
    let mut ids: HashMap<(i64, i64), u64> = HashMap::new();
    let mut of_frame = Vec::with_capacity(calls.frames.len());
    for frame in &calls.frames {
        let name = strings.id(label::function(frame));
        let filename = strings.id(escape(&frame.file));
        let next = ids.len() as u64 + 1;
        let id = *ids.entry((name, filename)).or_insert(next);
        of_frame.push(id);
        if id == next {
            let function = PprofFunction {
                id,
                name,
                // Were it the name, pprof would take it for C++ and cut what stands in `<>`.
                system_name: 0,
                filename,
            };
            buffer.clear();
            prost::encoding::message::encode(FUNCTION, &function, buffer);
            out.write_all(buffer)?;
        }
    }
    for (index, location) in calls.locations.iter().enumerate() {
        let lines = location.frames.iter().map(|&frame| PprofLine {
            function_id: of_frame[frame as usize],
            line: i64::from(calls.frames[frame as usize].line.unwrap_or(0)),
        });
        let location = PprofLocation {
            id: index as u64 + 1,
            mapping_id: location.module.map_or(0, |module| module as u64 + 1),
            address: location.address,
            line: lines.collect(),
        };
        buffer.clear();
        prost::encoding::message::encode(LOCATION, &location, buffer);
        out.write_all(buffer)?;
    }
    Ok(())
}

fn escape_owned(text: &str) -> Cow<'static, str> {
    Cow::Owned(escape(text).into_owned())
}

/// The table of strings; the first is empty.
struct Strings<'a> {
    all: Vec<Cow<'a, str>>,
    ids: HashMap<Cow<'a, str>, i64>,
}

impl<'a> Strings<'a> {
    fn new() -> Strings<'a> {
        let mut strings = Strings {
            all: Vec::new(),
            ids: HashMap::new(),
        };
        strings.id(Cow::Borrowed(""));
        strings
    }

    fn id(&mut self, text: Cow<'a, str>) -> i64 {
        if let Some(&known) = self.ids.get(&text) {
            return known;
        }
        let id = self.all.len() as i64;
        self.all.push(text.clone());
        self.ids.insert(text, id);
        id
    }
}
