//! The options of views that say which moment of the run is looked at.

use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::profile::{View, When};
use crate::report::Metric;

/// Options that say which moment of the run is looked at.
#[derive(clap::Args, Clone, Default, Debug)]
pub struct MomentArgs {
    /// Show what was live at this moment: at a time, such as 1.5s, at a mark of the program, at the
    /// peak or the end; FILE@MOMENT says the same
    #[arg(long, value_name = "TIME|MARK|peak|end")]
    pub at: Option<When>,
    /// Show only what was allocated after this moment and was still live at the end, or at that of
    /// --at
    #[arg(long, value_name = "TIME|MARK")]
    pub since: Option<When>,
}

impl MomentArgs {
    /// What is asked for.
    pub fn view(&self) -> View {
        View {
            at: self.at.clone(),
            since: self.since.clone(),
        }
    }
}

/// The figure that a view shows if `asked` is asked for, or is its default: of a moment there is
/// only what was live.
pub fn metric_of(view: &View, asked: Metric) -> anyhow::Result<Metric> {
    match asked {
        _ if *view == View::default() => Ok(asked),
        Metric::Peak | Metric::Live => Ok(Metric::Live),
        Metric::Count => Ok(Metric::Count),
        _ => bail!(
            "of a moment it is known what was live, and not what was {}: leave `--of` out, or `--at` and `--since`",
            asked.name()
        ),
    }
}

/// The file that `path` names, and the moment behind its `@`: `app.memprof@after warm-up`. A file
/// whose whole name is that comes first.
pub fn split(path: &Path, view: &View) -> anyhow::Result<(PathBuf, View)> {
    let name = path.to_str().filter(|_| !path.exists());
    let parts = name.and_then(|name| {
        let at = |(at, _): &(usize, char)| Path::new(&name[..*at]).is_file();
        let (at, _) = name.char_indices().filter(|(_, c)| *c == '@').find(at)?;
        Some((&name[..at], &name[at + 1..]))
    });
    let Some((file, moment)) = parts else {
        return Ok((path.to_owned(), view.clone()));
    };
    if view.at.is_some() {
        bail!("the moment is named twice: by `@{moment}` and by `--at`");
    }
    let Ok(at) = moment.parse();
    let view = View {
        at: Some(at),
        ..view.clone()
    };
    Ok((PathBuf::from(file), view))
}
