//! `lab impair`, between sockets of this test.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

/// Ends with the test, however that ends.
struct Proxy(Child);

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[test]
fn connections_beyond_what_descriptors_are_enough_for_wait_and_none_is_lost() {
    const CONNECTIONS: usize = 30;
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = target.local_addr().unwrap();
    std::thread::spawn(move || {
        for accepted in target.incoming() {
            let mut stream = accepted.unwrap();
            std::thread::spawn(move || {
                let mut asked = [0];
                stream.read_exact(&mut asked).unwrap();
                stream.write_all(&asked).unwrap();
            });
        }
    });
    // Enough for ten of them.
    let command = format!(
        "ulimit -n 124; exec {} impair --carries=tcp --target={address} --link=delay=1ms",
        env!("CARGO_BIN_EXE_lab")
    );
    let proxy = Command::new("sh")
        .args(["-c", &command])
        .stdout(Stdio::piped())
        .spawn();
    let mut proxy = Proxy(proxy.unwrap());
    let mut line = String::new();
    let mut told = BufReader::new(proxy.0.stdout.take().unwrap());
    told.read_line(&mut line).unwrap();
    let connect = |_| TcpStream::connect(line.trim()).unwrap();
    let streams: Vec<_> = (0..CONNECTIONS).map(connect).collect();
    for (number, mut stream) in streams.into_iter().enumerate() {
        let number = [number as u8];
        stream.write_all(&number).unwrap();
        let mut answer = [255];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, number);
    }
}
