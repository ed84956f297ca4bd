//! Folds the events of runs into summaries.
