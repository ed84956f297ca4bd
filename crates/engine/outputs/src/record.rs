//! What is known of an output: its bytes, and what is behind them.
