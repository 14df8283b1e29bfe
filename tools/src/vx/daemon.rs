//! The conversation of a utility with the vxconfigd of its node.

use std::process::ExitCode;

use cvm::client::{Client, ClientError};
use cvm::request::{Reply, Request};
use cvm::snapshot::Snapshot;

use crate::common::{Failure, Root};

/// The vxconfigd of this node.
#[derive(Debug)]
pub struct Daemon {
    client: Client,
    /// The connection broke: nothing more is to be had of it.
    is_lost: bool,
}

impl Daemon {
    /// Connects.
    ///
    /// # Errors
    /// [`Failure::NoDaemon`] if it does not run.
    pub fn connect(root: &Root) -> Result<Self, Failure> {
        Ok(Self { client: Client::connect(root.path())?, is_lost: false })
    }

    /// All that it knows.
    ///
    /// # Errors
    /// If the connection breaks.
    pub fn snapshot(&mut self) -> Result<Snapshot, Failure> {
        match self.ask(&Request::Snapshot)? {
            Reply::Snapshot(snapshot) => Ok(*snapshot),
            other => Err(unexpected(&other)),
        }
    }

    /// Has something done.
    ///
    /// # Errors
    /// If it was not done, or nobody knows; the failure says which.
    pub fn change(&mut self, request: &Request) -> Result<(), Failure> {
        match self.ask(request)? {
            Reply::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Has several things done, whatever becomes of one of them: what was not done.
    pub fn change_each<'a>(
        &mut self,
        requests: impl IntoIterator<Item = &'a Request>,
    ) -> Vec<Failure> {
        let mut failures = Vec::new();
        for request in requests {
            failures.extend(self.change(request).err());
            if self.is_lost {
                break;
            }
        }
        failures
    }

    /// Asks, and waits for the answer; refusals are failures.
    ///
    /// # Errors
    /// If it was refused, or nobody knows.
    pub fn ask(&mut self, request: &Request) -> Result<Reply, Failure> {
        self.refused(|client| client.request(request))
    }

    /// The next answer to a request that has several.
    ///
    /// # Errors
    /// If the connection breaks.
    pub fn answer(&mut self) -> Result<Reply, Failure> {
        self.refused(Client::answer)
    }

    /// The connection itself.
    pub fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    fn refused(
        &mut self,
        ask: impl FnOnce(&mut Client) -> Result<Reply, ClientError>,
    ) -> Result<Reply, Failure> {
        let answer = ask(&mut self.client);
        self.is_lost |= answer.is_err();
        match answer? {
            Reply::Failed(failure) => {
                Err(Failure::Operation { id: failure.id, text: failure.text })
            }
            Reply::Unknown(request) => Err(Failure::operation(format!(
                "it may or may not be done: this node left the cluster before it was decided, or the \
                 disks could not be written; later, vxdctl transstate {request} tells what came of it"
            ))),
            reply => Ok(reply),
        }
    }
}

fn unexpected(reply: &Reply) -> Failure {
    Failure::operation(format!("vxconfigd answered with something else: {reply:?}"))
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            error @ ClientError::NoDaemon { .. } => Self::NoDaemon(error.to_string()),
            error => Self::because(&error),
        }
    }
}

/// Of several failures all are told: the last one by whoever ends the program with it, the others here.
///
/// # Errors
/// If there is one.
pub fn several(command: &str, mut failures: Vec<Failure>) -> Result<(), Failure> {
    let Some(last) = failures.pop() else { return Ok(()) };
    for failure in failures {
        exit(command, Err(failure));
    }
    Err(last)
}

/// Says what went wrong as the original words it, `VxVM vxdg ERROR V-5-1-587 ...`, and gives the exit
/// code.
pub fn exit(command: &str, result: Result<(), Failure>) -> ExitCode {
    crate::common::exit(&format!("VxVM {command}"), result)
}
