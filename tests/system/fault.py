"""
Machines that fail on demand: the other side of tests/fault/page.h.

A Fault is the page that libfault.so maps in every process of a daemon; what
is written here happens there from the next call on.
"""
import contextlib
import ctypes
import errno
import mmap
import os
import subprocess

PROGRAMS = ('mailbearerd', 'relay', 'keeper', 'courier', 'desk',
            'mailbearerctl', 'python')
CALLS = ('open', 'write', 'truncate', 'sync', 'name', 'read')
HOW = ('error', 'short', 'slow', 'die', 'lose')
WRITING = ('write', 'truncate', 'sync')
VERSION = 1
NSEC = 10 ** 9

INT = ctypes.c_int64


class Trigger(ctypes.Structure):
    _fields_ = [('nth', INT), ('forever', INT), ('down', INT),
                ('failed', INT)]

    def set(self, nth, forever=False):
        """nth last: with it the trigger is set."""
        self.nth = self.down = self.failed = 0
        self.forever = forever
        self.nth = nth

    def clear(self):
        """How often it has failed is still there to read."""
        self.nth = self.forever = self.down = 0


class Program(ctypes.Structure):
    _fields_ = [('name', ctypes.c_char * 16), ('mono_ns', INT),
                ('allocations', INT), ('memory', Trigger), ('trace', INT),
                ('calls', INT), ('how', INT), ('error', INT),
                ('milliseconds', INT), ('disk', Trigger),
                ('counts', INT * len(CALLS))]


class Page(ctypes.Structure):
    _fields_ = [('version', INT), ('wall_ns', INT),
                ('folder', ctypes.c_char * 256), ('part', ctypes.c_char * 64),
                ('programs', Program * 8)]


def library(build):
    """libfault.so of a build folder, where make check builds it."""
    path = 'tests/fault/libfault.so'
    subprocess.run(['make', '-s', '-C', build, path], check=True)
    return os.path.join(build, path)


class Fault:
    """The page of one daemon: what is to fail in its processes."""

    def __init__(self, folder, build):
        path = f'{folder}/fault.page'
        with open(path, 'wb') as f:
            f.truncate(mmap.PAGESIZE * -(-ctypes.sizeof(Page)
                                         // mmap.PAGESIZE))
        # For the user that the roles run as.
        os.chmod(path, 0o666)
        with open(path, 'r+b') as f:
            self.map = mmap.mmap(f.fileno(), 0)
        self.page = Page.from_buffer(self.map)
        self.page.version = VERSION
        self.programs = {}
        for slot, name in zip(self.page.programs, PROGRAMS):
            slot.name = name.encode()
            self.programs[name] = slot
        self.env = {'LD_PRELOAD': library(build), 'MAILBEARER_FAULT': path}

    def __getitem__(self, program):
        return self.programs[program]

    def clear(self):
        """Nothing fails any more; clocks stay as they are."""
        for p in self.programs.values():
            p.memory.clear()
            p.disk.clear()
            p.calls = p.how = 0

    # ---- memory

    def memory(self, program, nth, forever=False, trace=True):
        """The nth allocation from now fails."""
        p = self[program]
        p.trace = trace
        p.memory.set(nth, forever)

    def allocations(self, program):
        return self[program].allocations

    # ---- files

    def watch(self, folder, part=''):
        """The files this is about."""
        self.page.part = part.encode()
        self.page.folder = os.path.realpath(folder).encode()

    def disk(self, program, nth, how='error', calls=WRITING,
             error=errno.ENOSPC, forever=False, milliseconds=0):
        """The nth of these calls on a watched file fails."""
        p = self[program]
        p.disk.clear()
        p.calls = sum(1 << CALLS.index(c) for c in calls)
        p.how, p.error = HOW.index(how), error
        p.milliseconds = milliseconds
        p.disk.set(nth, forever)

    def counts(self, program, calls=WRITING):
        """How many of these calls there were on watched files."""
        return sum(self[program].counts[CALLS.index(c)] for c in calls)

    # ---- clocks

    def wall(self, seconds):
        """The wall clock is ahead by so much; negative: behind."""
        self.page.wall_ns = seconds * NSEC

    def later(self, seconds, programs=('relay', 'keeper', 'courier', 'desk')):
        """So much time passes, on the clock that does not step."""
        for name in programs:
            self[name].mono_ns += seconds * NSEC

    @contextlib.contextmanager
    def stepped(self, seconds):
        self.wall(seconds)
        try:
            yield
        finally:
            self.wall(0)
