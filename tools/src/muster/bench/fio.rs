//! fio: what it is asked to do, how it runs, and what it says in the end.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::super::netns::system;
use super::super::temporary::Temporary;
use super::super::{daemons, wait};

/// What fio does.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Access {
    /// Anywhere.
    RandomRead,
    /// Anywhere.
    RandomWrite,
    /// From the beginning to the end, and again.
    SequentialRead,
    /// From the beginning to the end, and again.
    SequentialWrite,
}

/// Where fio reads and writes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// In a file, past the page cache.
    File(PathBuf),
    /// At a server.
    Nbd(String),
}

/// A process that ends when this is dropped.
#[derive(Debug)]
pub(super) struct Doomed(pub(super) Child);

/// One run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run<'a> {
    pub(super) place: &'a Place,
    pub(super) access: Access,
    /// From this byte on.
    pub(super) at: u64,
    /// Within so many bytes.
    pub(super) len: u64,
    /// Bytes of each request.
    pub(super) size: u32,
    /// Requests under way.
    pub(super) depth: u32,
    /// How long it takes; without, everything is done once and made durable.
    pub(super) time: Option<Duration>,
}

/// A fio that runs; ends when it is dropped.
#[derive(Debug)]
pub(super) struct Fio {
    process: Doomed,
    access: Access,
    limit: Duration,
    output: PathBuf,
    errors: PathBuf,
}

/// What came of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Outcome {
    /// Requests per second.
    pub(super) iops: f64,
    /// MiB per second.
    pub(super) mib: f64,
    /// From handing a request over to its answer, in microseconds.
    pub(super) p50_us: f64,
    /// The same.
    pub(super) p99_us: f64,
    /// The same, of the slowest.
    pub(super) max_us: f64,
}

/// What fio prints with `--output-format=json`, as far as it is of use.
#[derive(Debug, Deserialize)]
struct Report {
    jobs: Vec<Job>,
}

#[derive(Debug, Deserialize)]
struct Job {
    error: i32,
    read: Direction,
    write: Direction,
}

#[derive(Debug, Deserialize)]
struct Direction {
    iops: f64,
    bw_bytes: f64,
    total_ios: u64,
    lat_ns: Latency,
}

#[derive(Debug, Deserialize)]
struct Latency {
    max: u64,
    /// By per cent, with six decimals; not there where nothing was done.
    #[serde(default)]
    percentile: BTreeMap<String, f64>,
}

/// Beyond the time of a run; what has none may take so long on a bad day.
const PATIENCE: Duration = Duration::from_secs(300);

impl Access {
    /// In tables and JSON.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::RandomRead => "random read",
            Self::RandomWrite => "random write",
            Self::SequentialRead => "sequential read",
            Self::SequentialWrite => "sequential write",
        }
    }

    pub(super) fn is_write(self) -> bool {
        match self {
            Self::RandomRead | Self::SequentialRead => false,
            Self::RandomWrite | Self::SequentialWrite => true,
        }
    }

    pub(super) fn is_random(self) -> bool {
        match self {
            Self::RandomRead | Self::RandomWrite => true,
            Self::SequentialRead | Self::SequentialWrite => false,
        }
    }

    /// What fio calls it.
    fn rw(self) -> &'static str {
        match self {
            Self::RandomRead => "randread",
            Self::RandomWrite => "randwrite",
            Self::SequentialRead => "read",
            Self::SequentialWrite => "write",
        }
    }
}

impl Place {
    /// An export of the server on this socket.
    pub(super) fn nbd(export: &str, socket: &Path) -> Self {
        Self::Nbd(format!("nbd+unix:///{export}?socket={}", socket.display()))
    }
}

impl Run<'_> {
    /// Without those that say where its output goes.
    fn arguments(&self) -> Vec<String> {
        let mut all = vec!["--name=bench".to_owned()];
        all.extend(match self.place {
            Place::File(path) => vec![
                "--ioengine=io_uring".to_owned(),
                "--direct=1".to_owned(),
                // As the disks of the testbed are: blocks come when they are written.
                "--fallocate=none".to_owned(),
                format!("--filename={}", path.display()),
            ],
            Place::Nbd(uri) => vec!["--ioengine=nbd".to_owned(), format!("--uri={uri}")],
        });
        all.push(format!("--rw={}", self.access.rw()));
        all.push(format!("--bs={}", self.size));
        all.push(format!("--iodepth={}", self.depth));
        all.push(format!("--offset={}", self.at));
        all.push(format!("--size={}", self.len));
        match self.time {
            Some(time) => {
                all.push("--time_based".to_owned());
                all.push(format!("--runtime={}ms", time.as_millis()));
            }
            None => all.push("--end_fsync=1".to_owned()),
        }
        // One process, which can be ended as one; the whole latency, as each engine divides it
        // in another way.
        let rest = ["--thread", "--lat_percentiles=1", "--clat_percentiles=0"];
        all.extend(rest.map(str::to_owned));
        all.push("--percentile_list=50:99".to_owned());
        all.extend(["--eta=never", "--output-format=json"].map(str::to_owned));
        all
    }
}

impl Fio {
    /// Starts it; it does not outlive this thread. Those that run at a time begin at different places.
    pub(super) fn start(cluster: &Temporary, program: &Path, run: &Run<'_>) -> Result<Self> {
        let output = cluster.folder().join(format!("fio-{}.json", run.at));
        let errors = cluster.folder().join(format!("fio-{}.err", run.at));
        let mut command = daemons::detached(&cluster.cluster, &cluster.binaries, None);
        command.arg(program).args(run.arguments());
        command.current_dir(cluster.folder()).stdin(Stdio::null());
        let open = |path: &Path| {
            File::create(path).with_context(|| format!("cannot make {}", path.display()))
        };
        command.stdout(open(&output)?).stderr(open(&errors)?);
        let child = command.spawn().context("cannot run fio")?;
        Ok(Self {
            process: Doomed(child),
            access: run.access,
            limit: run.time.unwrap_or_default() + PATIENCE,
            output,
            errors,
        })
    }

