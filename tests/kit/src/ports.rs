//! TCP ports for servers under test.

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::{env, fs};

use anyhow::{Context, Result, bail};

/// Below the range from which Linux takes the ports of outgoing connections: a server that is stopped and started again finds its port free.
const RANGE: std::ops::Range<u16> = 15_000..30_000;

/// A port on the loopback interface that no other holder of a `Port` on this machine has, in whichever process, for as long as it lives.
/// It is free when handed out, and stays reserved while nobody listens on it.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// Reserves a port at random.
    pub fn reserve() -> Result<Self> {
        let folder = env::temp_dir().join(format!("kit-ports-{}", rustix::process::geteuid().as_raw()));
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        for _ in 0..1_000 {
            let number = RANGE.start + (RandomState::new().build_hasher().finish() % RANGE.len() as u64) as u16;
            let lock = File::create(folder.join(number.to_string()))?;
            if lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Ok(Self { number, _lock: lock });
            }
        }
        bail!("no free port in {RANGE:?}")
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Where a server bound to it is reached.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_reserved_port_is_free_and_given_to_nobody_else() {
        let held: Vec<Port> = (0..300).map(|_| Port::reserve().unwrap()).collect();
        assert_eq!(held.iter().map(Port::number).collect::<HashSet<_>>().len(), held.len());
        for port in &held {
            TcpListener::bind(port.address()).unwrap();
        }
    }
}
