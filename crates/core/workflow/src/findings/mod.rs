//! The rules: one file each, with what it looks for and how it mends it.
//!
//! A rule has a page `docs/audit/<id>.md` and, in `tests/corpus`, workflows with its fault and near-twins without.

mod support;

pub(crate) use apt_already_there::image_has;
pub(crate) use no_concurrency::{CONCURRENCY, add_concurrency};

mod action_node_removed;
mod action_unpinned;
mod apt_already_there;
mod apt_unused;
mod artifact_compressed_twice;
mod build_test_feature_split;
mod cache_in_tag_run;
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
mod cargo_call_per_package;
mod compile_cache_not_persisted;
mod compile_cache_unused;
mod database_for_compile;
mod debug_info_in_ci;
mod duplicate_build;
mod duplicate_check_job;
mod fetch_depth_needless;
mod incremental_with_cache;
mod linker_missing;
mod linker_redundant;
mod matrix_value_unused;
mod no_cache;
mod no_concurrency;
mod no_path_filter;
mod no_timeout;
mod profile_in_member;
mod pull_request_target_checkout;
mod rebuilds_needed_job;
mod release_in_ci;
mod runner_label_dead;
mod runner_label_unknown;
mod runner_target_mismatch;
mod same_event;
mod self_hosted_fork;
mod sequential_steps;
mod serial_gate;
mod tool_from_source;
mod toolchain_not_used;
mod triggered_twice;

use crate::audit::Rule;

/// Every rule, those about the same thing beside each other.
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
    cache_in_tag_run::RULE,
    cache_no_restore_keys::RULE,
    cache_saved_everywhere::RULE,
    cache_on_self_hosted::RULE,
    rebuilds_needed_job::RULE,
    duplicate_build::RULE,
    cargo_call_per_package::RULE,
    build_test_feature_split::RULE,
    duplicate_check_job::RULE,
    serial_gate::RULE,
    tool_from_source::RULE,
    toolchain_not_used::RULE,
    apt_already_there::RULE,
    apt_unused::RULE,
    database_for_compile::RULE,
    release_in_ci::RULE,
    debug_info_in_ci::RULE,
    profile_in_member::RULE,
    linker_redundant::RULE,
    linker_missing::RULE,
    no_concurrency::RULE,
    triggered_twice::RULE,
    no_timeout::RULE,
    no_path_filter::RULE,
    fetch_depth_needless::RULE,
    sequential_steps::RULE,
    artifact_compressed_twice::RULE,
    runner_label_dead::RULE,
    runner_label_unknown::RULE,
    matrix_value_unused::RULE,
    runner_target_mismatch::RULE,
    action_node_removed::RULE,
    action_unpinned::RULE,
    self_hosted_fork::RULE,
    pull_request_target_checkout::RULE,
];
