//! Runner labels: which provider's they are, how large, and whether jobs with them still start.
//!
//! Everything comes from one dated file, `data/runners.toml`, whose head says how it is written. `switch` writes
//! labels by it, `audit` judges them by it. Labels are compared as GitHub does: without regard to case.

use std::fmt;
use std::sync::OnceLock;

use serde::Deserialize;

const DATA: &str = include_str!("../data/runners.toml");

/// A day of the calendar, as `2026-03-31`: days compare in their order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub struct Day(String);

impl Day {
    /// The day that lies `days` after 1970-01-01.
    #[must_use]
    pub fn from_days_since_epoch(days: u64) -> Self {
        let (year, month, day) = rekindle_base::civil(days.cast_signed());
        Self(format!("{year:04}-{month:02}-{day:02}"))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The system of a runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Os {
    /// Any Linux.
    Linux,
    /// macOS.
    Macos,
    /// Windows.
    Windows,
}

impl fmt::Display for Os {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Linux => "Linux",
            Self::Macos => "macOS",
            Self::Windows => "Windows",
        })
    }
}

/// The architecture of a runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// x86-64.
    X64,
    /// 64-bit ARM.
    Arm64,
}

impl fmt::Display for Arch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::X64 => "x64",
            Self::Arm64 => "arm64",
        })
    }
}

/// What a job may need of its runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Need {
    /// `sudo` without a password.
    Sudo,
    /// A Docker daemon: also for `container:` and for actions in containers.
    Docker,
    /// `apt-get`.
    Apt,
    /// `services:`.
    Services,
    /// `systemctl`.
    Systemd,
}

impl fmt::Display for Need {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Sudo => "sudo",
            Self::Docker => "Docker",
            Self::Apt => "apt",
            Self::Services => "services",
            Self::Systemd => "systemd",
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    looked_up: Day,
    provider: Vec<Provider>,
}

/// Who runs jobs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// As `--to` names it.
    pub name: String,
    /// As people name it.
    pub title: String,
    /// What its runners do not have.
    pub lacks: Vec<Need>,
    /// Whether `lacks` is what nobody knows, rather than what is known to be missing.
    #[serde(default)]
    pub lacks_unsure: bool,
    /// What must be done before jobs start there.
    #[serde(default)]
    pub setup: Option<String>,
    /// The pages that this was read from.
    pub sources: Vec<String>,
    shapes: Vec<Shape>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shape {
    label: String,
    os: Os,
    arch: Arch,
    #[serde(default)]
    image: Option<String>,
    sizes: Vec<u32>,
    #[serde(default)]
    memory_per_size_gib: Option<u32>,
    #[serde(default)]
    ends: Option<Day>,
    #[serde(default)]
    lacks: Vec<Need>,
    #[serde(default = "yes")]
    written: bool,
}

fn yes() -> bool {
    true
}

fn data() -> &'static Data {
    static PARSED: OnceLock<Data> = OnceLock::new();
    PARSED.get_or_init(|| {
        toml::from_str(DATA).unwrap_or_else(|error| panic!("data/runners.toml: {error}"))
    })
}

/// When the facts were looked up.
#[must_use]
pub fn looked_up() -> &'static Day {
    &data().looked_up
}

/// All providers, in the order of the file.
#[must_use]
pub fn providers() -> &'static [Provider] {
    &data().provider
}

/// The provider of this name.
#[must_use]
pub fn provider(name: &str) -> Option<&'static Provider> {
    providers().iter().find(|provider| provider.name == name)
}

/// Whether any of a provider's runners still lives.
#[must_use]
pub fn has_living(provider: &Provider, today: &Day) -> bool {
    let mut shapes = provider.shapes.iter();
    shapes.any(|shape| shape.written && shape.ends.as_ref().is_none_or(|ends| ends > today))
}

/// The last day of a provider's last runner, where it has one.
#[must_use]
pub fn end_of(provider: &Provider) -> Option<Day> {
    let ends = provider.shapes.iter().map(|shape| shape.ends.clone());
    ends.collect::<Option<Vec<Day>>>()?.into_iter().max()
}

