//! A receiver of webhooks on the loopback, which answers as it is told and remembers what it got.
use serde_json::Value;
use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::Duration,
};

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Received {
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl Received {
    pub fn event(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
    pub fn subject(&self) -> String {
        self.event()["subject"].as_str().unwrap().to_owned()
    }
}

type Answers = dyn Fn(&Received) -> String + Send;

pub struct Receiver {
    pub url: String,
    got: Arc<Mutex<Vec<Received>>>,
    answers: Arc<Mutex<Box<Answers>>>,
}

fn status(code: u16) -> String {
    format!("HTTP/1.1 {code} Said\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

impl Receiver {
    /// One that takes everything.
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let got: Arc<Mutex<Vec<Received>>> = Arc::default();
        let answers: Arc<Mutex<Box<Answers>>> = Arc::new(Mutex::new(Box::new(|_| status(204))));
        let (kept, said) = (got.clone(), answers.clone());
        // The thread lives as long as the process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if let Some(received) = read(&stream) {
                    let answer = said.lock().unwrap()(&received);
                    kept.lock().unwrap().push(received);
                    let _ = (&stream).write_all(answer.as_bytes());
                }
            }
        });
        Self { url, got, answers }
    }
    /// Answers with this status from now on.
    pub fn answers(&self, code: u16) {
        self.decides(move |_| status(code));
    }
    /// Decides what status to answer.
    pub fn decides(&self, answer: impl Fn(&Received) -> String + Send + 'static) {
        *self.answers.lock().unwrap() = Box::new(answer);
    }
    pub fn with(code: u16) -> String {
        status(code)
    }
    /// What it got since it was last asked.
    pub fn take(&self) -> Vec<Received> {
        std::mem::take(&mut self.got.lock().unwrap())
    }
}

fn read(stream: &TcpStream) -> Option<Received> {
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut lines = BufReader::new(stream);
    let (mut line, mut headers) = (String::new(), HashMap::new());
    lines.read_line(&mut line).ok()?;
    loop {
        line.clear();
        lines.read_line(&mut line).ok()?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.insert(name.to_ascii_lowercase(), value.to_owned()),
            None => break,
        };
    }
    let length: usize = headers.get("content-length")?.parse().ok()?;
    let mut body = vec![0; length.min(1 << 20)];
    lines.read_exact(&mut body).ok()?;
    Some(Received { headers, body })
}
