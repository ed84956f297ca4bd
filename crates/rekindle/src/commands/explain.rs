//! `rekindle explain`: why units were compiled.

use rekindle::resolve_settings;
use rekindle_report::{Explanation, explain_text, json};

use super::{load_run, print, print_json};
use crate::cli::{ExplainArgs, Format};
use crate::error::CommandError;

pub(crate) fn run(args: &ExplainArgs) -> Result<(), CommandError> {
    let store_dir = resolve_settings()?.settings.store_dir;
    let (name, log) = load_run(&store_dir, &args.run)?;
    let wanted = args.wanted.as_deref();
    let explanation = Explanation::of(&log.events, wanted);
    match args.format {
        Format::Json => print_json(&json::Explain::new(&name, &explanation)),
        Format::Text => print(&explain_text(&explanation, wanted)),
    }
}
