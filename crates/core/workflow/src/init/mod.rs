//! Workflows for a project that has none, and what an existing one lacks: `rekindle init`.
//!
//! [`Project::read`] understands the project from texts; [`ci`] and [`release`] write whole workflows; [`merged`] adds to
//! one that exists what can be added without changing what it does. Every action is pinned to a commit that
//! `data/actions.toml` has; what crates need of the system comes from `data/system.toml`.

mod ci;
mod merge;
mod project;
mod release;
mod steps;

pub use crate::pins::{Pin, PinError};
pub use ci::ci;
pub use merge::merged;
pub use project::{Inputs, Package, Project, ProjectError};
pub use release::release;
