//! Pingora's phases, each a short file that asks `decide` and does what it says.
//!
//! Must never: decide by itself who gets in, or add a protected header outside `headers`.
