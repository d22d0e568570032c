#!/usr/bin/env python3
"""What became of mail: history, why a message is where it is, export, and
lists of any length.

MAILBEARER_LISTED=N says how many messages the long lists have (default 1200).
"""
import json
import os
import re
import subprocess
import tempfile
import time

from clients import swaks_send
from daemon import sanitized
from harness import main, message
from lab import until
from raw import Smtp
from sandbox_case import BOB, DEMO, SandboxCase
from senders import submit_all

LISTED = int(os.environ.get('MAILBEARER_LISTED', '1200'))
QUEUED = re.compile(r'^250 2\.0\.0 Queued as (\w+)')
REFUSED = 'permfail@example.test'


class History(SandboxCase):
    def history(self, *args):
        return self.daemon.json('history', *args, code=0)['history']

    def of(self, key):
        """Its rows; Message-IDs are those of message()."""
        return [row for row in self.history('--all')
                if row.get('message_id') == f'<{key}@client.test>']

    def wait_ended(self, key, count=1):
        until(lambda: len(self.of(key)) >= count, f'the end of {key}')
        rows = self.of(key)
        self.assertEqual(len(rows), count)
        return rows

    def die(self):
        """The grant of demo; what is sent from now on waits."""
        self.box.kill_grant('demo', aadsts=50173)

    def queue(self, key, rcpts=(BOB,)):
        """Sends one message that waits; its id."""
        reply = self.send(key, rcpts)
        self.assertRegex(reply, QUEUED)
        return QUEUED.match(reply)[1]

    def why(self, one, code=0):
        return ' '.join(self.daemon.ctl('queue', 'why', one,
                                        code=code)[1].split())

    def test_delivered_at_once(self):
        before = int(time.time())
        swaks_send(self.daemon.login(DEMO), message(DEMO, BOB, 'live'),
                   [BOB, 'carol@example.org'])
        row, = self.wait_ended('live')
        self.assertEqual(row['result'], 'delivered')
        self.assertEqual(row['account'], DEMO)
        self.assertEqual(row['login'], DEMO)
        self.assertEqual(row['reverse_path'], DEMO)
        self.assertEqual(row['recipients'], [BOB, 'carol@example.org'])
        self.assertEqual(row['waited'], 0)
        self.assertRegex(row['reply'], '^250 ')
        self.assertTrue(before <= row['at'] <= time.time())
        for unusual in ('via', 'in_doubt', 'kind'):
            self.assertNotIn(unusual, row)
        # By the id that is in the log.
        self.assertTrue(self.daemon.events('smtp-message',
                                           message=row['id']))
        self.assertEqual(self.history('--id', row['id']), [row])
        self.assertRegex(self.why(row['id']),
                         r'^it was delivered on [\d-]+ [\d:]+: 250 ')

    def test_why_before_and_after(self):
        self.die()
        one = self.queue('waits')
        self.assertRegex(self.why(one), r'somebody signs in .*\(reauthorize\).*'
                         rf'-> .*mailbearerctl auth {DEMO}')
        waited = time.monotonic()
        self.sign_in_sandbox()
        row, = self.wait_ended('waits')
        waited = time.monotonic() - waited
        self.assertEqual((row['id'], row['result']), (one, 'delivered'))
        self.assertRegex(self.why(one), r'^it was delivered on .*: 250 ')
        # In its seconds, and as a person sees it.
        self.assertLessEqual(row['waited'], waited + 60)
        out = self.daemon.ctl('history', DEMO, '--limit', '1', code=0)[1]
        self.assertRegex(out, r'(?s)^TIME .*REPLY\n[\d-]+ [\d:]+ +delivered ')
        self.assertEqual(out.count('\n'), 2)

    def test_why_of_an_account_that_is_gone(self):
        self.die()
        one = self.queue('left')
        accounts, self.daemon.accounts = self.daemon.accounts, []
        try:
            self.daemon.write()
            self.daemon.ctl('reload', code=0)
            until(lambda: 'not in accounts.yaml' in self.why(one), 'so')
            self.assertIn(f'-> Put it back, or: mailbearerctl queue delete '
                          f'{one}', self.why(one))
        finally:
            self.daemon.accounts = accounts
            self.daemon.write()
            self.daemon.ctl('reload', code=0)
        until(lambda: 'reauthorize' in self.why(one), 'its state')
        self.sign_in_sandbox()
        self.wait_ended('left')

    def test_refused_for_some(self):
        self.die()
        one = self.queue('some', [REFUSED, BOB])
        self.sign_in_sandbox()
        rows = self.wait_ended('some', 2)
        found = {row['result']: row['recipients'] for row in rows}
        self.assertEqual(found, {'partly': [BOB], 'bounced': [REFUSED]})
        self.assertEqual({row['id'] for row in rows}, {one})
        why = self.why(one)
        self.assertIn(f'it was delivered to {BOB} on', why)
        self.assertIn('it was refused by the provider on', why)

    def test_deleted(self):
        self.die()
        one = self.queue('deleted')
        self.daemon.ctl('queue', 'delete', one, code=0)
        row, = self.wait_ended('deleted')
        self.assertEqual((row['id'], row['result']), (one, 'deleted'))
        self.assertIn('it was deleted by an operator on', self.why(one))
        self.assertIn('no such message', self.why('0123456789abcdef', 1))

    def test_conditions(self):
        self.send('condition')
        self.wait_ended('condition')
        newest = self.history('--limit', '1')
        self.assertEqual([row['message_id'] for row in newest],
                         ['<condition@client.test>'])
        for args in ((DEMO,), ('Demo@Example.TEST',), ('--login', DEMO),
                     ('--since', '1h'), (DEMO, '--login', DEMO)):
            self.assertIn(newest[0], self.history(*args))
        for args in (('nobody@example.test',), ('--login', 'nobody'),
                     ('--fallback',), ('--in-doubt',),
                     ('--since', '2036-01-01')):
            self.assertEqual(self.history(*args), [], args)

    def test_survives_a_restart(self):
        self.send('kept')
        rows = self.wait_ended('kept')
        self.daemon.stop()
        self.daemon.start()
        self.assertEqual(self.of('kept'), rows)

    def test_export(self):
        self.die()
        sent = {}
        for n in range(3):
            body = (b'%d' % n) * 70000 + b'\r\n.\r\n'
            reply = self.send(f'out-{n}', body=body)
            sent[QUEUED.match(reply)[1]] = message(DEMO, BOB, f'out-{n}',
                                                   body)
        with tempfile.TemporaryDirectory() as folder:
            self.daemon.ctl('queue', 'export', '--account', DEMO, '--to',
                            folder, code=0)
            self.assertEqual(set(os.listdir(folder)), {
                one + end for one in sent for end in ('.eml', '.json')})
            for one, data in sent.items():
                with open(f'{folder}/{one}.eml', 'rb') as f:
                    self.assertEqual(f.read(), data)
                with open(f'{folder}/{one}.json', encoding='utf-8') as f:
                    envelope = json.load(f)
                self.assertEqual(envelope['recipients'], [BOB])
                self.assertIn(envelope['message_id'].encode(), data)
        # It only copies.
        self.assertEqual({m['id'] for m in self.queued()}, set(sent))


    def test_what_was_asked_of_notices(self):
        self.die()
        login = self.daemon.login(DEMO)
        with Smtp(login.smtp_port, login.ca) as client:
            client.login(login)
            for command in (
                    f'MAIL FROM:<{DEMO}> RET=HDRS ENVID=QQ314159 '
                    'BODY=8BITMIME',
                    f'RCPT TO:<{BOB}> NOTIFY=FAILURE,DELAY '
                    f'ORCPT=rfc822;{BOB}', 'RCPT TO:<carol@example.org>'):
                self.assertRegex(client.command(command), '^250 ')
            client.command('DATA')
            reply = client.command(message(DEMO, BOB, 'asked') + b'.\r\n')
        found = self.daemon.json('queue', 'show', QUEUED.match(reply)[1])
        self.assertEqual(found['dsn'], {
            'ret': 'HDRS', 'envid': 'QQ314159', 'recipients': [{
                'recipient': BOB, 'notify': 'FAILURE,DELAY',
                'orcpt': f'rfc822;{BOB}'}]})
        self.assertTrue(found['body_8bit'])
        self.assertEqual(found['recipients'], [BOB, 'carol@example.org'])


