//! Plots are drawn, read as XML, and what they are to show is looked for.

use serde_json::{Value, json};

use super::data::plots;
use super::*;

fn spread(median: f64, unit: &str) -> Value {
    json!({"median": median, "min": median * 0.9, "max": median * 1.2, "unit": unit})
}

fn beside(median: f64, unit: &str, ratio: f64) -> Value {
    let mut beside = spread(median, unit);
    beside["settings"] = json!("fast");
    beside["ratio"] = spread(ratio, "ratio");
    beside
}

fn raw(size: u32, path: &str, packets: f64) -> Value {
    json!({
        "workload": "raw", "n": 2, "size": size, "transport": "ether", "netns": true,
        "path": path, "ours": spread(packets, "messages/s"),
    })
}

fn rate(n: u8, size: u32, ours: f64, corosync: Option<f64>) -> Value {
    let mut line = json!({
        "workload": "bcast-1", "n": n, "size": size, "transport": "udp", "netns": false,
        "ours": spread(ours, "messages/s"),
    });
    if let Some(corosync) = corosync {
        line["beside"] = json!({"corosync": beside(corosync, "messages/s", ours / corosync)});
    }
    line
}

fn latency(n: u8, percentile: &str, us: f64) -> Value {
    json!({
        "workload": "latency", "n": n, "size": 64, "transport": "ether", "netns": true,
        "level": "safe", "from": "other", "to": "remote", "percentile": percentile,
        "ours": spread(us, "us"), "beside": {"sealed": beside(us * 1.5, "us", 1.5)},
    })
}

fn detect(n: u8, ms: f64) -> [Value; 2] {
    let line = |time: &str, ms| {
        json!({
            "workload": "detect", "n": n, "size": 0, "transport": "ether", "netns": true,
            "cause": "kill", "time": time, "ours": spread(ms, "ms"),
        })
    };
    [line("view", ms), line("change", ms / 50.0)]
}

fn figures() -> Vec<Line> {
    let mut list = vec![
        rate(2, 64, 240_000.0, Some(60_000.0)),
        rate(2, 1024, 90_000.0, Some(30_000.0)),
        rate(4, 64, 150_000.0, None),
        latency(2, "p50", 40.0),
        latency(4, "p50", 60.0),
        latency(2, "p99", 140.0),
        latency(4, "p99", 260.0),
        raw(64, "udp", 600_000.0),
        raw(1024, "udp", 400_000.0),
        raw(64, "packet broadcast", 900_000.0),
    ];
    list.extend(detect(2, 110.0));
    list.extend(detect(8, 130.0));
    understand(Value::Array(list)).unwrap()
}

#[test]
fn plots_are_by_size_and_by_nodes_where_there_are_two_points() {
    let plots = plots(&figures());
    let names: Vec<&str> = plots.iter().map(|plot| plot.name.as_str()).collect();
    let expected = [
        "bcast-1-by-n-size64",
        "bcast-1-by-size-n2",
        "detect-kill-by-n",
        "latency-safe-other-remote-by-n-size64",
        "raw-by-size-n2",
    ];
    assert_eq!(names, expected);
    let labels = |plot: &data::Plot| -> Vec<String> {
        plot.series.iter().map(|series| series.label.clone()).collect()
    };
    // Corosync has one point by nodes, which is drawn; no ratio is.
    assert_eq!(labels(&plots[0]), ["ours", "corosync"]);
    assert_eq!(labels(&plots[2]), ["ours change", "ours view"]);
    assert_eq!(labels(&plots[3]), ["ours p50", "ours p99", "sealed p50", "sealed p99"]);
    assert_eq!(labels(&plots[4]), ["packet broadcast", "udp"]);
    let title = "bcast-1: throughput by size, 2 nodes (UDP on the loopback)";
    assert_eq!(
        (plots[1].title.as_str(), plots[1].y_label.as_str()),
        (title, "throughput, messages/s")
    );
}

#[test]
fn a_plot_is_well_formed_and_has_its_series_title_and_axes() {
    for plot in plots(&figures()) {
        let text = svg::render(&plot).unwrap();
        let document = roxmltree::Document::parse(&text).unwrap();
        let texts: Vec<&str> = document
            .descendants()
            .filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "text")))
            .filter_map(|node| node.text())
            .map(str::trim)
            .collect();
        let legend = plot.series.iter().map(|series| series.label.as_str());
        for expected in legend.chain([plot.title.as_str(), plot.y_label.as_str()]) {
            assert!(texts.contains(&expected), "{}: {expected} is not in {texts:?}", plot.name);
        }
        let points: usize = plot.series.iter().map(|series| series.points.len()).sum();
        let circles = document
            .descendants()
            .filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "circle")))
            .count();
        assert_eq!(circles, points, "{}", plot.name);
    }
}

#[test]
fn files_are_drawn_from_a_file_and_what_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("figures.json");
    std::fs::write(&file, json!([rate(2, 64, 5.0, None), rate(2, 128, 4.0, None)]).to_string())
        .unwrap();
    let drawn = folder.path().join("plots");
    assert_eq!(draw(&read(&file).unwrap(), &drawn).unwrap(), 1);
    assert!(drawn.join("bcast-1-by-size-n2.svg").is_file());
    std::fs::write(&file, "{}").unwrap();
    let error = read(&file).unwrap_err();
    assert!(error.to_string().ends_with("was not written by muster bench --json"), "{error:#}");
    let one = understand(json!([rate(2, 64, 5.0, None)])).unwrap();
    let error = draw(&one, &drawn).unwrap_err().to_string();
    assert!(error.contains("two sizes"), "{error}");
}
