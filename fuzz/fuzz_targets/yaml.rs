//! YAML within bounds: what is read keeps the limits, and JSON means the same in both.
#![no_main]

use guardian_workflow::Definition;
use guardian_yaml::{Content, Limits, Node};
use libfuzzer_sys::fuzz_target;

const VALUES: usize = 1000;

fn measure(node: &Node) -> (usize, usize) {
    let children: Vec<&Node> = match &node.content {
        Content::Scalar { .. } => Vec::new(),
        Content::List(items) => items.iter().collect(),
        Content::Map(entries) => entries.iter().map(|(_, value)| value).collect(),
    };
    let inner = children.into_iter().map(measure).fold((0, 0), |(count, depth), (more, deep)| (count + more, depth.max(deep)));
    let level = usize::from(!matches!(node.content, Content::Scalar { .. }));
    (inner.0 + 1, inner.1 + level)
}

fuzz_target!(|text: &str| {
    let limits = Limits::default().with_depth(8).with_values(VALUES).with_aliases(10);
    if let Ok(documents) = limits.read(text) {
        for document in &documents {
            let (count, depth) = measure(document);
            assert!(count <= VALUES && depth <= 8, "{count} values, {depth} levels");
            let _ = document.to_json();
        }
    }
    let _ = Definition::from_yaml(text);
});
