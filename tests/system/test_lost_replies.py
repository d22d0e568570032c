#!/usr/bin/env python3
"""The connection breaks between the final dot and the reply: was the message
taken? Where the provider files a copy the Sent folder tells, and the message
arrives exactly once; where nothing tells, it arrives rather twice than never.

A lookup takes a minute by design, so all cases are begun together, each with
an account of its own, and the tests wait for their ends.
"""
import base64

from harness import Case, main, message
from lab import until
from raw import Smtp
from sandbox_case import BOB, QUICK, sandbox, sandbox_provider

# Whose copies the provider files, and whose not.
FILED = ('found', 'late', 'nowhere', 'deaf', 'client', 'twin', 'deleted',
         'stale', 'crash')
UNFILED = ('unfiled',)
# Beyond this nothing is waited for: two looks, a minute apart, or three
# failures, and the delivery after that.
PATIENCE = 150


class LostReplies(Case):
    @classmethod
    def setUpClass(cls):
        cls.box = sandbox.start()
        cls.addClassCleanup(cls.box.stop)
        client = {'client_id': cls.box.env['CLIENT_ID'],
                  'client_secret': cls.box.env['CLIENT_SECRET']}
        cls.launch(
            [{'address': cls.address(user), 'provider': provider, **client}
             for provider, users in (('filing', FILED), ('other', UNFILED))
             for user in users],
            [sandbox_provider(cls.box, name='filing', sent_copy=True),
             sandbox_provider(cls.box, name='other')], QUICK)
        for user in FILED + UNFILED:
            cls.box.add_user(cls.address(user))
            cls.daemon.authorise(
                cls.address(user), 'paste',
                lambda first, user=user:
                cls.box.approve(first['url'], cls.address(user)))
        cls.begin()

    # ---- the cases

    @classmethod
    def begin(cls):
        # First the one that kills courier, which knows nothing afterwards.
        cls.queue_and_kill('crash')
        cls.lose('found')
        cls.lose('unfiled')
        cls.lose('stale')
        cls.box.expire(cls.address('stale'))
        cls.filing(sent_delay=30)
        cls.lose('late')
        cls.filing(sent_copy=False)
        cls.lose('nowhere')
        cls.lose('deleted')
        cls.lose('client')
        cls.file_by_client('client')
        cls.filing()
        cls.send('twin')
        cls.lose('twin', drop='before')
        cls.box.fault(protocol='imap', stage='auth', times=0,
                      reply='NO [UNAVAILABLE] later',
                      match={'user': cls.address('deaf')})
        cls.lose('deaf')
        cls.delete_when_looked_for('deleted')

    @staticmethod
    def address(user):
        return f'{user}@example.test'

    @classmethod
    def filing(cls, **settings):
        """How the provider files what it takes from now on."""
        cls.box.settings(**{'sent_copy': True, 'sent_delay': 0, **settings})

    @classmethod
    def message(cls, user):
        return message(cls.address(user), BOB, user)

    @classmethod
    def send(cls, user):
        login = cls.daemon.login(cls.address(user))
        with Smtp(login.smtp_port, login.ca) as client:
            client.login(login)
            reply = client.message(cls.address(user), [BOB],
                                   cls.message(user))
        if not reply.startswith('250 '):
            raise AssertionError(f'{user}: {reply}')

    @classmethod
    def lose(cls, user, **fault):
        """Sends; the provider has it, or not, and does not say."""
        cls.box.fault(protocol='smtp', stage='eod', **{
            'drop': 'after', 'match': {'user': cls.address(user)}, **fault})
        cls.send(user)

    @classmethod
    def queue_and_kill(cls, user):
        """Replayed from the queue; courier dies before the reply."""
        mine = {'match': {'user': cls.address(user)}}
        cls.box.fault(protocol='smtp', stage='mail', reply='451 4.3.0 later',
                      **mine)
        cls.box.fault(protocol='smtp', stage='eod', record=True, stall=True,
                      **mine)
        cls.send(user)
        cls.box.messages(wait=1)
        cls.daemon.kill_role('courier')
        cls.box.clear()

    @classmethod
    def file_by_client(cls, user):
        """As mail clients do once they have heard 250."""
        cls.box.create(cls.address(user), mailbox='Sent',
                       raw=base64.b64encode(cls.message(user)).decode())

    @classmethod
    def delete_when_looked_for(cls, user):
        def looked_for():
            return [m for m in cls.daemon.json('queue', 'list')['messages']
                    if m['account'] == cls.address(user)
                    and 'is looked for in the' in m['why']]
        found = until(looked_for, f'{user} is looked for')
        cls.daemon.ctl('queue', 'delete', found[0]['id'], code=0)

    # ---- what becomes of them

    def taken(self, user):
        return self.box.messages(user=self.address(user))

    def ends(self, user):
        return self.daemon.json('history', self.address(user))['history']

    def check(self, user, taken, result, in_doubt):
        until(lambda: not self.queued(self.address(user)),
              f'the end for {user}', PATIENCE)
        end = self.ends(user)[-1]
        self.assertEqual(end['result'], result)
        self.assertEqual(bool(end.get('in_doubt')), in_doubt)
        self.assertEqual(end['message_id'], f'<{user}@client.test>')
        self.assertEqual(len(self.taken(user)), taken)
        for one in self.taken(user):
            self.assertEqual(self.box.raw(one['number']),
                             self.message(user))

    def test_found_in_sent(self):
        self.check('found', 1, 'found', False)
        # Nothing waits that would show it, and yet it is seen to work.
        self.wait_state(self.address('found'), 'connected')

    def test_found_at_the_second_look(self):
        self.check('late', 1, 'found', False)

    def test_found_after_kill_9_of_courier(self):
        self.check('crash', 1, 'found', False)

    def test_found_with_a_token_that_had_to_be_renewed(self):
        self.check('stale', 1, 'found', False)

    def test_a_provider_that_files_no_copies(self):
        self.check('unfiled', 2, 'delivered', True)

    def test_a_copy_that_is_not_there(self):
        self.check('nowhere', 2, 'delivered', True)

    def test_imap_does_not_work(self):
        self.check('deaf', 2, 'delivered', True)

    def test_a_copy_that_a_mail_client_filed_proves_nothing(self):
        self.check('client', 2, 'delivered', True)

    def test_a_copy_of_other_mail_with_the_same_message_id(self):
        # The second was never taken: to believe the copy would lose it.
        self.check('twin', 2, 'delivered', True)
        self.assertEqual(len(self.ends('twin')), 2)

    def test_deleted_while_it_is_looked_for(self):
        self.check('deleted', 1, 'deleted', False)
        self.check('nowhere', 2, 'delivered', True)
        self.assertEqual(len(self.taken('deleted')), 1)

    def test_zz_nobody_broke_a_rule(self):
        for user in FILED + UNFILED:
            until(lambda user=user: not self.queued(self.address(user)),
                  f'the end for {user}', PATIENCE)
        self.assertEqual(self.box.violations(), [])


if __name__ == '__main__':
    main()
