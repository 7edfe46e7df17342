//! Parses small texts: numbers, durations, sizes.

use std::time::Duration;

/// A number with its source text, which messages show.
#[derive(Clone, PartialEq, Debug)]
pub struct Number {
    /// Accurate enough for comparisons: beyond 15 digits the last ones may be off.
    pub value: f64,
    /// As written.
    pub text: String,
}

/// Parses a finite decimal number: `-1.5`, `1e3`.
pub fn number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (digits, exponent) = match digits.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse().ok()?),
        None => (digits, 0i32),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && part.is_empty() {
        return None;
    }
    let mut value = 0f64;
    for digit in whole.chars().chain(part.chars()) {
        value = value * 10.0 + f64::from(digit.to_digit(10)?);
    }
    // Powers up to 22 are exact, so the single division rounds correctly.
    let shift = exponent.saturating_sub(i32::try_from(part.len()).ok()?);
    let power = 10f64.powi(shift.saturating_abs());
    value = if shift < 0 { value / power } else { value * power };
    if text.starts_with('-') {
        value = -value;
    }
    value.is_finite().then(|| Number { value, text: text.to_string() })
}

/// Parses a duration with units, as in Compose and systemd: `500ms`, `1m30s`, `1.5s`, `0s`.
pub fn duration(text: &str) -> Result<Duration, String> {
    const EXPECTED: &str = "a duration with its unit, such as \"500ms\", \"10s\" or \"1m30s\"";
    /// The range of 64-bit microseconds.
    const MAX_SECONDS: f64 = 1.8e19;
    let mut total = 0f64;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(format!("expected {EXPECTED}"));
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| c.is_ascii_digit() || c.is_whitespace()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let Number { value, text } = self::number(number).ok_or_else(|| format!("expected {EXPECTED}"))?;
        let scale = match unit {
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" | "sec" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            "d" => 86400.0,
            "" => return Err(format!("the number {text} has no unit; expected {EXPECTED}")),
            other => return Err(format!("unknown unit \"{other}\"; expected {EXPECTED}")),
        };
        total += value * scale;
        rest = tail.trim_start();
    }
    // Rounded to microseconds: 0.1 has no exact float.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "is in range")]
    match total * 1e6 + 0.5 {
        micros if micros < MAX_SECONDS => Ok(Duration::from_micros(micros as u64)),
        _ => Err(format!("too long; expected {EXPECTED}")),
    }
}

/// Formats a duration; the inverse of [`duration`], to the millisecond.
#[must_use]
pub fn show_duration(span: Duration) -> String {
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    if millis < 1000 {
        return format!("{millis}ms");
    }
    if millis < 60_000 {
        let tenths = millis / 100;
        return if tenths.is_multiple_of(10) {
            format!("{}s", tenths / 10)
        } else {
            format!("{}.{}s", tenths / 10, tenths % 10)
        };
    }
    let seconds = millis / 1000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut shown = String::new();
    for (number, unit) in [(hours, "h"), (minutes, "m"), (seconds, "s")] {
        if number > 0 {
            shown.push_str(&format!("{number}{unit}"));
        }
    }
    shown
}

/// Parses a size in bytes: `64MiB`, `64M` and `64m` (powers of 1024, as in Docker), `64MB` (powers of 1000), `512`.
pub fn size(text: &str) -> Result<u64, String> {
    const EXPECTED: &str = "expected a size such as \"64MiB\", \"1G\" or \"512\"";
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| EXPECTED.to_string())?;
    let unit = unit.trim().to_ascii_lowercase();
    let (prefix, base) = match unit.as_str() {
        "" | "b" => ("", 1024u64),
        unit => match (unit.strip_suffix("ib"), unit.strip_suffix('b')) {
            (Some(prefix), _) => (prefix, 1024),
            (None, Some(prefix)) => (prefix, 1000),
            (None, None) => (unit, 1024),
        },
    };
    let power = match prefix {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        other => return Err(format!("unknown unit \"{other}\"; {EXPECTED}")),
    };
    base.checked_pow(power)
        .and_then(|scale| number.checked_mul(scale))
        .ok_or_else(|| format!("too large; {EXPECTED}"))
}

/// Formats a limit as for `docker run --ulimit`: -1 for unlimited.
#[must_use]
pub fn show_ulimit(limit: u64) -> String {
    if limit == u64::MAX { "-1".into() } else { limit.to_string() }
}

/// Formats a size.
#[must_use]
pub fn show_size(bytes: u64) -> String {
    for (unit, shift) in [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)] {
        let scale = 1u64 << shift;
        if bytes >= scale {
            let tenths = (bytes >> shift) * 10 + (((bytes & (scale - 1)) * 10) >> shift);
            return if tenths.is_multiple_of(10) {
                format!("{} {unit}", tenths / 10)
            } else {
                format!("{}.{} {unit}", tenths / 10, tenths % 10)
            };
        }
    }
    format!("{bytes} bytes")
}

#[cfg(test)]
mod tests {
    use super::super::units::*;

    #[test]
    fn numbers_are_read_to_the_last_digit() {
        for text in ["0", "-1.5", "+3", "1e3", "0.1", ".5", "5.", "1.25E-2", "123456789.012345", "-0.3e-20"] {
            assert_eq!(number(text).expect(text).value, text.parse::<f64>().expect(text), "{text}");
        }
        for text in ["", ".", "-", "e5", "1e", "inf", "nan", "1_0", "0x1", "1e999", "--1", " 1"] {
            assert_eq!(number(text), None, "{text}");
        }
        assert_eq!(number("1e-999999999999"), None);
        assert_eq!(number("1e-2147483648").expect("tiny").value, 0.0);
    }

    #[test]
    fn durations_mean_what_they_say() {
        for (text, millis) in [
            ("500ms", 500),
            ("1.5s", 1500),
            ("1m30s", 90_000),
            ("0s", 0),
            ("2h", 7_200_000),
            ("1m 5s", 65_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "5", "s", "5 parsecs", "-1s", "1s2", "1..2s", "9999999999999999999999999d"] {
            assert!(duration(text).is_err(), "{text}");
        }
        for (millis, text) in
            [(5, "5ms"), (2100, "2.1s"), (10_000, "10s"), (90_000, "1m30s"), (3_600_000, "1h")]
        {
            assert_eq!(show_duration(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn sizes_mean_what_docker_means() {
        for (text, bytes) in
            [("512", 512), ("64MiB", 64 << 20), ("64m", 64 << 20), ("1kB", 1000), ("1G", 1 << 30), ("3b", 3)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "1X", "-1", "99999999999T"] {
            assert!(size(text).is_err(), "{text}");
        }
        assert_eq!(show_size(64 << 20), "64 MiB");
        assert_eq!(show_size(1536), "1.5 KiB");
    }
}
