//! Real paths in the debug information of programs.
