#!/usr/bin/env python3
"""
Twelve hours of an office's day, in minutes that are made to pass: outages,
throttling, a captive portal, refusals that pass and others that do not, a
revoked sign-in, missing approval, recovery. The transcript is the test: what
people were told, of whom, in which minute. Nobody is called for what passes
by itself, and nobody is left uncalled.
"""
import hashlib
import http.client
import os
import re
import time
import urllib.parse

from fault_case import FaultCase
from harness import main, message
from raw import Smtp
from sandbox_case import BOB

STEP = 60  # seconds at a time
LOOKS = 20
MINUTE = 60
PEOPLE = ('steady', 'away', 'busy', 'portal', 'flaky', 'spread', 'revoked',
          'unapproved', 'switched')
OFF = 'm365-smtp-auth-disabled-mailbox'


class TwelveHours(FaultCase):
    users = PEOPLE
    address = 'steady@example.test'
    services = ('smtp', 'imap')
    provider = {'rotates': False}
    ini = {'mailbearer': {'workers': '1'},
           'retry': {'attempts': '8', 'window': '12m'},
           'queue': {'verdict_timeout': '6s', 'max_age': '5d',
                     'warn_after': '1d'},
           'limits': {'auth_delay': '0s'},
           'notify': {'settle': '30s', 'outage_after': '1h',
                      'remind_every': '4h'}}
    now = 0

    # ---- time

    def pass_minutes(self, minutes):
        """Clients come every ten minutes, each with a message to send."""
        for _ in range(int(minutes * MINUTE / STEP)):
            TwelveHours.now += STEP
            self.fault.wall(self.now)
            self.pass_time(STEP)
            if self.now % (10 * MINUTE) == 0:
                self.office()
            self.rest()

    def rest(self):
        """
        What came due is done: nobody has anything more to say. Time that
        passed while somebody waits for an answer would be a slow provider.
        """
        looks, last, end = 0, -1, time.monotonic() + 20
        while looks < LOOKS:
            self.daemon.get('/readyz')
            size = os.path.getsize(self.daemon.log_path)
            looks = looks + 1 if size == last else 0
            last = size
            self.assertLess(time.monotonic(), end, 'it never rests')

    def office(self):
        for name in PEOPLE:
            key = f'{name}-{self.now // MINUTE}'
            if self.hand_in(name, key):
                self.accepted.append(key)

    def hand_in(self, name, key):
        address = f'{name}@example.test'
        data = message(address, BOB, key)
        self.sent[hashlib.sha256(data).hexdigest()] = key
        with Smtp(self.daemon.smtp_port, self.daemon.ca) as client:
            self.assertRegex(client.login(self.daemon.login(address)), '^235')
            reply = client.message(address, [BOB], data)
        self.assertRegex(reply, '^250 ', key)
        return True

    def at(self, name, **fault):
        """Trouble at the token endpoint for one of them."""
        self.box.fault(**{'protocol': 'oauth', 'stage': 'token', 'times': 0,
                          'match': {'user': f'{name}@example.test'},
                          **fault})
        self.box.expire(name)

    def all_work(self):
        return all(service['state'] == 'connected'
                   for account in self.daemon.json('account', 'list')
                   ['accounts'] for service in account['services'].values())

    # ---- what people were told

    def told(self):
        """{account: [event...]}, in the order they were told."""
        found = {}
        for line in self.daemon.events('alarm'):
            what = re.search(r' what=([a-z]+)', line)[1]
            who = re.search(r' accounts=("[^"]*"|\S+)', line)
            for account in who[1].strip('"').split():
                found.setdefault(account.split('@')[0], []).append(what)
        return found

    def told_since(self, before):
        now = self.told()
        return {name: events[len(before.get(name, [])):]
                for name, events in now.items()
                if events[len(before.get(name, [])):]}

    def test_a_day(self):
        self.box.settings(access_ttl=3000)
        self.pass_minutes(20)
        self.assertEqual(self.told(), {}, 'on a quiet morning')

        # 00:20 the provider is away for half an hour: nobody is called.
        self.box.fault('token-503', times=0)
        self.box.expire()
        self.pass_minutes(30)
        self.box.clear()
        self.pass_minutes(10)
        self.assertEqual(self.told(), {}, 'half an hour of outage')
        self.hurry(self.all_work, 20)

        # 01:00 one is throttled, one loops, one is behind a portal, one is
        # refused now and then. All of that passes.
        self.at('busy', preset='token-429-bare')
        self.at('steady', aadsts=50196)
        self.at('portal', preset='captive-portal-400')
        self.pass_minutes(25)
        self.assertEqual(self.told(), {}, 'throttled, and a portal')
        self.box.clear()
        self.pass_minutes(15)
        self.hurry(self.all_work, 20)
        for _ in range(6):
            self.at('flaky', preset='token-503')
            self.pass_minutes(4)
            self.box.clear()
            self.pass_minutes(6)
        self.assertEqual(self.told(), {}, 'flapping')

        # 02:40 rights that are still spreading: refused for eight minutes.
        self.refuse_mail('spread')
        self.pass_minutes(8)
        self.box.clear()
        self.pass_minutes(12)
        self.assertEqual(self.told(), {}, 'refusals that pass')
        self.hurry(self.all_work, 20)

        # 03:00 refused for good: a person is called, after twelve minutes.
        before = self.told()
        self.refuse_mail('spread')
        self.pass_minutes(10)
        self.assertEqual(self.told_since(before), {}, 'not before its time')
        self.pass_minutes(20)
        self.assertEqual(self.told_since(before), {'spread': ['raised']})
        # 03:30 it works again by itself, and that is told.
        self.box.clear()
        self.pass_minutes(70)
        self.assertEqual(self.told_since(before),
                         {'spread': ['raised', 'recovered']})

        # 04:40 a sign-in is revoked: told at once, once, and to him alone.
        before = self.told()
        self.box.kill_grant('revoked', aadsts=50173)
        self.pass_minutes(12)
        self.assertEqual(self.told_since(before), {'revoked': ['raised']})
        # 05:00 he comes, and everything that waited goes out.
        self.pass_minutes(8)
        self.sign_in_user('revoked')
        self.pass_minutes(5)
        self.assertEqual(self.told_since(before),
                         {'revoked': ['raised', 'recovered']})

        # 05:05 no approval: one is called; the administrator opens the link
        # and takes half an hour; nobody is called again, and it clears.
        before = self.told()
        self.at('unapproved', aadsts=65001)
        self.pass_minutes(12)
        self.assertEqual(self.told_since(before), {'unapproved': ['raised']})
        link = self.daemon.json('account', 'show', 'unapproved@example.test')
        self.open(link['services']['smtp']['action']['url'])
        self.pass_minutes(30)
        self.assertEqual(self.told_since(before), {'unapproved': ['raised']})
        self.box.clear()
        self.pass_minutes(9)
        self.assertEqual(self.told_since(before),
                         {'unapproved': ['raised', 'recovered']})

        # 05:55 Authenticated SMTP is switched off for one mailbox, and on
        # again after an hour: nobody need press anything.
        before = self.told()
        self.box.fault(OFF, times=0,
                       match={'user': 'switched@example.test'})
        self.box.drop(protocol='smtp', how='close')
        self.pass_minutes(70)
        self.assertEqual(self.told_since(before), {'switched': ['raised']})
        self.box.clear()
        self.pass_minutes(80)
        self.assertEqual(self.told_since(before),
                         {'switched': ['raised', 'recovered']})

        # 08:25 an outage that lasts is told, once for all, after an hour.
        before = self.told()
        self.box.fault('token-503', times=0)
        self.box.expire()
        self.pass_minutes(55)
        self.assertEqual(self.told_since(before), {}, 'within the hour')
        self.pass_minutes(25)
        since = self.told_since(before)
        self.assertEqual(sorted(since), sorted(PEOPLE))
        self.assertEqual(len(self.daemon.json('alarms', code=1)['alarms']), 1)
        self.box.clear()
        self.pass_minutes(20)
        self.assertEqual({n: e[-1] for n, e in self.told_since(before)
                          .items()}, dict.fromkeys(PEOPLE, 'recovered'))

        # To twelve hours: a sign-in is revoked and nobody comes. He is
        # reminded, not called every minute.
        before = self.told()
        self.box.kill_grant('revoked', aadsts=50173)
        self.pass_minutes(720 - self.now // MINUTE + 120)
        self.assertEqual(self.told_since(before)['revoked'][0], 'raised')
        self.assertLessEqual(set(self.told_since(before)['revoked'][1:]),
                             {'reminder'})
        self.assertLessEqual(len(self.told_since(before)['revoked']), 3)
        self.assertEqual(set(self.told_since(before)), {'revoked'})
        self.sign_in_user('revoked')
        self.pass_minutes(20)

        # Every message of the day is there, once.
        self.hurry(self.is_empty, 60)
        self.assertEqual(sorted(self.arrived_keys()), sorted(self.accepted))
        self.hurry(self.all_work, 20)
        self.assertEqual(self.box.violations(), [])

    def refuse_mail(self, name):
        """The mail servers refuse the tokens that were just issued."""
        for protocol in ('smtp', 'imap'):
            self.box.fault(protocol=protocol, stage='auth', times=0,
                           match={'user': f'{name}@example.test'},
                           reply='535 5.7.3 Authentication unsuccessful'
                           if protocol == 'smtp' else
                           'NO AUTHENTICATE failed.')
        self.box.expire(name, sessions=True)

    def open(self, url):
        parts = urllib.parse.urlsplit(url)
        web = http.client.HTTPConnection('127.0.0.1', self.daemon.web_port,
                                         timeout=20)
        web.request('GET', parts.path, headers={'Host': parts.netloc})
        self.assertEqual(web.getresponse().status, 302)
        web.close()


if __name__ == '__main__':
    main()
