//! The members of `make fleet`: prints the cookies of signed-in sessions, one line of JSON for each, as another node with the same
//! keys would have made them.

use std::error::Error;
use std::io::{BufWriter, Write as _};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use clap::Parser;
use secrecy::SecretSlice;
use wecom_gate::session::{Company, Keyring, Member, Names, Session, SessionCookies, SessionLimits};

#[derive(Parser)]
struct Args {
    /// The first of `session.keys`.
    #[arg(long)]
    key: String,
    /// `origin` of the configuration.
    #[arg(long)]
    origin: String,
    #[arg(long)]
    corp_id: String,
    /// NocoBase's id of the first user; the others follow. The member's userid is `person` and this number.
    #[arg(long)]
    first: u64,
    #[arg(long)]
    count: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let key = base64::engine::general_purpose::STANDARD.decode(&args.key)?;
    let keyring = Arc::new(Keyring::new(&[SecretSlice::from(key)], &args.origin)?);
    let limits =
        SessionLimits { idle: Duration::from_secs(12 * 3600), absolute: Duration::from_secs(7 * 86_400) };
    let company = Company { entry: "wecom".into(), corp_id: args.corp_id.clone() };
    let cookies = SessionCookies::new(keyring, Names::new(false, "wecom_gate"), limits, vec![company]);
    let mut out = BufWriter::new(std::io::stdout().lock());
    for user_id in args.first..args.first.saturating_add(args.count) {
        let member = Member {
            entry: "wecom".into(),
            corp_id: args.corp_id.clone(),
            userid: format!("person{user_id}"),
            name: "张三".into(),
            user_id,
        };
        let now = SystemTime::now().into();
        let label = |e: wecom_gate::error::Failure| e.response().label;
        let session = Session::begin(member, now).map_err(label)?;
        let line = cookies.write(&session, now).map_err(label)?;
        let cookie = line.split(';').next().unwrap_or_default();
        writeln!(out, "{}", serde_json::json!({ "cookie": cookie, "phantom": session.phantom.text() }))?;
    }
    Ok(())
}
