//! The five fields of a cron line as bit sets, and the search for the next minute that they name. All times are local
//! minutes: minutes since 1970-01-01 00:00 of the zone's own clock.

use crate::text::calendar;
use crate::text::template::fill;

/// The times at which a job runs, as Vixie cron reads them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CronLine {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether the day of the month or the day of the week begins with `*`: then both must fit, else one of them.
    both_days: bool,
    /// Whether the minute or the hour begins with `*`: such a job follows the clock, any other means certain times.
    pub is_wildcard: bool,
}

struct Field {
    name: &'static str,
    low: u32,
    high: u32,
    /// Names of three letters each, in order from `low`.
    names: &'static str,
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", low: 0, high: 59, names: "" },
    Field { name: "hour", low: 0, high: 23, names: "" },
    Field { name: "day of the month", low: 1, high: 31, names: "" },
    Field { name: "month", low: 1, high: 12, names: "janfebmaraprmayjunjulaugsepoctnovdec" },
    Field { name: "day of the week", low: 0, high: 7, names: "sunmontuewedthufrisat" },
];

/// Words for whole lines.
const NICKNAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

const FORM: &str =
    "five fields, \"MINUTE HOUR DAY MONTH WEEKDAY\", such as \"30 2 * * mon-fri\", or \"@daily\"";

/// After so many days the calendar repeats: what has no date in them has none.
const CYCLE: i64 = 146_097;

const MINUTES_A_DAY: i64 = 1440;

impl CronLine {
    /// Reads a line. The error says what was found and what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text == "@reboot" {
            return Err("a service without a schedule starts with the container; drop the key".into());
        }
        let known = NICKNAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        let line = known.map_or(text, |(_, line)| line);
        let mut words = line.split_ascii_whitespace();
        let mut sets = [0_u64; 5];
        let mut stars = [false; 5];
        for ((field, set), star) in FIELDS.iter().zip(&mut sets).zip(&mut stars) {
            let Some(word) = words.next() else { return Err(fill!("expected {}", FORM)) };
            *star = word.starts_with('*');
            for part in word.split(',') {
                *set |= range(field, part).map_err(|why| fill!("{} \"{}\": {}", field.name, part, why))?;
            }
        }
        if words.next().is_some() {
            return Err(fill!(
                "found more than five fields; expected {}; there are no seconds and no years",
                FORM
            ));
        }
        let [minutes, hours, days, months, weekdays] = sets;
        let [minute_star, hour_star, day_star, _, weekday_star] = stars;
        let line = Self {
            minutes,
            hours,
            days,
            months,
            // Sunday is 0 and 7.
            weekdays: weekdays | weekdays >> 7,
            both_days: day_star || weekday_star,
            is_wildcard: minute_star || hour_star,
        };
        match line.next(0) {
            Some(_) => Ok(line),
            None => Err("no month has that day, so that it would never run".into()),
        }
    }

    /// Returns whether it names this minute.
    #[must_use]
    pub fn matches(&self, minute: i64) -> bool {
        self.next_of_day(minute.rem_euclid(MINUTES_A_DAY)) == Some(minute.rem_euclid(MINUTES_A_DAY))
            && self.is_day(minute.div_euclid(MINUTES_A_DAY))
    }

    /// Returns the first minute, from this one on, that it names.
    #[must_use]
    pub fn next(&self, from: i64) -> Option<i64> {
        let first = from.div_euclid(MINUTES_A_DAY);
        let (mut day, mut least) = (first, from.rem_euclid(MINUTES_A_DAY));
        while day <= first + CYCLE {
            let date = calendar::date(day);
            if !has(self.months, date.month) {
                day = calendar::days(date.year, date.month + 1, 1);
            } else {
                if self.is_day(day)
                    && let Some(minute) = self.next_of_day(least)
                {
                    return Some(day * MINUTES_A_DAY + minute);
                }
                day += 1;
            }
            least = 0;
        }
        None
    }

    /// Returns the first minute of a day, from this one on.
    fn next_of_day(&self, least: i64) -> Option<i64> {
        let (hour, minute) = (least / 60, least % 60);
        let first = |set: u64, from: i64| {
            let left = set & u64::MAX.checked_shl(u32::try_from(from).unwrap_or(64)).unwrap_or(0);
            (left != 0).then(|| i64::from(left.trailing_zeros()))
        };
        if self.hours >> hour & 1 == 1
            && let Some(minute) = first(self.minutes, minute)
        {
            return Some(hour * 60 + minute);
        }
        Some(first(self.hours, hour + 1)? * 60 + first(self.minutes, 0)?)
    }

    fn is_day(&self, day: i64) -> bool {
        let date = calendar::date(day);
        let of_month = has(self.days, date.day);
        let of_week = has(self.weekdays, calendar::weekday(day));
        let fits = if self.both_days { of_month && of_week } else { of_month || of_week };
        fits && has(self.months, date.month)
    }

    /// Returns the shortest time between two of its minutes, of those that come soon.
    #[must_use]
    pub fn shortest_gap(&self) -> i64 {
        let (mut at, mut gap) = (self.next(0).unwrap_or(0), i64::MAX);
        // More than a day's minutes may be named; the pattern of a day shows in as many.
        for _ in 0..=MINUTES_A_DAY {
            let Some(next) = self.next(at + 1) else { break };
            gap = gap.min(next - at);
            at = next;
        }
        gap
    }
}