class Long(SandboxCase):
    """Lists that are longer than anything should hold in memory."""

    def run_ctl(self, *args):
        """(lines, peak of its memory in bytes)"""
        with subprocess.Popen(self.daemon.ctl_argv(*args),
                              stdout=subprocess.PIPE, text=True) as child:
            out = child.stdout.read()
            _, status, used = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(child.returncode, 0)
        return out.splitlines(), used.ru_maxrss * 1024

    def assert_bounded(self, *args):
        """One line for each; hardly more memory than for a page."""
        few, first = self.run_ctl(*args, '--limit', '100')
        lines, most = self.run_ctl(*args)
        self.assertEqual(len(few), 101)
        self.assertEqual(len(lines), LISTED + 1)
        print(f'{" ".join(args)}: {LISTED} lines, +{(most - first) >> 10} kB')
        if not sanitized():
            # A message parsed takes some kilobytes.
            self.assertLess(most - first, LISTED * 1024)
        return lines

    def test_many(self):
        login = self.daemon.login(DEMO)
        self.box.kill_grant('demo', aadsts=50173)
        replies = submit_all(login, BOB, [message(DEMO, BOB, f'long-{n:05}')
                                          for n in range(LISTED)], 4)
        ids = {QUEUED.match(reply)[1] for reply in replies}
        self.assertEqual(len(ids), LISTED)
        lines = self.assert_bounded('queue', 'list')
        self.assertEqual({line.split()[0] for line in lines[1:]}, ids)
        out = self.daemon.ctl('queue', 'delete', '--all', code=0)[1]
        self.assertEqual(out, f'{LISTED} messages deleted.\n')
        lines = self.assert_bounded('history', '--since', '1d')
        self.assertEqual(sum(' deleted ' in line for line in lines), LISTED)
        rows = self.daemon.json('history', '--all', code=0)['history']
        self.assertEqual({row['id'] for row in rows}, ids)
        seqs = [row['seq'] for row in rows]
        self.assertEqual(seqs, sorted(seqs))


if __name__ == '__main__':
    main()
