//! Flows to begin with: each is valid and runs as it stands, and comes with the cases that show it.

use crate::{Definition, problem::Problems, publish};

/// The name that stands in every template, where the new flow's is to stand.
const NAME: &str = "my-flow";
/// The line that holds the namespace.
const NAMESPACE: &str = "\n  namespace: main\n";

/// A flow to begin with.
#[derive(Clone, Copy, Debug)]
pub struct Template {
    /// How it is asked for.
    pub name: &'static str,
    /// What it is for, in a line.
    pub about: &'static str,
    text: &'static str,
    cases: &'static str,
}

macro_rules! template {
    ($name:literal, $about:literal) => {
        Template {
            name: $name,
            about: $about,
            text: include_str!(concat!("../templates/", $name, ".yaml")),
            cases: include_str!(concat!("../templates/", $name, ".cases.yaml")),
        }
    };
}

/// All of them.
pub const TEMPLATES: [Template; 8] = [
    template!("webhook-to-http", "a request to the hub is passed on to a service, and answered"),
    template!("event-to-http", "an event is passed on to a service, again if need be"),
    template!("schedule", "at given times: fetch something, publish an event"),
    template!("behaviour", "what many events show together starts a run"),
    template!("approval", "a person decides, on a page or by a command; somebody else is asked in time"),
    template!("wait-for-event", "ask with one event, wait for another that answers it"),
    template!("retry", "try again, then do something else"),
    template!("sub-flow", "a flow that other flows run, with a contract"),
];

/// The template of this name.
pub fn find(name: &str) -> Option<&'static Template> {
    TEMPLATES.iter().find(|template| template.name == name)
}

impl Template {
    /// The text of a flow of this name, checked.
    pub fn write(&self, namespace: &str, name: &str) -> Result<(String, Definition), Problems> {
        let text = self.text.replace("main/my-flow", &format!("{namespace}/{name}")).replace(NAME, name);
        let text = text.replacen(NAMESPACE, &format!("\n  namespace: {namespace}\n"), 1);
        let definition = publish(&text)?;
        Ok((text, definition))
    }

    /// The cases that test it, as `nexus flows test` takes them.
    pub fn cases(&self) -> &'static str {
        self.cases
    }
}
