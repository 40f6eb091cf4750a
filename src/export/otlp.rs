//! OTLP: the profiles signal of OpenTelemetry (`opentelemetry.proto.profiles.v1development`), as
//! protobuf.
//!
//! A file holds one `ProfilesData`, whose bytes are also those of a request to a collector. Each
//! value is a profile of its own there; the tables are shared.

use std::collections::HashMap;
use std::io::{self, Write};

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::profiles::v1development::{
    Function, KeyValueAndUnit, Line, Link, Location, Mapping, Profile, ProfilesData,
    ProfilesDictionary, ResourceProfiles, Sample, ScopeProfiles, Stack, ValueType,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use super::comments::comments;
use super::label;
use super::values::{VALUES, Value};
use crate::render::escape::escape;
use crate::report::{Calls, StackSpan};

/// OpenTelemetry's protobuf.
#[derive(Clone, Copy, Debug, Default)]
pub struct Otlp;

impl Otlp {
    /// Writes the profile to `out`.
    pub fn export(&self, calls: &Calls, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&data(calls).encode_to_vec())
    }
}

fn data(calls: &Calls) -> ProfilesData {
    let mut tables = Tables::new();
    let locations = tables.locations(calls);
    let mut known = HashMap::new();
    let mut number = |context| tables.context(context, &mut known);
    let contexts = calls.contexts.iter();
    let contexts: Vec<Vec<i32>> = contexts
        .map(|set| set.iter().map(&mut number).collect())
        .collect();
    let stacks: Vec<SampledStack> = (calls.parts.iter())
        .map(|stack| {
            let path = calls.path(stack.node);
            let path = path.map(|location| locations[location as usize]);
            SampledStack {
                number: tables.stack(path.collect()),
                attributes: contexts.get(stack.contexts).cloned().unwrap_or_default(),
                links: stack.spans.iter().map(|span| tables.link(span)).collect(),
            }
        })
        .collect();
    // The peak first: it is what a page opens with.
    let profiles = (VALUES.iter().rev().enumerate())
        .map(|(index, value)| profile(calls, &mut tables, &stacks, value, index as u32));
    let profiles: Vec<Profile> = profiles.collect();
    let recording = &calls.recording;
    let program = escape(&recording.program).into_owned();
    let scope = ScopeProfiles {
        scope: Some(InstrumentationScope {
            name: "memprof".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            attributes: (comments(calls).into_iter().enumerate())
                .map(|(index, text)| attribute(&format!("memprof.note.{index}"), text))
                .collect(),
            ..InstrumentationScope::default()
        }),
        profiles,
        schema_url: String::new(),
    };
    let pid = KeyValue {
        key: "process.pid".to_owned(),
        value: Some(AnyValue {
            value: Some(Any::IntValue(i64::from(recording.pid))),
        }),
        ..KeyValue::default()
    };
    let resource = Resource {
        attributes: vec![
            attribute("service.name", program.clone()),
            attribute("process.executable.name", program),
            pid,
        ],
        ..Resource::default()
    };
    ProfilesData {
        resource_profiles: vec![ResourceProfiles {
            resource: Some(resource),
            scope_profiles: vec![scope],
            schema_url: String::new(),
        }],
        dictionary: Some(tables.dictionary),
    }
}

fn attribute(key: &str, text: String) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(string(text)),
        ..KeyValue::default()
    }
}

fn string(text: String) -> AnyValue {
    AnyValue {
        value: Some(Any::StringValue(text)),
    }
}

fn profile(
    calls: &Calls,
    tables: &mut Tables,
    stacks: &[SampledStack],
    value: &Value,
    index: u32,
) -> Profile {
    let recording = &calls.recording;
    let samples = calls.parts.iter().zip(stacks).flat_map(|(part, stack)| {
        // What a span is known to have taken has a link to it; the rest of the stack has none.
        let mut rest = (value.of)(&part.figures);
        let of_spans = part.spans.iter().zip(&stack.links).map(|(span, &link)| {
            let taken = value.of_span.map_or(0, |of_span| of_span(span)).min(rest);
            rest -= taken;
            (link, taken)
        });
        let mut values: Vec<(i32, i64)> = of_spans.collect();
        values.push((0, rest));
        let taken = values.into_iter().filter(|&(_, value)| value != 0);
        taken.map(|(link_index, value)| Sample {
            stack_index: stack.number,
            attribute_indices: stack.attributes.clone(),
            link_index,
            values: vec![value],
            ..Sample::default()
        })
    });
    let mut id = recording.started_unix_ns.to_be_bytes().to_vec();
    id.extend(recording.pid.to_be_bytes());
    // Never all zeroes, which would be no id.
    id.extend((index + 1).to_be_bytes());
    Profile {
        sample_type: Some(ValueType {
            type_strindex: tables.string(value.name),
            unit_strindex: tables.string(value.unit),
        }),
        samples: samples.collect(),
        time_unix_nano: recording.started_unix_ns,
        duration_nano: recording.duration_ns,
        period_type: Some(ValueType {
            type_strindex: tables.string("space"),
            unit_strindex: tables.string("bytes"),
        }),
        period: calls.sampling.interval.max(1) as i64,
        profile_id: id,
        ..Profile::default()
    }
}

