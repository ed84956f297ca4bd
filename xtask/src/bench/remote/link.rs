//! A link between two machines that are network namespaces: what a build reaches over it is slow and counted.
//!
//! The rate is kept by `tc tbf` at both ends. The delay is `tc netem`'s where the kernel has it; else a [`super::relay`]
//! before the server holds all bytes back. A connection starts slowly over the former only.

use std::path::Path;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::process::{self, capture};

/// The far end's address.
pub(super) const FAR: &str = "10.213.0.2";
const NEAR: &str = "10.213.0.1";
/// The devices, each alone in its namespace.
const NEAR_DEVICE: &str = "near";
const FAR_DEVICE: &str = "far";

/// How far away the server is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::bench) enum Distance {
    /// What a hosted runner sees.
    #[default]
    Runner,
    /// What an office sees.
    Office,
}

impl Distance {
    pub(in crate::bench) const ALL: [Self; 2] = [Self::Runner, Self::Office];

    /// On the command line.
    pub(in crate::bench) const fn name(self) -> &'static str {
        match self {
            Self::Runner => "runner",
            Self::Office => "office",
        }
    }

    /// There and back, in milliseconds.
    pub(in crate::bench) const fn round_trip_ms(self) -> u64 {
        match self {
            Self::Runner => 10,
            Self::Office => 40,
        }
    }

    /// In each direction.
    pub(in crate::bench) const fn megabits(self) -> u64 {
        match self {
            Self::Runner => 1000,
            Self::Office => 200,
        }
    }

    pub(super) fn choose(names: Option<&str>) -> Result<Vec<Self>, Failure> {
        let Some(names) = names else {
            return Ok(Self::ALL.to_vec());
        };
        let find = |name| {
            let found = Self::ALL.into_iter().find(|one| one.name() == name);
            found.ok_or_else(|| format!("`{name}` is no link; choose from runner, office"))
        };
        names.split(',').map(find).collect()
    }
}

/// Bytes that came over the link and went, as the near end's device counts them: with all headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) down: u64,
    pub(super) up: u64,
}

impl Counted {
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            down: self.down.saturating_sub(before.down),
            up: self.up.saturating_sub(before.up),
        }
    }
}

/// Two namespaces, gone with it.
pub(super) struct Link {
    pub(super) distance: Distance,
    pub(super) near: String,
    pub(super) far: String,
    /// Whether the kernel delays; else the relay has to.
    pub(super) delayed: bool,
}

impl Link {
    pub(super) fn make(distance: Distance) -> Result<Self, Failure> {
        permitted()?;
        let id = std::process::id();
        let mut link = Self {
            distance,
            near: format!("rk-near-{id}"),
            far: format!("rk-far-{id}"),
            delayed: true,
        };
        clear_away()?;
        ip(&["netns", "add", &link.near])?;
        ip(&["netns", "add", &link.far])?;
        let pair = ["link", "add", NEAR_DEVICE, "netns", &link.near];
        let peer = ["type", "veth", "peer", "name", FAR_DEVICE, "netns"];
        ip(&[&pair[..], &peer[..], &[&link.far]].concat())?;
        for (namespace, device, address) in [
            (&link.near, NEAR_DEVICE, NEAR),
            (&link.far, FAR_DEVICE, FAR),
        ] {
            let address = format!("{address}/24");
            ip(&["-n", namespace, "address", "add", &address, "dev", device])?;
            ip(&["-n", namespace, "link", "set", device, "up"])?;
            ip(&["-n", namespace, "link", "set", "lo", "up"])?;
            link.delayed &= shape(namespace, device, distance)?;
        }
        Ok(link)
    }

    pub(super) fn counted(&self) -> Result<Counted, Failure> {
        let read = |name: &str| {
            let file = format!("/sys/class/net/{NEAR_DEVICE}/statistics/{name}_bytes");
            let text = capture(inside(&self.near, "cat").arg(file))?;
            let number = text.trim().parse::<u64>();
            number.map_err(|error| format!("`{NEAR_DEVICE}` counts `{}`: {error}", text.trim()))
        };
        Ok(Counted {
            down: read("rx")?,
            up: read("tx")?,
        })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        for namespace in [&self.near, &self.far] {
            // It may not have come to be.
            let _ = command("ip", &["netns", "delete", namespace])
                .stderr(Stdio::null())
                .status();
        }
    }
}

