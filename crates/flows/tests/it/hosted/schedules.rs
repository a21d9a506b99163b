//! Flows that begin by time: at their minute, once, also over a jump of the clock and over a time when nothing ran.

use std::time::Duration;

use jiff::tz::TimeZone;
use nexus_core::time::{Clock, Timestamp};
use nexus_flows::host::Trigger;
use serde_json::json;

use super::{life::Life, stand_in::StandIn};

const DAY: u64 = 86_400;

/// When the runs of a flow were due, in seconds.
fn dues(life: &Life, flow: &str) -> Vec<i64> {
    life.runs(flow)
        .iter()
        .map(|run| match run.trigger {
            Trigger::Schedule { due } => due.millis().div_euclid(1_000),
            _ => panic!("{:?}", run.trigger),
        })
        .collect()
}

/// Ends the hub, lets time pass until `at`, and begins again.
fn sleep_until(life: Life, at: Timestamp) -> Life {
    let place = life.crash();
    place.clock.advance(at.since(place.clock.now()));
    Life::begin(&place, None)
}

/// S-090
#[test]
fn a_time_of_day_is_met_once_a_day_also_where_the_clock_jumps() {
    let mut life = Life::new();
    life.publish(
        r"
document:
  dsl: '1.0.3'
  namespace: t
  name: nightly
  version: '1.0.0'
  metadata: { nexus.dev/timezone: Europe/Brussels, nexus.dev/missed: skip }
schedule: { cron: '30 2 * * *' }
do:
  - publish: { set: { ok: true } }
",
    );
    let zone = TimeZone::get("Europe/Brussels").expect("bundled");
    let now = jiff::Timestamp::from_millisecond(life.hub.clock().now().millis()).expect("a time");
    let jumps: Vec<jiff::Timestamp> = zone.following(now).take(2).map(|jump| jump.timestamp()).collect();
    for jump in jumps {
        let second = jump.as_second();
        let gap = zone.to_offset(jump).seconds() == 7_200;
        life = sleep_until(life, Timestamp::from_secs(second - 43_200));
        life.advance(2 * DAY - 1_800);
        let met: Vec<i64> = dues(&life, "t/nightly").into_iter().filter(|due| (second - due).abs() < 130_000).collect();
        // There is no half past two in the night of the first, which leaves the jump itself; in that of the other there are two.
        let expected = match gap {
            true => [second, second + 84_600],
            false => [second - 1_800, second + 88_200],
        };
        let near: Vec<i64> = met.into_iter().filter(|due| *due > second - 43_200).collect();
        assert_eq!(near, expected, "gap: {gap}");
    }
}

/// S-090
#[test]
fn what_was_missed_while_nothing_ran_is_made_up_for_once_or_skipped() {
    let stand_in = StandIn::new();
    let life = Life::new();
    for missed in ["once", "skip"] {
        life.publish(&format!(
            "document: {{ dsl: '1.0.3', namespace: t, name: {missed}, version: '1.0.0', metadata: {{ nexus.dev/missed: {missed} }} }}\nschedule: {{ every: PT1H }}\ndo:\n  - post: {{ call: http, with: {{ method: post, endpoint: {}/{missed}, body: {{}} }} }}\n",
            stand_in.url
        ));
    }
    life.advance(3_601);
    let counts = || {
        let count = |path: &str| stand_in.paths().iter().filter(|p| *p == path).count();
        (count("/once"), count("/skip"))
    };
    assert_eq!(counts(), (1, 1));
    let back = life.hub.clock().now().plus(Duration::from_secs(5 * 3_600 + 1_000));
    let life = sleep_until(life, back);
    life.wait_for("what was missed", || if counts().0 == 2 { Ok(()) } else { Err(format!("{:?}", counts())) });
    life.advance(60);
    assert_eq!(counts(), (2, 1), "five were missed");
    assert_eq!(life.data("flow.schedule_missed")[0]["flow"], "t/skip");
    let life = life.again();
    life.advance(3_600);
    assert_eq!(counts(), (3, 2));
}

#[test]
fn what_begins_some_time_after_its_end_does_so_however_soon_it_ends() {
    let life = Life::new();
    life.publish(
        "document: { dsl: '1.0.3', namespace: t, name: after, version: '1.0.0' }\nschedule: { after: PT1H }\ndo:\n  - note: { set: { at: '${ . }' } }\n",
    );
    let next = |life: &Life| {
        let held = life.flows.held("t/after").expect("published");
        life.run(life.flows.next_begin(&held)).expect("a time")
    };
    for runs in 1..=4 {
        life.wait_for("one more", || {
            let found = life.runs("t/after");
            if found.len() == runs { Ok(()) } else { Err(format!("{runs}: {found:?}")) }
        });
        let run = life.runs("t/after").pop().expect("a run");
        let ended = run.ended_at.expect("it has ended");
        assert_eq!(next(&life), Some(ended.plus(Duration::from_secs(3_600))));
        // Times are told as everywhere else.
        let output = run.output.expect("an output");
        for name in ["scheduledAt", "firedAt"] {
            let time = output["at"][name].as_str().and_then(Timestamp::parse);
            assert!(time.is_some_and(|time| time <= ended), "{output}");
        }
        life.advance(3_605);
    }
    life.run(life.flows.enable("t/after", false, &nexus_core::access::Principal::admin("test"))).expect("off");
    assert_eq!(next(&life), None, "what is off begins nothing");
}

