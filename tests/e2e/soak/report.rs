//! The report: one page of HTML with its graphs, without anything from elsewhere. A pure function
//! of what was seen.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Played;
use super::calls::Ledger;
use super::flat::percentile;
use super::graph::{Band, Graph, Line, escape, figure, short};
use super::tenants::Tenant;
use super::verdict::Finding;
use super::watch::{Held, ROLES, Seen, Watched};

/// What a report is about.
pub(super) struct Told<'a> {
    /// Names and values at the top.
    pub facts: Vec<(&'static str, String)>,
    /// What must hold.
    pub findings: &'a [Finding],
    /// The faults.
    pub played: &'a [Played],
    /// What was watched.
    pub watched: &'a Watched,
    /// The calls.
    pub ledger: &'a Ledger,
    /// Whose they are.
    pub tenants: &'a [Tenant],
    /// Seconds.
    pub length: f64,
}

const STYLE: &str = "
:root { color-scheme: light dark; --page: #fcfcfb; --ink: #1d1d1b; --soft: #62625d; --grid: #e3e2dd; --band: #eda10026;
  --c0: #2a78d6; --c1: #d2561f; --good: #1a7f37; --bad: #c4291c; }
@media (prefers-color-scheme: dark) { :root { --page: #1a1a19; --ink: #f1f0ec; --soft: #a9a8a2; --grid: #3a3a37; --band: #eda10033;
  --c0: #5b9df0; --c1: #f0875a; --good: #4fbf6b; --bad: #ff7b6e; } }
body { background: var(--page); color: var(--ink); font: 15px/1.45 system-ui, sans-serif; max-width: 1000px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin-top: 2em; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; vertical-align: top; padding: .25em .7em .25em 0; border-bottom: 1px solid var(--grid); }
td { overflow-wrap: anywhere; } td:nth-child(2) { min-width: 9em; } .good, .bad { white-space: nowrap; } h1 .bad, .bad.wide { white-space: normal; } .number { text-align: right; font-variant-numeric: tabular-nums; } .good { color: var(--good); } .bad { color: var(--bad); }
figure { margin: 1.2em 0; } figcaption { color: var(--soft); } figcaption b { color: var(--ink); } svg { width: 100%; height: auto; }
svg text { fill: var(--soft); font-size: 11px; } .y { text-anchor: end; } .x, .mark { text-anchor: middle; } .mark { font-size: 9px !important; }
.grid { stroke: var(--grid); } .band rect { fill: var(--band); } .line { fill: none; stroke-width: 1.6; stroke-linejoin: round; }
.l0 { stroke: var(--c0); } .l1 { stroke: var(--c1); } .d0 { fill: var(--c0); } .d1 { fill: var(--c1); }
.key::before { content: ''; display: inline-block; width: 1.2em; height: .22em; margin: 0 .35em .25em .8em; } .k0::before { background: var(--c0); } .k1::before { background: var(--c1); }
";

/// The page.
pub(super) fn page(told: &Told<'_>) -> String {
    let holds = told.findings.iter().all(|finding| finding.holds);
    let verdict = if holds {
        "all is as it should be"
    } else {
        "not all is as it should be"
    };
    let class = if holds { "good" } else { "bad" };
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Soak: {verdict}</title><style>{STYLE}</style></head><body>\n<h1>Soak: <span class=\"{class}\">{verdict}</span></h1>\n<table>"
    );
    for (name, value) in &told.facts {
        let _ = writeln!(
            out,
            "<tr><th>{}</th><td>{}</td></tr>",
            escape(name),
            escape(value)
        );
    }
    out += "</table>\n<h2>What must hold</h2>\n<table>";
    for finding in told.findings {
        let (class, word) = if finding.holds {
            ("good", "holds")
        } else {
            ("bad", "does not hold")
        };
        let _ = writeln!(
            out,
            "<tr><td class=\"{class}\">{word}</td><td>{}</td><td>{}</td></tr>",
            escape(&finding.rule),
            escape(&finding.seen)
        );
    }
    out += "</table>\n<h2>Over time</h2>\n<p>Numbered bands are the faults of the table below; what comes after the last is calm.</p>\n";
    let bands: Vec<Band> = told.played.iter().enumerate().map(band).collect();
    for graph in graphs(told) {
        out += &figure(&graph, &bands);
    }
    out += "<h2>Faults</h2>\n<table><tr><th>#</th><th>fault</th><th class=\"number\">began, s</th><th class=\"number\">lasted, s</th>\
            <th class=\"number\">most not Ready</th><th class=\"number\">all Ready after, s</th><th class=\"number\">most calls waiting</th><th>what happened</th></tr>\n";
    for (at, fault) in told.played.iter().enumerate() {
        let next = told
            .played
            .get(at + 1)
            .map_or(told.length, |next| next.began);
        let after = Aftermath::of(fault, next, &told.watched.seen);
        let (class, what) = match &fault.happened {
            Ok(what) => ("", what),
            Err(failure) => ("bad wide", failure),
        };
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td>{}</td><td class=\"number\">{:.0}</td><td class=\"number\">{:.0}</td><td class=\"number\">{}</td>\
             <td class=\"number\">{}</td><td class=\"number\">{}</td><td class=\"{class}\">{}</td></tr>",
            at + 1,
            fault.kind.words(),
            fault.began,
            fault.ended - fault.began,
            after.unready,
            after
                .whole
                .map_or("not before the next".to_owned(), |whole| format!(
                    "{whole:.0}"
                )),
            after.waiting,
            escape(what)
        );
    }
    out + "</table>\n</body></html>\n"
}

/// What a fault left behind until the next one.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Aftermath {
    /// Most integrations that were not Ready at once.
    unready: usize,
    /// Most calls that waited for the controller at once.
    waiting: usize,
    /// Seconds from the fault's end until all were Ready.
    whole: Option<f64>,
}

