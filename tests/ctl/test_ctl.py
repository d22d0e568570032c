#!/usr/bin/env python3
"""mailbearerctl against a small admin server that answers by script. Run in
the build folder."""

import base64
import http.server
import json
import os
import pty
import shutil
import socketserver
import subprocess
import tempfile
import threading
import unittest

CTL = os.path.abspath('mailbearerctl')
SOURCE = os.path.abspath(os.environ.get('srcdir', os.path.join(
    os.path.dirname(__file__), '..', '..')))
PATIENCE = 30
EVIL = '\x1b]0;t\x07\x9b31m\u202e'


class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self):
        length = int(self.headers.get('Content-Length', 0))
        body = json.loads(self.rfile.read(length) or 'null')
        self.server.asked.append((self.command, self.path, body))
        status, doc = self.server.script(self.command, self.path, body)
        data = doc if isinstance(doc, bytes) else json.dumps(doc).encode()
        self.send_response(status)
        self.send_header('Content-Length', str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_DELETE = answer

    def address_string(self):
        return 'unix'

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


class Case(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix='mb-ctl-')
        self.addCleanup(shutil.rmtree, self.dir)
        self.socket = f'{self.dir}/admin.sock'
        self.server = Server(self.socket, Handler)
        self.server.asked = []
        self.server.script = lambda *_: (404, {'error': 'no such thing'})
        threading.Thread(target=self.server.serve_forever, args=(0.02,),
                         daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)

    def script(self, answers):
        """{"GET /path": document or (status, document) or function}"""
        def find(method, path, body):
            answer = answers.get(f'{method} {path}',
                                 (404, {'error': f'no {path}', 'step': 'x'}))
            if callable(answer):
                answer = answer(body)
            return answer if isinstance(answer, tuple) else (200, answer)
        self.server.script = find

    def run_raw(self, *args, stdin=b'', socket=True):
        argv = [CTL, *(['-c', self.dir + '/no.ini', '-s', self.socket]
                       if socket else []), *args]
        done = subprocess.run(argv, input=stdin, capture_output=True,
                              timeout=PATIENCE, check=False)
        return done.returncode, done.stdout, done.stderr

    def ctl(self, *args, code=0, stdin='', **how):
        got, out, err = self.run_raw(*args, stdin=stdin.encode(), **how)
        self.assertEqual(got, code, (args, out, err))
        self.assertNotIn(b'\x1b', out + err)
        return out.decode(), err.decode()

    def json(self, *args, **how):
        return json.loads(self.ctl(*args, '--json', **how)[0])


class ExitCodes(Case):
    def test_status_says_whether_all_is_well(self):
        self.script({'GET /v1/status': {'ok': True, 'accounts': []}})
        self.ctl('status')
        self.script({'GET /v1/status': {'ok': False, 'accounts': []}})
        self.ctl('status', code=1)
        self.assertEqual(self.json('status', code=1)['accounts'], [])

    def test_refusals(self):
        self.script({'GET /v1/queue/1': (404, {'error': 'no such message',
                                               'step': f'look {EVIL}'})})
        out, err = self.ctl('queue', 'show', '1', code=1)
        self.assertEqual(out, '')
        self.assertIn('mailbearerctl: no such message\n    -> look', err)
        self.assertEqual(self.json('queue', 'show', '1', code=1)['error'],
                         'no such message')

    def test_usage(self):
        for args in ([], ['queue'], ['frobnicate'], ['queue', 'retry'],
                     ['status', 'x'], ['queue', 'list', '--limit', '0'],
                     ['-c'], ['queue', 'show', '../x']):
            out, err = self.ctl(*args, code=2)
            self.assertEqual(out, '')
            self.assertTrue(err)
        self.assertEqual(self.server.asked, [])

    def test_no_daemon(self):
        gone = f'{self.dir}/gone'
        for args in (['status'], ['reload'], ['queue', 'list'], ['version'],
                     ['auth', 'a@b'], ['queue', 'export', '1']):
            _, err = self.ctl('-s', gone, *args, code=3, socket=False)
            self.assertIn(gone, err)
        doc = json.loads(self.ctl('-s', gone, 'status', '--json', code=3,
                                  socket=False)[0])
        self.assertIn('error', doc)

    def test_garbage(self):
        for body in (b'', b'{', b'[]', b'"x"', b'<html>' + b'[' * 100000):
            self.server.script = lambda *_, b=body: (200, b)
            self.ctl('status', code=1)
            self.ctl('queue', 'list', code=1)
        self.server.script = lambda *_: (200, {})
        for args in (['status'], ['auth', 'a@b', '--device']):
            self.ctl(*args, code=1)
        for args in (['queue', 'list'], ['account', 'show', 'a@b'],
                     ['account', 'list'], ['login', 'list'],
                     ['queue', 'why', '1'], ['queue', 'export', '1']):
            self.ctl(*args)


class Configuration(Case):
    def ini(self, text):
        path = f'{self.dir}/mailbearer.ini'
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text)
        return path

    def test_socket_of_the_ini(self):
        self.script({'GET /v1/status': {'ok': True, 'accounts': []}})
        path = self.ini(f'[admin]\nsocket = {self.socket}\n')
        self.ctl('-c', path, 'status', socket=False)
        path = self.ini(f'[mailbearer]\nruntime_dir = {self.dir}\n')
        self.ctl('status', f'-c{path}', socket=False)

    def test_mistakes_elsewhere(self):
        """A daemon can be reached while its file is being edited."""
        self.script({'POST /v1/reload': (400, {'error': 'x.ini:3: a\ny: b'})})
        path = self.ini('[mailbearer]\nbogus = 1\nworkers = many\n[what]\n'
                        f'[admin]\nsocket = {self.socket}\n')
        _, err = self.ctl('-c', path, 'reload', code=1, socket=False)
        self.assertEqual(err, 'mailbearerctl: x.ini:3: a\n'
                              'mailbearerctl: y: b\n')

    def test_no_file(self):
        _, err = self.ctl('-c', f'{self.dir}/none', 'status', code=2,
                          socket=False)
        self.assertIn('none: No such file', err)


