//! Whose fault an error is.

/// Every error is one of these three, and says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// What the user gave is wrong: arguments, configuration, a file they named.
    User,
    /// The machine is not as needed: a missing program, a full disk, no permission.
    Environment,
    /// A mistake of Rekindle's own.
    Bug,
}

impl ErrorKind {
    /// The exit code of a Rekindle command that ends with such an error. A child's own code passes
    /// through instead, whatever it is.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::User => 2,
            Self::Environment => 3,
            Self::Bug => 70,
        }
    }
}
