//! What a reader of an export has to know: how it was sampled, what was lost, what is wrong.

use crate::render::escape::escape;
use crate::report::Calls;

/// One line each.
pub(super) fn comments(calls: &Calls) -> Vec<String> {
    let sampling = match calls.sampling.exact {
        true => "memprof: exact, every allocation was recorded".to_owned(),
        false => format!(
            "memprof: sampled, one allocation in {} bytes at the sparsest; values are estimates of the whole",
            calls.sampling.interval_widest
        ),
    };
    let losses = (calls.losses.iter()).map(|loss| format!("lost: {} {}", loss.count, loss.what));
    let defects = (calls.defects.iter()).map(|defect| escape(&defect.to_string()).into_owned());
    [sampling]
        .into_iter()
        .chain(losses)
        .chain(defects)
        .collect()
}