def message(n):
    return {'id': f'{n:016x}', 'seq': n, 'account': 'a@b', 'created': 1,
            'recipients': ['r@x', 's@x'], 'size': n, 'state': 'waiting',
            'attempts': 0, 'why': f'why {EVIL}'}


class Queue(Case):
    def pages(self, total):
        def find(method, path, body):
            del method, body
            query = dict(p.split('=') for p in path.split('?')[1].split('&'))
            after, limit = int(query.get('after', 0)), int(query['limit'])
            page = list(range(after + 1, total + 1))[:limit]
            doc = {'messages': [message(n) for n in page]}
            if len(page) == limit:
                doc['next'] = page[-1]
            return 200, doc
        self.server.script = find

    def test_pages(self):
        for total in (0, 1, 99, 100, 101, 250):
            self.pages(total)
            found = self.json('queue', 'list')['messages']
            self.assertEqual([m['seq'] for m in found],
                             list(range(1, total + 1)))
            out, _ = self.ctl('queue', 'list')
            self.assertEqual(out.count('waiting'), total)
        out, _ = self.ctl('queue', 'list', '--limit', '120')
        self.assertEqual(out.count('waiting'), 120)
        self.assertIn('limit=20', self.server.asked[-1][1])

    def test_filters(self):
        self.pages(1)
        self.ctl('queue', 'list', '--account=a+b@c', '--held')
        self.assertIn('account=a%2Bb%40c&state=held',
                      self.server.asked[-1][1])

    def test_an_api_that_turns_in_a_circle(self):
        self.server.script = lambda *_: (200, {'messages': [message(1)],
                                               'next': 1})
        self.assertEqual(len(self.json('queue', 'list')['messages']), 2)

    def test_an_error_half_way(self):
        def find(method, path, body):
            del method, body
            if 'after' in path:
                return 503, {'error': 'gone'}
            return 200, {'messages': [message(1)], 'next': 1}
        self.server.script = find
        _, err = self.ctl('queue', 'list', code=1)
        self.assertIn('gone', err)
        _, err = self.ctl('queue', 'list', '--json', code=1)
        self.assertIn('gone', err)

    def test_changes(self):
        for verb in ('retry', 'hold', 'release', 'delete'):
            self.script({f'POST /v1/queue/{verb}': {'count': 2}})
            self.assertIn('2 messages', self.ctl('queue', verb, '--all')[0])
            self.ctl('queue', verb, '--account', 'a@b')
            self.ctl('queue', verb, 'abc')
            self.assertEqual([b for _, _, b in self.server.asked[-3:]],
                             [{'all': True}, {'account': 'a@b'},
                              {'id': 'abc'}])

    def test_export_is_exact(self):
        data = bytes(range(256)) * 700 + b'\x1b[2J\r\n.\r\n'
        parts = [data[i:i + 65536] for i in range(0, len(data), 65536)] + [b'']
        self.script({f'GET /v1/queue/1/chunk/{n}':
                     {'data': base64.b64encode(p).decode()}
                     for n, p in enumerate(parts)})
        code, out, _ = self.run_raw('queue', 'export', '1')
        self.assertEqual((code, out), (0, data))
        doc = self.json('queue', 'export', '1')
        self.assertEqual(b''.join(map(base64.b64decode, doc['chunks'])), data)

    def test_export_ends_in_the_middle(self):
        self.script({'GET /v1/queue/1/chunk/0': {'data': 'YWJj'}})
        code, out, err = self.run_raw('queue', 'export', '1')
        self.assertEqual((code, out), (1, b'abc'))
        self.assertTrue(err)

    def exporting(self, total, bodies):
        self.pages(total)
        pages = self.server.script

        def find(method, path, body):
            parts = path.split('/')
            if '?' in path:
                return pages(method, path, body)
            if len(parts) == 4:
                return 200, message(int(parts[3], 16))
            data = bodies.get(int(parts[3], 16))
            if data is None:
                return 404, {'error': 'no such message'}
            chunk = data[int(parts[5]) * 10:][:10]
            return 200, {'data': base64.b64encode(chunk).decode()}
        self.server.script = find

    def test_export_into_a_folder(self):
        bodies = {n: bytes([n]) * n for n in range(1, 121)}
        del bodies[60]
        self.exporting(120, bodies)
        folder = f'{self.dir}/out'
        out, _ = self.ctl('queue', 'export', '--all', '--to', folder)
        self.assertEqual(out, f'119 messages exported to {folder}.\n'
                              '1 other left the queue meanwhile.\n')
        self.assertEqual(len(os.listdir(folder)), 238)
        self.assertEqual(os.stat(folder).st_mode & 0o777, 0o700)
        for n, data in bodies.items():
            path = f'{folder}/{n:016x}'
            with open(f'{path}.eml', 'rb') as f:
                self.assertEqual(f.read(), data)
            with open(f'{path}.json', encoding='utf-8') as f:
                self.assertEqual(json.load(f), message(n))
            self.assertEqual(os.stat(f'{path}.eml').st_mode & 0o777, 0o600)
        self.assertEqual(
            self.json('queue', 'export', '--account', 'a+b@c', '--to',
                      folder), {'count': 119, 'gone': 1})
        self.assertIn('&account=a%2Bb%40c', ''.join(
            path for _, path, _ in self.server.asked))

    def test_export_of_one_into_a_folder(self):
        self.exporting(0, {7: b'x' * 25})
        out, _ = self.ctl('queue', 'export', f'{7:016x}', '--to', self.dir)
        self.assertEqual(out, f'1 message exported to {self.dir}.\n')
        with open(f'{self.dir}/{7:016x}.eml', 'rb') as f:
            self.assertEqual(f.read(), b'x' * 25)

    def test_export_that_fails(self):
        self.exporting(3, {1: b'1', 2: b'2', 3: b'3'})
        self.ctl('queue', 'export', '--all', code=2)
        for folder in (f'{self.dir}/no/such', '/dev/null'):
            _, err = self.ctl('queue', 'export', '--all', '--to', folder,
                              code=1)
            self.assertIn(folder, err)
        folder = f'{self.dir}/out'
        os.mkdir(folder)
        os.symlink('/dev/null', f'{folder}/{2:016x}.eml')
        _, err = self.ctl('queue', 'export', '--all', '--to', folder, code=1)
        self.assertIn(f'{2:016x}.eml', err)
        # An id is no path.
        evil = {**message(1), 'id': '../evil'}
        self.server.script = lambda *_: (200, {'messages': [evil]})
        self.ctl('queue', 'export', '--all', '--to', folder, code=1)
        self.assertFalse(os.path.exists(f'{self.dir}/evil.eml'))

    def test_why_names_the_step(self):
        asked = {**message(1), 'step': f'do it{EVIL}', 'last_reply': '432 no'}
        self.script({'GET /v1/queue/1': asked})
        out, _ = self.ctl('queue', 'why', '1')
        self.assertIn('    -> do it', out)
        self.assertIn('last reply   432 no', out)
        # What the sentence says is not said again.
        asked['why'] = 'it is tried again in 9 s: 432 no'
        out, _ = self.ctl('queue', 'why', '1')
        self.assertEqual(out.count('432 no'), 1)


