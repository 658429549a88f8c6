//! placeholder

pub mod listen;
