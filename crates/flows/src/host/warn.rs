//! What is no reason to refuse a flow and yet worth a word when it is published or turned on: what its document may mean
//! otherwise, and what can't succeed as long as nobody makes a connection or sets a secret.

use serde_json::Value;

use super::{Flows, shelf::Held};
use crate::{
    expression::inside,
    plan::Work,
    pointer::Pointer,
    problem::{Problem, Problems},
    validate::parts,
    yaml,
};

impl Flows {
    /// The warnings about a flow's present version, with their lines.
    pub async fn warnings(&self, held: &Held) -> Vec<Problem> {
        let definition = &held.current.definition;
        let mut found = Problems::default();
        self.unset(&definition.source, &mut found);
        definition.each_node(&mut |node| {
            let Work::Function { name, .. } = &node.work else { return };
            let at = Pointer::from_text(&node.defined_at).key("with");
            let with = definition.source.pointer(at.as_str()).cloned().unwrap_or_default();
            if let Some((connector, _)) = parts(name) {
                self.unconnected(connector, &with, &at, &mut found);
            }
            for (channel, place) in channels(&with, &at) {
                if let Some(connector) = literal(channel, "connector").ok().flatten() {
                    self.unconnected(connector, channel, &place, &mut found);
                }
            }
        });
        if !found.is_empty() {
            let text = self.version_text(&definition.id.to_string()).await.map(|version| version.text);
            let source = text.ok().and_then(|text| yaml::parse(&text).ok());
            found = found.located(|path| source.as_ref()?.line(path));
        }
        let mut all = definition.warnings.clone();
        all.absorb(found);
        all.by_line().list().to_vec()
    }

    /// Secrets that the flow passes on and nobody set.
    fn unset(&self, source: &Value, found: &mut Problems) {
        let at = Pointer::root().key("use").key("secrets");
        let named = source.pointer(at.as_str()).and_then(Value::as_array);
        for (place, name) in named.into_iter().flatten().enumerate() {
            let Some(name) = name.as_str() else { continue };
            if !self.secrets(&[name.to_owned()]).has(name) {
                let remedy = format!("set it with: nexus secret set {name}");
                found.add(
                    &at.index(place),
                    format!("there is no secret {name:?}; {remedy}; until then tasks that use it fail"),
                );
            }
        }
    }

    fn unconnected(&self, connector: &str, with: &Value, at: &Pointer, found: &mut Problems) {
        // Which account an expression gives is not known before the call.
        let Ok(connection) = literal(with, "connection") else { return };
        if let Some(why) = self.inner.hub.connectors().connections().lacks(connector, connection) {
            found.add(at, format!("{why}; until then this task fails"));
        }
    }
}

/// What a call says about where messages go.
fn channels<'w>(with: &'w Value, at: &Pointer) -> Vec<(&'w Value, Pointer)> {
    let nested = [("/notify", at.key("notify")), ("/escalate/notify", at.key("escalate").key("notify"))];
    let nested = nested.into_iter().filter_map(|(path, place)| Some((with.pointer(path)?, place)));
    std::iter::once((with, at.clone())).chain(nested).collect()
}

/// A text as it stands; an error: it is an expression.
fn literal<'w>(with: &'w Value, name: &str) -> Result<Option<&'w str>, ()> {
    match with.get(name).and_then(Value::as_str) {
        Some(text) if inside(text).is_some() => Err(()),
        found => Ok(found),
    }
}
