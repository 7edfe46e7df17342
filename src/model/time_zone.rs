//! How far the clocks of a place are from UTC, and when that changes: from a TZif file (RFC 9636) or a POSIX `TZ` text.

use crate::text::calendar;

/// A time zone. All times are in seconds since 1970-01-01 UTC, all offsets in seconds east of UTC.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TimeZone {
    /// The offset before the first change.
    first: i32,
    /// When the offset becomes what; in order of time.
    changes: Box<[(i64, i32)]>,
    /// What holds after the last change.
    rule: Option<PosixZone>,
}

/// A POSIX `TZ` text: `CET-1CEST,M3.5.0,M10.5.0/3`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct PosixZone {
    standard: i32,
    daylight: Option<Daylight>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Daylight {
    offset: i32,
    start: ChangeRule,
    end: ChangeRule,
}

/// On which day of each year, and how many seconds after its midnight.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct ChangeRule {
    day: ChangeDay,
    time: i32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ChangeDay {
    /// `Jn`, 1 to 365: 29 February is not counted.
    Julian(u32),
    /// `n`, 0 to 365.
    Plain(u32),
    /// `Mm.w.d`: the w-th weekday d of month m; w = 5 is the last.
    Month { month: u32, week: u32, weekday: u32 },
}

/// Changes before 2020 are of no use to a schedule.
const FORGOTTEN: i64 = 1_577_836_800;

const DAY: i64 = 86_400;

impl TimeZone {
    /// Returns the offset at a time.
    #[must_use]
    pub fn offset(&self, at: i64) -> i32 {
        let past = self.changes.partition_point(|(change, _)| *change <= at);
        match (&self.rule, past.checked_sub(1).and_then(|last| self.changes.get(last))) {
            (Some(rule), _) if past == self.changes.len() => rule.offset(at),
            (_, Some((_, offset))) => *offset,
            (_, None) => self.first,
        }
    }

    /// Returns when the offset may change next.
    #[must_use]
    pub fn next_change(&self, at: i64) -> Option<i64> {
        let past = self.changes.partition_point(|(change, _)| *change <= at);
        match self.changes.get(past) {
            Some((change, _)) => Some(*change),
            None => self.rule?.next_change(at),
        }
    }

    /// Reads a POSIX `TZ` text.
    #[must_use]
    pub fn posix(text: &str) -> Option<Self> {
        let rule = posix(text.as_bytes())?;
        Some(Self { first: rule.standard, changes: Box::default(), rule: Some(rule) })
    }

    /// Reads a TZif file of version 2 or later.
    #[must_use]
    pub fn file(bytes: &[u8]) -> Option<Self> {
        let (old, rest) = header(bytes)?;
        let (counts, rest) = header(rest.get(old.length(4)?..)?)?;
        let data = rest.get(..counts.length(8)?)?;
        let footer = rest.get(counts.length(8)?..)?;
        let (times, data) = data.split_at_checked(counts.times * 8)?;
        let (kinds, data) = data.split_at_checked(counts.times)?;
        let types = data.get(..counts.types * 6)?;
        let offset = |kind: usize| -> Option<i32> {
            let bytes = types.get(kind * 6..kind * 6 + 4)?.try_into().ok()?;
            Some(i32::from_be_bytes(bytes)).filter(|offset| offset.unsigned_abs() < 26 * 3600)
        };
        let mut zone = Self { first: offset(0)?, ..Self::default() };
        let mut changes = Vec::new();
        let mut before = i64::MIN;
        for (time, kind) in times.chunks_exact(8).zip(kinds) {
            let at = i64::from_be_bytes(time.try_into().ok()?);
            let offset = offset(usize::from(*kind))?;
            if at <= before {
                return None;
            }
            before = at;
            if at < FORGOTTEN {
                zone.first = offset;
            } else {
                changes.push((at, offset));
            }
        }
        zone.changes = changes.into();
        let text = footer.strip_prefix(b"\n")?.split(|byte| *byte == b'\n').next()?;
        zone.rule = if text.is_empty() { None } else { Some(posix(text)?) };
        Some(zone)
    }
}

