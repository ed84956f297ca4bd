//! Whether a Rust program that goes through its variables only hands them on to a child.
//!
//! `std::process::Command` copies the whole list where a child is to get a changed one. Nothing but the
//! child sees that copy, and what the child reads is seen there. Who reads the list is told by two
//! addresses: the reading one is in `std::env::vars_os`, and the one it returns to is in the function of
//! `Command` that makes the copy. Both are known by their symbols in the program's file; of a file
//! without symbols, a library without frame pointers, or an inlined function nothing is known, and the
//! list counts as read.
//!
//! The `cc` crate copies the list as well, once, and looks for names in its copy. It gives the copy to nobody but the
//! compilers that it starts.

use super::listener::Call;
use super::supervise::{Supervisor, Who};
use super::{elf, peer};

/// What becomes of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Copy {
    /// A child gets it.
    HandedOn,
    /// The `cc` crate looks for names in it.
    Kept,
}

/// Where a program does so.
#[derive(Debug, Default)]
pub(super) struct Handing {
    readers: elf::Functions,
    copiers: elf::Functions,
    keepers: elf::Functions,
}

/// What a function begins with that keeps the address of its caller where its frame pointer leads:
/// `push rbp; mov rbp, rsp`.
const KEEPS_FRAME: [u8; 4] = [0x55, 0x48, 0x89, 0xe5];

impl Handing {
    fn of(program: &[u8]) -> Self {
        let found = elf::functions(program, [is_reader, is_copier, is_keeper]);
        let [readers, copiers, keepers] = found.unwrap_or_default();
        Self {
            readers,
            copiers,
            keepers,
        }
    }
}

/// `std::env::vars_os`, as either of Rust's ways to write names has it.
pub(super) fn is_reader(name: &[u8]) -> bool {
    (name.starts_with(b"_R") && name.ends_with(b"_3std3env7vars_os"))
        || name.starts_with(b"_ZN3std3env7vars_os17h")
}

/// The functions of `std::process::Command` that copy the list.
pub(super) fn is_copier(name: &[u8]) -> bool {
    is_of_std(name, &[b"7Command11capture_env", b"10CommandEnv7capture"])
}

/// The functions of `std::process::Command` that give the list to a child as it is.
pub(super) fn is_starter(name: &[u8]) -> bool {
    is_of_std(
        name,
        &[
            b"7Command5spawn",
            b"7Command11posix_spawn",
            b"7Command7do_exec",
        ],
    )
}

/// Whether a function of the part of Rust's own library that is about the system ends in one of these.
fn is_of_std(name: &[u8], last: &[&[u8]]) -> bool {
    if name.starts_with(b"_R") {
        return elf::memmem(name, b"_3std3sys") && last.iter().any(|last| name.ends_with(last));
    }
    let hashed = |last: &[u8]| elf::memmem(name, &[last, b"17h"].concat());
    name.starts_with(b"_ZN3std3sys") && last.iter().any(|last| hashed(last))
}

/// The function of the `cc` crate that takes its copy.
fn is_keeper(name: &[u8]) -> bool {
    let is_hashed = || name.starts_with(b"_ZN2cc9build_env11EnvSnapshot7capture17h");
    let is_v0 = || {
        let place = name.strip_prefix(b"_R").unwrap_or_default();
        place.ends_with(b"11EnvSnapshot7capture") && elf::memmem(place, b"_2cc9build_env")
    };
    is_hashed() || is_v0()
}

/// The start of the function that an address is in.
pub(super) fn function(among: &[(u64, u64)], address: u64) -> Option<u64> {
    let is_in =
        |(start, size): &&(u64, u64)| (*start..start.saturating_add(*size)).contains(&address);
    among.iter().find(is_in).map(|(start, _)| *start)
}

