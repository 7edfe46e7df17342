//! How rinit is asked and told from outside: the socket, its protocol (`docs/control.md`), and the client, rinitctl.

pub mod ctl;