class History(Case):
    def rows(self, total, most=100):
        """An API with so many rows that gives at most so many at once."""
        def find(method, path, body):
            del method, body
            query = dict(p.split('=') for p in path.split('?')[1].split('&'))
            before = int(query.get('before', total + 1))
            limit = min(int(query.get('limit', most)), most)
            page = list(range(before - 1, 0, -1))[:limit]
            doc = {'history': [{
                'seq': n, 'at': 1795176000, 'result': 'delivered',
                'id': f'{n:016x}', 'account': 'a@b', 'reverse_path': 'a@b',
                'recipients': ['r@x'], 'waited': 7200,
                'reply': f'250 {EVIL}'} for n in page]}
            if page and page[-1] > 1:
                doc['next'] = page[-1]
            return 200, doc
        self.server.script = find

    def seqs(self, *args):
        return [r['seq'] for r in self.json('history', *args)['history']]

    def test_newest_last_and_every_page(self):
        for total in (0, 1, 99, 100, 101, 250):
            for most in (100, 7):
                self.rows(total, most)
                wanted = list(range(1, total + 1))
                self.assertEqual(self.seqs('--all'), wanted)
                self.assertEqual(self.seqs(), wanted[-100:])
                self.assertEqual(self.seqs('--limit', '30'), wanted[-30:])
                self.assertEqual(self.seqs('--since', '2h'), wanted)
                out, _ = self.ctl('history', '--all')
                self.assertEqual(out.count('delivered'), total)
                self.assertEqual('WAITED' in out, total > 0)

    def test_conditions(self):
        self.rows(1)
        self.ctl('history', 'a+b@c', '--login', 'x y', '--id', 'abc',
                 '--fallback', '--in-doubt')
        self.assertIn('account=a%2Bb%40c&login=x%20y&id=abc&fallback=1'
                      '&in_doubt=1', self.server.asked[-1][1])
        self.assertNotIn('since', self.server.asked[-1][1])

    def test_what_is_unusual(self):
        row = {'seq': 1, 'at': 0, 'result': 'delivered', 'account': 'a@b',
               'recipients': ['r@x', 's@x'], 'via': 'o@b', 'in_doubt': True,
               'kind': 'delay-notice', 'reply': '250 ok'}
        self.script({'GET /v1/history?limit=100': {'history': [row]},
                     'GET /v1/history?limit=1&before=2': {'history': [row]}})
        out, _ = self.ctl('history')
        self.assertIn('(delay-notice) (through o@b) (may be there twice) '
                      '250 ok', out)
        self.assertIn('2: r@x', out)

    def test_an_api_that_turns_in_a_circle(self):
        self.server.script = lambda *_: (200, {
            'history': [{'seq': 1, 'result': 'delivered'}], 'next': 2})
        self.assertEqual(len(self.seqs('--all')), 1)

    def test_an_error_half_way(self):
        for asked in (1, 2):
            self.rows(5)
            rows, answers = self.server.script, []

            def find(*args, rows=rows, answers=answers, asked=asked):
                answers.append(args)
                return (503, {'error': 'gone'}) if len(
                    answers) >= asked else rows(*args)
            self.server.script = find
            _, err = self.ctl('history', code=1)
            self.assertIn('gone', err)

    def test_why_of_what_is_gone(self):
        row = {'seq': 1, 'at': 0, 'result': 'delivered', 'account': 'a@b',
               'recipients': ['r@x'], 'waited': 7200, 'reply': f'250 {EVIL}'}
        self.script({'GET /v1/history?id=7': {'history': [row]},
                     'GET /v1/history?id=8': {'history': []}})
        out, _ = self.ctl('queue', 'why', '7')
        self.assertIn('it was delivered on', out)
        self.assertIn('after waiting 2h: 250', out)
        self.assertEqual(self.json('queue', 'why', '7')['history'], [row])
        for gone in ('8', '9'):
            _, err = self.ctl('queue', 'why', gone, code=1)
            self.assertIn(f'no /v1/queue/{gone}', err)