impl Supervisor {
    /// Whether that is what the thread does that tells of its reading, and for what: see
    /// [`crate::protocol::VARIABLES`].
    pub(super) fn copies(&mut self, call: &Call, who: Who) -> Option<Copy> {
        let [_, place, frame, base, ..] = call.arguments;
        if !cfg!(target_arch = "x86_64") || place == 0 {
            return None;
        }
        let program = self.processes.get(who.thread)?.program.clone();
        // The symbols must be those of the code that runs.
        if !self.processes.is_as_known(&program) {
            return None;
        }
        let handing = self.handing.entry(program);
        let handing = handing
            .or_insert_with_key(|program| Handing::of(program).into())
            .clone();
        let within = place.wrapping_sub(base);
        let start = function(&handing.readers, within)?;
        let mut begins = [0; KEEPS_FRAME.len()];
        let read = peer::memory(who.thread, base.wrapping_add(start), &mut begins);
        let keeps = read.is_ok_and(|read| read == begins.len()) && begins == KEEPS_FRAME;
        if !keeps || within < start + KEEPS_FRAME.len() as u64 {
            return None;
        }
        let mut caller = [0; 8];
        let read = peer::memory(who.thread, frame.wrapping_add(8), &mut caller);
        // The last byte of the instruction that calls: what follows it may be another function.
        let caller = u64::from_ne_bytes(caller)
            .wrapping_sub(base)
            .wrapping_sub(1);
        if !read.is_ok_and(|read| read == 8) {
            return None;
        }
        let is_in = |functions| function(functions, caller).is_some();
        if is_in(&handing.copiers) {
            Some(Copy::HandedOn)
        } else {
            is_in(&handing.keepers).then_some(Copy::Kept)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_both_ways_of_writing() {
        assert!(is_reader(b"_RNvNtCsjrHSEGnQ3l9_3std3env7vars_os"));
        assert!(is_reader(b"_ZN3std3env7vars_os17h0123456789abcdefE"));
        assert!(!is_reader(b"_RNvNtCs123_4mine3env7vars_os"));
        assert!(!is_reader(b"_ZN4mine3std3env7vars_os17h0123456789abcdefE"));
        let copier =
            "_RNvMs_NtNtNtNtCsjrHSEGnQ3l9_3std3sys7process4unix6commonNtB4_7Command11capture_env";
        assert!(is_copier(copier.as_bytes()));
        let copier =
            "_ZN3std3sys3pal4unix7process14process_common7Command11capture_env17h0123456789abcdefE";
        assert!(is_copier(copier.as_bytes()));
        let older = "_ZN3std3sys7process3env10CommandEnv7capture17h0123456789abcdefE";
        assert!(is_copier(older.as_bytes()));
        assert!(!is_copier(b"_RNvNtCs123_4mine7Command11capture_env"));
        for keeper in [
            "_ZN2cc9build_env11EnvSnapshot7capture17h0123456789abcdefE",
            "_RNvMs_NtCs123_2cc9build_envNtB4_11EnvSnapshot7capture",
        ] {
            assert!(is_keeper(keeper.as_bytes()), "{keeper}");
        }
        for other in [
            "_ZN4mine9build_env11EnvSnapshot7capture17h0123456789abcdefE",
            "_ZN2cc9build_env11EnvSnapshot7capture28_$u7b$$u7b$closure$u7d$$u7d$17h0123456789abcdefE",
            "_RNvMs_NtCs123_4mine9build_envNtB4_11EnvSnapshot7capture",
        ] {
            assert!(!is_keeper(other.as_bytes()), "{other}");
        }
        assert!(!is_copier(
            b"_ZN3std3sys7Command15capture_env_not17h0123456789abcdefE"
        ));
    }

    #[test]
    fn an_address_is_in_one_function() {
        let among = [(10, 5), (20, 1)];
        assert_eq!(function(&among, 14), Some(10));
        assert_eq!(function(&among, 15), None);
        assert_eq!(function(&among, 20), Some(20));
    }
}