/// The counts of a TZif header.
struct Counts {
    ut: usize,
    standard: usize,
    times: usize,
    types: usize,
    letters: usize,
}

impl Counts {
    /// Returns how long the data is, with times of so many bytes.
    fn length(&self, time: usize) -> Option<usize> {
        self.times.checked_mul(time + 1)?.checked_add(
            self.types
                .checked_mul(6)?
                .checked_add(self.letters)?
                .checked_add(self.standard)?
                .checked_add(self.ut)?,
        )
    }
}

/// Reads a TZif header and returns what follows it.
fn header(bytes: &[u8]) -> Option<(Counts, &[u8])> {
    let (head, rest) = bytes.split_at_checked(44)?;
    let count = |at: usize| {
        let bytes = head.get(20 + 4 * at..24 + 4 * at)?.try_into().ok()?;
        usize::try_from(u32::from_be_bytes(bytes)).ok()
    };
    // With leap seconds (`right/…`) its times are not those of the system clock.
    let known = head.starts_with(b"TZif") && *head.get(4)? >= b'2' && count(2)? == 0;
    let counts =
        Counts { ut: count(0)?, standard: count(1)?, times: count(3)?, types: count(4)?, letters: count(5)? };
    known.then_some((counts, rest))
}

impl PosixZone {
    fn offset(&self, at: i64) -> i32 {
        let Some(daylight) = self.daylight else { return self.standard };
        let year = calendar::date((at + i64::from(self.standard)).div_euclid(DAY)).year;
        let (start, end) = self.changes(&daylight, year);
        let is_daylight = if start < end { (start..end).contains(&at) } else { !(end..start).contains(&at) };
        if is_daylight { daylight.offset } else { self.standard }
    }

    /// Returns when daylight saving begins and ends in a year.
    fn changes(&self, daylight: &Daylight, year: i64) -> (i64, i64) {
        let at = |rule: ChangeRule, offset: i32| {
            rule.day.in_year(year) * DAY + i64::from(rule.time) - i64::from(offset)
        };
        (at(daylight.start, self.standard), at(daylight.end, daylight.offset))
    }

    fn next_change(&self, at: i64) -> Option<i64> {
        let daylight = self.daylight?;
        let year = calendar::date(at.div_euclid(DAY)).year;
        let all = (year - 1..=year + 1).map(|year| self.changes(&daylight, year));
        all.flat_map(|(start, end)| [start, end]).filter(|change| *change > at).min()
    }
}

impl ChangeDay {
    /// Returns the day of a year, in days since 1970.
    fn in_year(self, year: i64) -> i64 {
        match self {
            Self::Julian(day) => {
                let is_leap = calendar::days(year, 3, 1) - calendar::days(year, 2, 1) == 29;
                calendar::days(year, 1, 1) + i64::from(day) - i64::from(!is_leap || day < 60)
            }
            Self::Plain(day) => calendar::days(year, 1, 1) + i64::from(day),
            Self::Month { month, week, weekday } => {
                let first = calendar::days(year, month, 1);
                let to = (7 + i64::from(weekday) - i64::from(calendar::weekday(first))) % 7;
                let day = first + to + 7 * (i64::from(week) - 1);
                // The fifth is the last, which may be the fourth.
                if day < calendar::days(year, month + 1, 1) { day } else { day - 7 }
            }
        }
    }
}

fn posix(text: &[u8]) -> Option<PosixZone> {
    let mut rest = text;
    abbreviation(&mut rest)?;
    let standard = -time(&mut rest)?;
    if rest.is_empty() {
        return Some(PosixZone { standard, daylight: None });
    }
    abbreviation(&mut rest)?;
    let offset = if rest.first() == Some(&b',') { standard + 3600 } else { -time(&mut rest)? };
    let start = change(&mut rest)?;
    let end = change(&mut rest)?;
    rest.is_empty().then_some(PosixZone { standard, daylight: Some(Daylight { offset, start, end }) })
}

