//! `replicas`, and what is said of services that have them.

use crate::config::resolve::tests::*;
use crate::model::SignalRule;

const WEB: &str = "[services.db]\ncommand = 'a'
    [services.web]\nreplicas = '${THREE}'\ncommand = 'w ${RINIT_SERVICE} ${RINIT_INSTANCE}'\ndepends_on = ['db']
    [services.none]\nreplicas = 0\ncommand = 'n'
    [services.x]\ncommand = 'a'\n";

/// The dependencies of the last service: on whom, and as which choice.
fn edges(keys: &str) -> Vec<(u16, u16)> {
    let text = format!("{WEB}{keys}");
    let (plan, faults) = plan_of(&[("t", &text)], &[]);
    assert_eq!(faults, [""; 0], "{text}");
    let last = plan.services.last().expect("a service");
    last.rules.depends_on.iter().map(|edge| (edge.on.0, edge.any)).collect()
}

#[test]
fn a_service_with_replicas_is_as_many_services() {
    let (plan, faults) = plan_of(&[("t", WEB)], &["app"]);
    assert_eq!(faults, [""; 0]);
    let names: Vec<&str> = plan.services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["db", "web.1", "web.2", "web.3", "x", "main"]);
    let third = &plan.services[3];
    assert_eq!((third.base(), third.program.instance), ("web", 3));
    assert_eq!(third.program.argv.last().expect("a word").to_bytes(), b"3");
    assert_eq!(third.program.argv[1].to_bytes(), b"web");
    // The COMMAND waits for each.
    let of_main = &plan.services[5].rules.depends_on;
    assert_eq!(
        of_main.iter().map(|edge| (edge.on.0, edge.any)).collect::<Vec<_>>(),
        [0, 1, 2, 3, 4].map(|on| (on, 0))
    );
}

#[test]
fn a_dependency_on_it_is_met_by_one_or_by_all() {
    let (one, all) = (vec![(1, 1), (2, 1), (3, 1)], vec![(1, 0), (2, 0), (3, 0)]);
    for (keys, want) in [
        ("depends_on = ['web']", one.clone()),
        ("depends_on = { web = 'started' }", one),
        ("depends_on = { web = { all = true } }", all.clone()),
        ("after = ['web']", all),
        ("depends_on = ['web.2']", vec![(2, 0)]),
        ("depends_on = ['none']", vec![]),
        ("depends_on = { none = { all = true } }", vec![]),
    ] {
        assert_eq!(edges(keys), want, "{keys}");
    }
}

#[test]
fn a_signal_for_it_is_for_each() {
    let text = format!(
        "{WEB}[signals]\nHUP = {{ service = 'web' }}\nUSR1 = {{ service = 'web.2' }}\nUSR2 = {{ service = 'none' }}"
    );
    let (plan, faults) = plan_of(&[("t", &text)], &[]);
    assert_eq!(faults, [""; 0]);
    let to = plan.whole.signals.iter().map(|(_, rule)| match rule {
        SignalRule::To(id, _) => Some(id.0),
        _ => None,
    });
    let to: Vec<Option<u16>> = to.collect();
    assert_eq!(to, [Some(1), Some(2), Some(3), Some(2), None]);
}

#[test]
fn what_is_wrong_with_replicas_is_told_once() {
    for (text, want) in [
        (format!("{WEB}depends_on = ['web.4']"), "services.x.depends_on: \"web.4\" is no service"),
        (
            format!("{WEB}depends_on = {{ db = {{ all = true }} }}"),
            "services.x.depends_on: \"db\" has no replicas, so that \"all\" says nothing; drop the key",
        ),
        (
            format!("{WEB}depends_on = ['web']\n[services.'web.1']\ncommand = 'a'"),
            "services.\"web.1\": an instance of web, which has replicas, is called so; give it another name",
        ),
        (
            "[services.web]\nreplicas = 2\ncommand = 'a'\ndepends_on = ['web']".into(),
            "services.web.depends_on: \"web\" cannot wait for itself; drop it",
        ),
        ("[services.web]\nreplicas = 2\ncommand = 'a'\nuser = ''".into(), "services.web.user: is empty"),
        (
            "[services.web]\nreplicas = 1001\ncommand = 'a'".into(),
            "services.web.replicas: found 1001, expected an integer from 0 to 1000",
        ),
        (
            "[services.main]\nreplicas = 2\ncommand = 'a'".into(),
            "services.main.replicas: the COMMAND is one process; give another service the key",
        ),
        (
            "[defaults]\nreplicas = 2\n[services.web]\ncommand = 'a'".into(),
            "defaults.replicas: is each service's own; write it under [services.NAME]",
        ),
        ("[services.web]\ncommand = 'a ${RINIT_INSTANCE}'".into(), "RINIT_INSTANCE is not set"),
    ] {
        let found = faults_of(&text);
        assert!(found.contains(want) && found.lines().count() == 1, "{text}: {found}");
    }
}
