//! Hands connections on to a server, each byte held back for as long as it would travel.
//!
//! A new connection waits for a round trip, as its handshake would. What this does not show is that TCP starts slowly
//! over a long way: it flatters all who open many connections.
//!
//! What has come is acknowledged at once. The server that is measured with holds the end of an answer back until what is
//! before it is acknowledged (Nagle's algorithm), which a receiver delays by 40 ms; servers of providers do not.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::linux::net::TcpStreamExt;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::args::Args;

/// Of at most this many bytes each.
const PIECE_BYTES: usize = 64 << 10;
/// Pieces under way in one direction of one connection: 16 MiB, more than a link holds.
const PIECES_MAX: usize = 256;

/// `cargo xtask bench relay LISTEN TARGET DELAY_MS`, in the far namespace; ends when it is killed.
pub(in crate::bench) fn run(mut arguments: Args) -> Result<(), Failure> {
    let mut next = || arguments.word().ok_or("relay LISTEN TARGET DELAY_MS");
    let (listen, target, delay) = (next()?, next()?, next()?);
    arguments.finish()?;
    let delay = delay
        .parse()
        .map(Duration::from_millis)
        .map_err(|error| format!("`{delay}` is no delay in milliseconds: {error}"))?;
    let listener = TcpListener::bind(&listen)
        .map_err(|error| format!("cannot listen on `{listen}`: {error}"))?;
    serve(&listener, &target, delay);
    Ok(())
}

fn serve(listener: &TcpListener, target: &str, delay: Duration) {
    for stream in listener.incoming().flatten() {
        let target = target.to_owned();
        // Who cannot be handed on sees the connection closed.
        thread::spawn(move || hand_on(&stream, &target, delay));
    }
}

fn hand_on(near: &TcpStream, target: &str, delay: Duration) -> std::io::Result<()> {
    let far = TcpStream::connect(target)?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let opened = Instant::now() + 2 * delay;
    pump(near.try_clone()?, far.try_clone()?, delay, opened);
    pump(far, near.try_clone()?, delay, opened);
    Ok(())
}

type Piece = (Instant, Vec<u8>);

/// One direction: a thread reads, another one writes when the time has come.
fn pump(from: TcpStream, to: TcpStream, delay: Duration, opened: Instant) {
    let (sender, pieces) = sync_channel(PIECES_MAX);
    thread::spawn(move || read(from, &sender, delay, opened));
    thread::spawn(move || write(to, &pieces));
}

fn read(mut from: TcpStream, sender: &SyncSender<Piece>, delay: Duration, opened: Instant) {
    let mut buffer = vec![0; PIECE_BYTES];
    // The kernel goes back to delays by itself.
    while from.set_quickack(true).is_ok()
        && let Ok(count @ 1..) = from.read(&mut buffer)
    {
        let due = Instant::now().max(opened) + delay;
        if sender.send((due, buffer[..count].to_vec())).is_err() {
            // Who does not take it must not be fed on.
            let _ = from.shutdown(Shutdown::Read);
            return;
        }
    }
}

fn write(mut to: TcpStream, pieces: &Receiver<Piece>) {
    for (due, bytes) in pieces {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if to.write_all(&bytes).is_err() {
            return;
        }
    }
    // The end of one direction: the other one may go on.
    let _ = to.shutdown(Shutdown::Write);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_arrive_whole_and_late() {
        let far = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = far.local_addr().unwrap().to_string();
        thread::spawn(move || {
            let (mut stream, _) = far.accept().unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            stream.write_all(text.to_uppercase().as_bytes()).unwrap();
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || serve(&listener, &target, Duration::from_millis(20)));

        let clock = Instant::now();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all("abc".repeat(100_000).as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "ABC".repeat(100_000));
        // The handshake's round trip, there and back.
        assert!(clock.elapsed() >= Duration::from_millis(80));
    }
}