class Auth(Case):
    START = {'id': '7', 'account': 'a@b', 'status': 'pending',
             'url': 'https://x/?a=b', 'user_code': 'WDJB', 'expires_in': 60,
             'verification_uri': 'https://x/d'}
    DONE = {'id': '7', 'account': 'a@b', 'status': 'done'}
    FAILED = {'id': '7', 'account': 'a@b', 'status': 'failed',
              'text': f'not {EVIL}', 'step': 'again'}

    def signs_in(self, states, paste=None, flow='authorization_code'):
        states = iter(states)
        self.script({
            'GET /v1/accounts/a%40b': {'flow': flow},
            'POST /v1/accounts/a%40b/auth': self.START,
            'GET /v1/auth/7': lambda _: next(states),
            'POST /v1/auth/7/paste': paste,
        })

    def lines(self, *args, **how):
        return [json.loads(line) for line in
                self.ctl('auth', 'a@b', *args, '--json', **how)[0]
                .splitlines()]

    def test_polls_to_the_end(self):
        away = (502, {'error': 'keeper does not answer'})
        self.signs_in([self.START, away, self.DONE])
        lines = self.lines('--browser')
        self.assertEqual(lines[0]['url'], 'https://x/?a=b')
        self.assertEqual(lines[-1]['status'], 'done')
        self.assertEqual(len(lines), 2)
        self.signs_in([self.FAILED])
        self.assertEqual(self.lines('--device', code=1)[-1]['status'],
                         'failed')

    def test_methods(self):
        for flow, args, method in (
                ('authorization_code', [], 'paste'),
                ('device_code', [], 'device'),
                ('device_code', ['--browser'], 'browser'),
                ('authorization_code', ['--device'], 'device')):
            self.signs_in([self.DONE], self.DONE, flow)
            self.ctl('auth', 'a@b', *args, stdin='http://localhost/?x\n')
            begun = [b for m, p, b in self.server.asked if p.endswith('/auth')]
            self.assertEqual(begun[-1], {'method': method})

    def test_device_shows_the_code(self):
        self.signs_in([self.DONE])
        out, _ = self.ctl('auth', 'a@b', '--device')
        self.assertIn('WDJB', out)
        self.assertIn('https://x/d', out)
        self.assertIn('a@b is signed in', out)

    def test_browser_elsewhere_comes_back_through_ssh(self):
        ini = f'{self.dir}/web.ini'
        with open(ini, 'w', encoding='ascii') as f:
            f.write('[admin]\nweb = 127.0.0.1:8025\n')
        self.signs_in([self.DONE])
        done = subprocess.run(
            [CTL, '-c', ini, '-s', self.socket, 'auth', 'a@b', '--browser'],
            capture_output=True, timeout=PATIENCE, check=True)
        self.assertIn(b'ssh -L 8025:127.0.0.1:8025 ', done.stdout)

    def test_paste(self):
        url = 'http://localhost/?code=c&state=s'
        self.signs_in([], self.DONE)
        self.ctl('auth', 'a@b', '--paste', stdin=f'  {url}\r\n')
        self.assertEqual(self.server.asked[-1][2], {'url': url})
        self.signs_in([], self.FAILED)
        _, err = self.ctl('auth', 'a@b', '--paste', stdin=url, code=1)
        self.assertIn('-> again', err)
        self.signs_in([], (404, {'error': 'whose?'}))
        self.assertEqual(self.lines('--paste', stdin=url, code=1)[-1],
                         {'error': 'whose?'})
        self.signs_in([], self.DONE)
        self.ctl('auth', 'a@b', '--paste', stdin='', code=1)

    def test_forgotten(self):
        self.signs_in([(404, {'error': 'no such sign-in'})])
        _, err = self.ctl('auth', 'a@b', '--browser', code=1)
        self.assertIn('no such sign-in', err)

    def test_at_once(self):
        self.script({'POST /v1/accounts/a%40b/auth': self.DONE})
        self.assertEqual(self.lines('--device'), [self.DONE])