impl Aftermath {
    fn of(fault: &Played, next: f64, seen: &[Seen]) -> Self {
        let during = || {
            seen.iter()
                .filter(|seen| (fault.began..next).contains(&seen.at))
        };
        let all_ready = |seen: &&Seen| {
            seen.at >= fault.ended && seen.cluster.is_some_and(|(_, unready)| unready == 0)
        };
        Self {
            unready: during()
                .filter_map(|seen| Some(seen.cluster?.1))
                .max()
                .unwrap_or(0),
            waiting: during().map(|seen| seen.waiting).max().unwrap_or(0),
            whole: during().find(all_ready).map(|seen| seen.at - fault.ended),
        }
    }
}

fn band((at, fault): (usize, &Played)) -> Band {
    Band {
        from: fault.began,
        to: fault.ended,
        mark: (at + 1).to_string(),
        words: format!("{}: {}", at + 1, fault.kind.words()),
    }
}

fn graphs(told: &Told<'_>) -> Vec<Graph> {
    let graph = |title: &str, unit, lines| Graph {
        title: title.to_owned(),
        unit,
        lines,
        span: told.length,
    };
    let seen = &told.watched.seen;
    let of_seen = |name: &str, value: &dyn Fn(&Seen) -> Option<f64>| Line {
        name: name.to_owned(),
        parts: vec![
            seen.iter()
                .filter_map(|seen| Some((seen.at, value(seen)?)))
                .collect(),
        ],
    };
    vec![
        graph(
            "Own memory of each process",
            "MB",
            of_processes(told.watched, |held| held.own / 1e6),
        ),
        graph(
            "Resident memory of each process",
            "MB",
            of_processes(told.watched, |held| held.resident / 1e6),
        ),
        graph(
            "Open file descriptors of each process",
            "",
            of_processes(told.watched, |held| held.files),
        ),
        graph(
            "Processor time of each process",
            "% of a core",
            processor(told.watched),
        ),
        graph(
            "Calls without a name",
            "calls",
            vec![
                of_seen("for the controller", &|seen| Some(seen.waiting as f64)),
                of_seen("for a run in a pod", &|seen| {
                    Some(seen.waiting_for_runs as f64)
                }),
            ],
        ),
        graph(
            "From taken to named, calls that the controller looks up, by the minute",
            "s",
            names(told.ledger, told.tenants),
        ),
        graph(
            "Integrations that are not Ready",
            "",
            vec![of_seen("of 20", &|seen| Some(seen.cluster?.1 as f64))],
        ),
        graph(
            "Writes to the cluster's store",
            "a second",
            vec![Line {
                name: "revisions".to_owned(),
                parts: vec![writes(seen)],
            }],
        ),
    ]
}

fn of_processes(watched: &Watched, value: impl Fn(&Held) -> f64) -> Vec<Line> {
    let line = |role: &str| {
        let lives = watched.lives.values().filter(|life| life.role == role);
        let part = |held: &[Held]| held.iter().map(|held| (held.at, value(held))).collect();
        Line {
            name: role.to_owned(),
            parts: lives.map(|life| part(&life.held)).collect(),
        }
    };
    ROLES.into_iter().map(line).collect()
}

fn processor(watched: &Watched) -> Vec<Line> {
    let mut lines = of_processes(watched, |held| held.processor);
    for part in lines.iter_mut().flat_map(|line| &mut line.parts) {
        *part = rates(part, 100.0);
    }
    lines
}

/// How many revisions a second there were between two looks.
fn writes(seen: &[Seen]) -> Vec<(f64, f64)> {
    let revisions = seen
        .iter()
        .filter_map(|seen| Some((seen.at, seen.cluster?.0 as f64)));
    rates(&revisions.collect::<Vec<_>>(), 1.0)
}