/// Takes a name of three letters or more, or one in angle brackets.
fn abbreviation(rest: &mut &[u8]) -> Option<()> {
    let bracket = rest.strip_prefix(b"<");
    let text = bracket.unwrap_or(rest);
    let fits = |byte: &u8| byte.is_ascii_alphabetic() || bracket.is_some() && b"+-0123456789".contains(byte);
    let length = text.iter().take_while(|byte| fits(byte)).count();
    *rest = text.get(length..)?;
    if bracket.is_some() {
        *rest = rest.strip_prefix(b">")?;
    }
    (length >= 3).then_some(())
}

/// Takes `[+-]HH[:MM[:SS]]` as seconds.
fn time(rest: &mut &[u8]) -> Option<i32> {
    let sign = match rest.first()? {
        b'-' => -1,
        b'+' => 1,
        _ => 0,
    };
    if sign != 0 {
        *rest = rest.get(1..)?;
    }
    let mut seconds = number(rest, 167)? * 3600;
    for unit in [60, 1] {
        let Some(after) = rest.strip_prefix(b":") else { break };
        *rest = after;
        seconds += number(rest, 59)? * unit;
    }
    let seconds = i32::try_from(seconds).ok()?;
    Some(if sign < 0 { -seconds } else { seconds })
}

/// Takes `,RULE[/TIME]`.
fn change(rest: &mut &[u8]) -> Option<ChangeRule> {
    *rest = rest.strip_prefix(b",")?;
    let kind = *rest.first()?;
    if matches!(kind, b'J' | b'M') {
        *rest = rest.get(1..)?;
    }
    let day = match kind {
        b'J' => ChangeDay::Julian(number(rest, 365).filter(|day| *day > 0)?),
        b'M' => {
            let month = number(rest, 12).filter(|month| *month > 0)?;
            *rest = rest.strip_prefix(b".")?;
            let week = number(rest, 5).filter(|week| *week > 0)?;
            *rest = rest.strip_prefix(b".")?;
            ChangeDay::Month { month, week, weekday: number(rest, 6)? }
        }
        _ => ChangeDay::Plain(number(rest, 365)?),
    };
    let time = match rest.strip_prefix(b"/") {
        Some(after) => {
            *rest = after;
            time(rest)?
        }
        None => 2 * 3600,
    };
    Some(ChangeRule { day, time })
}

