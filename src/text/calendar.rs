//! Dates of the Gregorian calendar, by Howard Hinnant's algorithms (years that start in March).

/// A date.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Date {
    /// The year.
    pub year: i64,
    /// The month, 1 to 12.
    pub month: u32,
    /// The day of the month, 1 to 31.
    pub day: u32,
}

/// Converts days since 1970-01-01 to a date.
#[must_use]
pub fn date(days: i64) -> Date {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march = (5 * of_year + 2) / 153;
    let month = if march < 10 { march + 3 } else { march - 9 };
    Date {
        year: year + era * 400 + i64::from(month <= 2),
        month: u32::try_from(month).unwrap_or(1),
        day: u32::try_from(of_year - (153 * march + 2) / 5 + 1).unwrap_or(1),
    }
}

/// Converts a date to days since 1970-01-01. A month of 13 is the next year's first.
#[must_use]
pub fn days(year: i64, month: u32, day: u32) -> i64 {
    let (year, month) = if month > 12 { (year + 1, month - 12) } else { (year, month) };
    let year = year - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let march = i64::from(if month > 2 { month - 3 } else { month + 9 });
    let of_year = (153 * march + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Returns the day of the week of a day since 1970-01-01: 0 is Sunday.
#[must_use]
pub fn weekday(days: i64) -> u32 {
    u32::try_from((days + 4).rem_euclid(7)).unwrap_or(0)
}

/// Formats a local time with its offset from UTC, both in seconds: `2026-11-29T22:19:00+01:00` (RFC 3339).
#[must_use]
pub fn rfc3339_local(at: i64, offset: i32) -> String {
    let local = at + i64::from(offset);
    let Date { year, month, day } = date(local.div_euclid(86_400));
    let minute = local.div_euclid(60).rem_euclid(1440);
    let sign = if offset < 0 { '-' } else { '+' };
    let away = offset.unsigned_abs() / 60;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}{sign}{:02}:{:02}",
        minute / 60,
        minute % 60,
        local.rem_euclid(60),
        away / 60,
        away % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_each_others_inverse() {
        let mut before = date(-800_000);
        for day in -799_999..800_000 {
            let found = date(day);
            assert!(found > before, "{found:?} after {before:?}");
            assert_eq!(days(found.year, found.month, found.day), day);
            before = found;
        }
        assert_eq!(days(1970, 1, 1), 0);
        assert_eq!(days(2025, 13, 1), days(2026, 1, 1));
        assert_eq!(date(11_016), Date { year: 2000, month: 2, day: 29 });
        assert_eq!(weekday(0), 4, "1970-01-01 was a Thursday");
        assert_eq!(weekday(-4), 0);
    }

    #[test]
    fn a_local_time_has_its_offset() {
        assert_eq!(rfc3339_local(1_796_000_000, 3600), "2026-11-30T01:53:20+01:00");
        assert_eq!(rfc3339_local(0, -12_600), "1969-12-31T20:30:00-03:30");
    }
}
