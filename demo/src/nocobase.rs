//! A real NocoBase: installed and run by `nocobase.sh`, which is compiled into the program.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use crate::error::DemoError;
use crate::system::cache_dir;

/// NocoBase's administrator in a new instance, as created by `nocobase.sh`.
const ADMINISTRATOR: &str = "admin@nocobase.com";
const PASSWORD: &str = "admin123";
const SCRIPT: &str = include_str!("../nocobase.sh");
/// Fills it with a small application.
const APP: &str = include_str!("../app.mjs");
/// How long NocoBase may take to start.
const READY: Duration = Duration::from_secs(200);

/// A running NocoBase.
pub(crate) struct Instance {
    /// Where it listens, on 127.0.0.1.
    pub(crate) port: u16,
    child: Child,
}

impl Instance {
    /// Stops it, and waits until it has stopped.
    pub(crate) async fn stop(mut self) {
        // It ends when its standard input is closed.
        drop(self.child.stdin.take());
        if tokio::time::timeout(Duration::from_secs(15), self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}

fn script() -> Command {
    let mut command = Command::new("bash");
    command.arg("-c").arg(SCRIPT).arg("nocobase.sh");
    command
}

/// Installs NocoBase unless it is installed; progress is printed on the terminal. Returns its folder.
pub(crate) async fn install(dir: Option<PathBuf>) -> Result<PathBuf, DemoError> {
    let dir = dir.unwrap_or_else(|| cache_dir().join("nocobase-2.2.15"));
    let status = script()
        .arg("install")
        .arg(&dir)
        .stdin(Stdio::null())
        .status()
        .await
        .map_err(|e| DemoError::NocoBase(format!("bash: {e}")))?;
    if !status.success() {
        return Err(DemoError::NocoBase("it could not be installed; the lines above show why".into()));
    }
    Ok(dir)
}

/// Creates the small application, unless it exists. Node.js is available: NocoBase runs on it.
pub(crate) async fn fill(instance: &Instance) -> Result<(), DemoError> {
    let failed = |why: String| DemoError::NocoBase(format!("its application cannot be created: {why}"));
    let output = Command::new("node")
        .args(["--input-type=module", "--eval", APP, "--"])
        .arg(format!("http://127.0.0.1:{}", instance.port))
        .args([ADMINISTRATOR, PASSWORD])
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(|e| failed(format!("node: {e}")))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
    }
}

/// Starts an instance and waits until it responds.
pub(crate) async fn start(home: &Path, state: &Path, key: &str, port: u16) -> Result<Instance, DemoError> {
    // The key changes with every run of the demo; only old sign-ins depend on it.
    let mut child = script()
        .arg("start")
        .arg(home)
        .arg(state)
        .arg(port.to_string())
        .arg(key)
        .arg("--stop-on-eof")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| DemoError::NocoBase(format!("bash: {e}")))?;
    let stdout = child.stdout.take().ok_or_else(|| DemoError::NocoBase("no output".into()))?;
    let mut lines = BufReader::new(stdout).lines();
    let ready = async {
        while let Ok(Some(line)) = lines.next_line().await {
            if line.contains("ready at") {
                return true;
            }
        }
        false
    };
    let logs = state.join("storage/logs");
    match tokio::time::timeout(READY, ready).await {
        Ok(true) => {}
        _ => {
            return Err(DemoError::NocoBase(format!(
                "it does not start; its logs are in {}",
                logs.display()
            )));
        }
    }
    // Its output must be read to the end: a full pipe would block it.
    tokio::spawn(async move {
        let mut sink = tokio::io::sink();
        while let Ok(Some(line)) = lines.next_line().await {
            let _ = sink.write_all(line.as_bytes()).await;
        }
    });
    Ok(Instance { port, child })
}
