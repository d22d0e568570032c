#!/usr/bin/env python3
"""Limits: messages a login may send in an hour, and a queue that is full.
Whoever is over one hears 452 and why, and nothing was half accepted."""
import contextlib
import os
import signal

from clients import Login, msmtp_send, smtplib_send, swaks_send
from daemon import crypt
from harness import main, message
from lab import until
from raw import Smtp
from sandbox_case import (BOB, DEMO, QUICK, SandboxCase, UsersCase, sandbox,
                          sandbox_provider)

PASSWORD = 'local-password'
LOGINS = {DEMO: None, 'scanner': 4, 'printer': 2, 'ledger': 3, 'fax': 1,
          'archive': 0}
EVERYBODY = 5
ALICE = 'alice@example.test'
QUEUED = r'^250 2\.0\.0 Queued as '


class LimitsCase(SandboxCase):
    @classmethod
    def setUpClass(cls):
        cls.box = sandbox.start()
        cls.addClassCleanup(cls.box.stop)
        password = crypt(PASSWORD)
        cls.launch([{
            'address': DEMO, 'provider': 'sandbox',
            'client_id': cls.box.env['CLIENT_ID'],
            'client_secret': cls.box.env['CLIENT_SECRET'],
            'logins': [{'name': name, 'password_hash': password}
                       | ({} if n is None else {'per_hour': n})
                       for name, n in LOGINS.items()]}],
            [sandbox_provider(cls.box)], cls.ini)
        cls.sign_in_sandbox()

    def who(self, name):
        return Login(self.daemon.smtp_port, self.daemon.imap_port,
                     self.daemon.ca, name, PASSWORD, DEMO)

    def open(self, name):
        client = Smtp(self.daemon.smtp_port, self.daemon.ca)
        self.addCleanup(client.close)
        self.assertRegex(client.login(self.who(name)), '^235 ')
        return client

    def submit(self, client, key, rcpt=BOB):
        return client.message(DEMO, [rcpt],
                              message(DEMO, rcpt, key)).rstrip()


class Rate(LimitsCase):
    ini = {**QUICK, 'limits': {'login_per_hour': EVERYBODY}}

    @contextlib.contextmanager
    def only(self, pid):
        """Meanwhile only this relay takes connections."""
        others = [p for p in self.daemon.roles('relay') if p != pid]
        for other in others:
            os.kill(other, signal.SIGSTOP)
        try:
            yield
        finally:
            for other in others:
                os.kill(other, signal.SIGCONT)

    def open_at(self, pid, name):
        """A session at that relay."""
        before = len(self.daemon.events('smtp-connect'))
        with self.only(pid):
            client = Smtp(self.daemon.smtp_port, self.daemon.ca)
        self.addCleanup(client.close)
        until(lambda: len(self.daemon.events('smtp-connect')) > before,
              'the session in the log')
        self.assertIn(f'[{pid}]', self.daemon.events('smtp-connect')[before])
        self.assertRegex(client.login(self.who(name)), '^235 ')
        return client

    def told(self, client):
        """What MAIL is answered, once its relay knows of the others."""
        reply = ''

        def refused():
            nonlocal reply
            client.command('RSET')
            reply = client.command(f'MAIL FROM:<{DEMO}>').rstrip()
            return reply.startswith('452')
        until(refused, 'a relay that knows')
        return reply

    def assert_limited(self, reply, name, most):
        text = 'message' if most == 1 else 'messages'
        self.assertRegex(reply, rf'^452 4\.7\.1 Login {name} may send {most} '
                         rf'{text} an hour; next at \d\d:\d\d$')

    def test_two_relays_count_together(self):
        first, second = sorted(self.daemon.roles('relay'))
        here, there = (self.open_at(pid, 'scanner') for pid in
                       (first, second))
        for n, client in enumerate((here, there, there, here)):
            self.assertRegex(self.submit(client, f'both-{n}'), '^250 ')
        # The limit was reached at one of them; both know, and say so before
        # the client has sent its message.
        for client in (here, there):
            self.assert_limited(self.told(client), 'scanner', 4)
        # It is no session's end, and others may go on.
        self.assertRegex(here.command('NOOP'), '^250 ')
        self.assertRegex(self.submit(self.open('archive'), 'other'), '^250 ')
        self.assertEqual(self.keys(), ['both-0', 'both-1', 'both-2', 'both-3',
                                       'other'])
        self.assertTrue(self.daemon.events('login-limit', login='scanner',
                                           per_hour=4))

    def test_a_new_relay_is_told_at_the_end_of_data(self):
        client = self.open('printer')
        for n in range(2):
            self.assertRegex(self.submit(client, f'new-{n}'), '^250 ')
        self.daemon.kill_role('relay')
        client = self.open('printer')
        self.assertRegex(client.command(f'MAIL FROM:<{DEMO}>'), '^250 ')
        self.assertRegex(client.command('RSET'), '^250 ')
        self.assert_limited(self.submit(client, 'new-2'), 'printer', 2)
        self.assert_limited(client.command(f'MAIL FROM:<{DEMO}>').rstrip(),
                            'printer', 2)
        self.assertEqual(self.keys(), ['new-0', 'new-1'])

    def test_refused_mail_does_not_count(self):
        client = self.open('ledger')
        for n in range(5):
            self.assertRegex(self.submit(client, f'no-{n}',
                                         'permfail@example.test'), '^550 ')
        for n in range(3):
            self.assertRegex(self.submit(client, f'yes-{n}'), '^250 ')
        self.assert_limited(self.submit(client, 'late'), 'ledger', 3)

    def test_real_clients_hear_it(self):
        who = self.who('fax')
        smtplib_send(who, message(DEMO, BOB, 'fax'), [BOB])
        for send in (swaks_send, msmtp_send, smtplib_send):
            # Each has its own class, with the reply in it.
            with self.assertRaisesRegex(
                    Exception, 'Login fax may send 1 message an hour'):
                send(who, message(DEMO, BOB, 'fax-again'), [BOB])
        self.assertEqual(self.keys(), ['fax'])

    def test_everybody_has_the_common_limit(self):
        client = self.open(DEMO)
        for n in range(EVERYBODY):
            self.assertRegex(self.submit(client, f'common-{n}'), '^250 ')
        self.assert_limited(self.submit(client, 'late'), DEMO, EVERYBODY)
        # 0 is no limit, whatever the common one says.
        client = self.open('archive')
        for n in range(EVERYBODY + 1):
            self.assertRegex(self.submit(client, f'archive-{n}'), '^250 ')


