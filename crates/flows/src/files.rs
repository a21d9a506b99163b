//! Flow files by their names: flows, and the cases that test them.

use std::path::Path;

/// Endings of flow files.
const FLOWS: [&str; 3] = ["yaml", "yml", "json"];

/// True for a file that holds a flow: `.yaml`, `.yml` or `.json`, not hidden and no [cases](is_cases).
pub fn is_flow(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
    let ending = path.extension().is_some_and(|e| FLOWS.iter().any(|known| e.eq_ignore_ascii_case(known)));
    ending && !hidden && !is_cases(path)
}

/// True for a file of test cases: `NAME.cases.yaml` beside the flow `NAME.yaml`.
pub fn is_cases(path: &Path) -> bool {
    path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with(".cases"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_and_their_cases_are_told_apart_by_name() {
        for (name, flow, cases) in [
            ("flows/pay.yaml", true, false),
            ("pay.YML", true, false),
            ("pay.json", true, false),
            ("pay.cases.yaml", false, true),
            (".pay.yaml", false, false),
            ("pay.yaml.swp", false, false),
            ("README.md", false, false),
        ] {
            let path = Path::new(name);
            assert_eq!((is_flow(path), is_cases(path)), (flow, cases), "{name}");
        }
    }
}
