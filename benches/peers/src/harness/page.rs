//! Fills in a page of the documentation: the parts between marks are replaced, plots are drawn
//! beside it.
//!
//! ```text
//! <!-- peers: wall -->
//! | … the table of that name … |
//! <!-- end -->
//! ```

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::plot::{self, Plot, Series};
use super::results::Results;
use super::show;

const END: &str = "<!-- end -->";

/// Replaces every marked part of `file`, and draws the plots into the folder of the file's name
/// without ending.
pub fn fill(file: &Path, results: &Results) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    fs::write(file, filled(&text, results)?)?;
    let folder = file.with_extension("");
    fs::create_dir_all(&folder)?;
    for plot in plots(results) {
        fs::write(folder.join(format!("{}.svg", plot.name)), plot::svg(&plot))?;
    }
    Ok(())
}

fn filled(text: &str, results: &Results) -> Result<String> {
    let tables = show::tables(results);
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<!-- peers: ") {
        let (name, after) = after
            .split_once(" -->\n")
            .context("a mark ends with ` -->`")?;
        let (_, after) = after.split_once(END).context("every mark has an end")?;
        let part = match name {
            "about" => show::about(results),
            _ => match tables.iter().find(|table| table.name == name) {
                Some(table) => show::markdown(table),
                None => "Not measured in this run.\n".to_owned(),
            },
        };
        out += &format!("{before}<!-- peers: {name} -->\n{part}{END}");
        rest = after;
    }
    Ok(out + rest)
}

fn plots(results: &Results) -> Vec<Plot> {
    let counted = |name: &'static str, x: &'static str| {
        let subjects = [
            "memprof, off",
            "memprof, 512 KiB",
            "memprof, all",
            "memprof, all, frame pointers",
            "memprof, all, backtrace crate",
        ];
        let series = subjects.map(|subject| Series {
            name: subject.to_owned(),
            points: show::points(results, name, subject),
        });
        Plot {
            name,
            x,
            y: "instructions added to a pair",
            series: Vec::from(series),
        }
    };
    let mut plots = vec![
        counted("depth", "frames of the stack"),
        counted("walked", "frames of a stack that is walked"),
        counted("stacks", "distinct stacks"),
    ];
    for plot in &mut plots {
        plot.series.retain(|series| !series.points.is_empty());
    }
    plots.retain(|plot| !plot.series.is_empty());
    plots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_marks_is_replaced() {
        let results = Results::here(true);
        let page = "a\n<!-- peers: nothing -->\nold\n<!-- end -->\nb\n";
        let filled = filled(page, &results).unwrap();
        assert_eq!(
            filled,
            "a\n<!-- peers: nothing -->\nNot measured in this run.\n<!-- end -->\nb\n"
        );
        assert!(super::filled("<!-- peers: x -->\n", &results).is_err());
    }
}
