//! The demo, as a newcomer runs it.

use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::hub::{PATIENCE, nexus, run, text};

/// N-024, N-041: payment to notification, all nine steps, one correlation id, the hub killed in the middle. Twice, as a first
/// run may leave something behind.
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
        let parts = [
            "waits for MINT_CONFIRMED",
            "the hub is killed (SIGKILL",
            "the hub is started again on its folder",
            "still waits, as it did",
            "delivered to flow.shipped.payment-to-mint",
            "delivered to flow.shipped.mint-to-notify",
            "of shipped/payment-to-mint completed",
            "of shipped/mint-to-notify completed",
            "each thing was asked for once: mint-pix-",
        ];
        let at: Vec<Option<usize>> = parts.iter().map(|part| told.find(part)).collect();
        assert!(at.iter().all(Option::is_some) && at.is_sorted(), "{at:?} {told}");
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

#[tokio::test]
async fn a_demo_that_is_interrupted_ends_its_hub_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut command = nexus(dir.path());
    command.args(["demo", "--listen", "127.0.0.1:0"]).env("TMPDIR", dir.path()).stdout(Stdio::piped());
    let mut demo = command.spawn().expect("it starts");
    let mut lines = BufReader::new(demo.stdout.take().expect("piped")).lines();
    let invited = async {
        while let Some(line) = lines.next_line().await.expect("text") {
            if line.starts_with("Ctrl-C") {
                return;
            }
        }
        panic!("the demo ended by itself");
    };
    tokio::time::timeout(PATIENCE, invited).await.expect("in time");
    let pid = demo.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw).expect("a process id");
    kill_process(pid, Signal::INT).expect("it runs");
    let status = tokio::time::timeout(PATIENCE, demo.wait()).await.expect("in time").expect("it ran");
    assert!(status.success(), "{status}");
    assert_eq!(std::fs::read_dir(dir.path()).expect("a folder").count(), 0);
}
