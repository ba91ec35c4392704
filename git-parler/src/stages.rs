//! The stages of the bundle engine as progress on the terminal, one after the other.

use bundle::Stage;

use crate::ui::{Progress, Ui, Unit};

/// Shows the stages of the bundle engine one after the other.
pub(crate) struct Stages<'a> {
    ui: &'a Ui,
    shown: Option<(Stage, Progress)>,
}

impl<'a> Stages<'a> {
    pub(crate) fn new(ui: &'a Ui) -> Self {
        Self { ui, shown: None }
    }

    /// Takes a report of the engine.
    pub(crate) fn report(&mut self, report: bundle::Progress) {
        if self.shown.as_ref().is_none_or(|(stage, _)| *stage != report.stage) {
            let title = match report.stage {
                Stage::Commits => "Walking commits",
                Stage::Objects => "Collecting objects",
                Stage::Deltas => "Compressing objects",
                Stage::Writing => "Writing objects",
                Stage::Scanning => "Scanning the pack",
                Stage::Resolving => "Resolving deltas",
            };
            let progress = self.ui.progress(title, Unit::Count, report.total.unwrap_or(0));
            self.shown = Some((report.stage, progress));
        }
        if let Some((_, progress)) = &self.shown {
            progress.reach(report.done);
        }
    }
}
