"""What processes cost, read from the kernel; and a network of one's own."""
import ctypes
import fcntl
import os
import socket
import struct
import time


def parents():
    """{pid: parent's pid} of all processes."""
    found = {}
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{pid}/stat', encoding='utf-8',
                      errors='replace') as f:
                found[int(pid)] = int(f.read().rsplit(')', 1)[1].split()[1])
        except OSError:
            continue
    return found


def tree(root):
    """The process and all below it."""
    above = parents()
    found = [root]
    for pid in found:
        found += [child for child, parent in above.items() if parent == pid]
    return found


def cpu_seconds(root):
    """
    Processor time of the tree so far, in seconds: each process's own clock
    (nanoseconds, ended threads included), and what its reaped children used
    (clock ticks).
    """
    tick = os.sysconf('SC_CLK_TCK')
    total = 0.0
    for pid in tree(root):
        try:
            # clock_getcpuclockid(3): CPUCLOCK_SCHED of a process
            total += time.clock_gettime((~pid << 3) | 2)
            with open(f'/proc/{pid}/stat', encoding='utf-8',
                      errors='replace') as f:
                fields = f.read().rsplit(')', 1)[1].split()
            total += (int(fields[13]) + int(fields[14])) / tick
        except OSError:
            continue  # it has just ended; its parent counts it
    return total


def memory_kb(root):
    """
    (RSS, PSS) of the tree in kB. PSS counts a page shared by several
    processes once; None where the kernel does not let us look.
    """
    rss = pss = 0
    for pid in tree(root):
        try:
            with open(f'/proc/{pid}/smaps_rollup', encoding='ascii') as f:
                for line in f:
                    name, _, rest = line.partition(':')
                    if name == 'Rss':
                        rss += int(rest.split()[0])
                    elif name == 'Pss' and pss is not None:
                        pss += int(rest.split()[0])
        except PermissionError:
            pss = None
            with open(f'/proc/{pid}/statm', encoding='ascii') as f:
                rss += int(f.read().split()[1]) * os.sysconf(
                    'SC_PAGE_SIZE') // 1024
        except OSError:
            continue
    return rss, pss


def own_network():
    """
    A network namespace with nothing but a loopback, for this process and what
    it starts: congestion control reno (BBR paces on loopback and makes a copy
    several times dearer) and ports enough for connections by the thousand.
    False where that is not permitted.
    """
    clone_newnet = 0x40000000
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() != 0 or libc.unshare(clone_newnet) != 0:
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        get, put, up = 0x8913, 0x8914, 0x1  # SIOCGIFFLAGS, ..S.., IFF_UP
        name = struct.pack('16sH14x', b'lo', 0)
        flags = struct.unpack('16sH14x', fcntl.ioctl(s, get, name))[1]
        fcntl.ioctl(s, put, struct.pack('16sH14x', b'lo', flags | up))
    for path, value in (('tcp_congestion_control', 'reno'),
                        ('ip_local_port_range', '11000 65000')):
        try:
            with open(f'/proc/sys/net/ipv4/{path}', 'w',
                      encoding='ascii') as f:
                f.write(value)
        except OSError:
            return False
    return True


def congestion_control():
    with open('/proc/sys/net/ipv4/tcp_congestion_control',
              encoding='ascii') as f:
        return f.read().strip()


def filesystem(path):
    """The type of the file system a path is on."""
    best = ('', '?')
    with open('/proc/mounts', encoding='utf-8') as f:
        for line in f:
            where, kind = line.split()[1:3]
            if (path + '/').startswith(where.rstrip('/') + '/') \
                    and len(where) >= len(best[0]):
                best = (where, kind)
    return best[1]


def disk_floor(folder, size, seconds):
    """Files written, synced and removed per second by one thread."""
    content = os.urandom(size)
    path = os.path.join(folder, 'floor')
    count, begin = 0, time.monotonic()
    while time.monotonic() - begin < seconds:
        fd = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
        os.write(fd, content)
        os.fsync(fd)
        os.close(fd)
        os.unlink(path)
        count += 1
    return count / (time.monotonic() - begin)
