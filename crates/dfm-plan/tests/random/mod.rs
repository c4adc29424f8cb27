//! Random pipelines, and two ways to run them.

pub mod engines;
pub mod pipelines;
pub mod reference;
pub mod value;
