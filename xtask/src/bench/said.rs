//! What tools say of their own builds.

use serde_json::Value;

use super::record::{Processes, Snapshot, Units};
use super::remote::record::Used;

/// What `rekindle stats --format json` says; fields that are missing are not measured.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) units: Option<Units>,
    pub(super) processes: Option<Processes>,
    pub(super) snapshot: Option<Snapshot>,
    /// Nothing where no remote was used.
    pub(super) remote: Option<Used>,
}

impl Said {
    pub(super) fn read(json: Option<String>) -> Self {
        let said = json.and_then(|text| serde_json::from_str::<Value>(&text).ok());
        let Some(said) = said else {
            return Self::default();
        };
        Self {
            units: serde_json::from_value(said["units"].clone()).ok(),
            processes: serde_json::from_value(said["processes"].clone()).ok(),
            snapshot: snapshot(&said),
            remote: serde_json::from_value(said["remote"].clone()).ok(),
        }
    }
}

/// Nothing where the run neither restored nor captured, or where Rekindle knows no snapshots: its
/// zeros would pass for figures.
fn snapshot(said: &Value) -> Option<Snapshot> {
    let section = &said["snapshot"];
    let number = |name: &str| section[name].as_u64();
    let restored_units = number("units_restored")?;
    let captured_units = number("units_captured")?;
    (restored_units + captured_units > 0).then(|| Snapshot {
        base: section["base"].as_str().map(str::to_owned),
        restored_units,
        captured_units,
        invalidated_units: number("units_invalidated"),
        placed_bytes: said["bytes"]["placed"].as_u64(),
        materialised_bytes: said["bytes"]["materialised"].as_u64(),
        restore_ms: number("restore_ms"),
        capture_ms: number("capture_ms"),
    })
}

/// How many packages cargo said it compiled or checked, from the cache or not: the others were
/// fresh.
pub(super) fn packages_built(log: &str) -> u64 {
    let built = |line: &&str| {
        let line = line.trim_start();
        line.starts_with("Compiling ") || line.starts_with("Checking ")
    };
    log.lines().filter(built).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_read_where_they_are_there() {
        let json = r#"{"version":1,"units":{"fresh":1,"hit":2,"miss":3,"uncacheable":4},
            "processes":{"rustc":7,"linker":1,"build_script":0},
            "bytes":{"materialised":5},"remote":{"requests":4,"found":1},
            "snapshot":{"base":"this commit","units_restored":3,"units_captured":0,"capture_ms":9}}"#;
        let said = Said::read(Some(json.to_owned()));
        assert_eq!(said.units.map(|units| units.hit), Some(2));
        let processes = said.processes.unwrap();
        assert_eq!((processes.rustc, processes.linker), (7, 1));
        let snapshot = said.snapshot.unwrap();
        assert_eq!(snapshot.base.as_deref(), Some("this commit"));
        assert_eq!(snapshot.materialised_bytes, Some(5));
        assert_eq!(snapshot.capture_ms, Some(9));
        assert_eq!(snapshot.placed_bytes, None);
        assert_eq!(said.remote.map(|used| used.requests), Some(4));
        assert!(Said::read(Some("{}".to_owned())).remote.is_none());
        assert!(Said::read(Some("{}".to_owned())).units.is_none());
        assert!(Said::read(Some("{}".to_owned())).snapshot.is_none());
        let nothing = json.replace("\"units_restored\":3", "\"units_restored\":0");
        assert!(Said::read(Some(nothing)).snapshot.is_none());
        assert!(Said::read(None).units.is_none());
    }

    #[test]
    fn fresh_packages_are_not_named() {
        let log = "   Compiling a v1.0.0\n    Checking b v0.1.0 (/x)\n    Finished `dev` profile\n";
        assert_eq!(packages_built(log), 2);
        assert_eq!(packages_built("    Finished `dev` profile\n"), 0);
    }
}
