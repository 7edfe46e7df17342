//! Parses files with one `word value` pair per line: proc_pid_status(5), proc_meminfo(5), `memory.events`. Pure.

/// Returns the value after a word at the start of a line; the word includes its colon.
#[must_use]
pub fn field<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    text.lines().find_map(|line| line.strip_prefix(word)).map(str::trim)
}

/// Like [`field`], as a number; ignores a unit after a space.
#[must_use]
pub fn number(text: &str, word: &str, radix: u32) -> Option<u64> {
    u64::from_str_radix(field(text, word)?.split(' ').next()?, radix).ok()
}

/// Returns the number of CPUs that a process may run on, from /proc/PID/status; `None` if not listed.
#[must_use]
pub fn processors(status: &str) -> Option<u64> {
    // A hexadecimal mask in comma-separated groups of eight digits.
    let digits = field(status, "Cpus_allowed:")?.chars().filter_map(|c| c.to_digit(16));
    Some(digits.map(|digit| u64::from(digit.count_ones())).sum()).filter(|count| *count > 0)
}

/// Returns the machine's memory in bytes, from /proc/meminfo, which counts in KiB.
#[must_use]
pub fn installed_memory(meminfo: &str) -> Option<u64> {
    number(meminfo, "MemTotal:", 10)?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::super::status::*;

    #[test]
    fn words_are_found_whole_and_at_the_beginning() {
        let text = "Name:\tSeccomp: 7\nSeccomp:\t2\nSeccomp_filters:\t1\nCapEff:\t00000000a80405fb\nEmpty:\n";
        assert_eq!(number(text, "Seccomp:", 10), Some(2));
        assert_eq!(number(text, "CapEff:", 16), Some(0xa804_05fb));
        assert_eq!((field(text, "Empty:"), number(text, "Empty:", 10)), (Some(""), None));
        assert_eq!((field(text, "None:"), number(text, "Name:", 10)), (None, None));
    }

    #[test]
    fn processors_are_counted_in_any_mask() {
        for (mask, want) in [("3", Some(2)), ("f,00000001", Some(5)), ("0", None), ("", None), ("x", None)] {
            assert_eq!(processors(&format!("Cpus_allowed:\t{mask}\n")), want, "{mask}");
        }
        assert_eq!(processors("Cpus_allowed_list:\t0-1\n"), None);
    }

    #[test]
    fn memory_is_told_in_bytes() {
        assert_eq!(installed_memory("MemTotal:        2097152 kB\nMemFree: 1 kB\n"), Some(2 << 30));
        assert_eq!(installed_memory(&format!("MemTotal: {} kB\n", u64::MAX)), None);
    }
}
