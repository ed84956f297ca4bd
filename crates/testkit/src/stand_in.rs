//! What stand-ins share: a server on a port of its own, and faults by the number of a request.

use std::future::Future;
use std::net::SocketAddr;
use std::ops::Range;
use std::thread::JoinHandle;

use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// A server in a thread of its own; it ends with this value.
pub(crate) struct Serving {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    /// Takes connections on 127.0.0.1 until it is dropped.
    pub(crate) fn start<F: Future<Output = ()>>(
        serve: impl FnOnce(TcpListener) -> F + Send + 'static,
    ) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    () = serve(listener) => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The requests so far, and what is to go wrong with those to come.
pub(crate) struct Requests<F> {
    shown: Vec<String>,
    faults: Vec<(Range<usize>, F)>,
}

impl<F> Default for Requests<F> {
    fn default() -> Self {
        Self {
            shown: Vec::new(),
            faults: Vec::new(),
        }
    }
}

impl<F: Clone> Requests<F> {
    /// Notes a request, and says what is to go wrong with it.
    pub(crate) fn next(&mut self, shown: String) -> Option<F> {
        let number = self.shown.len();
        self.shown.push(shown);
        let ordered = self
            .faults
            .iter()
            .find(|(range, _)| range.contains(&number));
        ordered.map(|(_, fault)| fault.clone())
    }

    /// Orders a fault for the requests with these numbers, counted from the next one on.
    pub(crate) fn order_fault(&mut self, requests: Range<usize>, fault: F) {
        let now = self.shown.len();
        let range = now + requests.start..requests.end.saturating_add(now);
        self.faults.push((range, fault));
    }

    pub(crate) fn shown(&self) -> Vec<String> {
        self.shown.clone()
    }
}
