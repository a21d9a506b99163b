//! A graph as text that other programs draw.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{END, Graph, START, Vertex};

/// Characters of a label.
const LABEL: usize = 60;

/// As Mermaid's flowchart.
pub fn mermaid(graph: &Graph) -> String {
    let names = names(graph);
    let mut text = format!("%% {}\nflowchart TD\n", graph.flow);
    inside_mermaid(graph, None, 1, &names, &mut text);
    for edge in &graph.edges {
        let (from, to) = (name(&names, &edge.from), name(&names, &edge.to));
        let _ = match edge.when.as_str() {
            "" => writeln!(text, "  {from} --> {to}"),
            when => writeln!(text, "  {from} -->|\"{}\"| {to}", entity(when)),
        };
    }
    text
}

fn inside_mermaid(graph: &Graph, within: Option<&str>, depth: usize, names: &Names<'_>, text: &mut String) {
    let indent = "  ".repeat(depth);
    for node in graph.nodes.iter().filter(|node| node.within.as_deref() == within) {
        let id = name(names, &node.id);
        let label = entity(&label(node));
        let _ = match node.kind {
            _ if node.id == START || node.id == END => writeln!(text, "{indent}{id}(({label}))"),
            "switch" => writeln!(text, "{indent}{id}{{\"{label}\"}}"),
            "listen" | "wait" => writeln!(text, "{indent}{id}([\"{label}\"])"),
            _ => writeln!(text, "{indent}{id}[\"{label}\"]"),
        };
        if graph.nodes.iter().any(|inner| inner.within.as_deref() == Some(&node.id)) {
            let _ = writeln!(text, "{indent}subgraph {id}s [\"{}\"]", entity(&node.name));
            inside_mermaid(graph, Some(&node.id), depth + 1, names, text);
            let _ = writeln!(text, "{indent}end");
        }
    }
}

/// As Graphviz' dot.
pub fn dot(graph: &Graph) -> String {
    let names = names(graph);
    let mut text = format!("digraph \"{}\" {{\n  node [shape=box];\n", escaped(&graph.flow));
    inside_dot(graph, None, 1, &names, &mut text);
    for edge in &graph.edges {
        let (from, to) = (name(&names, &edge.from), name(&names, &edge.to));
        let _ = match edge.when.as_str() {
            "" => writeln!(text, "  {from} -> {to};"),
            when => writeln!(text, "  {from} -> {to} [label=\"{}\"];", escaped(&short(when))),
        };
    }
    text.push_str("}\n");
    text
}

fn inside_dot(graph: &Graph, within: Option<&str>, depth: usize, names: &Names<'_>, text: &mut String) {
    let indent = "  ".repeat(depth);
    for node in graph.nodes.iter().filter(|node| node.within.as_deref() == within) {
        let id = name(names, &node.id);
        let shape = match node.kind {
            "start" | "end" => ", shape=circle",
            "switch" => ", shape=diamond",
            "listen" | "wait" => ", style=rounded",
            _ => "",
        };
        let _ = writeln!(text, "{indent}{id} [label=\"{}\"{shape}];", escaped(&label(node)));
        if graph.nodes.iter().any(|inner| inner.within.as_deref() == Some(&node.id)) {
            let _ = writeln!(text, "{indent}subgraph cluster_{id} {{");
            let _ = writeln!(text, "{indent}  label=\"{}\";", escaped(&node.name));
            inside_dot(graph, Some(&node.id), depth + 1, names, text);
            let _ = writeln!(text, "{indent}}}");
        }
    }
}

type Names<'g> = BTreeMap<&'g str, String>;

/// Short names for nodes: `n1`, `n2`, … in the order of the document.
fn names(graph: &Graph) -> Names<'_> {
    graph.nodes.iter().enumerate().map(|(n, node)| (node.id.as_str(), format!("n{n}"))).collect()
}

fn name<'n>(names: &'n Names<'_>, id: &str) -> &'n str {
    names.get(id).map_or("n0", String::as_str)
}

fn label(node: &Vertex) -> String {
    match (node.kind, node.about.as_str()) {
        ("start" | "end", _) => node.name.clone(),
        (kind, "") => format!("{}: {kind}", node.name),
        (kind, about) => format!("{}: {kind} {}", node.name, short(about)),
    }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(LABEL) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// What has a meaning inside Mermaid's quotes, as its entities.
fn entity(text: &str) -> String {
    let mut out = String::new();
    for c in short(text).chars() {
        match c {
            '"' => out.push_str("#quot;"),
            '#' => out.push_str("#35;"),
            '<' => out.push_str("#lt;"),
            '>' => out.push_str("#gt;"),
            '\n' | '\r' => out.push(' '),
            other => out.push(other),
        }
    }
    out
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', " ")
}
