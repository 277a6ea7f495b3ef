//! Black-box tests: the real programs, real files, real sockets. One binary, so that it is linked once.

mod bad_input;
mod client_doors;
mod command_line;
mod crash;
mod demo;
mod doors;
mod faults;
mod flow_exporters;
mod foreign_doors;
mod full_disk;
mod import;
mod indicators;
mod ledger;
mod memory;
mod real_data;
mod retro_hunt;
mod rule_review;
mod rule_tune;
mod samples;
mod snmp_door;
mod syslog_doors;
mod tls_doors;
mod traffic_files;
mod yara;
