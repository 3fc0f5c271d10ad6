//! The worker as a pod runs it, while it runs: what it serves, and how it ends.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    thread::JoinHandle,
};

use lexigram_api::contract::Progress;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// A worker that serves its progress.
pub struct Pod {
    child: Child,
    address: String,
    log: JoinHandle<Vec<String>>,
}

impl Pod {
    /// Starts it, and waits until it listens.
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        // the log tells the address: the port was for the system to choose
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = log
            .find_map(|line| {
                let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
                line["address"].as_str().map(str::to_owned)
            })
            .unwrap();
        let log = std::thread::spawn(move || log.map(Result::unwrap).collect());
        Self { child, address, log }
    }

    /// The body of a plain HTTP answer.
    pub fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: worker\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        body.to_owned()
    }

    pub fn progress(&self) -> Progress {
        serde_json::from_str(&self.get("/progress")).unwrap()
    }

    /// Tells it to stop, as Kubernetes does; its exit code, and the rest of its log.
    pub fn stop(mut self) -> (Option<i32>, Vec<String>) {
        kill_process(Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap(), Signal::TERM).unwrap();
        let code = self.child.wait().unwrap().code();
        (code, self.log.join().unwrap())
    }
}
