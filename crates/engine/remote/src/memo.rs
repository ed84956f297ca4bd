//! What is known of blobs by name, asked once however many want to know at once.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::blobs::Name;

/// Names that are remembered.
const MAX_NAMES: usize = 4096;

/// One answer a name.
pub(crate) struct Memo<T> {
    slots: Mutex<HashMap<Name, Slot<T>>>,
}

/// An answer; locked while it is asked for, so that nobody asks twice. Who stops waiting unlocks it.
type Slot<T> = Arc<tokio::sync::Mutex<Option<Arc<T>>>>;

impl<T> Default for Memo<T> {
    fn default() -> Self {
        Self {
            slots: Mutex::default(),
        }
    }
}

impl<T> Memo<T> {
    /// The answer, and whether it is remembered from before. Failures are not remembered.
    pub(crate) async fn get<E>(
        &self,
        name: &Name,
        ask: impl Future<Output = Result<T, E>>,
    ) -> Result<(Arc<T>, bool), E> {
        let slot = {
            let mut slots = self.lock();
            if slots.len() >= MAX_NAMES && !slots.contains_key(name) {
                slots.clear();
            }
            Arc::clone(slots.entry(name.clone()).or_default())
        };
        let mut slot = slot.lock().await;
        if let Some(known) = slot.as_ref() {
            return Ok((Arc::clone(known), true));
        }
        let known = Arc::new(ask.await?);
        *slot = Some(Arc::clone(&known));
        Ok((known, false))
    }

    /// Forgets an answer that turned out wrong, unless somebody has already asked again.
    pub(crate) async fn forget_if(&self, name: &Name, wrong: &Arc<T>) {
        let slot = self.lock().get(name).map(Arc::clone);
        if let Some(slot) = slot {
            let mut slot = slot.lock().await;
            if slot.as_ref().is_some_and(|known| Arc::ptr_eq(known, wrong)) {
                *slot = None;
            }
        }
    }

    /// Forgets a name.
    pub(crate) fn forget(&self, name: &Name) {
        self.lock().remove(name);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, Slot<T>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