/// A program in a namespace.
pub(super) fn inside(namespace: &str, program: &str) -> Command {
    command("ip", &["netns", "exec", namespace, program])
}

/// Ends what benches that were killed left: their servers, then their namespaces.
fn clear_away() -> Result<(), Failure> {
    let listed = capture(&mut command("ip", &["netns", "list"]))?;
    for name in listed.lines().filter_map(|line| line.split(' ').next()) {
        let number = ["rk-near-", "rk-far-"]
            .iter()
            .find_map(|prefix| name.strip_prefix(prefix));
        let Some(number) = number.filter(|number| number.parse::<u32>().is_ok()) else {
            continue;
        };
        if Path::new("/proc").join(number).exists() {
            continue;
        }
        let pids = capture(&mut command("ip", &["netns", "pids", name]))?;
        for pid in pids.split_whitespace() {
            // It may have ended meanwhile.
            let _ = command("kill", &[pid]).stderr(Stdio::null()).status();
        }
        ip(&["netns", "delete", name])?;
    }
    Ok(())
}

fn permitted() -> Result<(), Failure> {
    let is_root = capture(&mut command("id", &["-u"])).is_ok_and(|id| id.trim() == "0");
    if !is_root {
        return Err("links are made by root alone: run this bench as root".to_owned());
    }
    for (program, question) in [("ip", "-V"), ("tc", "-V"), ("curl", "--version")] {
        if !process::works(program, &[question]) {
            return Err(format!(
                "`{program}` is not there: install iproute2 and curl"
            ));
        }
    }
    Ok(())
}

/// Slows what leaves a device; says whether it is delayed, too.
fn shape(namespace: &str, device: &str, distance: Distance) -> Result<bool, Failure> {
    let on = ["-n", namespace, "qdisc", "add", "dev", device];
    let delay = format!("{}ms", distance.round_trip_ms() / 2);
    // More packets than are under way at that rate.
    let netem = [
        "root", "handle", "1:", "netem", "delay", &delay, "limit", "100000",
    ];
    let delayed = command("tc", &[&on[..], &netem[..]].concat())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    let parent: &[&str] = if delayed {
        &["parent", "1:"]
    } else {
        &["root"]
    };
    let rate = format!("{}mbit", distance.megabits());
    let bucket = [
        "handle", "2:", "tbf", "rate", &rate, "burst", "256kb", "latency", "100ms",
    ];
    process::run(&mut command("tc", &[&on[..], parent, &bucket[..]].concat()))?;
    Ok(delayed)
}

fn ip(arguments: &[&str]) -> Result<(), Failure> {
    process::run(&mut command("ip", arguments))
}

fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = process::command(program);
    command.args(arguments);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_chosen_by_name() {
        assert_eq!(Distance::choose(None).unwrap().len(), 2);
        assert_eq!(
            Distance::choose(Some("office")).unwrap(),
            [Distance::Office]
        );
        assert!(Distance::choose(Some("moon")).is_err());
    }

    #[test]
    fn a_link_counts_and_is_gone_afterwards() {
        let link = match Link::make(Distance::Runner) {
            Ok(link) => link,
            Err(why) => {
                println!("SKIPPED: a_link_counts_and_is_gone_afterwards: {why}");
                return;
            }
        };
        let before = link.counted().unwrap();
        // Nobody answers; the attempt alone is packets.
        let url = format!("http://{FAR}:9/");
        let _ = inside(&link.near, "curl")
            .args(["-s", "-m", "2", &url])
            .status();
        let counted = link.counted().unwrap().since(before);
        assert!(counted.up > 0 && counted.down > 0, "{counted:?}");
        let near = link.near.clone();
        drop(link);
        let left = capture(&mut command("ip", &["netns", "list"])).unwrap();
        assert!(!left.contains(&near), "{left}");
    }
}