/// What a label says of a runner.
#[derive(Clone, Copy, Debug)]
pub struct Runner {
    /// Whose it is.
    pub provider: &'static Provider,
    /// Its system.
    pub os: Os,
    /// Its architecture.
    pub arch: Arch,
    /// Its number of virtual processors, where the label or its provider says it.
    pub size: Option<u32>,
    /// Whether the provider lists this size.
    pub listed: bool,
    shape: &'static Shape,
}

impl Runner {
    /// Which image it starts from, where the label says so, as `ubuntu-24.04`.
    #[must_use]
    pub fn image(&self) -> Option<&'static str> {
        self.shape.image.as_deref()
    }

    /// The day from which jobs with it no longer start.
    #[must_use]
    pub fn ends(&self) -> Option<&'static Day> {
        self.shape.ends.as_ref()
    }

    /// Whether jobs with it no longer start: since which day. Also where the provider lists no such size, which
    /// no day is known for.
    #[must_use]
    pub fn is_dead(&self, today: &Day) -> bool {
        !self.listed || self.ends().is_some_and(|ends| ends <= today)
    }

    /// What it does not have, or is not known to have.
    pub fn lacks(&self) -> impl Iterator<Item = Need> + use<> {
        let (provider, shape) = (self.provider, self.shape);
        provider.lacks.iter().chain(&shape.lacks).copied()
    }
}

/// What a label stands for; `None` where no provider in the data has such labels.
#[must_use]
pub fn parse(label: &str) -> Option<Runner> {
    let label = normal(label);
    let mut fallback = None;
    for provider in providers() {
        for shape in &provider.shapes {
            let Some(size) = matched(shape, &label) else {
                continue;
            };
            let size = size.or(match shape.sizes[..] {
                [only] => Some(only),
                _ => None,
            });
            let listed =
                shape.sizes.is_empty() || size.is_some_and(|size| shape.sizes.contains(&size));
            let runner = Runner {
                provider,
                os: shape.os,
                arch: shape.arch,
                size,
                listed,
                shape,
            };
            if listed {
                return Some(runner);
            }
            fallback.get_or_insert(runner);
        }
    }
    fallback
}

/// Lower case, and one way to write an expression.
fn normal(label: &str) -> String {
    let mut text = label.trim().to_lowercase();
    for (from, to) in [("${{ ", "${{"), (" }}", "}}")] {
        while text.contains(from) {
            text = text.replace(from, to);
        }
    }
    text
}

/// `Some` where the label has this form, with the size that it names.
fn matched(shape: &Shape, label: &str) -> Option<Option<u32>> {
    let form = normal(&shape.label);
    let mut form = form.as_str();
    let mut rest = label;
    let mut size = None;
    while let Some(at) = next_placeholder(form) {
        let (before, placeholder) = form.split_at(at);
        rest = rest.strip_prefix(before)?;
        if let Some(after) = placeholder.strip_prefix("{rest}") {
            // It is always the last.
            return after.is_empty().then_some(size);
        }
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: u32 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        if let Some(after) = placeholder.strip_prefix("{size}") {
            size = Some(number);
            form = after;
        } else {
            form = placeholder.strip_prefix("{memory}")?;
        }
    }
    (form == rest).then_some(size)
}

fn next_placeholder(form: &str) -> Option<usize> {
    ["{size}", "{memory}", "{rest}"]
        .iter()
        .filter_map(|placeholder| form.find(placeholder))
        .min()
}

/// A runner that is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// A provider's name.
    pub provider: &'a str,
    /// Its system.
    pub os: Os,
    /// Its architecture.
    pub arch: Arch,
    /// An image to keep where the provider has it.
    pub image: Option<&'a str>,
    /// The size asked for: it must be listed. `None` takes the smallest that is no smaller than `at_least`,
    /// or else the provider's usual one.
    pub size: Option<u32>,
    /// A size to come near to, where none is asked for.
    pub at_least: Option<u32>,
}

