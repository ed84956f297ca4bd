//! The rules: one file each, with what it looks for and how it mends it.
//!
//! A rule has a page `docs/audit/<id>.md` and, in `tests/corpus`, workflows with its fault and near-twins without.

mod support;

mod cache_key_never_hits;
mod cache_key_no_lock;
mod cache_key_no_toolchain;
mod cache_layers_fight;
mod cache_no_restore_keys;
mod cache_on_self_hosted;
mod cache_registry_only;
mod cache_saved_everywhere;
mod cache_service_too_old;
mod cache_stats_hidden;
mod compile_cache_not_persisted;
mod compile_cache_unused;
mod incremental_with_cache;
mod no_cache;

use crate::audit::Rule;

/// Every rule.
pub static ALL: &[Rule] = &[
    compile_cache_unused::RULE,
    compile_cache_not_persisted::RULE,
    cache_service_too_old::RULE,
    cache_layers_fight::RULE,
    incremental_with_cache::RULE,
    cache_stats_hidden::RULE,
    no_cache::RULE,
    cache_registry_only::RULE,
    cache_key_no_lock::RULE,
    cache_key_no_toolchain::RULE,
    cache_key_never_hits::RULE,
    cache_no_restore_keys::RULE,
    cache_saved_everywhere::RULE,
    cache_on_self_hosted::RULE,
];
