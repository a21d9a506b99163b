//! As much of Gherkin as feature files about flows use: features, scenarios, steps, doc strings.

/// A scenario.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// Of which feature.
    pub(crate) feature: String,
    /// Its name.
    pub(crate) name: String,
    /// Its steps.
    pub(crate) steps: Vec<Step>,
}

/// A step.
#[derive(Debug)]
pub(crate) struct Step {
    /// Its words, without `Given`, `When`, `Then`, `And` or `But`.
    pub(crate) text: String,
    /// Its doc string.
    pub(crate) doc: Option<String>,
}

/// Reads a feature file.
pub(crate) fn parse(text: &str) -> Vec<Scenario> {
    let mut feature = String::new();
    let mut scenarios: Vec<Scenario> = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let words = line.trim();
        if let Some(name) = words.strip_prefix("Feature:") {
            name.trim().clone_into(&mut feature);
        } else if let Some(name) = words.strip_prefix("Scenario:") {
            scenarios.push(Scenario { feature: feature.clone(), name: name.trim().to_owned(), steps: Vec::new() });
        } else if words.starts_with("\"\"\"") {
            let indent = line.len() - line.trim_start().len();
            let mut doc = String::new();
            for inner in lines.by_ref().take_while(|inner| !inner.trim_start().starts_with("\"\"\"")) {
                let blank = inner.len() - inner.trim_start().len();
                doc.push_str(&inner[indent.min(blank)..]);
                doc.push('\n');
            }
            let step = scenarios.last_mut().and_then(|scenario| scenario.steps.last_mut());
            step.expect("a doc string follows a step").doc = Some(doc);
        } else if let Some(scenario) = scenarios.last_mut()
            && let Some(text) =
                ["Given ", "When ", "Then ", "And ", "But "].iter().find_map(|word| words.strip_prefix(word))
        {
            scenario.steps.push(Step { text: text.to_owned(), doc: None });
        } else if !words.is_empty() && !words.starts_with('#') && !scenarios.is_empty() {
            panic!("not understood: {words}");
        }
    }
    scenarios
}
