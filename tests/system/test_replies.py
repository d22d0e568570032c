#!/usr/bin/env python3
"""Every reply the sandbox knows, end to end.

What becomes of the message, of the account and of the mail behind it, for
each reply that a provider has been seen to give. How the reply is classified
has unit tests; here it is acted upon.
"""
import json
import os

from daemon import ROOT
from harness import main
from lab import until
from sandbox_case import BOB, DEMO, SandboxCase

QUEUED = r'^250 2\.0\.0 Queued as [0-9a-f]{16}$'

# The message's own fault: passed on to the client, nothing kept.
FAULTS = '''
    m365-smtp-send-as-denied-exception m365-smtp-send-as-denied
    m365-smtp-send-as-5760 m365-smtp-invalid-characters
    m365-smtp-invalid-from m365-smtp-too-large-552 m365-smtp-too-large-554
    m365-smtp-unknown-recipient gmail-smtp-policy gmail-smtp-size
    gmail-smtp-blocked-attachment'''.split()

# A token that is renewed, and nobody notices.
RENEWED = '''m365-smtp-auth-unsuccessful m365-smtp-token-expires-soon
    gmail-smtp-bad-credentials'''.split()

# Passes by itself.
SOON = '''
    m365-smtp-mailbox-logon-failure m365-smtp-service-unavailable
    m365-smtp-temporary-error m365-smtp-insufficient-resources
    m365-smtp-not-authenticated gmail-smtp-temporary-system-problem
    gmail-smtp-try-again-430 gmail-smtp-try-again-445
    gmail-smtp-try-again-470'''.split()

# The account goes slower for a while; nobody need do anything.
SLOWER = '''
    m365-smtp-concurrent-connections m365-smtp-sender-thread-limit
    m365-smtp-server-busy m365-smtp-ip-evaluation
    gmail-smtp-too-many-logins'''.split()

# This message waits, and no other.
ALONE = '''m365-smtp-recipient-thread-limit gmail-smtp-recipient-rate
    gmail-smtp-too-many-recipients'''.split()

# The account waits, be it that the provider says 5xx: state and cause.
HELD = {
    'm365-smtp-auth-disabled-tenant':
        ('blocked', 'smtp-auth-disabled-tenant'),
    'm365-smtp-auth-disabled-mailbox': ('blocked', 'smtp-auth-disabled'),
    'm365-smtp-security-defaults': ('blocked', 'security-defaults'),
    'm365-smtp-conditional-access': ('blocked', 'conditional-access'),
    'm365-smtp-basic-disabled': ('misconfigured', 'basic-auth-disabled'),
    'm365-smtp-credentials-incorrect': ('reauthorize', 'wrong-password'),
    'm365-smtp-account-locked': ('blocked', 'account-locked'),
    'm365-smtp-organization-policy': ('blocked', 'organization-policy'),
    'm365-smtp-invalid-api-permissions':
        ('blocked', 'app-permission-missing'),
    'm365-smtp-unrecognized-mechanism': ('blocked', 'mechanism-not-offered'),
    'm365-smtp-basic-retired': ('misconfigured', 'basic-auth-disabled'),
    'm365-smtp-quota-exceeded': ('blocked', 'daily-recipient-limit'),
    'm365-smtp-quota-5190': ('blocked', 'daily-recipient-limit'),
    'm365-smtp-quota-522': ('blocked', 'daily-recipient-limit'),
    'm365-smtp-throttled-mailbox-full':
        ('blocked', 'throttled-mailbox-full'),
    'm365-smtp-throttled-send-as-denied':
        ('blocked', 'throttled-send-as-denied'),
    'm365-smtp-throttled-invalid-license':
        ('blocked', 'throttled-no-licence'),
    'm365-smtp-throttled-too-many-recipients':
        ('blocked', 'throttled-too-many-recipients'),
    'm365-smtp-throttled-invalid-recipients':
        ('blocked', 'throttled-bad-recipients'),
    'm365-smtp-mailbox-full': ('blocked', 'mailbox-full'),
    'm365-smtp-bad-outbound-sender': ('blocked', 'sender-restricted'),
    'm365-smtp-spam-5501': ('blocked', 'sender-restricted'),
    'm365-smtp-spam-5502': ('blocked', 'sender-restricted'),
    'm365-smtp-spam-5503': ('blocked', 'sender-restricted'),
    'm365-smtp-outbound-spam': ('blocked', 'sender-restricted'),
    'm365-smtp-tenant-threshold': ('blocked', 'tenant-restricted'),
    'm365-smtp-ip-not-accepted': ('blocked', 'address-not-accepted'),
    'm365-smtp-unregistered-domain': ('blocked', 'domain-not-registered'),
    'gmail-smtp-app-password': ('misconfigured', 'app-password-required'),
    'gmail-smtp-web-login': ('blocked', 'web-login-required'),
    'gmail-smtp-unsolicited-421': ('blocked', 'address-reputation'),
    'gmail-smtp-unsolicited-550': ('blocked', 'address-reputation'),
    'gmail-smtp-daily-limit': ('blocked', 'daily-sending-limit'),
    'gmail-smtp-daily-limit-eod': ('blocked', 'daily-sending-limit'),
    'gmail-smtp-starttls-first': ('misconfigured', 'tls-required'),
    'yahoo-smtp-too-many-auth': ('blocked', 'too-many-bad-logins'),
    'smtp-521': ('misconfigured', 'host-takes-no-mail'),
}