class Full(UsersCase):
    """A queue that takes no more: demo's mail waits, alice's flows."""
    users = ('demo', 'alice')
    ini = QUICK

    def setUp(self):
        self.limit()
        super().setUp()
        self.box.kill_grant('demo', aadsts=50173)

    def limit(self, **queue):
        """These options of [queue] and no other limit, by a reload."""
        options = self.daemon.ini['queue']
        for name in ('max_messages', 'max_bytes', 'reserve_bytes'):
            options.pop(name, None)
        options.update(queue)
        self.daemon.write()
        self.daemon.ctl('reload', code=0)

    def queue(self, key, body=b'A line.\r\n'):
        self.assertRegex(self.send(key, body=body), QUEUED)

    def assert_full(self, text, size=10):
        """Who must queue hears why not; who need not, delivers."""
        before = {m['id'] for m in self.queued()}
        self.assertEqual(self.send('over', body=b'x' * size + b'\r\n'),
                         f'452 4.3.1 {text}; please send it again later')
        self.assertEqual({m['id'] for m in self.queued()}, before)
        login = self.daemon.login(ALICE)
        with Smtp(login.smtp_port, login.ca) as client:
            client.login(login)
            reply = client.message(ALICE, [BOB], message(ALICE, BOB, 'live'))
        self.assertRegex(reply, '^250 ')
        self.assertNotRegex(reply, QUEUED)
        self.assertEqual(self.keys(), ['live'])

    def assert_mended(self, count):
        """What was acknowledged arrives, in order, and nothing else."""
        self.sign_in_user('demo')
        self.assert_queue_empties()
        self.assertEqual(self.keys(),
                         ['live'] + [f'full-{n}' for n in range(count)])

    def test_by_messages(self):
        self.limit(max_messages='3', max_bytes='0')
        for n in range(3):
            self.queue(f'full-{n}')
        self.assert_full('The queue is full: it takes 3 messages')
        # Not more in the daemon's mind than on its disk.
        self.limit(max_messages='4')
        self.queue('full-3')
        self.assert_mended(4)

    def test_by_bytes(self):
        self.limit(max_messages='0', max_bytes='100K')
        self.queue('full-0', b'y' * 60000 + b'\r\n')
        self.assert_full('The queue is full: it takes 100 kB', 60000)
        # A smaller one has room.
        self.queue('full-1')
        self.assert_mended(2)

    def test_by_the_disk(self):
        self.queue('full-0')
        self.limit(reserve_bytes='1000000G')
        self.assert_full('Less than 1000000 GB is free on the disk of the '
                         'queue')
        self.limit()
        self.queue('full-1')
        self.assert_mended(2)

    def test_room_made_by_hand(self):
        self.limit(max_messages='1', max_bytes='0')
        self.queue('gone')
        self.assert_full('The queue is full: it takes 1 message')
        self.daemon.ctl('queue', 'delete', '--all', code=0)
        self.queue('full-0')
        self.assert_mended(1)


class Today(UsersCase):
    """Recipients of a day: counted whoever sends, and shown."""
    users = ('demo',)
    provider = {'limits': {'max_connections': 2,
                           'max_recipients_per_day': 6}}

    def today(self):
        status = self.daemon.json('status')
        queue = status['accounts'][0]['queue']
        return queue['recipients_today'], queue['recipients_limit']

    def test_counted_and_shown(self):
        self.send('one')
        self.send('three', [BOB, 'carol@example.org', 'dave@example.org'])
        until(lambda: self.today() == (4, 6), 'four of six')
        self.assertIn('today        4 of 6 recipients\n',
                      self.daemon.ctl('account', 'show', DEMO, code=0)[1])
        out = self.daemon.ctl('status', code=0)[1]
        self.assertRegex(out, r'(?s)TODAY.*WAITS.* 4/6 ')
        # The rest of the day's goes, what is beyond it waits and says why.
        self.assertNotRegex(self.send('five', [BOB]), QUEUED)
        reply = self.send('eight', [BOB, 'carol@example.org',
                                    'dave@example.org'])
        self.assertRegex(reply, QUEUED)
        one, = self.queued()
        self.assertRegex(one['why'], 'recipients its provider takes in a day')
        self.assertEqual(self.keys(), ['one', 'three', 'five'])
        # And after a restart, too.
        self.daemon.stop()
        self.daemon.start()
        until(lambda: self.today() == (5, 6), 'what was sent before')
        self.daemon.ctl('queue', 'delete', '--all', code=0)


if __name__ == '__main__':
    main()
