//! axe looks at a page: what somebody with a screen reader, a keyboard or weak eyes could not use.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use super::Browser;

/// Has axe look at the page by the rules of WCAG 2.2 A and AA, and by what its makers call good practice.
const RUN: &str = "\
const done = arguments[arguments.length - 1];
axe.run(document, {
  resultTypes: ['violations'],
  runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
}).then((found) => done(found.violations), (error) => done([{ id: 'axe', help: String(error), nodes: [] }]));
";

impl Browser {
    /// What axe finds in the page that is shown, as sentences; nothing in a good page.
    #[track_caller]
    pub fn barriers(&self) -> Vec<String> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/axe.min.js");
        if self.run("return typeof axe === 'undefined'", &[]) == true {
            let axe = std::fs::read_to_string(&file)
                .unwrap_or_else(|error| panic!("{}: {error}; \"scripts/tools test\" puts it there", file.display()));
            self.run(&axe, &[]);
        }
        let found = self.must("run", "axe", self.script("async", RUN, &[]));
        let found = found.as_array().unwrap_or_else(|| panic!("axe finds {found}"));
        found.iter().map(sentence).collect()
    }
}

/// One rule that is broken, and where.
fn sentence(violation: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut sentence = format!("{}: {}", text(&violation["id"]), text(&violation["help"]));
    for node in violation["nodes"].as_array().into_iter().flatten() {
        let place = node["target"].as_array().into_iter().flatten().map(text).collect::<Vec<_>>().join(" ");
        let summary = text(&node["failureSummary"]).replace('\n', " ");
        let _ = write!(sentence, "\n    {place}: {}\n      {summary}", text(&node["html"]));
    }
    sentence
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_violation_names_its_rule_and_its_place() {
        let violation = json!({
            "id": "label", "help": "Form elements must have labels",
            "nodes": [{ "target": ["#name"], "html": "<input id=name>", "failureSummary": "Fix it:\n no label" }],
        });
        let text = sentence(&violation);
        assert!(text.starts_with("label: Form elements must have labels\n    #name: <input id=name>"), "{text}");
        assert!(text.contains("no label"), "{text}");
    }
}
