//! What becomes of a packet, as numbered stages with what each looked up.

use std::fmt::Write;

use api::{TraceLookup, TraceReport};

/// A trace.
pub fn trace(report: &TraceReport) -> String {
    let mut out = String::new();
    // Writing into a String cannot fail.
    let _ = writeln!(out, "Packet: {}\n", report.packet);
    let width = report.steps.iter().map(|step| step.stage.chars().count()).max().unwrap_or_default();
    for (index, step) in report.steps.iter().enumerate() {
        let _ = writeln!(out, "{:>2}. {:width$}  {}", index + 1, step.stage, step.question);
        for TraceLookup { table, key, found } in &step.lookups {
            let found = found.as_deref().unwrap_or("nothing");
            let _ = writeln!(out, "      {table}[{key}] = {found}");
        }
    }
    let reason = report.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let _ = writeln!(out, "\nVerdict: {}{reason}", report.verdict);
    if let Some(explanation) = &report.explanation {
        let _ = writeln!(out, "  {explanation}");
    }
    if !report.output.is_empty() {
        out.push_str("\nWhat leaves:\n");
        for header in &report.output {
            let _ = writeln!(out, "  {header}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use api::TraceStep;

    use super::*;

    #[test]
    fn a_forwarded_packet_is_shown_with_what_leaves() {
        let lookup = |table: &str, key: &str, found: Option<&str>| TraceLookup {
            table: table.into(),
            key: key.into(),
            found: found.map(Into::into),
        };
        let step = |stage: &str, question: &str, lookups| TraceStep {
            stage: stage.into(),
            question: question.into(),
            lookups,
        };
        let report = TraceReport {
            packet: "ICMP echo request 10.0.0.5 -> 10.0.0.7, 56 bytes, TTL 64".into(),
            steps: vec![
                step("parse", "What is it?", vec![]),
                step(
                    "source-guard",
                    "May the VM send it?",
                    vec![lookup("ports", "ifindex 7", Some("vsid 5001")), lookup("records", "5001/10.0.0.9", None)],
                ),
            ],
            verdict: "encapsulate to 192.168.4.22".into(),
            reason: None,
            explanation: None,
            output: vec!["IPv4 192.168.4.11 -> 192.168.4.22, GRE".into(), "GRE key VSID 5001".into()],
        };
        assert_eq!(
            trace(&report),
            "\
Packet: ICMP echo request 10.0.0.5 -> 10.0.0.7, 56 bytes, TTL 64

 1. parse         What is it?
 2. source-guard  May the VM send it?
      ports[ifindex 7] = vsid 5001
      records[5001/10.0.0.9] = nothing

Verdict: encapsulate to 192.168.4.22

What leaves:
  IPv4 192.168.4.11 -> 192.168.4.22, GRE
  GRE key VSID 5001
"
        );
    }
}
