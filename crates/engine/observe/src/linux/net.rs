//! Whom a socket talks to.

use std::ffi::OsString;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use crate::Contact;

/// Reads a socket's address as the process gave it; `None` where it says nothing.
pub(super) fn contact(address: &[u8]) -> Option<Contact> {
    let family = u16::from_ne_bytes(*address.first_chunk()?);
    let port = || Some(u16::from_be_bytes(*address.get(2..)?.first_chunk()?));
    let peer = match i32::from(family) {
        libc::AF_UNSPEC => return None,
        libc::AF_UNIX => return Some(Contact::Socket(unix(address.get(2..)?))),
        libc::AF_INET => {
            let bytes: [u8; 4] = *address.get(4..)?.first_chunk()?;
            Some(SocketAddr::from((Ipv4Addr::from(bytes), port()?)).to_string())
        }
        libc::AF_INET6 => {
            let bytes: [u8; 16] = *address.get(8..)?.first_chunk()?;
            Some(SocketAddr::from((Ipv6Addr::from(bytes), port()?)).to_string())
        }
        _ => None,
    };
    Some(Contact::Network { family, peer })
}

fn unix(name: &[u8]) -> PathBuf {
    let name = match name.split_first() {
        Some((0, abstract_name)) => [b"@", abstract_name].concat(),
        _ => name
            .split(|byte| *byte == 0)
            .next()
            .unwrap_or_default()
            .to_vec(),
    };
    PathBuf::from(OsString::from_vec(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let family = |family: i32| u16::to_ne_bytes(family as u16).to_vec();
        let inet = [family(libc::AF_INET), vec![0, 80, 127, 0, 0, 1]].concat();
        assert_eq!(
            contact(&inet),
            Some(Contact::Network {
                family: 2,
                peer: Some("127.0.0.1:80".to_owned())
            })
        );
        let unix = [family(libc::AF_UNIX), b"/run/x\0junk".to_vec()].concat();
        assert_eq!(contact(&unix), Some(Contact::Socket("/run/x".into())));
        assert_eq!(contact(&inet[..5]), None);
        assert_eq!(contact(&[]), None);
    }
}