/// Why no label can be written.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoLabel {
    /// There is no such provider.
    #[error("no provider `{0}` is known")]
    Provider(String),
    /// The provider's runners have another system or architecture.
    #[error("{title} has no living {os} runner of architecture {arch}")]
    Kind {
        /// The provider.
        title: &'static str,
        /// The system wanted.
        os: Os,
        /// The architecture wanted.
        arch: Arch,
    },
    /// The provider has no such size.
    #[error("{title} lists no {os} {arch} runner with {size} processors; it has {}", numbers(.has))]
    Size {
        /// The provider.
        title: &'static str,
        /// The system wanted.
        os: Os,
        /// The architecture wanted.
        arch: Arch,
        /// The size wanted.
        size: u32,
        /// The sizes that it has.
        has: Vec<u32>,
    },
}

fn numbers(sizes: &[u32]) -> String {
    let sizes: Vec<String> = sizes.iter().map(u32::to_string).collect();
    sizes.join(", ")
}

/// The label of a living runner.
///
/// # Errors
/// Where the provider has none such.
pub fn build(wanted: &Wanted<'_>, today: &Day) -> Result<String, NoLabel> {
    let provider =
        provider(wanted.provider).ok_or_else(|| NoLabel::Provider(wanted.provider.to_owned()))?;
    let living = |shape: &&Shape| {
        shape.written
            && shape.os == wanted.os
            && shape.arch == wanted.arch
            && shape.ends.as_ref().is_none_or(|ends| ends > today)
    };
    let shapes: Vec<&Shape> = provider.shapes.iter().filter(living).collect();
    // Of one image all sizes together: some providers write the smallest in a form of its own.
    let of_image = |image: Option<&str>| -> Vec<(u32, &Shape)> {
        let shapes = shapes
            .iter()
            .filter(|shape| shape.image.as_deref() == image);
        let mut sizes: Vec<(u32, &Shape)> = shapes
            .flat_map(|shape| shape.sizes.iter().map(|size| (*size, *shape)))
            .collect();
        sizes.sort_by_key(|(size, _)| *size);
        sizes
    };
    let Some(first) = shapes.first() else {
        return Err(NoLabel::Kind {
            title: &provider.title,
            os: wanted.os,
            arch: wanted.arch,
        });
    };
    let mut sizes = wanted
        .image
        .map_or_else(Vec::new, |image| of_image(Some(image)));
    let has_size = |sizes: &[(u32, &Shape)]| {
        wanted
            .size
            .is_none_or(|size| sizes.iter().any(|(has, _)| *has == size))
    };
    if sizes.is_empty() || !has_size(&sizes) {
        sizes = of_image(first.image.as_deref());
    }
    let chosen = match wanted.size {
        Some(size) => sizes.iter().find(|(has, _)| *has == size),
        None => {
            let usual = first.sizes.first().copied().unwrap_or(0);
            let least = wanted.at_least.unwrap_or(usual);
            sizes.iter().find(|(has, _)| *has >= least).or(sizes.last())
        }
    };
    chosen
        .map(|(size, shape)| written(shape, *size))
        .ok_or_else(|| NoLabel::Size {
            title: &provider.title,
            os: wanted.os,
            arch: wanted.arch,
            size: wanted.size.unwrap_or(0),
            has: sizes.iter().map(|(size, _)| *size).collect(),
        })
}

fn written(shape: &Shape, size: u32) -> String {
    let memory = shape.memory_per_size_gib.unwrap_or(0) * size;
    shape
        .label
        .replace("{size}", &size.to_string())
        .replace("{memory}", &memory.to_string())
        .replace("{rest}", "")
}

/// A living label for what a dead one stood for: the same provider's where it lives on, else GitHub's own.
#[must_use]
pub fn nearest_living(runner: &Runner, today: &Day) -> Option<String> {
    let wanted = Wanted {
        provider: &runner.provider.name,
        os: runner.os,
        arch: runner.arch,
        image: runner.image(),
        size: None,
        at_least: runner.size,
    };
    build(&wanted, today)
        .or_else(|_| {
            let wanted = Wanted {
                provider: "github",
                ..wanted
            };
            build(&wanted, today)
        })
        .ok()
}

#[cfg(test)]
mod tests;
