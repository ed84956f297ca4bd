//! The observer on Linux: see [design note 0006](../../../../docs/design/0006-observer.md).
//!
//! [`start`] runs a program under the filter and its supervisor on a thread; [`nested`] asks an
//! observer that is there already.

mod answers;
mod calls;
mod elf;
mod exec;
mod filter;
mod hands_on;
mod listener;
mod loader;
mod machine;
mod maps;
mod message;
pub(crate) mod nested;
mod net;
mod numbers;
mod paths;
mod peer;
mod places;
mod processes;
mod reaches;
mod record;
mod ring;
mod start;
mod supervise;
mod sys;
mod walk;

pub(crate) use start::{Session, available, start};
