#!/usr/bin/env python3
"""Networks that break: at every octet, in silence, slowly, in disguise.

Accounts side by side send two messages each, live or waiting, while each of
their provider connections is cut at another octet: of what is said inside
TLS, by the provider, or of TLS itself, by a forwarder in between. Whatever
happens the client hears 250, and each message arrives; a second time only
where the reply to the first was lost.

MAILBEARER_POSITIONS=N: how many octets of each direction are chosen (0: every
one, as make soak does), MAILBEARER_FILED=N: and where copies of what was sent
are filed (48, in long runs only), MAILBEARER_SEED=N repeats a run's choices.
"""
import collections
import concurrent.futures
import hashlib
import os
import random
import sys
import time
import unittest

from fault_case import FULL, size
from forward import Forward
from harness import main, message
from lab import until
from sandbox_case import BOB
from token_case import TokenCase

POSITIONS = size('POSITIONS', 24, 0)
SEED = int(os.environ.get('MAILBEARER_SEED') or random.randrange(10 ** 6))
FILED = size('FILED', 48, 48)
ACCOUNTS = 24
VERDICT = 1
# Seconds a busy machine may add to a timer.
SLACK = 10
# RFC 5321 §4.5.3.2: for a reply to most commands.
COMMAND = 300
OWN_WORDS = '250 2.0.0 Queued as '


class NetworkCase(TokenCase):
    """The provider is reached through a forwarder."""
    names = tuple(f'u{n:02}' for n in range(ACCOUNTS))
    settings = {'access_token_bytes': 64}
    port = 'smtps'
    tls = 'implicit'
    workers = 2
    patience = 60
    ini = {'retry': {'first': '1s', 'longest': '1s', 'attempts': '8',
                     'window': '60s'},
           'queue': {'verdict_timeout': '2s'},
           'limits': {'provider_timeout': '2s'}}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.forward = Forward(cls.box.ports[cls.port])
        cls.addClassCleanup(cls.forward.close)
        cls.daemon.providers[0]['smtp'] = {
            'host': 'localhost', 'port': cls.forward.port, 'tls': cls.tls}
        cls.daemon.write()
        cls.daemon.ctl('reload', code=0)

    def setUp(self):
        super().setUp()
        self.forward.plans.clear()
        self.forward.cut_all()
        self.sent = {}      # digest: (account, number)
        self.told = {}      # digest: reply

    def mail(self, name, key):
        data = message(self.address(name), BOB, key)
        digest = hashlib.sha256(data).hexdigest()
        self.sent[digest] = (name, len(self.sent))
        return digest, data

    def send_all(self, name, keys):
        """Over one connection; each must be accepted."""
        with self.smtp() as client:
            self.assertRegex(client.login(self.who(name)), '^235 ')
            for key in keys:
                digest, data = self.mail(name, key)
                self.told[digest] = client.message(
                    self.address(name), [BOB], data)

    def emptied(self):
        counts = self.api('GET', '/v1/queue/counts')[1]['accounts']
        return not sum(a['messages'] for a in counts)

    def assert_emptied(self, seconds=0):
        try:
            until(self.emptied, 'an empty queue', seconds or self.patience)
        except AssertionError as e:
            left = self.api('GET', '/v1/queue')[1]['messages']
            raise AssertionError(f'{e}\n{self.daemon.ctl("status")[1]}\n'
                                 f'{left}\n{self.daemon.tail()}') from None

    def fresh_connections(self):
        """What is open is closed; the next to send opens another."""
        self.box.drop(protocol='smtp', how='close')
        until(lambda: not [c for c in self.box.connections()['list']
                           if c['protocol'] == 'smtp'], 'the end of them')

    def copies(self):
        found = collections.defaultdict(list)
        for m in self.box.messages():
            found[m['sha256']].append(m)
        return found

    def judge(self, cut):
        """
        cut: the provider's connections that were. A copy that is not the last
        one must be the last message of one of these, or its reply was not
        lost; the provider's own reply to a client means just one copy.
        Returns how many came again.
        """
        copies, again = self.copies(), 0
        self.assertEqual(set(copies) ^ set(self.sent), set())
        for digest, reply in self.told.items():
            self.assertRegex(reply, '^250 ')
            if not reply.startswith(OWN_WORDS):
                self.assertEqual(len(copies[digest]), 1, reply)
        last_of = {m['conn']: m['number'] for c in copies.values()
                   for m in sorted(c, key=lambda m: m['number'])}
        for m in self.box.messages():
            last_of[m['conn']] = m['number']
        for some in copies.values():
            for m in some[:-1]:
                again += 1
                self.assertIn(m['conn'], cut, 'sent twice without need')
                self.assertEqual(m['number'], last_of[m['conn']],
                                 'sent twice though it was acknowledged')
        self.assert_order(copies)
        return again

    def assert_order(self, copies):
        by_account = collections.defaultdict(list)
        for digest, (name, number) in self.sent.items():
            by_account[name].append((number, copies[digest][0]['number']))
        for name, places in by_account.items():
            came = [place for _, place in sorted(places)]
            self.assertEqual(came, sorted(came), f'{name}: out of order')


