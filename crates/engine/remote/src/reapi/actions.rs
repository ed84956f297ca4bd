//! Names, as actions: the action cache maps the digest of an action to its result, so a name is an action that says it, and
//! what the name stands for is the one file that the action is said to have made.

use bazel_remote_apis::build::bazel::remote::execution::v2::{
    Action, ActionResult, Command, Digest, ExecutedActionMetadata, GetActionResultRequest,
    OutputFile, UpdateActionResultRequest,
};
use bytes::Bytes;
use prost::Message as _;

use super::session::Session;
use crate::blobs::{BlobError, Name};

/// The file that is made.
const FILE: &str = "blob";
/// The program that is said to make it; another format of blobs has another number.
const PROGRAM: [&str; 2] = ["rekindle-blob", "1"];

/// A name as an action: the messages that are to be in the server's storage with it, and its digest.
pub(super) struct NamedAction {
    pub(super) digest: Digest,
    /// The action and its command, and their digests.
    pub(super) messages: [(Digest, Bytes); 2],
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Target {
    pub(super) digest: Digest,
    /// Its bytes, where the server sent them along.
    pub(super) contents: Option<Bytes>,
}

impl Session {
    pub(super) fn action(&self, name: &Name) -> NamedAction {
        let function = self.can.function;
        let words = PROGRAM.into_iter().chain([name.as_str()]);
        let command = Command {
            arguments: words.map(str::to_owned).collect(),
            output_paths: vec![FILE.to_owned()],
            ..Command::default()
        };
        let command = Bytes::from(command.encode_to_vec());
        let action = Action {
            command_digest: Some(function.of(&command)),
            // The empty directory, as its message is empty; the empty blob is always there.
            input_root_digest: Some(function.of(&[])),
            ..Action::default()
        };
        let action = Bytes::from(action.encode_to_vec());
        let digest = function.of(&action);
        NamedAction {
            digest: digest.clone(),
            messages: [(digest, action), (function.of(&command), command)],
        }
    }

    /// What a name stands for, with its bytes if the server likes to send them along and they were asked for.
    pub(super) async fn target(&self, name: &Name, inlined: bool) -> Result<Target, BlobError> {
        let request = GetActionResultRequest {
            instance_name: self.instance.clone(),
            action_digest: Some(self.action(name).digest),
            inline_output_files: inlined.then(|| FILE.to_owned()).into_iter().collect(),
            digest_function: self.can.function.value() as i32,
            ..GetActionResultRequest::default()
        };
        let mut actions = self.actions.clone();
        let sent = request.encoded_len();
        let result = self
            .counted(sent, actions.get_action_result(request))
            .await?;
        let nonsense = |text: &str| BlobError::Nonsense(text.into());
        let file = result
            .output_files
            .into_iter()
            .find(|file| file.path == FILE)
            .ok_or_else(|| nonsense("an entry without the file that it should name"))?;
        let digest = file
            .digest
            .filter(|digest| self.can.function.is_digest(digest))
            .ok_or_else(|| nonsense("an entry whose file has no digest"))?;
        let contents = Some(Bytes::from(file.contents))
            .filter(|contents| !contents.is_empty() && self.can.function.of(contents) == digest);
        Ok(Target { digest, contents })
    }

    /// Makes a name stand for a blob that is there.
    pub(super) async fn point(&self, action: &NamedAction, to: &Digest) -> Result<(), BlobError> {
        let result = ActionResult {
            output_files: vec![OutputFile {
                path: FILE.to_owned(),
                digest: Some(to.clone()),
                ..OutputFile::default()
            }],
            execution_metadata: Some(ExecutedActionMetadata {
                worker: "rekindle".into(),
                ..ExecutedActionMetadata::default()
            }),
            ..ActionResult::default()
        };
        let request = UpdateActionResultRequest {
            instance_name: self.instance.clone(),
            action_digest: Some(action.digest.clone()),
            action_result: Some(result),
            digest_function: self.can.function.value() as i32,
            ..UpdateActionResultRequest::default()
        };
        let mut actions = self.actions.clone();
        let sent = request.encoded_len();
        match self
            .counted(sent, actions.update_action_result(request))
            .await
        {
            Ok(_) => Ok(()),
            Err(BlobError::Missing) => {
                Err(BlobError::Unavailable("what was uploaded is gone".into()))
            }
            Err(error) => Err(error),
        }
    }
}
