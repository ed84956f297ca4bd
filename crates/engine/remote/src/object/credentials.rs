//! Credentials: where each service's own tools find them, in the environment that we were given.
//!
//! The library would read the process's environment; a provider that is wrapped here sees ours.

use std::collections::HashMap;
use std::fmt;

use reqsign_core::{Context, ProvideCredential, Result, StaticEnv};

use crate::environment::Environment;

/// A provider that sees our environment.
pub(super) struct Given<P> {
    provider: P,
    environment: StaticEnv,
}

impl<P> Given<P> {
    pub(super) fn new(provider: P, environment: &Environment) -> Self {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let envs: HashMap<String, String> = environment.iter().map(owned).collect();
        Self {
            provider,
            environment: StaticEnv {
                home_dir: environment.home().cloned(),
                envs,
            },
        }
    }
}

impl<P: ProvideCredential> ProvideCredential for Given<P> {
    type Credential = P::Credential;

    async fn provide_credential(&self, context: &Context) -> Result<Option<P::Credential>> {
        let context = context.clone().with_env(self.environment.clone());
        self.provider.provide_credential(&context).await
    }
}

/// Without the environment: it holds secrets.
impl<P: fmt::Debug> fmt::Debug for Given<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.provider.fmt(f)
    }
}