class Cuts(NetworkCase):
    """At every octet of a session of two messages."""
    batch = 0

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.rng = random.Random(SEED)

    def setUp(self):
        super().setUp()
        self.counted = collections.Counter()

    def one_session(self):
        """Octets of an unhurt session: by kind and direction."""
        self.fresh_connections()
        self.send_all(self.names[0], self.keys())
        address = self.forward.connections[-1].address
        conn = self.box.log(event='open', peer=address)[-1]['conn']
        self.fresh_connections()
        end = self.box.wait(event='close', conn=conn)[-1]
        passed = self.forward.connections[-1].passed
        self.forget()
        return {'read': end['read'], 'written': end['written'],
                'up': passed['up'], 'down': passed['down']}

    def forget(self):
        self.box.reset()
        self.box.settings(**self.settings)
        self.forward.connections.clear()

    def keys(self):
        """Of equal length, so that sessions are."""
        Cuts.batch += 1
        return [f'm{Cuts.batch:07}-{n}' for n in (1, 2)]

    def chosen(self, most):
        """A stride of the positions 1 to most, the last ones among them."""
        if not POSITIONS or POSITIONS >= most:
            return list(range(1, most + 1))
        step = most / POSITIONS
        start = self.rng.random() * step
        return [1 + int(start + n * step) for n in range(POSITIONS)]

    def plan(self, kind, position):
        how = self.rng.choice(('close', 'reset'))
        if kind in ('up', 'down'):
            self.forward.plans.append({kind: position, 'how': how})
        else:
            self.box.fault(protocol='smtp', stage='connect',
                           reset=how == 'reset',
                           **{f'cut_after_{kind}': position})

    def everybody(self):
        """All accounts send at once."""
        with concurrent.futures.ThreadPoolExecutor(ACCOUNTS) as pool:
            jobs = [pool.submit(self.send_all, name, self.keys())
                    for name in self.names]
            for job in jobs:
                job.result()

    def cut_connections(self):
        cut = {e['conn'] for e in self.box.log(event='close',
                                               why='cut by a limit')}
        broken = self.forward.broken()
        return cut | {e['conn'] for e in self.box.log(event='open')
                      if e['peer'] in broken}

    def live(self, plans):
        self.fresh_connections()
        for plan in plans:
            self.plan(*plan)
        self.everybody()

    def replayed(self, plans):
        self.box.outage(protocols=['smtp'])
        self.everybody()
        self.assertTrue(all(t.startswith(OWN_WORDS)
                            for t in self.told.values()))
        for plan in plans:
            self.plan(*plan)
        self.box.outage(on=False)

    def round(self, how, plans):
        """One batch; what was not used of its plans."""
        self.sent, self.told = {}, {}
        how(plans)
        self.assert_emptied()
        left = len(self.box.faults()) + len(self.forward.plans)
        self.box.clear()
        self.forward.plans.clear()
        cut = self.cut_connections()
        self.counted['cuts'] += len(cut)
        self.counted['messages'] += len(self.sent)
        self.counted['sent twice'] += self.judge(cut)
        self.forget()
        return plans[len(plans) - left:]

    def everywhere(self, how, kinds):
        octets = self.one_session()
        plans = [(kind, n) for kind in kinds
                 for n in self.chosen(octets[kind])]
        self.rng.shuffle(plans)
        self.counted['positions'] = len(plans)
        try:
            while plans:
                batch, plans = plans[:ACCOUNTS], plans[ACCOUNTS:]
                plans += self.round(how, batch)
            self.wait_all_work()
        finally:
            print(f'{self.id().split(".")[-1]}: '
                  + ', '.join(f'{octets[k]} octets {k}' for k in kinds)
                  + '; ' + ', '.join(f'{k} {n}' for k, n in
                                     self.counted.items())
                  + f'; MAILBEARER_SEED={SEED}')
            sys.stdout.flush()
        self.assertGreater(self.counted['cuts'], 0)

    def wait_all_work(self):
        for name in self.names:
            self.wait_service('connected', name, 'smtp')

    def test_inside_tls_live(self):
        self.everywhere(self.live, ('read', 'written'))

    def test_inside_tls_replayed(self):
        self.everywhere(self.replayed, ('read', 'written'))

    def test_of_tls_live(self):
        self.everywhere(self.live, ('up', 'down'))

    def test_of_tls_replayed(self):
        self.everywhere(self.replayed, ('up', 'down'))