class Logins(Case):
    def test_add(self):
        self.script({'POST /v1/logins': lambda b: {
            'name': b['name'], 'account': b['account'], 'password': 'p4ss'}})
        out, _ = self.ctl('login', 'add', 'a@b', 'n', '--network', '10.0.0.0/8',
                          '--network', '::1')
        self.assertIn('\n    p4ss\n', out)
        self.assertEqual(self.server.asked[-1][2], {
            'account': 'a@b', 'name': 'n', 'networks': ['10.0.0.0/8', '::1']})

    def test_settings(self):
        login = {'name': 'n', 'account': 'a@b', 'source': 'store',
                 'networks': ['10.0.0.0/8'], 'per_hour': 7, 'overtake': True}
        other = {'name': 'o', 'account': 'a@b', 'per_hour': 0}
        self.script({'POST /v1/logins': login,
                     'GET /v1/logins': {'logins': [login, other]}})
        self.ctl('login', 'add', 'a@b', 'n', '--per-hour', '7', '--overtake')
        self.assertEqual(self.server.asked[-1][2], {
            'account': 'a@b', 'name': 'n', 'per_hour': '7', 'overtake': True})
        self.ctl('login', 'add', 'a@b', 'n', '--per-hour', 'few', code=2)
        out, _ = self.ctl('login', 'list')
        self.assertIn('from 10.0.0.0/8, 7 an hour, overtakes\n', out)
        self.assertIn(', any number an hour\n', out)

    def test_password_from_stdin(self):
        self.script({'POST /v1/logins': {'name': 'n', 'account': 'a@b'}})
        out, _ = self.ctl('login', 'add', 'a@b', 'n', '--password-stdin',
                          stdin='mine\n')
        self.assertNotIn('mine', out)
        self.assertEqual(self.server.asked[-1][2]['password'], 'mine')
        self.ctl('login', 'add', 'a@b', 'n', '--password-stdin', code=2)

    def test_remove(self):
        self.script({'DELETE /v1/logins/a%2Fb': {'removed': 'a/b'}})
        self.assertIn('a/b', self.ctl('login', 'remove', 'a/b')[0])


