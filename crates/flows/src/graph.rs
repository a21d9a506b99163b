//! The control flow of a definition as a graph: what can come after what. Drawn as Mermaid, Graphviz or JSON.
//!
//! Every task is a node; a task that holds others stands around them. What a `then`, a `switch`, a `catch` or the end of
//! a branch leads to is an edge.

mod draw;

use serde::Serialize;

pub use draw::{dot, mermaid};

use crate::plan::{Definition, Node, Then, Work};

/// The node where a run begins.
pub const START: &str = "start";
/// The node where it ends.
pub const END: &str = "end";

/// A flow as a graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Graph {
    /// `namespace/name@version`.
    pub flow: String,
    /// The start, every task in the order of the document, the end.
    pub nodes: Vec<Vertex>,
    /// What comes after what.
    pub edges: Vec<Edge>,
}

/// A task, the start or the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Vertex {
    /// Unique: the task's pointer, `start` or `end`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it does: `call`, `do`, `emit`, …
    pub kind: &'static str,
    /// The task that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
    /// In few words what it is about: a request, a duration, a type of events.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub about: String,
}

/// A way from one to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Edge {
    /// From where.
    pub from: String,
    /// To where.
    pub to: String,
    /// When it is taken, where not always: a case, `error`, `each`, `branch`, `skipped`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub when: String,
}

impl Definition {
    /// Its control flow.
    pub fn graph(&self) -> Graph {
        let mut build = Build::default();
        build.vertex(START, "start", "start", None, String::new());
        let ways = build.list(&self.tasks, None, vec![(START.to_owned(), String::new())]);
        build.vertex(END, "end", "end", None, String::new());
        build.join(ways, END);
        let ends = std::mem::take(&mut build.ends);
        build.join(ends, END);
        Graph { flow: self.id.to_string(), nodes: build.nodes, edges: build.edges }
    }
}

/// Ways that lead out of something and have no goal yet: from where, and when.
type Ways = Vec<(String, String)>;

#[derive(Default)]
struct Build {
    nodes: Vec<Vertex>,
    edges: Vec<Edge>,
    /// Ways to the end of the whole flow.
    ends: Ways,
}

impl Build {
    fn vertex(&mut self, id: &str, name: &str, kind: &'static str, within: Option<&str>, about: String) {
        self.nodes.push(Vertex {
            id: id.to_owned(),
            name: name.to_owned(),
            kind,
            within: within.map(str::to_owned),
            about,
        });
    }

    fn join(&mut self, ways: Ways, to: &str) {
        for (from, when) in ways {
            let edge = Edge { from, to: to.to_owned(), when };
            if !self.edges.contains(&edge) {
                self.edges.push(edge);
            }
        }
    }

    /// Tasks one after the other: `ways` lead in; gives those that lead out.
    fn list(&mut self, nodes: &[Node], within: Option<&str>, mut ways: Ways) -> Ways {
        let mut out = Ways::new();
        for (n, node) in nodes.iter().enumerate() {
            self.join(std::mem::take(&mut ways), &node.pointer);
            let next = nodes.get(n + 1);
            for (leaving, then) in self.task(node, within) {
                match then {
                    Then::Continue if next.is_some() => ways.push(leaving),
                    Then::Continue | Then::Exit => out.push(leaving),
                    Then::End => self.ends.push(leaving),
                    Then::Task(index) => {
                        if let Some(target) = nodes.get(index) {
                            self.join(vec![leaving], &target.pointer);
                        }
                    }
                }
            }
            if node.if_.is_some() && !ways.iter().any(|(from, _)| *from == node.pointer) {
                let skipped = (node.pointer.clone(), "skipped".to_owned());
                if next.is_some() { ways.push(skipped) } else { out.push(skipped) }
            }
        }
        // What no way leads to any more still leads on.
        out.extend(ways);
        out
    }

    /// One task: the ways out of it, each with what comes after.
    fn task(&mut self, node: &Node, within: Option<&str>) -> Vec<((String, String), Then)> {
        let at = node.pointer.as_str();
        self.vertex(at, &node.name, kind(&node.work), within, about(&node.work));
        let always = |then| vec![((at.to_owned(), String::new()), then)];
        let after = |ways: Ways| ways.into_iter().map(|way| (way, node.then)).collect();
        match &node.work {
            Work::Switch(cases) => self.cases(node, cases),
            Work::Raise(_) => Vec::new(),
            Work::Do(tasks) => after(self.list(tasks, Some(at), vec![(at.to_owned(), String::new())])),
            Work::Inline { task, .. } => {
                after(self.list(std::slice::from_ref(task), Some(at), vec![(at.to_owned(), String::new())]))
            }
            Work::For(plan) => {
                let back = self.list(&plan.tasks, Some(at), vec![(at.to_owned(), "each".to_owned())]);
                self.join(back, at);
                vec![((at.to_owned(), "done".to_owned()), node.then)]
            }
            Work::Listen(plan) => match &plan.foreach {
                Some(foreach) if !foreach.tasks.is_empty() => {
                    let back = self.list(&foreach.tasks, Some(at), vec![(at.to_owned(), "each".to_owned())]);
                    self.join(back, at);
                    vec![((at.to_owned(), "done".to_owned()), node.then)]
                }
                _ => always(node.then),
            },
            Work::Fork { branches, compete } => {
                let when = if *compete { "race" } else { "branch" };
                let mut out = Ways::new();
                for branch in branches {
                    let into = vec![(at.to_owned(), when.to_owned())];
                    out.extend(self.list(std::slice::from_ref(branch), Some(at), into));
                }
                after(out)
            }
            Work::Try(plan) => {
                let mut out = self.list(&plan.tasks, Some(at), vec![(at.to_owned(), String::new())]);
                if plan.retry.is_some() {
                    self.join(vec![(at.to_owned(), "retry".to_owned())], at);
                }
                match &plan.handler {
                    Some(handler) => {
                        out.extend(self.list(handler, Some(at), vec![(at.to_owned(), "error".to_owned())]));
                    }
                    None if plan.retry.is_none() => out.push((at.to_owned(), "error".to_owned())),
                    None => {}
                }
                after(out)
            }
            _ => always(node.then),
        }
    }

    fn cases(
        &self,
        node: &Node,
        cases: &[(Option<crate::expression::Expression>, Then)],
    ) -> Vec<((String, String), Then)> {
        let mut found: Vec<_> = cases
            .iter()
            .map(|(when, then)| {
                let text = when.as_ref().map_or("otherwise", |when| when.text());
                ((node.pointer.clone(), text.to_owned()), *then)
            })
            .collect();
        if cases.iter().all(|(when, _)| when.is_some()) {
            found.push(((node.pointer.clone(), "otherwise".to_owned()), node.then));
        }
        found
    }
}

fn kind(work: &Work) -> &'static str {
    match work {
        Work::Do(_) => "do",
        Work::Fork { .. } => "fork",
        other => other.kind(),
    }
}

fn about(work: &Work) -> String {
    match work {
        Work::Http(plan) => format!("{} {}", plan.method.to_ascii_uppercase(), plan.target),
        Work::OpenApi(plan) => plan.operation_id.clone(),
        Work::Function { name, version, .. } => format!("{name}:{version}"),
        Work::Run(plan) => plan.flow.to_string(),
        Work::Wait(length) => length.to_string(),
        Work::Listen(plan) => {
            let kinds: Vec<&str> = plan.strategy.filters().into_iter().filter_map(|filter| filter.kind()).collect();
            kinds.join(", ")
        }
        _ => String::new(),
    }
}
