//! The console as a client sees it: requests in, answers out, without a network.

mod access;
mod alerts;
mod description;
mod events;
mod ledger;
mod machines;
mod sign_in;
mod support;
mod tail;
