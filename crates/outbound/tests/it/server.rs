//! Local servers that answer, or fail to.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use nexus_outbound::{Client, ClientOptions};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// A server; it ends when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Runs `serve` for each connection.
    pub(crate) async fn start<F, Fut>(serve: F) -> Self
    where
        F: Fn(TcpStream) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("bound");
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                connections.spawn(serve(stream));
            }
        });
        Self { address, accepted, _tasks: tasks }
    }

    /// Answers every request of every connection with the same bytes.
    pub(crate) async fn answering(answer: impl Into<String>) -> Self {
        let answer = Arc::new(answer.into());
        Self::start(move |mut stream| {
            let answer = Arc::clone(&answer);
            async move { while request(&mut stream).await.is_some() && stream.write_all(answer.as_bytes()).await.is_ok() {} }
        })
        .await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

/// Reads one request: its head and as much body as `content-length` says. `None` when the connection ends.
pub(crate) async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut seen = Vec::new();
    loop {
        if let Some(end) = seen.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&seen[..end]).to_lowercase();
            let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0usize);
            if seen.len() >= end + 4 + length {
                return Some(String::from_utf8_lossy(&seen).into_owned());
            }
        }
        if stream.read_buf(&mut seen).await.ok()? == 0 {
            return None;
        }
    }
}

/// Waits until the other side ends the connection.
pub(crate) async fn until_closed(mut stream: TcpStream) {
    let mut sink = [0; 1024];
    while stream.read(&mut sink).await.is_ok_and(|n| n > 0) {}
}

pub(crate) fn options() -> ClientOptions {
    ClientOptions {
        connect_timeout: Duration::from_secs(2),
        total_timeout: Duration::from_secs(10),
        ..ClientOptions::default()
    }
}

pub(crate) fn client() -> Client {
    Client::new(options()).expect("a client")
}
