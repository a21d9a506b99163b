//! Progress of long work: a bar at a terminal, nothing where nobody watches.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use nexus_store::verify::Phase;

/// Shows on `bar` what the store tells of a verification or a restore.
pub(crate) fn show(bar: &ProgressBar) -> impl Fn(Phase, u64, u64) + '_ {
    move |phase, done, of| {
        bar.set_message(match phase {
            Phase::Walk => "events verified",
            Phase::Structure => "events verified; looking at the file's structure",
            Phase::Copy => "pages copied",
        });
        if phase != Phase::Structure {
            bar.set_length(of);
            bar.set_position(done);
        }
    }
}

/// A bar over `total` of something (`events`, `bytes`), or a spinner where the total is not known.
pub(crate) fn bar(total: Option<u64>, what: &str, quiet: bool) -> ProgressBar {
    let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    // indicatif draws on standard error, and only when that is a terminal.
    bar.set_draw_target(if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() });
    let template = match (total, what) {
        (Some(_), "bytes") => "{bar:40} {percent:>3}% {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        (None, "bytes") => "{spinner} {bytes} {bytes_per_sec}",
        (Some(_), _) => "{bar:40} {percent:>3}% {human_pos}/{human_len} {msg} {per_sec} {eta}",
        (None, _) => "{spinner} {human_pos} {msg} {elapsed}",
    };
    // The templates are constants; a wrong one would cost the look of a bar, not the work.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    bar
}
