//! What the kernel dropped at one UDP socket, from its table of sockets.

use std::fs;
use std::net::UdpSocket;

use nix::sys::stat::fstat;

/// Datagrams dropped at this socket since it was opened, as a counter that wraps. `None` where the kernel does not tell.
pub(super) fn read(socket: &UdpSocket) -> Option<u32> {
    let inode = fstat(socket).ok()?.st_ino;
    let tables = ["/proc/thread-self/net/udp", "/proc/thread-self/net/udp6"];
    tables.iter().find_map(|path| find(&fs::read_to_string(path).ok()?, inode))
}

/// The last column of the line with this inode, which is the tenth.
fn find(table: &str, inode: u64) -> Option<u32> {
    let line = table.lines().skip(1).find_map(|line| {
        let mut columns = line.split_ascii_whitespace().skip(9);
        (columns.next()?.parse() == Ok(inode)).then_some(columns)
    });
    let drops: u64 = line?.last()?.parse().ok()?;
    u32::try_from(drops & u64::from(u32::MAX)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_table() {
        let head = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n";
        let one = " 1097: 0100007F:1586 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 46131 2 0000000000000000 0\n";
        let two = " 1098: 00000000:1587 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 46132 2 0000000000000000 4294967297\n";
        let table = [head, one, two].concat();
        let check = |table: &str, inode, expected| assert_eq!(find(table, inode), expected, "{inode} in {table:?}");
        check(&table, 46_131, Some(0));
        check(&table, 46_132, Some(1));
        check(&table, 46_133, None);
        check("", 1, None);
        check("head\n1 2 3\n", 3, None);
    }

    #[test]
    fn a_socket_of_this_process_is_found() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        if std::path::Path::new("/proc/thread-self/net/udp").exists() {
            assert_eq!(read(&socket), Some(0));
        }
    }
}
