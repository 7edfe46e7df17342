//! rinit as real processes, one subject a file: each test is a small set-up and what must come of it.
//!
//! One binary, for the harness is linked once; [`harness`] hides the plumbing.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that meets the unexpected is to stop, loudly"
)]

mod harness;

mod blocked_looks;
mod checks;
mod clients;
mod command;
mod compliance;
mod conditions;
mod config;
mod configs;
mod configs_migration;
mod control;
mod dead_links;
mod diagnosis;
mod dropin;
mod early_ends;
mod endings;
mod ensure;
mod ensure_attack;
mod ensure_from;
mod ensure_migration;
mod ensure_rights;
mod exec_privileges;
mod export_env;
mod foreground;
mod foreign_words;
mod gates;
mod given;
mod graces;
mod hangs;
mod hard_times;
mod health;
mod hooks;
mod http_bodies;
mod init;
mod kill_modes;
mod log_files;
mod log_lines;
mod logs;
mod main_migration;
mod main_service;
mod nested;
mod notify;
mod order;
mod other_inits;
mod own_lines;
mod prepare_review;
mod probe_output;
mod profiles;
mod quiet;
mod races;
mod reaching;
mod reload;
mod remedies;
mod replicas;
mod report;
mod resolver;
mod restarts;
mod rights;
mod rinitctl;
mod rolling;
mod scenarios;
mod schedule;
mod second_start;
mod service_hooks;
mod service_signals;
mod signals;
mod soak;
mod sockets;
mod stack_examples;
mod standing_still;
mod start_up_examples;
mod stops;
mod strange_kernels;
mod supervisor_migration;
mod terminals;
mod unreachable;
mod unread;
mod waits;
mod web_examples;
mod weight;
mod who;
mod wrong_usage;
