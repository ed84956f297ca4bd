//! What a socket answers: a text, to everybody who connects, until the process ends.

use std::io::Write;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};

use crate::Failure;

/// A socket that says a text.
pub(super) struct Server {
    address: String,
    text: Arc<Mutex<String>>,
}

impl Server {
    pub(super) fn start(text: &str) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| format!("cannot listen on 127.0.0.1: {error}");
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?.to_string();
        let text = Arc::new(Mutex::new(text.to_owned()));
        let said = Arc::clone(&text);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let text = said.lock().unwrap_or_else(PoisonError::into_inner).clone();
                // Who has gone away needs no answer.
                let _ = stream.and_then(|mut stream| stream.write_all(text.as_bytes()));
            }
        });
        Ok(Self { address, text })
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Says another text from now on.
    pub(super) fn answer(&self, text: &str) {
        text.clone_into(&mut self.text.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
