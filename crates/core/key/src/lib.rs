//! What an invocation is and which inputs its key holds; pure.