fn has(set: u64, number: u32) -> bool {
    set >> number & 1 == 1
}

/// Reads `*`, `N`, `N-M`, each perhaps with `/STEP`, as a set.
fn range(field: &Field, part: &str) -> Result<u64, String> {
    let (span, step) = match part.split_once('/') {
        Some((span, step)) => (span, Some(step)),
        None => (part, None),
    };
    let (low, high) = match span.split_once('-') {
        // Of the two Sundays one.
        _ if span == "*" => (field.low, if field.high == 7 { 6 } else { field.high }),
        Some((low, high)) => {
            let (low, high) = (value(field, low)?, value(field, high)?);
            // Sunday ends a week too.
            (low, if field.high == 7 && high == 0 && low > 0 { 7 } else { high })
        }
        None if step.is_some() => {
            return Err(fill!(
                "a step counts within a range; write \"*/N\" or \"{}-{}/N\"",
                span,
                field.high.to_string()
            ));
        }
        None => {
            let only = value(field, span)?;
            (only, only)
        }
    };
    if low > high {
        return Err("the range ends before it begins; write two ranges, with a comma".into());
    }
    let step = match step {
        None => 1,
        Some(step) => match step.parse::<u32>() {
            Ok(step @ 1..) if step <= field.high - field.low => step,
            _ => return Err(fill!("expected a step from 1 to {}", (field.high - field.low).to_string())),
        },
    };
    let mut set = 0;
    let mut at = low;
    while at <= high {
        set |= 1 << at;
        at += step;
    }
    Ok(set)
}

