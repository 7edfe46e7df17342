//! Formats timestamps (RFC 3339, UTC).

use super::calendar::{Date, date};

/// Formats `2026-11-29T21:19:23.123456Z` into 27 bytes.
#[must_use]
pub fn rfc3339(seconds: u64, nanoseconds: u32) -> [u8; 27] {
    let mut out = *b"0000-00-00T00:00:00.000000Z";
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    let Date { year, month, day } = date(i64::try_from(days).unwrap_or(0));
    let year = u64::try_from(year).unwrap_or(0);
    let fields = [
        (0, 4, year),
        (5, 2, month.into()),
        (8, 2, day.into()),
        (11, 2, time / 3600),
        (14, 2, time / 60 % 60),
        (17, 2, time % 60),
        (20, 6, u64::from(nanoseconds / 1000)),
    ];
    for (from, digits, mut value) in fields {
        for place in out.iter_mut().skip(from).take(digits).rev() {
            *place = b'0' + u8::try_from(value % 10).unwrap_or(0);
            value /= 10;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (seconds, want) in [
            (0, "1970-01-01T00:00:00.000001Z"),
            (951_782_400, "2000-02-29T00:00:00.000001Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000001Z"),
            (1_796_000_000, "2026-11-30T00:53:20.000001Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000001Z"),
        ] {
            assert_eq!(std::str::from_utf8(&rfc3339(seconds, 1999)), Ok(want));
        }
    }
}
