//! The demo, as a newcomer runs it.

use serde_json::Value;

use crate::hub::{run, text};

/// N-024, N-041: payment to notification, all nine steps, one correlation id. Twice, as a first run may leave something behind.
#[tokio::test]
async fn the_demo_plays_all_nine_steps_twice() {
    let dir = tempfile::tempdir().expect("a folder");
    for _ in 0..2 {
        let output = run(dir.path(), &["demo", "--once", "--json"]).await;
        assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
        let lines: Vec<Value> =
            text(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let steps: Vec<u64> = lines.iter().filter_map(|line| line["step"].as_u64()).collect();
        assert_eq!(steps, (1..=9).collect::<Vec<_>>());
        let told = text(&output.stdout);
        assert!(
            told.contains("delivered to mint-on-payment") && told.contains("delivered to notify-on-mint"),
            "{told}"
        );
        assert!(told.contains("one correlation id through all"), "{told}");
    }
}

#[tokio::test]
async fn a_demo_that_can_not_have_its_port_says_so_and_fails() {
    let dir = tempfile::tempdir().expect("a folder");
    let holder = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = holder.local_addr().expect("an address").to_string();
    let output = run(dir.path(), &["demo", "--once", "--listen", &taken]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains(&taken), "{}", text(&output.stderr));
}
