//! Integration tests of this crate, one module per matter.

mod access;
mod admin;
mod administration;
mod config;
mod conformance;
mod damage;
mod export;
mod hostile;
mod import;
mod import_from;
mod listen;
mod logs;
mod reload;
mod restart;
mod service_manager;
mod start;
mod stop;

mod certificates;
mod other_server;
mod program;
mod raw_http;
mod running;
