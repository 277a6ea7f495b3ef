//! The agent from outside: as a whole in this process, and as a process that is killed.

#![allow(clippy::unwrap_used)] // helpers of tests, outside the functions that the lint knows as tests

mod collector;
mod delivery;
mod kill;
