//! What every phase of one wrapper process shares.

use rekindle_outputs::environment::Environment;
use rekindle_store::LocalStore;

use crate::settings::Settings;

/// What every phase shares.
pub(crate) struct Context<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) environment: &'a Environment,
    pub(crate) store: LocalStore,
}
