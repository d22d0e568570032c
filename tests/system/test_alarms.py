#!/usr/bin/env python3
"""
What people are told of accounts, on every way: a command, a webhook, mail
through another account, the log. When something is needed, again if nobody
comes, and when it is over; what ails many accounts is told once; never through
the account that is down.
"""
import email
import email.policy
import hashlib
import hmac
import http.server
import json
import os
import threading
import time

from harness import main
from lab import until
from token_case import TokenCase

OPERATOR = 'bob@example.test'
OWNER = 'carol@example.test'
KEY = 'webhook-key-of-the-test'


class Hook(http.server.BaseHTTPRequestHandler):
    """Takes what is posted, or answers with server.status."""
    def do_POST(self):  # pylint: disable=invalid-name
        body = self.rfile.read(int(self.headers['Content-Length']))
        status = self.server.status
        if status == 200:
            self.server.taken.append((dict(self.headers), body))
        self.server.tries += 1
        self.send_response(status)
        self.send_header('Content-Length', '0')
        self.end_headers()

    def log_message(self, *_):
        pass


class Telling(TokenCase):
    names = ['demo', 'alice', 'owner', 'post']
    settle = '1s'
    notify = {}

    @classmethod
    def setUpClass(cls):
        cls.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Hook)
        cls.server.taken, cls.server.tries = [], 0
        cls.server.status = 200
        threading.Thread(target=cls.server.serve_forever, args=(0.05,),
                         daemon=True).start()
        cls.addClassCleanup(cls.server.server_close)
        cls.addClassCleanup(cls.server.shutdown)
        cls.ini = {**TokenCase.ini, 'limits': {'auth_delay': '0s'}}
        super().setUpClass()
        cls.box.add_user(OWNER, password='x', name='carol')
        cls.out = f'{cls.daemon.dir}/told'
        os.mkdir(cls.out)
        os.chmod(cls.out, 0o777)
        # As an operator's own: what it is told lies in a file for each.
        command = cls.daemon.file('notify.sh', f'''#!/bin/sh
set -eu
[ ! -e {cls.out}/fail ] || exit 75
t=$(mktemp {cls.out}/.new.XXXXXX)
env -0 | grep -z ^MAILBEARER_ >"$t"
mv "$t" {cls.out}/$(date +%s%N).env
''')
        os.chmod(command, 0o755)
        cls.daemon.ini['notify'] = {
            'command': command,
            'webhook': f'http://127.0.0.1:{cls.server.server_port}/hook',
            'webhook_secret_file': cls.daemon.file('hook.key', KEY + '\n',
                                                   0o600),
            'mail_account': cls.address('post'), 'operator': OPERATOR,
            'settle': cls.settle, 'outage_after': '4s', **cls.notify}
        for account in cls.daemon.accounts:
            if account['address'] == cls.address('demo'):
                account['owner'] = OWNER
        cls.daemon.write()
        cls.daemon.ctl('reload', code=0)

    def setUp(self):
        super().setUp()
        until(lambda: not self.alarms(), 'no alarm', 30)
        # What is still on its way belongs to the test before.
        until(self.is_quiet, 'quiet ways', 30)
        self.forget()

    def forget(self):
        self.server.taken.clear()
        for name in os.listdir(self.out):
            os.unlink(f'{self.out}/{name}')
        self.box.reset()

    def is_quiet(self):
        """Nothing that was told is on its way any more."""
        return not self.queued(self.address('post'))

    # ---- what came

    @classmethod
    def alarms(cls):
        return cls.api('GET', '/v1/alarms')[1]['alarms']

    def hooks(self, event=None):
        found = [json.loads(body) for _, body in self.server.taken]
        return [f for f in found if event in (None, f['event'])]

    def commands(self, event=None):
        found = []
        for name in sorted(n for n in os.listdir(self.out)
                           if n.endswith('.env')):
            with open(f'{self.out}/{name}', 'rb') as f:
                pairs = [v.split(b'=', 1) for v in f.read().split(b'\0') if v]
            one = {k.decode().removeprefix('MAILBEARER_'): v.decode()
                   for k, v in pairs}
            if event in (None, one['EVENT']):
                found.append(one)
        return found

    def mails(self, to=None):
        """[(envelope, message)] of the notices that the provider took."""
        found = []
        for n, sent in enumerate(self.box.messages(), 1):
            message = email.message_from_bytes(
                self.box.raw(n), policy=email.policy.default)
            if message['From'] and 'Mailbearer' in message['From'] \
                    and to in (None, message['To'].strip('<>')):
                found.append((sent, message))
        return found

    def wait_all(self, event):
        until(lambda: self.hooks(event), f'{event} by webhook')
        until(lambda: self.commands(event), f'{event} by command')
        return self.hooks(event)[-1], self.commands(event)[-1]

    def prove(self, *names):
        """What is at hand works: a refusal is news."""
        for name in names:
            self.assertRegex(self.imap_login(name), ' OK ')

    def revoke(self, *names):
        self.prove(*names)
        for name in names:
            self.box.kill_grant(name, aadsts=50173)
        for name in names:
            self.assertRegex(self.imap_login(name), ' NO ')
            self.wait_service('reauthorize', name)


