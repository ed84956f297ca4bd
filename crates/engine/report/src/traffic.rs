//! Bytes in and out of a run, store by store.

use rekindle_base::ByteSize;

use crate::Summary;

/// What a run took from a store and gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Traffic {
    /// Which, for people.
    pub(crate) store: String,
    /// Bytes that came from it.
    pub(crate) in_bytes: u64,
    /// Bytes that went to it.
    pub(crate) out_bytes: u64,
}

impl Traffic {
    /// As in `in 1.2 MiB, out 0 B`.
    pub(crate) fn figures(&self) -> String {
        format!(
            "in {}, out {}",
            ByteSize(self.in_bytes),
            ByteSize(self.out_bytes)
        )
    }
}

/// The store of this machine, then the remotes, the nearest first.
pub(crate) fn of(summary: &Summary) -> Vec<Traffic> {
    let (snapshot, remote) = (&summary.snapshot, &summary.remote);
    let mut all = vec![Traffic {
        store: "this machine's store".to_owned(),
        in_bytes: summary.restored_bytes + snapshot.placed_bytes + summary.materialised_bytes,
        out_bytes: summary.published_bytes + snapshot.stored_bytes,
    }];
    all.extend(remote.stores.iter().map(|store| Traffic {
        store: format!("remote, {}", store.kind),
        in_bytes: store.bytes_down,
        out_bytes: store.bytes_up,
    }));
    // Logs that do not tell remotes apart.
    if remote.stores.is_empty() && remote.bytes_down + remote.bytes_up > 0 {
        all.push(Traffic {
            store: "remote".to_owned(),
            in_bytes: remote.bytes_down,
            out_bytes: remote.bytes_up,
        });
    }
    all
}

#[cfg(test)]
mod tests {
    use rekindle_events::{EventKind, RemoteUsed, StoreUsed};

    use super::*;
    use crate::fixtures::{finished, log, started};

    fn traffic(used: Vec<RemoteUsed>) -> Vec<(String, String)> {
        let mut kinds = vec![started("r")];
        kinds.extend(used.into_iter().map(EventKind::RemoteUsed));
        kinds.push(finished(None));
        let summary = Summary::of_run("r", &log(kinds));
        let all = of(&summary).into_iter();
        all.map(|one| (one.figures(), one.store)).collect()
    }

    #[test]
    fn each_remote_has_its_own_bytes() {
        let store = |kind: &str, bytes_down| StoreUsed {
            kind: kind.to_owned(),
            bytes_down,
            bytes_up: 1 << 20,
            ..StoreUsed::default()
        };
        let used = RemoteUsed {
            bytes_down: 3 << 20,
            bytes_up: 2 << 20,
            stores: vec![store("file", 1 << 20), store("s3", 2 << 20)],
            ..RemoteUsed::default()
        };
        let all = traffic(vec![used]);
        assert_eq!(all.len(), 3);
        let of_remote = |kind: &str, figures: &str| (figures.to_owned(), format!("remote, {kind}"));
        assert_eq!(all[1], of_remote("file", "in 1.0 MiB, out 1.0 MiB"));
        assert_eq!(all[2], of_remote("s3", "in 2.0 MiB, out 1.0 MiB"));
    }

    #[test]
    fn an_older_log_has_one_sum_and_no_remote_has_no_line() {
        let used = RemoteUsed {
            bytes_down: 1 << 20,
            ..RemoteUsed::default()
        };
        assert_eq!(traffic(vec![used])[1].0, "in 1.0 MiB, out 0 B");
        assert_eq!(traffic(Vec::new()).len(), 1);
    }
}
