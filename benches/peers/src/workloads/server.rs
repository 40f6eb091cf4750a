//! A tokio server under local load: each request and each answer is a line of JSON.

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

const CLIENTS: usize = 16;
/// Requests that a client sends before it waits for the answers.
const AT_ONCE: usize = 16;

#[derive(Serialize, Deserialize)]
struct Request {
    id: u64,
    words: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Answer {
    id: u64,
    total: usize,
    longest: String,
}

pub fn run(amount: usize, threads: usize) -> u64 {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(serve_and_ask(amount))
        .expect("the local network works")
}

async fn serve_and_ask(amount: usize) -> std::io::Result<u64> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer_all(stream));
        }
    });
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            tokio::spawn(
                async move { ask(TcpStream::connect(address).await?, amount / CLIENTS).await },
            )
        })
        .collect();
    let mut sum = 0;
    for client in clients {
        sum += client.await.expect("no client panics")?;
    }
    server.abort();
    Ok(sum)
}

async fn answer_all(stream: TcpStream) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    while let Some(line) = lines.next_line().await? {
        let request: Request = serde_json::from_str(&line)?;
        let answer = Answer {
            id: request.id,
            total: request.words.iter().map(String::len).sum(),
            longest: request
                .words
                .into_iter()
                .max_by_key(String::len)
                .unwrap_or_default(),
        };
        let mut text = serde_json::to_string(&answer)?;
        text.push('\n');
        write.write_all(text.as_bytes()).await?;
    }
    Ok(())
}

async fn ask(stream: TcpStream, requests: usize) -> std::io::Result<u64> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut sum = 0;
    for first in (0..requests).step_by(AT_ONCE) {
        let mut text = String::new();
        let ids = first..requests.min(first + AT_ONCE);
        for id in ids.clone() {
            let words = (0..id % 24).map(|word| "x".repeat(word)).collect();
            text += &serde_json::to_string(&Request {
                id: id as u64,
                words,
            })?;
            text.push('\n');
        }
        write.write_all(text.as_bytes()).await?;
        for _ in ids {
            let line = lines.next_line().await?.unwrap_or_default();
            let answer: Answer = serde_json::from_str(&line)?;
            sum += answer.id + (answer.total + answer.longest.len()) as u64;
        }
    }
    Ok(sum)
}
