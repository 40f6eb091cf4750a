//! speedscope: the JSON of <https://www.speedscope.app>, one profile for each figure.
//!
//! The shape is that of <https://www.speedscope.app/file-format-schema.json>.

use std::io::{self, Write};

use serde::Serialize;
use serde::ser::{SerializeSeq, Serializer};

use super::json_text;
use super::values::{VALUES, Value};
use crate::report::{StackTotal, Stacks};

/// The JSON of speedscope.
#[derive(Clone, Copy, Debug, Default)]
pub struct Speedscope;

impl Speedscope {
    /// Writes the stacks to `out`.
    pub fn export(&self, stacks: &Stacks, out: &mut dyn Write) -> io::Result<()> {
        let frames = stacks.frames.iter().map(|frame| SharedFrameShape {
            name: &frame.function,
            file: (!frame.file.is_empty()).then_some(frame.file.as_str()),
            line: frame.line,
        });
        // The peak first: it is what the page opens with.
        let profiles = VALUES
            .iter()
            .rev()
            .map(|value| ProfileShape::of(stacks, value));
        let shape = SpeedscopeShape {
            schema: "https://www.speedscope.app/file-format-schema.json",
            exporter: concat!("memprof@", env!("CARGO_PKG_VERSION")),
            name: &stacks.recording.program,
            active_profile_index: 0,
            shared: SharedShape {
                frames: frames.collect(),
            },
            profiles: profiles.collect(),
        };
        json_text::write(&shape, out)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SpeedscopeShape<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    exporter: &'static str,
    name: &'a str,
    active_profile_index: usize,
    shared: SharedShape<'a>,
    profiles: Vec<ProfileShape<'a>>,
}

#[derive(Serialize)]
struct SharedShape<'a> {
    frames: Vec<SharedFrameShape<'a>>,
}

#[derive(Serialize)]
struct SharedFrameShape<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProfileShape<'a> {
    r#type: &'static str,
    name: &'static str,
    unit: &'static str,
    start_value: i64,
    end_value: i64,
    samples: Paths<'a>,
    weights: Vec<i64>,
}

impl<'a> ProfileShape<'a> {
    fn of(stacks: &'a Stacks, value: &Value) -> Self {
        let of = value.of;
        let shown: Vec<&StackTotal> = (stacks.stacks.iter())
            // Weights below 0 are against the schema.
            .filter(|stack| of(&stack.figures) > 0)
            .collect();
        let weights: Vec<i64> = shown.iter().map(|stack| of(&stack.figures)).collect();
        ProfileShape {
            r#type: "sampled",
            name: value.name,
            unit: match value.unit {
                "bytes" => "bytes",
                _ => "none",
            },
            start_value: 0,
            end_value: weights
                .iter()
                .fold(0, |sum, weight| sum.saturating_add(*weight)),
            samples: Paths { stacks, shown },
            weights,
        }
    }
}

/// The frames of each stack, outermost first, made as they are written.
struct Paths<'a> {
    stacks: &'a Stacks,
    shown: Vec<&'a StackTotal>,
}

impl Serialize for Paths<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut all = serializer.serialize_seq(Some(self.shown.len()))?;
        for stack in &self.shown {
            let mut path = Vec::new();
            let mut node = stack.node;
            while node != 0 {
                let at = &self.stacks.nodes[node as usize];
                path.push(at.frame);
                node = at.parent;
            }
            path.reverse();
            all.serialize_element(&path)?;
        }
        all.end()
    }
}