class CutsFiled(Cuts):
    """The provider files copies, so that what was in doubt is looked up."""
    provider = {'sent_copy': True}
    settings = {**Cuts.settings, 'sent_copy': True, 'store_bodies': True}
    patience = 300

    @classmethod
    def setUpClass(cls):
        if not FULL:
            raise unittest.SkipTest('in long runs only: it takes minutes')
        super().setUpClass()

    def chosen(self, most):
        return sorted(self.rng.sample(range(1, most + 1), FILED))

    def judge(self, cut):
        self.assertEqual(super().judge(cut), 0)
        return 0

    test_of_tls_live = test_of_tls_replayed = None


class Silence(NetworkCase):
    """Nothing is said any more, or endlessly slowly."""
    names = ('demo',)
    ini = {**NetworkCase.ini, 'queue': {'verdict_timeout': f'{VERDICT}s'},
           'limits': {'provider_timeout': f'{VERDICT}s'}}

    def freeze(self, up, seconds):
        """The next connection: nothing goes on after so many octets."""
        self.fresh_connections()
        self.forward.plans.append({'up': up, 'how': 'freeze',
                                   'seconds': seconds})

    def session(self):
        """Octets up of an unhurt session of one message."""
        self.fresh_connections()
        self.send_all('demo', ['whole'])
        return self.forward.connections[-1].passed['up']

    def sent_in(self, seconds, key, name='demo'):
        """Sends one; the client is not kept waiting for long."""
        start = time.monotonic()
        self.send_all(name, [key])
        self.assertLess(time.monotonic() - start, seconds + SLACK)
        return list(self.told.values())[-1]

    def finish(self):
        self.assert_emptied()
        self.judge(self.broken_connections())

    def broken_connections(self):
        broken = self.forward.broken()
        return {e['conn'] for e in self.box.log(event='open')
                if e['peer'] in broken}

    def test_peer_vanishes(self):
        """Half open: in the handshake, before the login, in a command."""
        for n, up in enumerate((10, self.session() // 3)):
            with self.subTest(up=up):
                self.freeze(up, 30)
                reply = self.sent_in(VERDICT, f'vanished-{n}')
                self.assertTrue(reply.startswith(OWN_WORDS), reply)
                self.forward.cut_all()
                self.finish()
        self.fresh_connections()
        self.box.fault(protocol='smtp', stage='mail', stall=True)
        reply = self.sent_in(VERDICT, 'vanished-at-mail')
        self.assertTrue(reply.startswith(OWN_WORDS), reply)
        self.box.clear()
        self.finish()

    def test_peer_vanishes_while_idle(self):
        self.session()
        self.box.drop(protocol='smtp', how='close')
        self.forward.cut_all()
        self.send_all('demo', ['opens'])
        connection = self.forward.connections[-1]
        connection.plan = {'up': connection.passed['up'] + 1,
                           'how': 'freeze', 'seconds': 30}
        reply = self.sent_in(VERDICT, 'into-the-void')
        self.assertTrue(reply.startswith('250 '), reply)
        self.finish()

    def test_peer_vanishes_after_the_dot(self):
        """Maybe it was taken: the client waits for what becomes of it."""
        self.fresh_connections()
        self.box.fault(protocol='smtp', stage='eod', record=True,
                       stall=VERDICT + 1, reset=True)
        self.send_all('demo', ['after-the-dot'])
        self.assertTrue(list(self.told.values())[-1].startswith(OWN_WORDS))
        self.assert_emptied()
        self.assertEqual(len(self.box.messages()), 2)

    def test_peer_vanishes_while_mail_goes_out(self):
        whole = self.session()
        self.box.outage(protocols=['smtp'])
        self.send_all('demo', ['first', 'second'])
        for up in (10, whole * 2 // 3):
            self.forward.plans.append({'up': up, 'how': 'freeze',
                                       'seconds': 1})
        self.box.outage(on=False)
        self.finish()
        self.assertFalse(self.forward.plans)

    def test_black_hole(self):
        """A connection that nobody answers."""
        self.fresh_connections()
        self.forward.fall_silent()
        try:
            reply = self.sent_in(VERDICT, 'into-the-hole')
            self.assertTrue(reply.startswith(OWN_WORDS), reply)
            self.wait_service('retrying', service='smtp')
            # Whoever comes later does not wait at all for it.
            self.assertTrue(self.sent_in(0, 'behind').startswith(OWN_WORDS))
        finally:
            self.forward.speak()
        self.finish()
        self.wait_service('connected', service='smtp')

    def test_octet_by_octet(self):
        """Slow but alive, both ways."""
        self.fresh_connections()
        self.box.fault(protocol='smtp', stage='connect', times=0,
                       pause=1 if FULL else 0.004)
        reply = self.sent_in(VERDICT, 'slow')
        self.assertRegex(reply, '^250 ')
        self.assert_emptied(3600 if FULL else 60)
        self.judge(set())

    def test_endless_answer(self):
        """It goes on and on, slowly; nobody waits for its end."""
        for stage in ('ehlo', 'mail') if FULL else ('mail',):
            with self.subTest(stage):
                self.fresh_connections()
                self.box.fault(protocol='smtp', stage=stage, pause=0.05,
                               reply=['250-more'] * 10000)
                reply = self.sent_in(VERDICT, f'endless-{stage}')
                self.assertTrue(reply.startswith(OWN_WORDS), reply)
                conn = self.box.log(event='fault', stage=stage)[-1]
                if FULL:
                    self.box.wait(event='close', conn=conn['conn'],
                                  timeout=COMMAND + SLACK)
                else:
                    self.fresh_connections()
                self.assert_emptied()


class Disguise(NetworkCase):
    """Somebody else answers."""
    names = ('demo',)

    def refused(self, key, text):
        """It is queued, the state says why, and no token was shown."""
        shown = len(self.box.log(event='auth'))
        self.send_all('demo', [key])
        self.assertTrue(list(self.told.values())[-1].startswith(OWN_WORDS))
        until(lambda: self.service('demo', 'smtp')['state']
              in ('retrying', 'blocked'), 'a state that is not connected')
        self.assertRegex(self.service('demo', 'smtp')['text'], text)
        self.assertEqual(len(self.box.log(event='auth')), shown)
        self.assertEqual(self.box.log(event='command', verb='AUTH')[shown:],
                         [])

    def mended(self):
        self.assert_emptied()
        self.wait_service('connected', 'demo', 'smtp')
        self.assertEqual(self.judge(set()), 0)


class Certificates(Disguise):
    def test_certificates(self):
        for name, text in (('mismatch', 'for another host name'),
                           ('untrusted', 'not from an authority'),
                           ('expired', 'has expired')):
            with self.subTest(name):
                self.fresh_connections()
                self.box.settings(certificate=name)
                self.refused(name, text)
                self.box.settings(certificate='good')
                self.mended()


class Stripped(Disguise):
    """STARTTLS is taken out of what the provider says."""
    port = 'submission'
    tls = 'starttls'

    def test_starttls_stripped(self):
        for n, (text, fault) in enumerate((
                ('does not offer TLS',
                 {'stage': 'ehlo', 'reply': ['250-mail.example.test',
                                             '250 AUTH XOAUTH2 PLAIN']}),
                ('.', {'stage': 'starttls', 'reply': '454 4.7.0 not now'}),
                ('.', {'stage': 'starttls',
                       'reply': '500 5.5.1 unknown command'}))):
            with self.subTest(fault):
                self.fresh_connections()
                self.box.fault(protocol='smtp', times=0, **fault)
                self.refused(f'stripped-{n}', text)
                self.box.clear()
                self.mended()


if __name__ == '__main__':
    main()