fn rates(points: &[(f64, f64)], times: f64) -> Vec<(f64, f64)> {
    let rate = |pair: &[(f64, f64)]| {
        let [(from, before), (to, after)] = [pair[0], pair[1]];
        (to, (after - before) / (to - from).max(0.001) * times)
    };
    points.windows(2).map(rate).collect()
}

/// Median and 99th percentile of each minute in which calls were taken.
fn names(ledger: &Ledger, tenants: &[Tenant]) -> Vec<Line> {
    let mut minutes: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for call in &ledger.calls {
        if let (Some(taken), Some(named), true) =
            (call.taken, call.named, tenants[call.tenant].is_resident())
        {
            minutes
                .entry((taken / 60.0) as u64)
                .or_default()
                .push((named - taken).max(0.0));
        }
    }
    let line = |percent: usize| Line {
        name: format!("p{percent}"),
        parts: vec![
            minutes
                .iter()
                .map(|(minute, took)| (*minute as f64 * 60.0 + 30.0, percentile(took, percent)))
                .collect(),
        ],
    };
    vec![line(50), line(99)]
}

/// Median and 99th percentile of the time from taken to named, of the calls that the controller
/// looks up.
pub(super) fn time_to_name(ledger: &Ledger, tenants: &[Tenant]) -> String {
    let took: Vec<f64> = ledger
        .calls
        .iter()
        .filter(|call| tenants[call.tenant].is_resident())
        .filter_map(|call| Some((call.named? - call.taken?).max(0.0)))
        .collect();
    let [median, last] = [50, 99].map(|percent| short(percentile(&took, percent)));
    format!(
        "median {median} s, 99th percentile {last} s, of {} calls that the controller looks up, seen every 2 s",
        took.len()
    )
}

#[cfg(test)]
mod tests {
    use super::super::plan::Kind;
    use super::*;

    fn played() -> Vec<Played> {
        let fault = |kind, began, happened| Played {
            kind,
            began,
            ended: began + 10.0,
            happened,
        };
        vec![
            fault(Kind::LeaderKilled, 60.0, Ok("<pod> & more".to_owned())),
            fault(
                Kind::SalesforceAway,
                100.0,
                Err("it <did> not work".to_owned()),
            ),
        ]
    }

    fn told(findings: &[Finding], played: &[Played], watched: &Watched) -> String {
        page(&Told {
            facts: vec![("seed", "<7>".to_owned())],
            findings,
            played,
            watched,
            ledger: &Ledger::default(),
            tenants: &Tenant::all(),
            length: 300.0,
        })
    }

    #[test]
    fn a_page_has_nothing_from_elsewhere_and_only_text_from_outside() {
        let wrong = Finding {
            rule: "a < b".to_owned(),
            holds: false,
            seen: "<script>".to_owned(),
        };
        let page = told(&[wrong], &played(), &Watched::default());
        for foreign in [
            "http", "src=", "href", "url(", "@import", "<script", "<7>", "<pod>", "<did>",
        ] {
            assert!(!page.contains(foreign), "{foreign}");
        }
        assert!(page.contains("not all is as it should be") && page.contains("a &lt; b"));
        assert_eq!(page.matches("<svg").count(), 8);
    }

    #[test]
    fn a_soak_that_saw_nothing_is_a_page() {
        let page = told(&[], &[], &Watched::default());
        assert!(page.contains("<h1>Soak") && !page.contains("NaN") && !page.contains("inf\""));
    }

    fn seen(at: f64, unready: Option<usize>) -> Seen {
        Seen {
            at,
            waiting: at as usize,
            waiting_for_runs: 0,
            cluster: unready.map(|unready| (1, unready)),
        }
    }

    #[test]
    fn what_a_fault_left_behind_ends_with_the_next_one() {
        let seen = [
            seen(59.0, Some(9)),
            seen(65.0, Some(4)),
            seen(68.0, Some(0)),
            seen(75.0, None),
            seen(80.0, Some(2)),
            seen(85.0, Some(0)),
            seen(101.0, Some(20)),
        ];
        let fault = &played()[0];
        let after = Aftermath::of(fault, 100.0, &seen);
        let wanted = Aftermath {
            unready: 4,
            waiting: 85,
            whole: Some(15.0),
        };
        assert_eq!(after, wanted);
        assert_eq!(Aftermath::of(fault, 85.0, &seen).whole, None);
    }

    #[test]
    fn rates_are_differences_by_the_second() {
        assert_eq!(rates(&[(0.0, 10.0), (5.0, 20.0)], 1.0), [(5.0, 2.0)]);
        assert!(rates(&[(0.0, 10.0)], 1.0).is_empty() && rates(&[], 1.0).is_empty());
    }
}
