//! A process of the workload `raw`: it sends, or it counts what comes.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags};
use rustix::net::sockopt;

use super::super::super::cli::{BenchRawArgs, RawPath as Path};
use super::super::super::{daemons, wait};
use super::super::client::say;
use super::socket::{self, Buffers};
use super::{Sent, segments};

/// Works until its standard input says something or ends.
///
/// # Errors
/// If the sockets cannot be made or used.
pub fn run(args: &BenchRawArgs) -> Result<()> {
    daemons::die_with(Some(args.parent))?;
    if args.sends { send(args) } else { receive(args) }
}

fn send(args: &BenchRawArgs) -> Result<()> {
    let mut payload = vec![0x5a; args.packet];
    let packet = (args.path == Path::Packet).then(|| socket::packet("eth0")).transpose()?;
    let mut connected = Vec::new();
    for to in &args.to {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.connect(to).with_context(|| format!("cannot send to {to}"))?;
        if args.path == Path::UdpGso {
            socket::set_udp(&socket, socket::SEGMENT, i32::try_from(args.packet)?)
                .context("the kernel has no UDP_SEGMENT")?;
        }
        connected.push(socket);
    }
    if args.path == Path::UdpGso {
        payload.resize(args.packet * segments(args.packet), 0x5a);
    }
    say(&0u16)?;
    is_told(Duration::MAX);
    let start = wait::now();
    let end = start + Duration::from_millis(args.time_ms);
    let mut now = start;
    while now < end {
        // The same packet to everybody, before the next.
        if let Some((socket, to)) = &packet {
            tolerate(socket::send(socket, &payload, Some(to)))?;
        }
        for socket in &connected {
            tolerate(socket::send(socket, &payload, None))?;
        }
        now = wait::now();
    }
    say(&Sent { ns: u64::try_from(now.since(start).as_nanos())? })
}

/// Waits for a word on the standard input, or its end.
fn is_told(patience: Duration) -> bool {
    wait::poll_fds(&mut [PollFd::new(&std::io::stdin(), PollFlags::IN)], patience)
}

/// A full queue is where the limit is.
fn tolerate(result: std::io::Result<usize>) -> Result<()> {
    match result {
        Ok(_) => Ok(()),
        Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => Ok(()),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(error).context("cannot send"),
    }
}

fn receive(args: &BenchRawArgs) -> Result<()> {
    let (socket, port): (OwnedFd, u16) = match args.path {
        Path::Packet => (socket::packet("eth0").context("cannot make a packet socket")?.0, 0),
        Path::Udp | Path::UdpGso => {
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            if args.path == Path::UdpGso {
                socket::set_udp(&socket, socket::GRO, 1).context("the kernel has no UDP_GRO")?;
            }
            let port = socket.local_addr()?.port();
            (socket.into(), port)
        }
    };
    // As much as this user may have.
    let _ = sockopt::set_socket_recv_buffer_size(&socket, 4 << 20);
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(Duration::from_millis(20)))?;
    let mut buffers = Buffers::new();
    say(&port)?;
    let mut bytes = 0;
    loop {
        // The end is looked for where nothing comes any more.
        match buffers.receive(&socket.as_fd()) {
            Ok(more) => bytes += more,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if is_told(Duration::ZERO) {
                    return say(&bytes);
                }
            }
            Err(error) => return Err(error).context("cannot receive"),
        }
    }
}