class Terminal(Case):
    def on_terminal(self, *args):
        master, slave = pty.openpty()
        with open(master, 'rb', buffering=0) as screen:
            done = subprocess.run(
                [CTL, '-s', self.socket, *args], stdout=slave, check=False,
                env={**os.environ, 'TERM': 'xterm', 'NO_COLOR': ''},
                timeout=PATIENCE)
            os.close(slave)
            shown = b''
            try:
                while chunk := screen.read(65536):
                    shown += chunk
            except OSError:  # the other end is closed
                pass
        return done.returncode, shown

    def test_colours_only_there(self):
        self.script({'GET /v1/status': {'ok': False, 'accounts': [
            {'address': 'a@b', 'services': {'smtp': {
                'state': 'blocked', 'text': EVIL, 'step': EVIL}}}]}})
        self.ctl('status', code=1)
        code, shown = self.on_terminal('status')
        self.assertEqual(code, 1)
        self.assertIn(b'\x1b[1;31mblocked\x1b[0m', shown)
        self.assertNotIn(b'\x1b]', shown)
        self.assertNotIn(b'\x07', shown)

    def test_export_spares_the_terminal(self):
        self.script({'GET /v1/queue/1/chunk/0': {
            'data': base64.b64encode(b'a\r\n\x1b[2Jb\r\n').decode()},
            'GET /v1/queue/1/chunk/1': {'data': ''}})
        code, shown = self.on_terminal('queue', 'export', '1')
        self.assertEqual((code, shown), (0, b'a\r\n\\u001b[2Jb\r\n'))

    def test_completion(self):
        script = os.path.join(SOURCE, 'contrib/completions/mailbearerctl')
        self.script({'GET /v1/accounts': {'accounts': [
            {'address': 'scanner@contoso.com'}]}})
        wrapper = f'{self.dir}/wrapper'
        with open(wrapper, 'w', encoding='utf-8') as f:
            f.write(f'#!/bin/sh\nexec {CTL} -s {self.socket} "$@"\n')
        os.chmod(wrapper, 0o755)
        for words, want in ((['sta'], 'status'),
                            (['queue', 'ex'], 'export'),
                            (['queue', 'list', '--he'], '--held'),
                            (['hi'], 'history'),
                            (['history', '--fa'], '--fallback'),
                            (['history', '--since', '7'], '7d'),
                            (['login', 'add', '--per'], '--per-hour'),
                            (['queue', 'export', '--to', '/us'], '/usr'),
                            (['auth', 'sc'], 'scanner@contoso.com')):
            done = subprocess.run(
                ['bash', '-c', f'. {script}; COMP_WORDS=(m "$@"); '
                 'COMP_CWORD=$#; _mailbearerctl "$0" "${@: -1}" '
                 '"${COMP_WORDS[$#-1]}"; echo "${COMPREPLY[*]}"',
                 wrapper, *words], capture_output=True, text=True,
                timeout=PATIENCE, check=False)
            self.assertEqual(done.stdout.strip(), want, done.stderr)


if __name__ == '__main__':
    unittest.main(verbosity=2)
