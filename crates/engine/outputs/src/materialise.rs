//! Putting the bytes in a placeholder's place.
