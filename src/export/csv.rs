//! Stacks as CSV, one row for each, for spreadsheets and data frames.

use std::io::{self, Write};

use super::{label, values::VALUES};
use crate::render::cell;
use crate::report::{Metric, Stacks};

/// CSV with a heading row: the stack, outermost frame first, then its values and those that only
/// memprof has.
#[derive(Clone, Copy, Debug, Default)]
pub struct StacksCsv;

impl StacksCsv {
    /// Writes the stacks to `out`.
    pub fn export(&self, stacks: &Stacks, out: &mut dyn Write) -> io::Result<()> {
        const MORE: [Metric; 3] = [Metric::Freed, Metric::Temporary, Metric::Reallocated];
        let names: Vec<String> = (stacks.frames.iter())
            .map(|frame| label::function_and_line(frame).replace(';', ":"))
            .collect();
        let mut rows = csv::Writer::from_writer(out);
        let heading = ["stack", "depth"].into_iter();
        let heading = heading.chain(VALUES.iter().map(|value| value.name));
        let heading = heading.chain(MORE.map(|metric| metric.name()));
        rows.write_record(heading.chain([
            "alloc_space_standard_error",
            "alloc_objects_standard_error",
            "samples",
        ]))
        .map_err(cell::unwrapped)?;
        for stack in &stacks.stacks {
            let mut path = Vec::new();
            let mut node = stack.node;
            while node != 0 {
                let at = &stacks.nodes[node as usize];
                path.push(names[at.frame as usize].as_str());
                node = at.parent;
            }
            path.reverse();
            let mut row = vec![cell::text(&path.join(";")), path.len().to_string()];
            let figures = &stack.figures;
            row.extend(VALUES.iter().map(|value| (value.of)(figures).to_string()));
            row.extend(MORE.map(|metric| metric.of(figures).bytes.to_string()));
            row.push(figures.allocated.standard_error.to_string());
            row.push(figures.count_errors.count.to_string());
            row.push(figures.samples.to_string());
            rows.write_record(row).map_err(cell::unwrapped)?;
        }
        rows.flush()
    }
}
