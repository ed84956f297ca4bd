//! Remote caches that are configured: whether they answer, and whether credentials and region are there. Neither
//! is ever shown.

use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::time::Duration;

use super::super::context::Context;
use super::super::kinds::{REMOTE_CREDENTIALS, REMOTE_DEAD, REMOTE_REGION};
use super::super::model::{Finding, Outcome};
use super::super::remotes::{self, Remote};

/// A remote that takes longer is no help to a build.
const CONNECT: Duration = Duration::from_secs(3);

pub(super) fn check(context: &Context<'_>) -> Outcome {
    let remotes = remotes::configured(context);
    if remotes.is_empty() {
        return Outcome::skipped("none is configured");
    }
    let mut findings = Vec::new();
    let mut lines = Vec::new();
    for remote in &remotes {
        findings.extend(parts(remote));
        let Some((host, port)) = &remote.address else {
            lines.push(format!("{}: not asked", remote.name));
            continue;
        };
        match connect(host, *port) {
            Ok(()) => lines.push(format!("{} answers at {host}:{port}", remote.name)),
            Err(why) => findings.push(
                Finding::new(
                    &REMOTE_DEAD,
                    format!("{} at {host}:{port} does not answer", remote.name),
                    format!("start it, open the way to it, or change {}", remote.set_in),
                )
                .seen(format!("set by {}", remote.set_in))
                .seen(why),
            ),
        }
    }
    Outcome::new(lines.join("; "), findings)
}

/// What a remote needs beside an address.
fn parts(remote: &Remote) -> Vec<Finding> {
    let mut findings = Vec::new();
    if remote.credentials == Some(false) {
        findings.push(
            Finding::new(
                &REMOTE_CREDENTIALS,
                format!("{} has no credentials", remote.name),
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or a role; or say that none are \
                 needed",
            )
            .seen(format!("set by {}", remote.set_in))
            .seen("none of the variables, files and services that hand them out is there"),
        );
    }
    if remote.region == Some(false) {
        findings.push(
            Finding::new(
                &REMOTE_REGION,
                format!("{} has no region", remote.name),
                "set AWS_REGION (or SCCACHE_REGION)",
            )
            .seen(format!("set by {}", remote.set_in)),
        );
    }
    findings
}

/// Whether anybody listens there. Names are looked up within the same time.
fn connect(host: &str, port: u16) -> Result<(), String> {
    let (tell, told) = mpsc::channel();
    let host = host.to_owned();
    std::thread::spawn(move || {
        let tried = (host.as_str(), port)
            .to_socket_addrs()
            .map_err(|error| format!("its name is not known: {error}"))
            .and_then(|addresses| {
                let mut last = "its name has no address".to_owned();
                for address in addresses {
                    match TcpStream::connect_timeout(&address, CONNECT) {
                        Ok(_) => return Ok(()),
                        Err(error) => last = error.to_string(),
                    }
                }
                Err(last)
            });
        let _ = tell.send(tried);
    });
    told.recv_timeout(CONNECT)
        .unwrap_or_else(|_| Err(format!("no answer within {} s", CONNECT.as_secs())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_answers_and_who_does_not_is_dead() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(connect("127.0.0.1", port), Ok(()));
        drop(listener);
        assert!(connect("127.0.0.1", port).is_err());
    }
}
