//! A small server in front of `git http-backend`: smart HTTP as an ordinary web server speaks it, with connections that
//! stay open. It lives in threads of the bench; what it costs itself is not counted, what git costs behind it is.

use std::io::{self, BufRead, BufReader, Read as _, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use kit::Env;

use crate::Outcome;
use crate::cost::Cost;

/// The running server of all repositories below an environment's root.
pub(crate) struct Server {
    port: u16,
    costs: PathBuf,
}

/// What each connection needs to know.
struct Backend {
    /// Returns `git http-backend` in the sealed environment, which appends to the file of costs what it cost.
    command: Box<dyn Fn() -> Command + Send + Sync>,
}

impl Server {
    /// Starts it; its threads end with the bench.
    pub(crate) fn start(env: &Env, cost: &Path) -> Outcome<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let costs = env.path("http.cost");
        std::fs::write(&costs, "")?;
        let mut template = env.command(cost);
        template.arg(&costs).args(["git", "http-backend"]).env("GIT_PROJECT_ROOT", env.root());
        template.env("GIT_HTTP_EXPORT_ALL", "1").env("REMOTE_ADDR", "127.0.0.1");
        let backend = Arc::new(Backend { command: Box::new(move || copied(&template)) });
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let backend = Arc::clone(&backend);
                std::thread::spawn(move || {
                    if let Err(error) =
                        stream.map_err(Into::into).and_then(|stream| converse(&stream, &backend))
                    {
                        crate::complain(&format!("server: {error}"));
                    }
                });
            }
        });
        Ok(Self { port, costs })
    }

    /// Returns the URL of the repository `name`.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}/{name}", self.port)
    }

    /// Returns the CPU time of all that git did behind the server so far.
    pub(crate) fn cpu_milliseconds(&self) -> Outcome<f64> {
        Ok(Cost::read(&self.costs)?.cpu)
    }
}

/// Returns a command like `template`, which alone can be started once.
fn copied(template: &Command) -> Command {
    let mut command = Command::new(template.get_program());
    command.args(template.get_args()).env_clear();
    command.envs(template.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

/// What a request says before its body.
#[derive(Default)]
struct Head {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
}

impl Head {
    /// Reads a head; `None` at the end of the connection.
    fn read(input: &mut impl BufRead) -> Outcome<Option<Self>> {
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_whitespace();
        let (method, target) = words.next().zip(words.next()).ok_or("no request")?;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut head = Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: Vec::new(),
        };
        loop {
            let mut line = String::new();
            input.read_line(&mut line)?;
            match line.trim_end().split_once(':') {
                Some((name, value)) => {
                    head.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
                }
                None => return Ok(Some(head)),
            }
        }
    }

    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }
}

fn converse(stream: &TcpStream, backend: &Backend) -> Outcome<()> {
    stream.set_nodelay(true)?;
    let mut input = BufReader::new(stream);
    while let Some(head) = Head::read(&mut input)? {
        answer(&head, &mut input, stream, backend)?;
    }
    Ok(())
}

/// Hands a request to `git http-backend` and its answer back, both as they come.
fn answer(
    head: &Head,
    input: &mut (impl BufRead + Send),
    stream: &TcpStream,
    backend: &Backend,
) -> Outcome<()> {
    let mut command = (backend.command)();
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command.env("REQUEST_METHOD", &head.method).env("PATH_INFO", &head.path).env("QUERY_STRING", &head.query);
    command.env("CONTENT_TYPE", head.header("content-type"));
    command.env("HTTP_CONTENT_ENCODING", head.header("content-encoding"));
    if !head.header("git-protocol").is_empty() {
        command.env("GIT_PROTOCOL", head.header("git-protocol"));
    }
    if !head.header("content-length").is_empty() {
        command.env("CONTENT_LENGTH", head.header("content-length"));
    }
    let mut backend = command.spawn()?;
    let (to, from) = backend.stdin.take().zip(backend.stdout.take()).ok_or("no way to the backend")?;
    std::thread::scope(|scope| -> Outcome<()> {
        let feeding = scope.spawn(move || copy_body(head, input, to));
        give_back(BufReader::new(from), stream)?;
        Ok(feeding.join().map_err(|_| "the body was not copied")??)
    })?;
    let status = backend.wait()?;
    // Only now, so that what it cost stands in the file when the client goes on.
    let mut stream = stream;
    stream.write_all(b"0\r\n\r\n")?;
    if status.success() { Ok(()) } else { Err(format!("git http-backend gave {status}").into()) }
}

fn copy_body(head: &Head, input: &mut impl BufRead, mut to: impl Write) -> io::Result<()> {
    if head.header("transfer-encoding") != "chunked" {
        let length = head.header("content-length").parse().unwrap_or(0);
        return io::copy(&mut input.take(length), &mut to).map(drop);
    }
    loop {
        let mut line = String::new();
        input.read_line(&mut line)?;
        let length = u64::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        io::copy(&mut input.take(length), &mut to)?;
        input.read_line(&mut String::new())?;
        if length == 0 {
            return Ok(());
        }
    }
}

/// Turns the answer of a CGI program into one of HTTP, up to its last chunk.
fn give_back(mut from: impl BufRead, mut stream: &TcpStream) -> Outcome<()> {
    let (mut status, mut headers) = ("200 OK".to_owned(), String::new());
    loop {
        let mut line = String::new();
        from.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            Some(("Status", value)) => value.clone_into(&mut status),
            Some((name, value)) => headers += &format!("{name}: {value}\r\n"),
            None => break,
        }
    }
    write!(stream, "HTTP/1.1 {status}\r\n{headers}Transfer-Encoding: chunked\r\n\r\n")?;
    loop {
        let bytes = from.fill_buf()?;
        let length = bytes.len();
        if length == 0 {
            return Ok(());
        }
        let mut chunk = format!("{length:x}\r\n").into_bytes();
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        stream.write_all(&chunk)?;
        from.consume(length);
    }
}
