//! The thread that drives what is asked of remotes.

use std::io;

use tokio::runtime::{Builder, Handle};

/// A runtime on a thread of its own, which lives as long as the process: what fetches ahead may still wait for an answer
/// when nobody wants it any more. Whoever waits for an operation does so on its own thread; this one drives sockets and
/// clocks.
#[derive(Clone, Debug)]
pub struct Runtime {
    handle: Handle,
}

impl Runtime {
    /// Starts it.
    ///
    /// # Errors
    /// Where the system has no thread or no descriptor left.
    pub fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        std::thread::Builder::new()
            .name("remote".to_owned())
            .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
        Ok(Self { handle })
    }

    /// What runs operations on it.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }
}
