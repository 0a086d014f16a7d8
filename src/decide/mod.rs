//! The decision core: plain data in, one `Decision` out.
//!
//! Must never: do I/O, know Pingora, read a clock, or look at anything that is not an argument.
