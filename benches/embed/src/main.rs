//! Embeds texts whenever the driver asks for it, and says how long it took. Reads requests from standard input, one
//! JSON object a line, and answers each with one on standard output.
//!
//! The driver runs this process and one of Python onnxruntime side by side and asks them in turn, so that both meet
//! the same state of the machine.

use std::{
    error::Error,
    fs,
    io::{self, BufRead, Write},
    num::NonZero,
    path::Path,
    time::Instant,
};

use lexigram_bert::Model;
use serde::Deserialize;
use serde_json::{Value, json};

/// What the driver wants.
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
enum Request {
    /// Embed the texts of a file, a JSON array; with `vectors`, write what comes out there, as little-endian numbers.
    Embed { texts: String, vectors: Option<String> },
    /// The speed of the matrix product on all threads, in GFLOPS.
    Peak,
    /// The process's resident memory, and its largest, in MiB.
    Memory,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(folder), Some(threads)) = (arguments.next(), arguments.next()) else {
        return Err("usage: lexigram-bench-embed MODEL-FOLDER THREADS".into());
    };
    let threads: NonZero<usize> = threads.parse()?;
    let start = Instant::now();
    let model = Model::load(Path::new(&folder), "model")?.with_threads(threads);
    answer(&json!({ "load_seconds": start.elapsed().as_secs_f64() }))?;
    for line in io::stdin().lock().lines() {
        answer(&match serde_json::from_str(&line?)? {
            Request::Embed { texts, vectors } => embed(&model, &texts, vectors.as_deref())?,
            Request::Peak => json!({ "gflops": lexigram_bert::peak(threads) / 1e9 }),
            Request::Memory => memory()?,
        })?;
    }
    Ok(())
}

fn embed(model: &Model, texts: &str, vectors: Option<&str>) -> Result<Value, Box<dyn Error>> {
    let texts: Vec<String> = serde_json::from_slice(&fs::read(texts)?)?;
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let (start, processor) = (Instant::now(), processor_seconds());
    let embedded = model.embed(&texts, true)?;
    let (seconds, processor) = (start.elapsed().as_secs_f64(), processor_seconds() - processor);
    if let Some(path) = vectors {
        let bytes: Vec<u8> = embedded
            .iter()
            .filter_map(|sentence| sentence.vector.as_ref())
            .flatten()
            .flat_map(|number| number.to_le_bytes())
            .collect();
        fs::write(path, bytes)?;
    }
    Ok(json!({ "seconds": seconds, "cpu_seconds": processor }))
}

/// Processor time of all threads so far.
fn processor_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn memory() -> Result<Value, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).map(|kib| kib / 1024)
    };
    Ok(json!({ "rss": of("VmRSS:"), "most": of("VmHWM:") }))
}

fn answer(value: &Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{value}")?;
    out.flush()
}
