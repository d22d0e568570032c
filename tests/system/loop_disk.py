"""A file system in a file that can be stopped dead, as by a power cut.

FS_IOC_SHUTDOWN with NOLOGFLUSH: from that moment nothing reaches the image,
the journal neither. Mounted again it holds what had been synced, and what the
kernel happened to have written. Needs root and loop devices.
"""
import ctypes
import fcntl
import os
import shutil
import struct
import subprocess
import tempfile

from lab import until

FS_IOC_SHUTDOWN = 0x8004587d    # _IOR('X', 125, __u32)
NOLOGFLUSH = 2
CLONE_NEWNS = 0x20000
SIZE = 1 << 30                  # a hole, for the most part


def run(*argv):
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise OSError(f'{" ".join(argv)}: {done.stdout.strip()}')
    return done.stdout


def own_mounts():
    """
    Mounts of this process and its children, from now on, are seen by nobody
    else, and are gone with the last of them, however that ends.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), 'unshare')
    run('mount', '--make-rprivate', '/')


class LoopDisk:
    """kind: ext4 or xfs. Mounted at .path."""

    def __init__(self, kind):
        self.kind = kind
        self.folder = tempfile.mkdtemp(prefix='mb-disk-')
        # The roles run as another user.
        os.chmod(self.folder, 0o755)
        self.image = f'{self.folder}/image'
        self.path = f'{self.folder}/disk'
        self.mounted = False
        os.mkdir(self.path)

    def make(self):
        """A new, empty file system, mounted."""
        self.unmount()
        with open(self.image, 'wb') as f:
            f.truncate(SIZE)
        run(f'mkfs.{self.kind}', '-q', *(['-f'] * (self.kind == 'xfs')),
            self.image)
        self.mount()

    def mount(self):
        run('mount', '-o', 'loop', self.image, self.path)
        self.mounted = True

    def cut(self):
        """The power fails."""
        fd = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, FS_IOC_SHUTDOWN, struct.pack('I', NOLOGFLUSH))
        finally:
            os.close(fd)

    def unmount(self):
        if self.mounted:
            self.mounted = False
            try:
                run('umount', self.path)
            except OSError:
                run('umount', '--lazy', self.path)
        # Mounted twice, an image would be spoilt by the kernel, not by us.
        until(lambda: not run('losetup', '-j', self.image),
              f'the end of {self.path}')

    def replug(self):
        """After a cut, and once nobody uses it: the power is back."""
        self.unmount()
        self.mount()

    def remove(self):
        self.unmount()
        shutil.rmtree(self.folder, ignore_errors=True)


def missing(kind):
    """Why there can be no such disk here; None if there can."""
    if not shutil.which(f'mkfs.{kind}'):
        return f'no mkfs.{kind}'
    disk = None
    try:
        disk = LoopDisk(kind)
        disk.make()
        disk.cut()
        return None
    except OSError as e:
        return f'no loop-mounted {kind}: {e}'
    finally:
        if disk:
            disk.remove()