fn number(rest: &mut &[u8], most: u32) -> Option<u32> {
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (text, after) = rest.split_at_checked(digits)?;
    *rest = after;
    std::str::from_utf8(text).ok()?.parse().ok().filter(|number| *number <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn posix_rules_change_on_their_days() {
        // As `date -d @AT` says with this TZ.
        for (text, at, offset) in [
            ("UTC0", 0, 0),
            ("CET-1CEST,M3.5.0,M10.5.0/3", 1_774_745_999, 3600),
            ("CET-1CEST,M3.5.0,M10.5.0/3", 1_774_746_000, 7200),
            ("CET-1CEST,M3.5.0,M10.5.0/3", 1_792_889_999, 7200),
            ("CET-1CEST,M3.5.0,M10.5.0/3", 1_792_890_000, 3600),
            ("EST5EDT,M3.2.0,M11.1.0", 1_772_953_199, -18_000),
            ("EST5EDT,M3.2.0,M11.1.0", 1_772_953_200, -14_400),
            // Half an hour, in the southern summer.
            ("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", 1_767_225_600, 39_600),
            ("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", 1_780_000_000, 37_800),
            // For ever.
            ("XXX3EDT4,0/0,J365/23", 1_780_000_000, -14_400),
            ("IST-1GMT0,M10.5.0,M3.5.0/1", 1_767_225_600, 0),
        ] {
            assert_eq!(TimeZone::posix(text).expect(text).offset(at), offset, "{text} {at}");
        }
        for text in [
            "",
            "UTC",
            "Europe/Berlin",
            "EST5EDT",
            "E5",
            "CET-1CEST,M13.5.0,M10.5.0",
            "CET-1CEST,M3.5.0",
            "CET-1x",
            "UTC999",
            "<+1",
            "CET-1CEST,M3.5.0,M10.5.0/3,",
            "UTC0\0",
        ] {
            assert_eq!(TimeZone::posix(text), None, "{text}");
        }
    }

    #[test]
    fn days_of_the_year_count_as_posix_says() {
        let day = |rule: ChangeDay, year| rule.in_year(year) - calendar::days(year, 1, 1);
        assert_eq!(day(ChangeDay::Julian(59), 2028), 58);
        assert_eq!(day(ChangeDay::Julian(60), 2028), 60, "1 March, in leap years too");
        assert_eq!(day(ChangeDay::Julian(60), 2027), 59);
        assert_eq!(day(ChangeDay::Plain(59), 2028), 59);
    }

    /// A file of version 2 with these changes, offsets and rule.
    pub fn tzif(changes: &[(i64, i32)], first: i32, rule: &str) -> Vec<u8> {
        let head = |times: usize, types: usize| {
            let mut head = b"TZif2".to_vec();
            head.extend([0; 15]);
            for count in [0, 0, 0, times, types, 4] {
                head.extend(u32::try_from(count).expect("a count").to_be_bytes());
            }
            head
        };
        let mut file = head(0, 0);
        file.extend(b"LMT\0");
        file.extend(head(changes.len(), changes.len() + 1));
        file.extend(changes.iter().flat_map(|(at, _)| at.to_be_bytes()));
        file.extend((1..=changes.len()).map(|kind| u8::try_from(kind).expect("a type")));
        for offset in std::iter::once(first).chain(changes.iter().map(|(_, offset)| *offset)) {
            file.extend(offset.to_be_bytes());
            file.extend([0, 0]);
        }
        file.extend(b"LMT\0\n");
        file.extend(rule.as_bytes());
        file.push(b'\n');
        file
    }

    #[test]
    fn a_file_has_changes_and_then_a_rule() {
        let changes = [(0, 60), (1_600_000_000, 7200), (1_610_000_000, 3600)];
        let zone = TimeZone::file(&tzif(&changes, 30, "CET-1CEST,M3.5.0,M10.5.0/3")).expect("a zone");
        for (at, offset) in [
            (-1, 60),
            (1_599_999_999, 60),
            (1_600_000_000, 7200),
            (1_610_000_000, 3600),
            (1_774_746_000, 7200),
        ] {
            assert_eq!(zone.offset(at), offset, "{at}");
        }
        assert_eq!(zone.next_change(1_600_000_000), Some(1_610_000_000));
        assert_eq!(zone.next_change(1_610_000_000), Some(1_616_893_200));
        assert_eq!(zone.next_change(1_774_745_999), Some(1_774_746_000));
        assert_eq!(zone.next_change(1_774_746_000), Some(1_792_890_000));
    }

    #[test]
    fn no_part_of_a_file_is_a_file() {
        let whole = tzif(&[(0, 60), (1_600_000_000, 7200)], 30, "UTC0");
        for length in 0..whole.len() - 5 {
            assert_eq!(TimeZone::file(&whole[..length]), None, "{length}");
        }
        for at in 0..whole.len() {
            for byte in [0, 1, 0x7F, 0xFF] {
                let mut bent = whole.clone();
                bent[at] = byte;
                let _ = TimeZone::file(&bent);
            }
        }
        assert_eq!(TimeZone::file(&tzif(&[(5, 60), (5, 0)], 30, "UTC0")), None, "not in order");
        assert_eq!(TimeZone::file(&tzif(&[(5, 600_000)], 30, "UTC0")), None, "no such offset");
    }
}