/// S-091
#[test]
fn three_mails_go_out_each_at_its_time_once_also_over_a_restart() {
    let stand_in = StandIn::new();
    let life = Life::new();
    let mail = |n: u32| {
        format!(
            "  - mail{n}: {{ call: http, with: {{ method: post, endpoint: {}/mail, body: {{ n: {n} }} }} }}\n",
            stand_in.url
        )
    };
    life.publish(&format!(
        "document: {{ dsl: '1.0.3', namespace: t, name: welcome, version: '1.0.0' }}\nschedule: {{ on: {{ one: {{ with: {{ type: signed.up }} }} }} }}\ndo:\n{}  - day: {{ wait: P1D }}\n{}  - days: {{ wait: P2D }}\n{}",
        mail(1), mail(2), mail(3)
    ));
    life.event("signed.up", json!({"mail": "ada@example.com"}));
    let sent = |life: &Life| {
        life.advance(0);
        stand_in.done().len()
    };
    life.wait_for("the first", || if sent(&life) == 1 { Ok(()) } else { Err(String::new()) });
    life.advance(DAY - 60);
    assert_eq!(sent(&life), 1);
    let life = life.again();
    life.advance(120);
    assert_eq!(sent(&life), 2);
    // The third is due while nothing runs.
    let back = life.hub.clock().now().plus(Duration::from_secs(3 * DAY));
    let life = sleep_until(life, back);
    life.wait_for("the third", || if sent(&life) == 3 { Ok(()) } else { Err(String::new()) });
    let life = life.again();
    life.advance(DAY);
    let numbers: Vec<_> = stand_in.hits().into_iter().map(|hit| hit.body["n"].clone()).collect();
    assert_eq!(numbers, [json!(1), json!(2), json!(3)]);
}

/// S-092
#[test]
fn a_gathering_is_told_of_a_day_and_an_hour_before() {
    let stand_in = StandIn::new();
    let life = Life::new();
    life.publish(
        &r#"
document: { dsl: '1.0.3', namespace: t, name: reminders, version: '1.0.0' }
schedule: { on: { one: { with: { type: gathering.planned } } } }
do:
  - day: { wait: '${ "PT\($workflow.input[0].data.at - 86400 - ($workflow.startedAt.epoch.seconds))S" }' }
  - tell: { call: http, with: { method: post, endpoint: URL/day, body: {} } }
  - hour: { wait: PT23H }
  - again: { call: http, with: { method: post, endpoint: URL/hour, body: {} } }
"#
        .replace("URL", &stand_in.url),
    );
    let at = life.hub.clock().now().millis() / 1_000 + 3 * 86_400;
    life.event("gathering.planned", json!({"at": at}));
    life.advance(2 * DAY - 60);
    assert_eq!(stand_in.paths(), Vec::<String>::new());
    life.advance(120);
    assert_eq!(stand_in.paths(), ["/day"]);
    life.advance(23 * 3_600 - 300);
    assert_eq!(stand_in.paths(), ["/day"]);
    life.advance(600);
    assert_eq!(stand_in.paths(), ["/day", "/hour"]);
}

/// S-093
#[test]
fn the_end_of_a_month_makes_one_report() {
    let stand_in = StandIn::new();
    let life = Life::new();
    life.publish(
        &r"
document: { dsl: '1.0.3', namespace: t, name: revenue, version: '1.0.0' }
schedule: { cron: '0 0 1 * *' }
do:
  - report: { call: http, with: { method: post, endpoint: URL/report, body: {} } }
"
        .replace("URL", &stand_in.url),
    );
    let now = jiff::Timestamp::from_millisecond(life.hub.clock().now().millis()).expect("a time");
    let today = now.to_zoned(TimeZone::UTC).date();
    let first = today.last_of_month().tomorrow().expect("a day").to_zoned(TimeZone::UTC).expect("a time");
    let second = first.timestamp().as_second();
    let life = sleep_until(life, Timestamp::from_secs(second - 3_600));
    life.advance(3_500);
    assert_eq!(stand_in.paths().len(), 0);
    life.advance(200);
    assert_eq!(stand_in.paths().len(), 1);
    let life = life.again();
    life.advance(DAY);
    assert_eq!(stand_in.paths().len(), 1);
    assert_eq!(dues(&life, "t/revenue"), [second]);
}
