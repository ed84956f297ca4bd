//! The words every layer shares: digests, sizes, error categories, names of environment variables.
//!
//! Nothing here touches the file system, the environment or the clock of the machine.

mod calendar;
mod clock;
mod digest;
pub mod env;
mod error;
pub mod parallel;
mod progress;
mod size;
mod text;
mod workflow_command;

pub use calendar::{civil, parse_utc};
pub use clock::{Clock, Moment, SystemClock, Utc};
pub use digest::{Digest, DigestHasher, ParseDigestError};
pub use error::ErrorKind;
pub use progress::{Progress, Reached, progress};
pub use size::{ByteSize, ParseSizeError};
pub use text::{edits, is_hex};
pub use workflow_command::{CommandMessage, CommandProperty};
