//! Maps of paths and process numbers. Nobody fills them to make them slow, and hashing safe from that was a tenth
//! of what an observer does.

use foldhash::fast::FixedState;

pub(super) type HashMap<K, V> = std::collections::HashMap<K, V, FixedState>;
pub(super) type HashSet<T> = std::collections::HashSet<T, FixedState>;
