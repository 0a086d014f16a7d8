//! A gate with a whole configuration.

use std::io::Write;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Config, Process};

/// A running gate; dropped, it is killed.
pub struct Gate {
    process: Process,
    config: tempfile::NamedTempFile,
}

impl Deref for Gate {
    type Target = Process;
    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Gate {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// `wecom-gate run` with this configuration and an empty environment.
pub fn run_command(program: &Path, config: &Config) -> (Command, tempfile::NamedTempFile) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(config.text().as_bytes()).unwrap();
    let mut command = Command::new(program);
    command.args(["run", "--conf"]).arg(file.path()).env_clear().stdin(Stdio::null());
    (command, file)
}

impl Gate {
    /// Starts it, and waits until it listens.
    pub async fn start(config: &Config) -> Gate {
        Self::start_with(config, &[]).await
    }

    /// The same with these variables in its environment.
    pub async fn start_with(config: &Config, environment: &[(&str, &str)]) -> Gate {
        Self::start_program(&super::program(), config, environment).await
    }

    /// Starts the program at this path.
    pub async fn start_program(program: &Path, config: &Config, environment: &[(&str, &str)]) -> Gate {
        let (mut command, file) = run_command(program, config);
        command.envs(environment.iter().copied());
        Self::launch(command, file).await
    }

    /// Starts it as systemd does with socket activation.
    pub async fn start_on(config: &Config, socket: &std::net::TcpListener) -> Gate {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(config.text().as_bytes()).unwrap();
        let mut command = Command::new("/bin/sh");
        let take = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" run --conf \"$1\"";
        command.args(["-c", take, env!("CARGO_BIN_EXE_wecom-gate")]).arg(file.path()).env_clear();
        command.stdin(Stdio::from(std::os::fd::OwnedFd::from(socket.try_clone().unwrap())));
        Self::launch(command, file).await
    }

    async fn launch(command: Command, file: tempfile::NamedTempFile) -> Gate {
        Gate { process: Process::start(command).await, config: file }
    }

    /// Overwrites the configuration file it was started with.
    pub fn rewrite(&self, text: &str) {
        std::fs::write(self.config.path(), text).unwrap();
    }
}
