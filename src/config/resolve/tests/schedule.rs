//! `schedule`: what it takes, and what cannot be.

use crate::config::resolve::tests::*;
use crate::model::{Overlap, Schedule, ServiceType};

/// The time zones of the image: Berlin's, and a file that is none.
pub(super) fn zone_file(path: &str) -> io::Result<Vec<u8>> {
    match path {
        "/usr/share/zoneinfo/Europe/Berlin" | "/zones/here" => {
            let mut file = b"TZif2".to_vec();
            let head = [[0; 15].as_slice(), &[0; 16], &[0, 0, 0, 1, 0, 0, 0, 4]].concat();
            file.extend(&head);
            file.extend(b"\0\0\x0e\x10\0\0CET\0TZif2");
            file.extend(&head);
            file.extend(b"\0\0\x0e\x10\0\0CET\0\nCET-1CEST,M3.5.0,M10.5.0/3\n");
            Ok(file)
        }
        "/usr/share/zoneinfo/tzdata.zi" => Ok(b"# version 2026a".to_vec()),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

fn schedule(value: &str) -> Box<Schedule> {
    service(&format!("command = 'a'\nschedule = {value}")).rules.schedule.expect(value)
}

#[test]
fn a_schedule_makes_a_oneshot_whose_failure_ends_nothing() {
    let found = service("command = 'a'\nschedule = '@daily'");
    assert_eq!((found.rules.kind, found.rules.essential), (ServiceType::Oneshot, false));
    let found = service("command = 'a'\nschedule = '@daily'\ntype = 'oneshot'\nessential = true");
    assert!(found.rules.essential);
}

#[test]
fn a_line_or_a_table_says_when() {
    for value in ["'30 2 * * *'", "{ cron = '30 2 * * *' }", "{ cron = '${NO:-30 2 * * *}' }"] {
        let found = schedule(value);
        assert_eq!((&*found.line, &*found.zone_name), ("30 2 * * *", "UTC"));
        assert_eq!((found.overlap, found.jitter.as_secs()), (Overlap::Skip, 0));
    }
    let found =
        schedule("{ cron = '0 * * * *', overlap = 'queue', jitter = '59m', timezone = 'Europe/Berlin' }");
    assert_eq!((found.overlap, found.jitter.as_secs()), (Overlap::Queue, 59 * 60));
    assert_eq!((&*found.zone_name, found.zone.offset(1_780_000_000)), ("Europe/Berlin", 7200));
    for zone in ["/zones/here", ":Europe/Berlin", "CET-1CEST,M3.5.0,M10.5.0/3"] {
        let found = schedule(&format!("{{ cron = '@daily', timezone = '{zone}' }}"));
        assert_eq!(found.zone.offset(1_780_000_000), 7200, "{zone}");
    }
}

#[test]
fn defaults_have_all_of_it_but_the_line() {
    let text = "defaults.schedule = { timezone = 'Europe/Berlin', overlap = 'queue' }
        [services.a]
        command = 'a'
        schedule = '@daily'
        [services.b]
        command = 'b'
        schedule = { cron = '@daily', timezone = 'UTC' }
        [services.c]
        command = 'c'";
    let (plan, faults) = plan_of(&[("t", text)], &[]);
    assert_eq!(faults, [""; 0]);
    let found = |at: usize| plan.services[at].rules.schedule.as_ref();
    let of = |at| found(at).map(|found| (found.zone_name.to_string(), found.overlap));
    assert_eq!(of(0), Some(("Europe/Berlin".into(), Overlap::Queue)));
    assert_eq!(of(1), Some(("UTC".into(), Overlap::Queue)));
    assert_eq!((of(2), plan.services[2].rules.kind), (None, ServiceType::Daemon));
}

#[test]
fn what_cannot_be_a_schedule_is_told() {
    for (body, why) in [
        ("schedule = 5", "schedule: found an integer, expected a cron line"),
        ("schedule = '5'", "schedule: \"5\": expected five fields"),
        ("schedule = '0 25 * * *'", "hour \"25\": expected a number from 0 to 23"),
        ("schedule = '0 0 31 2 *'", "no month has that day"),
        ("schedule = {}", "schedule: has no cron"),
        ("schedule = { cron = '@daily', overlap = 'allow' }", "expected \"skip\" or \"queue\""),
        ("schedule = { cron = '@daily', zone = 'UTC' }", "unknown key \"zone\""),
        (
            "schedule = { cron = '*/7 * * * *', jitter = '4m' }",
            "not shorter than the time between two runs, which is 4m",
        ),
        (
            "schedule = { cron = '@daily', timezone = 'Europe/Berlln' }",
            "\"Europe/Berlln\": the image has no such time zone; install",
        ),
        ("schedule = { cron = '@daily', timezone = '../x' }", "no such time zone"),
        ("schedule = { cron = '@daily', timezone = '' }", "no such time zone"),
        ("schedule = { cron = '@daily', timezone = 'EST5EDT' }", "no such time zone"),
        ("schedule = { cron = '@daily', timezone = 'tzdata.zi' }", "is no time zone file"),
        ("schedule = '@daily'\ntype = 'daemon'", "is for a oneshot"),
    ] {
        let told = faults_of(&format!("[services.x]\ncommand = 'a'\n{body}"));
        assert!(told.contains(why) && told.lines().count() == 1, "{body}: {told}");
    }
    let main = faults_of("[services.main]\ncommand = 'a'\nschedule = '@daily'");
    assert!(main.contains("the COMMAND is started at once"), "{main}");
    for line in ["'@daily'", "{ cron = '@daily' }"] {
        let told = faults_of(&format!("defaults.schedule = {line}\n[services.x]\ncommand = 'a'"));
        assert!(told.contains("is each service's own"), "{told}");
    }
    for key in ["depends_on", "after"] {
        let told = faults_of(&format!(
            "[services.x]\ncommand = 'a'\nschedule = '@daily'\n[services.y]\ncommand = 'b'\n{key} = 'x'"
        ));
        assert!(told.contains("is started by the clock, so that nothing can wait for it"), "{told}");
    }
}

/// The COMMAND waits for all services, but not for those.
#[test]
fn the_command_waits_for_no_schedule() {
    let text = "[services.x]\ncommand = 'a'\nschedule = '@daily'\n[services.y]\ncommand = 'b'";
    let (plan, faults) = plan_of(&[("t", text)], &["app"]);
    assert_eq!(faults, [""; 0]);
    assert_eq!(plan.services[2].rules.depends_on.len(), 1);
}
