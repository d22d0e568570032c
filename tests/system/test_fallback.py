#!/usr/bin/env python3
"""An account that waits for a human sends through another one."""
from harness import Case, main, message
from lab import until
from raw import Smtp
from sandbox_case import BOB, sandbox, sandbox_provider

SEND_AS_DENIED = '554 5.2.252 SendAsDenied; not allowed to send as'


def address(user):
    return f'{user}@example.test'


class Fallback(Case):
    """office sends for down, and nobody for office."""
    ini = {'retry': {'first': '1s', 'longest': '2s', 'attempts': '3',
                     'window': '4s'}}

    @classmethod
    def setUpClass(cls):
        cls.box = sandbox.start()
        cls.addClassCleanup(cls.box.stop)
        client = {'client_id': cls.box.env['CLIENT_ID'],
                  'client_secret': cls.box.env['CLIENT_SECRET'],
                  'provider': 'sandbox'}
        cls.launch([{'address': address('down'), **client,
                     'fallback': address('office')},
                    {'address': address('office'), **client,
                     'fallback': address('third')},
                    {'address': address('third'), **client}],
                   [sandbox_provider(cls.box, sent_copy=True)], cls.ini)
        for user in ('down', 'office', 'third'):
            cls.box.add_user(address(user))
            cls.sign_in_user(user)

    @classmethod
    def sign_in_user(cls, user):
        cls.daemon.authorise(address(user), 'paste', lambda first:
                             cls.box.approve(first['url'], address(user)))

    def setUp(self):
        self.box.clear()
        self.box.reset()
        self.daemon.ctl('queue', 'delete', '--all')
        for user in ('down', 'office', 'third'):
            if self.state(address(user)) != 'connected':
                self.sign_in_user(user)
            self.wait_state(address(user), 'connected')

    def tearDown(self):
        self.assertEqual(self.box.violations(), [])
        super().tearDown()

    def kill(self, user):
        self.box.kill_grant(address(user), aadsts=50173)
        self.box.drop(protocol='smtp', user=address(user), how='close')

    def message(self, key):
        return message(address('down'), BOB, key)

    def send(self, key, rcpt=BOB, user='down'):
        login = self.daemon.login(address(user))
        with Smtp(login.smtp_port, login.ca) as client:
            client.login(login)
            reply = client.message(address(user), [rcpt], self.message(key))
        self.assertRegex(reply, '^250 ')

    def wait_sent(self, count):
        self.box.messages(wait=count)
        until(lambda: not self.queued(), 'an empty queue')
        self.assertEqual(len(self.box.messages()), count)
        return self.box.messages()

    def keys(self):
        found = [self.box.raw(m['number']) for m in self.box.messages()]
        return [raw.split(b'Message-ID: <')[1].split(b'@')[0].decode()
                for raw in found]

    def through_office(self, *more):
        return self.daemon.json('history', address('down'), '--fallback',
                                '--limit', '50', *more)['history']

    def test_through_the_fallback(self):
        self.kill('down')
        before = len(self.through_office())
        for key in ('1', '2', '3'):
            self.send(key)
        sent = self.wait_sent(3)
        self.assertEqual(self.keys(), ['1', '2', '3'])
        for one, key in zip(sent, '123'):
            self.assertEqual(one['user'], address('office'))
            self.assertEqual(one['mail_from'], address('office'))
            self.assertEqual(one['recipients'], [BOB])
            self.assertEqual(self.box.raw(one['number']), self.message(key))
        ends = self.through_office()[before:]
        self.assertEqual([(e['result'], e['via']) for e in ends],
                         [('delivered', address('office'))] * 3)
        # Its own account again, as soon as it works.
        self.sign_in_user('down')
        self.wait_state(address('down'), 'connected')
        self.send('4')
        self.assertEqual(self.wait_sent(4)[3]['user'], address('down'))
        self.assertEqual(len(self.through_office()), before + 3)

    def test_blocked_is_as_good_as_dead(self):
        self.box.drop(protocol='smtp', how='close')
        self.box.fault('m365-smtp-auth-disabled-tenant', times=0,
                       match={'user': address('down')})
        self.send('off')
        self.assertEqual(self.wait_sent(1)[0]['user'], address('office'))

    def test_a_passing_trouble_is_waited_out(self):
        self.box.drop(protocol='smtp', how='close')
        self.box.fault(protocol='smtp', stage='mail', times=2,
                       reply='451 4.3.0 later',
                       match={'user': address('down')})
        self.send('busy')
        self.assertEqual(self.wait_sent(1)[0]['user'], address('down'))

    def test_the_fallback_of_the_fallback_is_not_asked(self):
        self.kill('down')
        self.kill('office')
        self.send('own', user='office')
        self.wait_state(address('office'), 'reauthorize')
        self.send('other')
        self.wait_state(address('down'), 'reauthorize')
        # The one goes through third, the other waits for office.
        self.box.messages(wait=1)
        self.assertEqual(self.keys(), ['own'])
        self.assertEqual(self.box.messages()[0]['user'], address('third'))
        self.assertEqual(len(self.queued(address('down'))), 1)
        self.sign_in_user('office')
        self.assertEqual(self.wait_sent(2)[1]['user'], address('office'))

    def test_what_it_is_refused_does_not_bounce(self):
        for stage, key in (('eod', 'content'), ('mail', 'sender')):
            with self.subTest(stage):
                self.refused(stage, key)

    def refused(self, stage, key):
        self.kill('down')
        # Somebody wants it tried now, whatever was refused before.
        self.daemon.ctl('queue', 'retry', '--account', address('down'))
        self.box.reset()
        self.box.fault(protocol='smtp', stage=stage, times=0,
                       reply=SEND_AS_DENIED,
                       match={'sender': address('office')})
        self.send(key)
        until(lambda: 'its fallback was refused: through office@example.test'
              in str(self.queued(address('down'))), 'the refusal')
        self.box.clear()
        # It is left alone: the next one is not even tried, and what is
        # office's own goes out.
        self.send(f'{key}-2')
        self.send(f'{key}-own', user='office')
        self.box.messages(wait=1)
        self.assertEqual(self.state(address('office')), 'connected')
        self.assertEqual(self.keys(), [f'{key}-own'])
        self.assertEqual(len(self.queued(address('down'))), 2)
        self.sign_in_user('down')
        self.wait_sent(3)
        self.assertEqual(self.keys()[1:], [key, f'{key}-2'])

    def test_a_recipient_that_it_is_refused_is_told(self):
        self.kill('down')
        self.send('nobody', rcpt='permfail@example.test')
        sent = self.wait_sent(1)[0]
        self.assertEqual((sent['user'], sent['recipients']),
                         (address('office'), [address('down')]))
        self.assertIn(b'permfail@example.test', self.box.raw(1))

    def test_a_lost_reply_is_looked_for_where_it_went(self):
        self.kill('down')
        self.box.fault(protocol='smtp', stage='eod', drop='after',
                       match={'user': address('office')})
        self.send('lost')
        until(lambda: not self.queued(), 'an empty queue', 60)
        self.assertEqual(self.keys(), ['lost'])
        end = self.through_office()[-1]
        self.assertEqual((end['result'], end['via']),
                         ('found', address('office')))


class Original(Fallback):
    """With the envelope sender as the client gave it."""
    ini = {**Fallback.ini, 'queue': {'fallback_sender': 'original'}}

    def test_through_the_fallback(self):
        self.kill('down')
        self.send('1')
        sent = self.wait_sent(1)[0]
        self.assertEqual(sent['user'], address('office'))
        self.assertEqual(sent['mail_from'], address('down'))


for name in list(vars(Fallback)):
    if name.startswith('test_') and name not in vars(Original):
        setattr(Original, name, None)

if __name__ == '__main__':
    main()
