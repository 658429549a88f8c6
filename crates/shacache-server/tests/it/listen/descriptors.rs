//! Out of file descriptors. The limit is the process's own, so the server is this test binary once
//! more, with a small limit set by the shell.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use super::*;

const CHILD: &str = "LISTEN_DESCRIPTORS_CHILD";

/// Runs only as the child of the test below; by itself it has nothing to do.
#[test]
fn server_with_few_descriptors() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let server = Server::start(limits());
    println!("\nlistening {}", server.address);
    let counters = Arc::clone(&server.counters);
    let mut lines = io::stdin().lines();
    while let Some(Ok(_)) = lines.next() {
        println!("\nerrors {}", counters.accept_errors());
    }
    // Leaves without the check for warnings: running out of descriptors is one.
    std::mem::forget(server);
}

struct FewDescriptors {
    child: Child,
    lines: io::Lines<BufReader<ChildStdout>>,
}

impl FewDescriptors {
    fn start(descriptors: u32) -> Self {
        let program = std::env::current_exe().expect("this binary");
        let mut child = Command::new("sh")
            .args(["-c", &format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"")])
            .arg(program)
            .args(["--exact", "listen::descriptors::server_with_few_descriptors", "--nocapture"])
            .env(CHILD, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Self { child, lines }
    }

    fn line(&mut self, word: &str) -> String {
        loop {
            let line = self.lines.next().expect("the child talks").expect("text");
            if let Some(rest) = line.strip_prefix(word) {
                return rest.trim().to_owned();
            }
        }
    }

    fn accept_errors(&mut self) -> u128 {
        writeln!(self.child.stdin.as_mut().expect("a pipe")).expect("the child listens");
        self.line("errors").parse().expect("a number")
    }
}

impl Drop for FewDescriptors {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn running_out_of_descriptors_is_survived_without_spinning() {
    let mut server = FewDescriptors::start(32);
    let address: SocketAddr = server.line("listening").parse().expect("an address");
    let began = Instant::now();
    let connections: Vec<_> =
        (0..64).map(|_| TcpStream::connect(address).expect("the backlog has room")).collect();

    let mut errors = 0;
    while errors < 5 {
        assert!(began.elapsed() < PATIENCE, "no shortage after {:?}", began.elapsed());
        errors = server.accept_errors();
    }
    let most = began.elapsed().as_millis() / 100 + 2;
    assert!(errors <= most, "{errors} errors in {:?}", began.elapsed());

    drop(connections);
    let freed = Instant::now();
    let stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut client = Client { stream, buffer: Vec::new() };
    client.send("GET /after HTTP/1.1\r\n\r\n");
    assert_eq!(client.answer().text(), "GET /after\n");
    assert!(freed.elapsed() < Duration::from_secs(2), "{:?}", freed.elapsed());
}
