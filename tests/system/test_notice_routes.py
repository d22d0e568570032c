#!/usr/bin/env python3
"""How notices reach people while the account they are about cannot send: into
its INBOX over IMAP, through its fallback, through [notify] mail_account.
"""
import email
import email.policy
import imaplib
import ssl

from harness import Case, main, message
from lab import until
from raw import Smtp
from sandbox_case import BOB, sandbox, sandbox_provider

OFF = 'm365-smtp-auth-disabled-tenant'


class Routes(Case):
    """Users whose SMTP is switched off, and boss, who may send."""
    users = ('boss', 'owner', 'alias', 'deaf')

    @classmethod
    def setUpClass(cls):
        cls.box = sandbox.start()
        cls.addClassCleanup(cls.box.stop)
        client = {'client_id': cls.box.env['CLIENT_ID'],
                  'client_secret': cls.box.env['CLIENT_SECRET']}
        cls.launch([{'address': cls.address(user), 'provider': 'sandbox',
                     **client} for user in cls.users],
                   [sandbox_provider(cls.box)],
                   {'retry': {'first': '1s', 'longest': '2s'},
                    'queue': {'warn_after': '2s', 'max_age': '1h'},
                    'notify': {'mail_account': cls.address('boss')}})
        for user in cls.users:
            cls.box.add_user(cls.address(user))
            cls.daemon.authorise(
                cls.address(user), 'paste', lambda first, user=user:
                cls.box.approve(first['url'], cls.address(user)))

    @staticmethod
    def address(user):
        return f'{user}@example.test'

    def send_while_off(self, user, sender=None):
        """A message that waits, because SMTP is switched off."""
        self.box.drop(protocol='smtp', how='close')
        self.box.fault(OFF, times=0, match={'user': self.address(user)})
        login = self.daemon.login(self.address(user))
        with Smtp(login.smtp_port, login.ca) as client:
            client.login(login)
            self.assertRegex(client.message(
                sender or self.address(user), [BOB],
                message(self.address(user), BOB, user)), 'Queued as')
        self.wait_state(self.address(user), 'blocked')

    def inbox(self, user):
        """What stands in a mailbox."""
        address = self.address(user)
        if not self.box.mailbox(address):
            return []
        client = imaplib.IMAP4_SSL(
            'localhost', self.box.ports['imaps'], timeout=10,
            ssl_context=ssl.create_default_context(cafile=self.box.ca))
        token = self.box.mint(address)['access_token']
        text = f'user={address}\1auth=Bearer {token}\1\1'
        client.authenticate('XOAUTH2', lambda _: text.encode())
        client.select(readonly=True)
        found = client.fetch('1:*', '(FLAGS BODY.PEEK[])')[1]
        client.logout()
        return [part[1] for part in found if isinstance(part, tuple)]

    def one_notice(self, user):
        until(lambda: self.inbox(user), f'a notice for {user}', 30)
        # Once it is out of the queue no second one follows.
        until(lambda: len(self.queued(self.address(user))) == 1,
              'only the message waits', 30)
        self.assertEqual(len(self.inbox(user)), 1)
        raw = self.inbox(user)[0]
        self.assertNotIn(b'\n', raw.replace(b'\r\n', b''))
        return email.message_from_bytes(raw, policy=email.policy.default)

    def sent_by(self, user):
        return self.box.messages(user=self.address(user))

    def test_into_the_inbox(self):
        self.send_while_off('owner')
        mail = self.one_notice('owner')
        self.assertIn(self.address('owner'), mail['From'])
        self.assertEqual(mail.get_content_type(), 'multipart/report')
        self.assertEqual(mail['To'].addresses[0].addr_spec,
                         self.address('owner'))
        self.assertEqual([m for m in self.sent_by('boss')
                          if m['recipients'] == [self.address('owner')]], [])
        ends = self.daemon.json('history', self.address('owner'))['history']
        self.assertEqual(ends[-1]['kind'], 'delay-notice')
        self.assertEqual(ends[-1]['result'], 'delivered')
        # IMAP is well, and known to be.
        self.assertEqual(self.state(self.address('owner'), 'imap'),
                         'connected')

    def test_to_somebody_else_it_is_sent(self):
        sender = 'other@example.test'
        self.box.add_user(sender)
        self.send_while_off('alias', sender)
        mail = self.one_notice_for_other('other')
        self.assertIn(self.address('boss'), mail['From'])
        self.assertEqual(self.inbox('alias'), [])

    def one_notice_for_other(self, user):
        until(lambda: self.inbox(user), f'a notice for {user}', 30)
        return email.message_from_bytes(self.inbox(user)[0],
                                        policy=email.policy.default)

    def test_through_another_where_imap_does_not_work(self):
        self.box.fault(protocol='imap', stage='auth', times=0,
                       reply='NO [UNAVAILABLE] later',
                       match={'user': self.address('deaf')})
        self.send_while_off('deaf')
        until(lambda: [m for m in self.sent_by('boss')
                       if m['recipients'] == [self.address('deaf')]],
              'a notice by boss', 30)
        self.assertEqual(len(self.box.mailbox(self.address('deaf'))), 1)
        # Nobody need look after what may pass by itself.
        self.assertEqual(self.state(self.address('deaf'), 'imap'),
                         'connected')

    def test_zz_nobody_broke_a_rule(self):
        self.assertEqual(self.box.violations(), [])


if __name__ == '__main__':
    main()