fn value(field: &Field, text: &str) -> Result<u32, String> {
    let named = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    let lower = text.to_ascii_lowercase();
    let name =
        named.then(|| field.names.as_bytes().chunks(3).position(|name| name == lower.as_bytes())).flatten();
    let number = match name {
        Some(at) => u32::try_from(at).ok().map(|at| at + field.low),
        None if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        None => None,
    };
    number.filter(|number| (field.low..=field.high).contains(number)).ok_or_else(|| {
        let or = match field.names.get(..3) {
            Some(name) => fill!(" or a name such as \"{}\"", name),
            None => String::new(),
        };
        fill!("expected a number from {} to {}{}", field.low.to_string(), field.high.to_string(), or)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::calendar::{Date, date, days, weekday};

    /// Returns the local minute of `YEAR-MONTH-DAY HOUR:MINUTE`.
    fn at(text: &str) -> i64 {
        let numbers: Vec<i64> = text.split(['-', ' ', ':']).map(|part| part.parse().expect(text)).collect();
        let [year, month, day, hour, minute] = numbers[..] else { panic!("{text}") };
        let number = |number: i64| u32::try_from(number).expect("a number");
        days(year, number(month), number(day)) * MINUTES_A_DAY + hour * 60 + minute
    }

    fn shown(minute: i64) -> String {
        let Date { year, month, day } = date(minute.div_euclid(MINUTES_A_DAY));
        let minute = minute.rem_euclid(MINUTES_A_DAY);
        format!("{year}-{month:02}-{day:02} {:02}:{:02}", minute / 60, minute % 60)
    }

    #[test]
    fn the_next_minutes_are_those_of_other_crons() {
        for (line, from, want) in [
            ("* * * * *", "2026-11-30 02:24", &["2026-11-30 02:24", "2026-11-30 02:25"][..]),
            ("*/15 * * * *", "2026-12-31 23:46", &["2027-01-01 00:00", "2027-01-01 00:15"]),
            (
                "*/23 * * * *",
                "2026-01-01 00:01",
                &["2026-01-01 00:23", "2026-01-01 00:46", "2026-01-01 01:00"],
            ),
            ("30 2 * * *", "2026-03-29 02:31", &["2026-03-30 02:30"]),
            ("0 0 29 2 *", "2025-01-01 00:00", &["2028-02-29 00:00", "2032-02-29 00:00"]),
            ("0 0 29 2 *", "2096-03-01 00:00", &["2104-02-29 00:00"]),
            ("0 0 31 * *", "2026-02-01 00:00", &["2026-03-31 00:00", "2026-05-31 00:00"]),
            // Day of the month or day of the week; with `*` both.
            (
                "0 0 1,15 * sun",
                "2026-11-01 00:00",
                &["2026-11-01 00:00", "2026-11-08 00:00", "2026-11-15 00:00"],
            ),
            ("0 0 13 * 5", "2026-11-01 00:00", &["2026-11-06 00:00", "2026-11-13 00:00", "2026-11-20 00:00"]),
            (
                "0 0 */2 * sun",
                "2026-11-01 00:00",
                &["2026-11-01 00:00", "2026-11-15 00:00", "2026-11-29 00:00"],
            ),
            ("0 0 29 2 */7", "2026-01-01 00:00", &["2032-02-29 00:00", "2060-02-29 00:00"]),
            ("5 4 * * 7", "2026-11-30 00:00", &["2026-12-06 04:05"]),
            (
                "5 4 * * fri-sun",
                "2026-11-30 00:00",
                &["2026-12-04 04:05", "2026-12-05 04:05", "2026-12-06 04:05"],
            ),
            ("0 8-18/5 * JAN,Dec mon-fri", "2026-11-30 00:00", &["2026-12-01 08:00", "2026-12-01 13:00"]),
            ("59 23 31 12 *", "2026-12-31 23:59", &["2026-12-31 23:59", "2027-12-31 23:59"]),
            ("@hourly", "2026-11-30 00:01", &["2026-11-30 01:00"]),
            ("@weekly", "2026-11-30 00:01", &["2026-12-06 00:00"]),
            ("@yearly", "2026-11-30 00:01", &["2027-01-01 00:00"]),
        ] {
            let cron = CronLine::parse(line).expect(line);
            let mut from = at(from);
            for want in want {
                from = cron.next(from).expect(line);
                assert_eq!(shown(from), *want, "{line}");
                assert!(cron.matches(from));
                from += 1;
            }
        }
    }

    /// The numbers that a field names, read as simply as can be.
    fn numbers(field: &str, low: u32) -> Vec<bool> {
        let names = |number: u32| {
            field.split(',').any(|part| {
                let (span, step) = part.split_once('/').unwrap_or((part, "1"));
                let (low, high) = match span.split_once('-') {
                    Some((low, high)) => (low.parse().expect(field), high.parse().expect(field)),
                    None if span == "*" => (low, 99),
                    None => (span.parse().expect(field), span.parse().expect(field)),
                };
                (low..=high).contains(&number) && (number - low).is_multiple_of(step.parse().expect(field))
            })
        };
        (0..100).map(names).collect()
    }

    #[test]
    fn the_search_finds_what_a_look_at_each_minute_finds() {
        const DAYS: i64 = 66;
        let minutes = ["*", "*/7", "0", "59", "3,30-40/4"];
        let hours = ["*", "*/5", "0", "23", "1-3,22"];
        let days = ["*", "*/10", "31", "1,15,30"];
        let months = ["*", "2", "1-12/3"];
        let weekdays = ["*", "0", "1-5", "*/2"];
        let start = at("2027-12-30 20:00");
        let mut seed = 7_usize;
        for _ in 0..60 {
            let mut one = |of: &[&'static str]| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                of[(seed >> 33) % of.len()]
            };
            let fields = [one(&minutes), one(&hours), one(&days), one(&months), one(&weekdays)];
            let line = fields.join(" ");
            let Ok(cron) = CronLine::parse(&line) else { continue };
            let sets: Vec<Vec<bool>> =
                fields.iter().zip([0, 0, 1, 1, 0]).map(|(f, low)| numbers(f, low)).collect();
            let both = fields[2].starts_with('*') || fields[4].starts_with('*');
            let mut slow = Vec::new();
            for day in start.div_euclid(MINUTES_A_DAY)..start.div_euclid(MINUTES_A_DAY) + DAYS {
                let date = date(day);
                let (of_month, of_week) = (sets[2][date.day as usize], sets[4][weekday(day) as usize]);
                let fits = if both { of_month && of_week } else { of_month || of_week };
                if !(fits && sets[3][date.month as usize]) {
                    continue;
                }
                let minutes = (0..1440).filter(|minute| sets[0][minute % 60] && sets[1][minute / 60]);
                slow.extend(
                    minutes.map(|minute| day * MINUTES_A_DAY + i64::try_from(minute).expect("a minute")),
                );
            }
            slow.retain(|minute| *minute >= start);
            let mut fast = Vec::new();
            let mut from = start;
            let end = (start.div_euclid(MINUTES_A_DAY) + DAYS) * MINUTES_A_DAY;
            while let Some(next) = cron.next(from).filter(|next| *next < end) {
                fast.push(next);
                from = next + 1;
            }
            assert_eq!(fast, slow, "{line}");
        }
    }

    #[test]
    fn what_is_no_line_is_refused_with_a_reason() {
        for (line, why) in [
            ("", "expected five fields"),
            ("* * * *", "expected five fields"),
            ("0 * * * * *", "more than five fields"),
            ("60 * * * *", "minute \"60\": expected a number from 0 to 59"),
            ("* 24 * * *", "hour \"24\": expected a number from 0 to 23"),
            ("* * 0 * *", "day of the month \"0\": expected a number from 1 to 31"),
            ("* * * 13 *", "month \"13\": expected a number from 1 to 12 or a name such as \"jan\""),
            ("* * * * 8", "day of the week \"8\": expected a number from 0 to 7 or a name such as \"sun\""),
            ("*/0 * * * *", "expected a step from 1 to 59"),
            ("*/60 * * * *", "expected a step from 1 to 59"),
            ("5/15 * * * *", "write \"*/N\" or \"5-59/N\""),
            ("10-5 * * * *", "ends before it begins"),
            ("1,,2 * * * *", "minute \"\": expected a number"),
            ("-1 * * * *", "expected a number"),
            ("+1 * * * *", "expected a number"),
            ("99999999999 * * * *", "expected a number"),
            ("* * L * *", "expected a number"),
            ("0 0 ? * *", "expected a number"),
            ("é * * * *", "expected a number"),
            ("0 0 31 2 *", "no month has that day"),
            ("0 0 30 2 *", "no month has that day"),
            ("0 0 31 4,6,9,11 *", "no month has that day"),
            ("@reboot", "without a schedule"),
            ("@often", "expected"),
        ] {
            let found = CronLine::parse(line).expect_err(line);
            assert!(found.contains(why), "{line}: {found}");
        }
        // One of the two days is enough.
        assert!(CronLine::parse("0 0 31 2 mon").is_ok());
    }

    #[test]
    fn the_gap_is_the_shortest() {
        for (line, gap) in [
            ("* * * * *", 1),
            ("*/7 * * * *", 4),
            ("0 3 * * *", 1440),
            ("0 0 29 2 *", 1461 * 1440),
            ("0,50 * * * *", 10),
        ] {
            assert_eq!(CronLine::parse(line).expect(line).shortest_gap(), gap, "{line}");
        }
    }
}
