#!/usr/bin/env python3
"""Proves libfault.so on a process that does nothing else: Python's own."""
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'system'))
import fault  # noqa: E402  pylint: disable=wrong-import-position

# What the process under test has at hand; its last expression is printed.
PRELUDE = '''
import ctypes, errno, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
libc.malloc.restype = libc.strdup.restype = ctypes.c_void_p
path = sys.argv[1] + '/file'
def err(action, *args):
    try:
        return action(*args)
    except OSError as e:
        return errno.errorcode[e.errno]
def content():
    with open(path, 'rb') as f:
        return f.read()
fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
'''


class Preloaded(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.dir = f'{folder.name}/watched'
        os.mkdir(self.dir)
        self.fault = fault.Fault(folder.name, os.getcwd())
        # As the kernel names it: python3 is a link to python3.11.
        name = os.path.basename(os.path.realpath(sys.executable))
        self.fault['python'].name = name.encode()

    def run_code(self, code, result):
        """What result evaluates to in the process after the code."""
        done = subprocess.run(
            [sys.executable, '-S', '-c', f'{PRELUDE}{code}\nprint({result})',
             self.dir], env={**os.environ, **self.fault.env}, text=True,
            stdout=subprocess.PIPE, check=True, stderr=subprocess.PIPE)
        return done.stdout.strip()

    # ---- clocks

    def test_the_wall_clock_steps_and_nothing_else_does(self):
        result = ('round(time.time() - real), round(time.time_ns() / 1e9 '
                  '- real), round(time.clock_gettime(5) - real), '
                  'round(time.monotonic() - mono)')
        code = 'real, mono = map(float, os.environ["NOW"].split())'
        for day in (86400, -86400):
            self.fault.wall(day)
            with open('/proc/uptime', encoding='ascii') as f:
                up = f.read().split()[0]
            self.fault.env['NOW'] = f'{os.stat(self.touch()).st_mtime} {up}'
            self.assertEqual(self.run_code(code, result),
                             f'{day} {day} {day} 0')

    def touch(self):
        path = f'{self.dir}/now'
        with open(path, 'wb'):
            return path

    def test_time_passes_for_one_program(self):
        before = float(self.run_code('', 'time.clock_gettime(7)'))
        self.fault.later(3600, ['python'])
        after = float(self.run_code('', 'time.clock_gettime(7)'))
        self.assertEqual(round((after - before) / 3600), 1)
        self.fault.later(3600, ['relay'])
        again = float(self.run_code('', 'time.clock_gettime(7)'))
        self.assertEqual(round((again - after) / 3600), 0)

    # ---- memory

    def test_one_allocation_fails(self):
        # Python itself allocates meanwhile, so a large step is one that it
        # does not reach.
        self.fault.memory('python', 10 ** 6)
        self.assertEqual(
            self.run_code('n = 0\nwhile libc.malloc(1): n += 1',
                          'n < 10 ** 6, bool(libc.malloc(1))'),
            'True True')
        self.assertEqual(self.fault['python'].memory.failed, 1)

    def test_allocations_fail_until_cleared(self):
        self.fault.memory('python', 10 ** 6, forever=True)
        code = ('while libc.malloc(1): pass\n'
                'os.write(1, b"%d%d" % (libc.malloc(1) is None, '
                'libc.strdup(b"x") is None))\nos._exit(0)')
        self.assertEqual(self.run_code(code, ''), '11')
        self.assertGreater(self.fault['python'].memory.failed, 2)

    # ---- files

    def test_every_call_fails_as_told(self):
        self.fault.watch(self.dir)
        cases = {
            'write': ('os.write, fd, b"abc"', 'os.pwrite, fd, b"abc", 0',
                      'os.writev, fd, [b"abc"]',
                      'os.pwritev, fd, [b"abc"], 0'),
            'truncate': ('os.ftruncate, fd, 9',),
            'sync': ('os.fsync, fd', 'os.fdatasync, fd'),
            'open': ('os.open, path, os.O_RDWR',
                     'os.open, sys.argv[1], os.O_RDWR | os.O_TMPFILE'),
            'name': ('os.rename, path, path + "2"',
                     'os.unlink, path + "2"'),
            'read': ('os.read, fd, 1', 'os.pread, fd, 1, 0'),
        }
        for call, actions in cases.items():
            for action in actions:
                with self.subTest(action):
                    self.check_call(call, action)

    def check_call(self, call, action):
        """Fails once, and then does what it should."""
        self.fault.disk('python', 1, calls=[call])
        skip = 1 if call == 'open' else 0
        self.fault['python'].disk.set(1 + skip)
        before = self.fault.counts('python', [call])
        self.assertRegex(self.run_code('', f'err({action}), err({action})'),
                         r'^ENOSPC (?!E)')
        self.assertEqual(self.fault.counts('python', [call]) - before,
                         2 + skip)
        self.assertEqual(self.fault['python'].disk.failed, 1)

    def test_other_files_are_left_alone(self):
        for folder, part in ((self.dir + '-other', ''), (self.dir, 'wal')):
            self.fault.watch(folder if os.path.isdir(folder) else '/nowhere',
                             part)
            self.fault.disk('python', 1)
            self.assertEqual(self.run_code('', 'err(os.write, fd, b"abc")'),
                             '3')

    def test_the_second_is_not_the_first(self):
        self.fault.watch(self.dir)
        self.fault.disk('python', 2, forever=True)
        write = 'err(os.write, fd, b"abc")'
        self.assertEqual(self.run_code('', f'{write}, {write}, {write}'),
                         '3 ENOSPC ENOSPC')

    def test_deleted_files_count(self):
        self.fault.watch(self.dir)
        self.fault.disk('python', 1)
        self.assertEqual(self.run_code('os.unlink(path)',
                                       'err(os.write, fd, b"abc")'),
                         'ENOSPC')

    def test_a_short_write(self):
        self.fault.watch(self.dir)
        write = 'err(os.write, fd, b"abcd")'
        self.fault.disk('python', 1, 'short')
        self.assertEqual(self.run_code('', f'{write}, {write}, content()'),
                         "2 4 b'ababcd'")
        self.fault.disk('python', 1, 'short', calls=['write'], forever=True)
        self.assertEqual(self.run_code('os.ftruncate(fd, 0)',
                                       f'{write}, {write}, content()'),
                         "2 ENOSPC b'ab'")

    def test_a_slow_sync(self):
        self.fault.watch(self.dir)
        self.fault.disk('python', 1, 'slow', calls=['sync'],
                        milliseconds=300)
        code = ('a = time.monotonic(); os.fsync(fd)\n'
                'b = time.monotonic(); os.fsync(fd)\nc = time.monotonic()')
        self.assertEqual(self.run_code(code, 'b - a >= 0.3, c - b < b - a'),
                         'True True')

    def test_a_failed_sync_loses_what_was_written_since_the_last(self):
        self.fault.watch(self.dir)
        self.fault.disk('python', 2, 'lose', calls=['sync'])
        code = ('os.write(fd, b"kept"); os.fsync(fd)\n'
                'os.pwrite(fd, b"XY", 1); os.pwrite(fd, b"ZZZZ", 2)\n'
                'a = content()')
        self.assertEqual(
            self.run_code(code, 'a, err(os.fsync, fd), content(), '
                          'err(os.fsync, fd), content()'),
            r"b'kXZZZZ' ENOSPC b'kept\x00\x00' None b'kept\x00\x00'")


if __name__ == '__main__':
    unittest.main()
