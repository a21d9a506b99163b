//! The generators against their own references, end to end and tiny: every row of `limits` must have done work.

use std::process::Command;

#[test]
fn the_limits_of_the_machine_are_measured_without_a_hub() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("figures.json");
    let done = Command::new(env!("CARGO_BIN_EXE_nexus-bench"))
        .args(["--seconds", "0.1", "--rounds", "1", "--connections", "4", "limits", "--subscribers", "3"])
        .arg("--dir")
        .arg(folder.path())
        .arg("--json")
        .arg(&json)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let figures: serde_json::Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let reports = figures["reports"].as_array().unwrap();
    assert_eq!(reports.len(), 2);
    for row in reports.iter().flat_map(|report| report["rows"].as_array().unwrap()) {
        assert!(row["rate"].as_f64().unwrap() > 100.0, "{row}");
        assert_eq!(row["refused"], 0, "{row}");
    }
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(text.contains("| raw 204 |"), "{text}");
    // Folders are given back: only the figures are left.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
