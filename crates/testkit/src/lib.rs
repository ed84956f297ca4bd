//! Fixtures for tests; never shipped.