class Alarms(Telling):
    # ---- one account

    def test_told_on_every_way_and_when_it_is_over(self):
        self.revoke('demo')
        hook, command = self.wait_all('raised')
        address = self.address('demo')
        link = self.service()['action']['url']
        alarm = hook['alarm']
        self.assertEqual((alarm['kind'], alarm['state'], alarm['accounts']),
                         ('account', 'reauthorize', [address]))
        self.assertEqual(alarm['action'], {'kind': 'sign-in', 'url': link})
        self.assertIn('AADSTS50173', alarm['cause'])
        for key, value in {'ACCOUNT': address, 'STATE': 'reauthorize',
                           'LINK': link, 'KIND': 'account',
                           'ALARM': alarm['id']}.items():
            self.assertEqual(command[key], value, key)
        self.assertTrue(command['TEXT'] and command['STEP'])
        # Mail to who runs this, and to who can sign in; through another's.
        for to in (OPERATOR, OWNER):
            until(lambda to=to: self.mails(to), f'mail to {to}')
            sent, message = self.mails(to)[0]
            self.assertEqual(sent['user'], self.address('post'))
            self.assertIn(address, message['Subject'])
            self.assertIn(link, message.get_content())
            self.assertEqual(message['Auto-Submitted'], 'auto-generated')
        self.assertTrue(self.daemon.events('alarm', what='raised'))
        code, shown = self.daemon.ctl('alarms')
        self.assertEqual(code, 1)
        self.assertIn(link, shown)
        self.forget()
        self.sign_in_as('demo')
        hook, command = self.wait_all('recovered')
        self.assertEqual(hook['alarm']['id'], alarm['id'])
        self.assertEqual(command['ACCOUNT'], address)
        until(lambda: self.mails(OWNER), 'mail of the recovery')
        self.assertIn('works again', self.mails(OWNER)[0][1]['Subject'])
        self.assertEqual(self.daemon.ctl('alarms', code=0)[1], 'No alarms.\n')

    def test_the_webhook_is_signed(self):
        self.revoke('demo')
        until(lambda: self.server.taken, 'a webhook')
        headers, body = self.server.taken[0]
        self.assertEqual(headers['Content-Type'], 'application/json')
        self.assertEqual(headers['Mailbearer-Event'], 'raised')
        fields = dict(p.split('=', 1) for p in
                      headers['Mailbearer-Signature'].split(','))
        want = hmac.new(KEY.encode(), fields['t'].encode() + b'.' + body,
                        hashlib.sha256).hexdigest()
        self.assertEqual(fields['v1'], want)
        self.assertLess(abs(time.time() - int(fields['t'])), 60)
        self.sign_in_as('demo')

    def test_what_passes_is_told_nobody(self):
        """Trouble that ends before it settled."""
        self.revoke('alice')
        self.sign_in_as('alice')
        self.revoke('demo')
        self.wait_all('raised')
        self.assertEqual([h['alarm']['accounts'] for h in self.hooks()],
                         [[self.address('demo')]])
        self.sign_in_as('demo')

    # ---- many accounts

    def test_a_client_secret_has_expired(self):
        """One alarm for all that have it."""
        self.prove(*self.names)
        self.box.fault(aadsts=7000222, times=0)
        self.box.expire()
        for name in self.names:
            self.assertRegex(self.imap_login(name), ' NO ')
        hook, command = self.wait_all('raised')
        self.assertEqual(len(self.hooks('raised')), 1)
        alarm = hook['alarm']
        self.assertEqual((alarm['kind'], alarm['subject'], alarm['state']),
                         ('client', self.box.env['CLIENT_ID'],
                          'misconfigured'))
        self.assertEqual(sorted(alarm['accounts']),
                         sorted(self.address(n) for n in self.names))
        self.assertEqual(len(command['ACCOUNTS'].split()), len(self.names))
        # The account that mail would go through is down itself.
        self.assertEqual(self.mails(), [])
        self.box.clear()
        self.daemon.ctl('reload', code=0)
        self.wait_all('recovered')
        self.assertEqual(len(self.hooks()), 2)
        # What was never told by mail is not taken back by mail.
        until(lambda: not self.alarms(), 'no alarm')
        self.assertEqual(self.mails(), [])

    def test_a_policy_of_the_tenant(self):
        """Several fail in the same minutes: one alarm, and why."""
        self.prove('demo', 'alice', 'owner')
        for name in ('demo', 'alice', 'owner'):
            self.box.kill_grant(name, aadsts=50076)
        for name in ('demo', 'alice', 'owner'):
            self.assertRegex(self.imap_login(name), ' NO ')
        self.wait_all('raised')
        until(lambda: self.alarms() and
              len(self.alarms()[0]['accounts']) == 3, 'one alarm of three')
        alarm, = self.alarms()
        self.assertEqual(alarm['kind'], 'tenant')
        self.assertIn('multi-factor', alarm['policy'])
        # Each of them has a sign-in of its own.
        self.assertEqual(sorted(alarm['links']), sorted(alarm['accounts']))
        until(lambda: self.mails(OPERATOR), 'mail to the operator')
        for name in ('demo', 'alice', 'owner'):
            self.sign_in_as(name)
        self.wait_all('recovered')
        self.assertEqual(len(self.hooks('recovered')), 1)

    # ---- outages

    def test_an_outage_calls_nobody_until_it_lasts(self):
        self.prove(*self.names)
        self.box.fault('token-503', times=0)
        self.box.expire()
        for name in self.names:
            self.assertRegex(self.imap_login(name), ' NO ')
            self.wait_service('retrying', name)
        self.assertEqual(self.hooks(), [])
        began = time.monotonic()
        hook, _ = self.wait_all('raised')
        self.assertGreater(time.monotonic() - began, 1.5)
        self.assertEqual((hook['alarm']['kind'], hook['alarm']['state']),
                         ('provider', 'retrying'))
        self.assertEqual(len(self.hooks()), 1)
        self.box.clear()
        self.wait_all('recovered')

    # ---- ways in trouble

    def test_ways_that_fail_are_tried_again(self):
        with open(f'{self.out}/fail', 'w', encoding='ascii'):
            pass
        self.server.status = 503
        tries = self.server.tries
        self.revoke('demo')
        until(lambda: self.server.tries > tries, 'a try at the webhook')
        until(lambda: self.daemon.events('alarm-notice', way='command',
                                         result='failed'), 'a failed command')
        # What is owed is in the vault.
        self.daemon.kill_role('keeper')
        self.server.status = 200
        os.unlink(f'{self.out}/fail')
        self.wait_all('raised')
        self.sign_in_as('demo')
        self.wait_all('recovered')
        self.assertEqual([h['event'] for h in self.hooks()],
                         ['raised', 'recovered'])

    def test_a_test(self):
        code, shown = self.daemon.ctl('notify', 'test')
        self.assertEqual(code, 0, shown)
        for way in ('command', 'webhook', 'mail'):
            self.assertRegex(shown, rf'{way} +sent')
        self.wait_all('test')
        until(lambda: self.mails(OPERATOR), 'mail of the test')
        self.server.status = 500
        code, shown = self.daemon.ctl('notify', 'test')
        self.server.status = 200
        self.assertEqual(code, 1)
        self.assertIn('webhook  failed: the webhook answered with status 500',
                      shown)


class Reminders(Telling):
    """Nobody comes: the pauses double."""
    names = ['demo', 'post']
    notify = {'remind_every': '2s'}

    def test_again_and_rarer(self):
        self.revoke('demo')
        until(lambda: len(self.hooks('reminder')) >= 2, 'two reminders', 30)
        at = [h['at'] for h in self.hooks()]
        self.assertGreaterEqual(at[2] - at[1], (at[1] - at[0]) + 1)
        until(lambda: any('Reminder' in m['Subject']
                          for _, m in self.mails(OPERATOR)),
              'a reminder by mail')
        self.sign_in_as('demo')
        self.wait_all('recovered')


if __name__ == '__main__':
    main()
