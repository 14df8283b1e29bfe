//! What the machine was doing when a client failed: `System information` of the original, lines
//! 20088 to 20098 (facts 2.15; their words are ours but for the first). Read from `/proc` by the
//! housekeeping thread.

use std::collections::VecDeque;
use std::fs;
use std::time::Duration;

use llt::Instant;

/// Measures of the last half minute, taken while anybody is supervised.
#[derive(Debug, Default)]
pub(super) struct Sampler {
    samples: VecDeque<Sample>,
}

/// Counters of the kernel at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sample {
    at: Instant,
    /// Ticks of all processors, and those of them with work.
    ticks: u64,
    busy: u64,
    /// KiB read from disks.
    paged_in: u64,
}

impl Sampler {
    /// To be called often; it measures once a second.
    pub(super) fn sample(&mut self, now: Instant) {
        if self.samples.back().is_some_and(|last| now.since(last.at) < EVERY) {
            return;
        }
        let (ticks, busy) = ticks(&read("stat")).unwrap_or_default();
        let paged_in = number(&read("vmstat"), "pgpgin").unwrap_or_default();
        self.samples.push_back(Sample { at: now, ticks, busy, paged_in });
        while self.samples.len() > KEPT {
            self.samples.pop_front();
        }
    }

    /// The lines of the log.
    pub(super) fn lines(&mut self, now: Instant) -> Vec<String> {
        self.sample(now);
        let (stat, memory, load) = (read("stat"), read("meminfo"), read("loadavg"));
        let cpus = stat.lines().filter(|line| is_one_cpu(line)).count();
        let kib = |name| number(&memory, name).unwrap_or_default();
        let mut loads = load.split(' ').take(3).map(|load| load.to_owned());
        let mut load = || loads.next().unwrap_or_default();
        let over = |span| percent(self.before(now, span), self.samples.back());
        let rows = [
            "System information:".to_owned(),
            format!("Number of cpu: {cpus}"),
            format!("Physical memory: {} kB", kib("MemTotal:")),
            format!("Free memory: {} kB", kib("MemFree:")),
            format!("Average cpu use over 5 sec: {}%", over(Duration::from_secs(5))),
            format!("Average cpu use over 30 sec: {}%", over(Duration::from_secs(30))),
            format!("Number of processes: {}", processes()),
            format!("Load average over 1 min: {}", load()),
            format!("Load average over 5 min: {}", load()),
            format!("Load average over 15 min: {}", load()),
            format!("Pagein rate: {} kB/sec", self.paging(now)),
        ];
        (FIRST_ID..).zip(rows).map(|(id, row)| format!("GAB INFO V-15-1-{id} {row}")).collect()
    }

    /// The sample of so long ago, or the oldest.
    fn before(&self, now: Instant, span: Duration) -> Option<&Sample> {
        let old = self.samples.iter().rfind(|sample| now.since(sample.at) >= span);
        old.or_else(|| self.samples.front())
    }

    fn paging(&self, now: Instant) -> u64 {
        let (Some(from), Some(to)) =
            (self.before(now, Duration::from_secs(5)), self.samples.back())
        else {
            return 0;
        };
        to.paged_in.saturating_sub(from.paged_in) / to.at.since(from.at).as_secs().max(1)
    }
}

/// Share of ticks with work between the two.
fn percent(from: Option<&Sample>, to: Option<&Sample>) -> u64 {
    let (Some(from), Some(to)) = (from, to) else { return 0 };
    let ticks = to.ticks.saturating_sub(from.ticks);
    to.busy.saturating_sub(from.busy) * 100 / ticks.max(1)
}

/// A file of `/proc`; empty if it cannot be read.
fn read(name: &str) -> String {
    fs::read_to_string(format!("/proc/{name}")).unwrap_or_default()
}

/// The number after this name at the start of a line.
fn number(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.split_whitespace().next() == Some(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn is_one_cpu(line: &str) -> bool {
    line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// All ticks of all processors, and those with work: neither idle nor waiting for a disk.
fn ticks(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().find(|line| line.starts_with("cpu "))?;
    // Guests are counted among the users already.
    let fields = line.split_whitespace().skip(1).take(8);
    let counts: Vec<u64> = fields.map(|field| field.parse().unwrap_or_default()).collect();
    let all = counts.iter().sum::<u64>();
    let idle = counts.iter().skip(3).take(2).sum::<u64>();
    Some((all, all - idle))
}

fn processes() -> usize {
    let Ok(entries) = fs::read_dir("/proc") else { return 0 };
    let is_process = |name: &std::ffi::OsStr| {
        name.to_str().is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
    };
    entries.flatten().filter(|entry| is_process(&entry.file_name())).count()
}

/// The number of the first line.
const FIRST_ID: u32 = 20_088;
/// How often it measures, and how much of it is kept: half a minute.
const EVERY: Duration = Duration::from_secs(1);
const KEPT: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_are_understood() {
        let stat =
            "cpu  10 1 9 70 10 0 0 0 0 0\ncpu0 5 1 4 35 5 0 0 0 0 0\ncpu1 5 0 5 35 5 0\nintr 1\n";
        assert_eq!(ticks(stat), Some((100, 20)));
        assert_eq!(stat.lines().filter(|line| is_one_cpu(line)).count(), 2);
        assert_eq!(number("MemTotal:  2048 kB\nMemFree: 7 kB\n", "MemFree:"), Some(7));
        assert_eq!(number("", "pgpgin"), None);
        let sample = |ticks, busy| Sample { ticks, busy, ..Sample::default() };
        assert_eq!(percent(Some(&sample(100, 20)), Some(&sample(200, 70))), 50);
        assert_eq!(percent(None, None), 0);
    }

    #[test]
    fn there_are_eleven_lines() {
        let lines = Sampler::default().lines(Instant::ZERO + Duration::from_secs(9));
        assert_eq!(lines[0], "GAB INFO V-15-1-20088 System information:");
        assert_eq!(lines.len(), 11);
        assert!(lines[10].starts_with("GAB INFO V-15-1-20098 Pagein rate: "), "{lines:?}");
        assert!(!lines[1].ends_with(": 0") && !lines[6].ends_with(": 0"), "{lines:?}");
    }
}
