//! Labels as people write them, and what the data say of them.

use super::*;

fn today() -> Day {
    Day("2026-11-26".to_owned())
}

#[test]
fn days_are_counted_as_the_calendar_does() {
    for (days, shown) in [
        (0, "1970-01-01"),
        (19_782, "2024-02-29"),
        (20_543, "2026-03-31"),
        (20_783, "2026-11-26"),
    ] {
        assert_eq!(Day::from_days_since_epoch(days).to_string(), shown);
    }
}

#[test]
fn labels_say_whose_they_are() {
    for (label, provider, os, arch, size) in [
        ("ubuntu-latest", "github", Os::Linux, Arch::X64, Some(4)),
        (
            "Ubuntu-24.04-ARM",
            "github",
            Os::Linux,
            Arch::Arm64,
            Some(4),
        ),
        ("macos-15-intel", "github", Os::Macos, Arch::X64, Some(4)),
        (
            "windows-11-arm",
            "github",
            Os::Windows,
            Arch::Arm64,
            Some(4),
        ),
        (
            "nscloud-ubuntu-22.04-amd64-8x16-with-cache",
            "namespace",
            Os::Linux,
            Arch::X64,
            Some(8),
        ),
        (
            "namespace-profile-default",
            "namespace",
            Os::Linux,
            Arch::X64,
            None,
        ),
        (
            "blacksmith-8vcpu-ubuntu-2404-arm",
            "blacksmith",
            Os::Linux,
            Arch::Arm64,
            Some(8),
        ),
        ("depot-ubuntu-24.04", "depot", Os::Linux, Arch::X64, Some(2)),
        (
            "depot-ubuntu-24.04-arm-16",
            "depot",
            Os::Linux,
            Arch::Arm64,
            Some(16),
        ),
        (
            "warp-ubuntu-latest-x64-4x;snapshot.key=a",
            "warpbuild",
            Os::Linux,
            Arch::X64,
            Some(4),
        ),
        (
            "ubicloud-standard-30-arm",
            "ubicloud",
            Os::Linux,
            Arch::Arm64,
            Some(30),
        ),
        (
            "runs-on=${{github.run_id}}/runner=8cpu-linux-arm64/family=c7",
            "runs-on",
            Os::Linux,
            Arch::Arm64,
            Some(8),
        ),
        (
            "runs-on=${{ github.run_id }}/cpu=4",
            "runs-on",
            Os::Linux,
            Arch::X64,
            None,
        ),
    ] {
        let runner = parse(label).unwrap_or_else(|| panic!("{label}"));
        assert_eq!(runner.provider.name, provider, "{label}");
        assert_eq!(
            (runner.os, runner.arch, runner.size),
            (os, arch, size),
            "{label}"
        );
        assert!(!runner.is_dead(&today()), "{label}");
    }
    for label in [
        "my-runner",
        "ubuntu",
        "linux",
        "blacksmith",
        "ubuntu-latest-8-cores",
        "",
    ] {
        assert!(parse(label).is_none(), "{label}");
    }
}

#[test]
fn dead_labels_have_a_living_neighbour() {
    for (label, nearest) in [
        ("buildjet-8vcpu-ubuntu-2204", "ubuntu-22.04"),
        ("buildjet-4vcpu-ubuntu-2204-arm", "ubuntu-22.04-arm"),
        ("buildjet-4vcpu-ubuntu-1804", "ubuntu-latest"),
        ("ubuntu-20.04", "ubuntu-latest"),
        ("macos-13", "macos-15-intel"),
        ("macos-14", "macos-latest"),
        (
            "blacksmith-3vcpu-ubuntu-2404",
            "blacksmith-4vcpu-ubuntu-2404",
        ),
        ("ubicloud-standard-60", "ubicloud-standard-30"),
    ] {
        let runner = parse(label).unwrap_or_else(|| panic!("{label}"));
        assert!(runner.is_dead(&today()), "{label}");
        assert_eq!(
            nearest_living(&runner, &today()).as_deref(),
            Some(nearest),
            "{label}"
        );
    }
    // The day decides, not the label.
    let before = Day("2026-03-30".to_owned());
    let runner = parse("buildjet-8vcpu-ubuntu-2204").unwrap();
    assert!(!runner.is_dead(&before));
}

#[test]
fn labels_are_built_by_size_and_image() {
    let check = |provider, arch, image, size, at_least, expected: Result<&str, &str>| {
        let wanted = Wanted {
            provider,
            os: Os::Linux,
            arch,
            image,
            size,
            at_least,
        };
        let built = build(&wanted, &today()).map_err(|error| error.to_string());
        assert_eq!(built, expected.map(str::to_owned).map_err(str::to_owned));
    };
    use Arch::{Arm64, X64};
    check(
        "namespace",
        X64,
        None,
        Some(8),
        None,
        Ok("nscloud-ubuntu-24.04-amd64-8x16"),
    );
    check(
        "namespace",
        X64,
        Some("ubuntu-22.04"),
        None,
        Some(4),
        Ok("nscloud-ubuntu-22.04-amd64-4x8"),
    );
    check("depot", X64, None, None, Some(2), Ok("depot-ubuntu-24.04"));
    check(
        "depot",
        Arm64,
        None,
        Some(64),
        None,
        Ok("depot-ubuntu-24.04-arm-64"),
    );
    check(
        "warpbuild",
        X64,
        Some("ubuntu-24.04"),
        None,
        Some(4),
        Ok("warp-ubuntu-2404-x64-4x"),
    );
    check(
        "ubicloud",
        X64,
        None,
        None,
        Some(20),
        Ok("ubicloud-standard-30"),
    );
    check(
        "runs-on",
        Arm64,
        None,
        Some(8),
        None,
        Ok("runs-on=${{ github.run_id }}/runner=8cpu-linux-arm64"),
    );
    check(
        "blacksmith",
        Arm64,
        Some("ubuntu-22.04"),
        None,
        Some(4),
        Ok("blacksmith-4vcpu-ubuntu-2404-arm"),
    );
    check(
        "github",
        X64,
        Some("ubuntu-20.04"),
        None,
        None,
        Ok("ubuntu-latest"),
    );
    check(
        "github",
        X64,
        None,
        Some(8),
        None,
        Err("GitHub-hosted runners lists no Linux x64 runner with 8 processors; it has 4"),
    );
    check(
        "buildjet",
        X64,
        None,
        None,
        None,
        Err("BuildJet has no living Linux runner of architecture x64"),
    );
    check(
        "nobody",
        X64,
        None,
        None,
        None,
        Err("no provider `nobody` is known"),
    );
}

/// What is written is read back as what was wanted, for every shape of the data.
#[test]
fn every_label_that_is_written_is_read_back() {
    for provider in providers() {
        assert!(!provider.sources.is_empty(), "{}", provider.name);
        for shape in &provider.shapes {
            for size in &shape.sizes {
                let label = written(shape, *size);
                let runner = parse(&label).unwrap_or_else(|| panic!("{label}"));
                assert_eq!(runner.provider.name, provider.name, "{label}");
                assert_eq!((runner.os, runner.arch), (shape.os, shape.arch), "{label}");
                assert_eq!(runner.size, Some(*size), "{label}");
                assert!(runner.listed, "{label}");
            }
        }
    }
}