with open(os.path.join(ROOT, 'tests', 'sandbox', 'replies.json'),
          encoding='utf-8') as _file:
    PRESETS = {p['name']: p for p in json.load(_file)['presets']
               if p['protocol'] == 'smtp' and 'reply' in p
               and p['stage'] != 'starttls'}


def last_line(name):
    """The provider's words as a client hears them, in one line."""
    reply = PRESETS[name]['reply']
    return reply if isinstance(reply, str) else reply[-1]


class Replies(SandboxCase):
    def each(self, names, act):
        """Each preset in turn, from a clean start, on a new connection."""
        for name in names:
            with self.subTest(name):
                self.setUp()
                self.box.drop(protocol='smtp', how='close')
                act(name)

    def cause(self):
        show = self.daemon.json('account', 'show', DEMO)
        return show['services']['smtp'].get('cause')

    def refreshes(self):
        return self.box.tokens()['refreshes'].get(DEMO, 0)

    def assert_arrives_once(self, *keys):
        """All of them, in order, and nothing else: no notice, no copy."""
        self.assert_queue_empties()
        self.assertEqual(self.keys(), list(keys))

    def test_every_reply_is_seen_here(self):
        known = {*FAULTS, *RENEWED, *SOON, *SLOWER, *ALONE, *HELD}
        self.assertEqual(known, set(PRESETS))

    def passed_on(self, name):
        self.box.fault(name)
        self.assertEqual(self.send('fault'), last_line(name))
        self.assertEqual(self.queued(), [])
        self.assertEqual(self.state(DEMO), 'connected')
        self.assertRegex(self.send('next'), '^250 ')
        self.assert_arrives_once('next')

    def test_the_messages_own_fault_is_passed_on(self):
        self.each(FAULTS, self.passed_on)

    def renewed(self, name):
        before = self.refreshes()
        self.box.fault(name)
        self.assertRegex(self.send('renewed'), '^250 ')
        self.assert_arrives_once('renewed')
        self.assertGreater(self.refreshes(), before)
        self.assertEqual(self.state(DEMO), 'connected')

    def test_a_refused_token_is_renewed(self):
        self.each(RENEWED, self.renewed)

    def soon(self, name):
        self.box.fault(name, times=2)
        self.assertRegex(self.send('soon'), QUEUED)
        self.assertRegex(self.send('behind'), '^250 ')
        self.assert_arrives_once('soon', 'behind')
        self.wait_state(DEMO, 'connected')

    def test_what_passes_is_tried_again_by_itself(self):
        self.each(SOON, self.soon)

    def slower(self, name):
        self.box.fault(name)
        self.assertRegex(self.send('slower'), QUEUED)
        self.assertRegex(self.send('behind'), QUEUED)
        self.wait_state(DEMO, 'retrying')
        self.daemon.ctl('queue', 'retry', '--all', code=0)
        self.assert_arrives_once('slower', 'behind')
        self.wait_state(DEMO, 'connected')

    def test_throttling_slows_the_account_down(self):
        self.each(SLOWER, self.slower)

    def alone(self, name):
        self.box.fault(name, stage='rcpt', times=0, match={'rcpt': BOB})
        self.assertRegex(self.send('alone'), QUEUED)
        self.assertRegex(self.send('other', ('alice@example.test',)),
                         '^250 ')
        until(lambda: self.keys() == ['other'], 'the other message')
        self.assertEqual(self.state(DEMO), 'connected')
        self.assertEqual(len(self.queued()), 1)
        self.box.clear()
        self.assert_arrives_once('other', 'alone')

    def test_a_busy_recipient_delays_one_message_only(self):
        self.each(ALONE, self.alone)

    def held(self, name):
        state, cause = HELD[name]
        self.box.fault(name, times=0)
        self.assertRegex(self.send('held'), QUEUED)
        self.wait_state(DEMO, state)
        self.assertEqual(self.cause(), cause)
        self.assertRegex(self.send('behind'), QUEUED)
        self.assertEqual(self.keys(), [])
        self.box.clear()
        if state == 'blocked':
            self.daemon.ctl('queue', 'retry', '--all', code=0)
        else:
            self.sign_in_sandbox()
        self.assert_arrives_once('held', 'behind')
        self.wait_state(DEMO, 'connected')

    def test_what_holds_the_account_does_not_bounce(self):
        self.each(HELD, self.held)


if __name__ == '__main__':
    main()
