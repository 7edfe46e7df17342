//! Pure functions on texts and lists, without dependencies on other modules.

pub mod assignments;
pub mod calendar;
pub mod escape;
pub mod expansion;
pub mod gather;
pub mod glob;
pub mod io_error;
pub mod json;
pub mod redact;
pub mod regex;
pub mod shell_words;
pub mod sort;
pub mod suggest;
pub(crate) mod template;
pub mod timestamp;
pub mod units;
pub mod words;