    /// It has not come to its end.
    pub(super) fn is_running(&mut self) -> Result<bool> {
        Ok(self.process.0.try_wait()?.is_none())
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// If it fails: with what it said.
    pub(super) fn finish(mut self) -> Result<Outcome> {
        let child = &mut self.process.0;
        let status = wait::until("fio ends", self.limit, || Ok(child.try_wait()?))?;
        let output = std::fs::read_to_string(&self.output)?;
        let outcome = if status.success() {
            understand(&output, self.access)
        } else {
            Err(anyhow::anyhow!("fio failed ({status})"))
        };
        outcome.with_context(|| {
            let errors = std::fs::read_to_string(&self.errors).unwrap_or_default();
            // It says some of it in front of the JSON.
            let (notes, _) = split(&output);
            format!("fio said: {}", [notes.trim(), errors.trim()].join("\n").trim())
        })
    }
}

/// What precedes the JSON, and that.
fn split(output: &str) -> (&str, &str) {
    let begin = if output.starts_with('{') { 0 } else { output.find("\n{").map_or(0, |at| at + 1) };
    output.split_at(begin)
}

/// What came of a run, out of what fio has printed.
fn understand(output: &str, access: Access) -> Result<Outcome> {
    let (_, json) = split(output);
    let report: Report = serde_json::from_str(json).context("this is not the JSON of fio")?;
    let [job] = report.jobs.as_slice() else { bail!("fio tells of {} jobs", report.jobs.len()) };
    ensure!(job.error == 0, "the job of fio failed with error {}", job.error);
    let done = if access.is_write() { &job.write } else { &job.read };
    ensure!(done.total_ios > 0, "fio has done nothing");
    let us = |percent: &str| {
        let ns = done.lat_ns.percentile.get(percent);
        Ok::<_, anyhow::Error>(ns.with_context(|| format!("fio has no {percent} %"))? / 1000.0)
    };
    Ok(Outcome {
        iops: done.iops,
        mib: done.bw_bytes / f64::from(1 << 20),
        p50_us: us("50.000000")?,
        p99_us: us("99.000000")?,
        max_us: Duration::from_nanos(done.lat_ns.max).as_secs_f64() * 1e6,
    })
}

/// The program.
///
/// # Errors
/// If it is not there.
pub(super) fn installed() -> Result<PathBuf> {
    system::find("fio").context(
        "the workloads txn and volume need fio with its engine nbd (Debian: apt-get install fio): not on \
         the PATH, nor in /usr/sbin or /sbin",
    )
}

impl Drop for Doomed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of fio 3.33: half a second of random writes of 4 KiB, without what nobody reads.
    const SAMPLE: &str = include_str!("fio-sample.txt");

    #[test]
    fn what_fio_prints_is_understood() {
        // Something comes first.
        assert_eq!(split(SAMPLE).0, "fio: connected to NBD server\n");
        let outcome = understand(SAMPLE, Access::RandomWrite).unwrap();
        let (iops, mib) = (12_203.592_814, 49_985_916.0 / 1_048_576.0);
        let expected = Outcome { iops, mib, p50_us: 60.16, p99_us: 160.768, max_us: 21_478.948 };
        assert_eq!(outcome, expected);
        let (_, json) = split(SAMPLE);
        assert_eq!(split(json), ("", json));
        assert_eq!(understand(json, Access::RandomWrite).unwrap(), expected);
        assert_eq!(split(&format!("some {{note}}\n{json}")).0, "some {note}\n");
    }

    #[test]
    fn what_went_wrong_is_said() {
        let refused = |text: &str, access| understand(text, access).unwrap_err().to_string();
        assert_eq!(refused(SAMPLE, Access::RandomRead), "fio has done nothing");
        let failed = SAMPLE.replace("\"error\" : 0", "\"error\" : 5");
        let refused = refused(&failed, Access::RandomWrite);
        assert_eq!(refused, "the job of fio failed with error 5");
        assert!(understand("fio: engine nbd not loadable\n", Access::RandomRead).is_err());
    }

    #[test]
    fn a_run_with_a_time_goes_on_until_it_is_over() {
        let place = Place::nbd("dg/vol", Path::new("/run/nbd.sock"));
        let (access, size, depth) = (Access::SequentialRead, 1 << 20, 32);
        let (at, len, time) = (4096, 256 << 20, Some(Duration::from_secs(1)));
        let run = Run { place: &place, access, at, len, size, depth, time };
        let arguments = run.arguments().join(" ");
        let expected = "--name=bench --ioengine=nbd --uri=nbd+unix:///dg/vol?socket=/run/nbd.sock \
                        --rw=read --bs=1048576 --iodepth=32 --offset=4096 --size=268435456 --time_based \
                        --runtime=1000ms --thread";
        assert!(arguments.starts_with(expected), "{arguments}");
        let place = Place::File("/dir/file".into());
        let run = Run { place: &place, access: Access::SequentialWrite, time: None, ..run };
        let arguments = run.arguments().join(" ");
        assert!(arguments.contains("--direct=1"), "{arguments}");
        assert!(arguments.contains("--size=268435456 --end_fsync=1 --thread"), "{arguments}");
    }
}