/// What samples of a stack refer to, in the tables.
struct SampledStack {
    number: i32,
    /// The contexts that were in force.
    attributes: Vec<i32>,
    /// The spans that took some of it.
    links: Vec<i32>,
}

/// The tables in the making. Number 0 of each is empty and stands for none.
struct Tables {
    dictionary: ProfilesDictionary,
    strings: HashMap<String, i32>,
    stacks: HashMap<Vec<i32>, i32>,
    links: HashMap<([u8; 16], [u8; 8]), i32>,
}

impl Tables {
    fn new() -> Tables {
        Tables {
            dictionary: ProfilesDictionary {
                mapping_table: vec![Mapping::default()],
                location_table: vec![Location::default()],
                function_table: vec![Function::default()],
                link_table: vec![Link::default()],
                string_table: vec![String::new()],
                attribute_table: vec![KeyValueAndUnit::default()],
                stack_table: vec![Stack::default()],
            },
            strings: HashMap::from([(String::new(), 0)]),
            stacks: HashMap::from([(Vec::new(), 0)]),
            links: HashMap::new(),
        }
    }

    fn string(&mut self, text: &str) -> i32 {
        if let Some(&known) = self.strings.get(text) {
            return known;
        }
        self.dictionary.string_table.push(text.to_owned());
        let id = self.dictionary.string_table.len() as i32 - 1;
        self.strings.insert(text.to_owned(), id);
        id
    }

    fn stack(&mut self, path: Vec<i32>) -> i32 {
        let table = &mut self.dictionary.stack_table;
        *self.stacks.entry(path).or_insert_with_key(|path| {
            table.push(Stack {
                location_indices: path.clone(),
            });
            table.len() as i32 - 1
        })
    }

    fn link(&mut self, span: &StackSpan) -> i32 {
        let table = &mut self.dictionary.link_table;
        *(self.links.entry((span.trace_id, span.span_id))).or_insert_with(|| {
            table.push(Link {
                trace_id: span.trace_id.to_vec(),
                span_id: span.span_id.to_vec(),
            });
            table.len() as i32 - 1
        })
    }

    fn context<'a>(
        &mut self,
        context: &'a (String, String),
        known: &mut HashMap<&'a (String, String), i32>,
    ) -> i32 {
        let (key, value) = context;
        *known.entry(context).or_insert_with(|| {
            let key_strindex = self.string(&escape(key));
            let table = &mut self.dictionary.attribute_table;
            table.push(KeyValueAndUnit {
                key_strindex,
                value: Some(string(escape(value).into_owned())),
                unit_strindex: 0,
            });
            table.len() as i32 - 1
        })
    }

    /// Fills in modules, functions and locations, and gives the number of each location.
    fn locations(&mut self, calls: &Calls) -> Vec<i32> {
        let mappings = self.mappings(calls);
        let mut functions: HashMap<(i32, i32), i32> = HashMap::new();
        let mut of_frame = Vec::with_capacity(calls.frames.len());
        for frame in &calls.frames {
            let name = self.string(&label::function(frame));
            let file = self.string(&escape(&frame.file));
            let table = &mut self.dictionary.function_table;
            of_frame.push(*functions.entry((name, file)).or_insert_with(|| {
                table.push(Function {
                    name_strindex: name,
                    system_name_strindex: name,
                    filename_strindex: file,
                    start_line: 0,
                });
                table.len() as i32 - 1
            }));
        }
        let table = &mut self.dictionary.location_table;
        let locations = calls.locations.iter().map(|location| {
            let lines = location.frames.iter().map(|&frame| Line {
                function_index: of_frame[frame as usize],
                line: i64::from(calls.frames[frame as usize].line.unwrap_or(0)),
                column: 0,
            });
            table.push(Location {
                mapping_index: location.module.map_or(0, |module| mappings[module]),
                address: location.address,
                lines: lines.collect(),
                attribute_indices: Vec::new(),
            });
            table.len() as i32 - 1
        });
        locations.collect()
    }

    fn mappings(&mut self, calls: &Calls) -> Vec<i32> {
        let mut numbers = Vec::with_capacity(calls.modules.len());
        for module in &calls.modules {
            let mut attribute_indices = Vec::new();
            if !module.build_id.is_empty() {
                let key_strindex = self.string("process.executable.build_id.gnu");
                self.dictionary.attribute_table.push(KeyValueAndUnit {
                    key_strindex,
                    value: Some(string(module.build_id.clone())),
                    unit_strindex: 0,
                });
                attribute_indices.push(self.dictionary.attribute_table.len() as i32 - 1);
            }
            let filename_strindex = self.string(&escape(&module.path.to_string_lossy()));
            self.dictionary.mapping_table.push(Mapping {
                filename_strindex,
                attribute_indices,
                ..Mapping::default()
            });
            numbers.push(self.dictionary.mapping_table.len() as i32 - 1);
        }
        numbers
    }
}
