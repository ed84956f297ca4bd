//! Observes real programs.
use rekindle_observe as _;
