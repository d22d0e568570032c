#!/usr/bin/env python3
"""What a submission gets, and that it gets nothing else (RFC 6409 §8).

The provider keeps the hash of what it received, so one octet more or less
shows. A message that has Date and Message-ID arrives as it was sent; one that
lacks them gets them in front of it, live and from the queue alike.
"""
import hashlib
import re

from harness import main
from lab import until
from raw import Smtp
from sandbox_case import BOB, DEMO, SandboxCase

DATE = b'Date: Fri, 20 Nov 2026 12:00:00 +0000\r\n'
ID = b'Message-ID: <known@client.test>\r\n'
MADE_DATE = (rb'Date: (Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{1,2} [A-Z][a-z]{2} '
             rb'\d{4} \d\d:\d\d:\d\d \+0000\r\n')
MADE_ID = rb'Message-ID: <[0-9a-f]{16}@example\.test>\r\n'
SUBJECT = b'Subject: x\r\n'
EIGHT_BIT = b'From: <demo@example.test>\r\n' + SUBJECT + \
    b'X-Latin: \xfc\xff\r\nX-UTF-8: ' + 'ü'.encode() + b'\r\n'
LONG = b''.join(b'%08d 0123456789abcdef0123456789abcdef\r\n' % n
                for n in range(20000))
LONG_HEADER = b''.join(b'X-%d: %s\r\n' % (n, b'y' * 900) for n in range(300))
WHOLE = {
    'both': EIGHT_BIT + DATE + ID + b'\r\nA line.\r\n',
    '8bit': DATE + ID + EIGHT_BIT + b'\r\n' + bytes(range(128, 256)) + b'\r\n',
    'no body': SUBJECT + DATE + ID,
    'only the empty line': SUBJECT + DATE + ID + b'\r\n',
    'odd case': b'DATE : x\r\nmessage-id:\r\n <known@client.test>\r\n\r\n',
    'useless values': b'Date:\r\nMessage-ID: \r\n\r\nA line.\r\n',
    'two of them': DATE + DATE + ID + ID + b'\r\nA line.\r\n',
    'below a long header': LONG_HEADER + DATE + ID + b'\r\nA line.\r\n',
    'long': DATE + ID + b'\r\n' + LONG,
    'of a mailbox file': b'From demo Fri Nov 20 12:00\r\n' + SUBJECT + b'\r\n',
}
#	name		sent	what is put in front, with the empty line if any
LACKING = {
    'no Date': (ID + SUBJECT + b'\r\nDate: x\r\n', MADE_DATE),
    'no Message-ID': (DATE + SUBJECT + b'\r\nMessage-ID: <x>\r\n', MADE_ID),
    'neither': (EIGHT_BIT + b'\r\n\xfc\r\n', MADE_DATE + MADE_ID),
    'no body': (SUBJECT, MADE_DATE + MADE_ID),
    'no header': (b'\r\nA line.\r\n', MADE_DATE + MADE_ID),
    'a body alone': (b'A line.\r\nDate: x\r\n',
                     MADE_DATE + MADE_ID + b'\r\n'),
    'nothing': (b'', MADE_DATE + MADE_ID + b'\r\n'),
    'a long one': (SUBJECT + b'\r\n' + LONG, MADE_DATE + MADE_ID),
    'a long header': (LONG_HEADER + b'\r\nx\r\n', MADE_DATE + MADE_ID),
}


class Submission(SandboxCase):
    def submit(self, data):
        login = self.daemon.login(DEMO)
        with Smtp(login.smtp_port, login.ca) as client:
            self.assertRegex(client.login(login), '^235 ')
            return client.message(DEMO, [BOB], data)

    def arrived(self, number):  # pylint: disable=arguments-differ
        until(lambda: len(self.box.messages()) >= number,
              f'message {number}', 30)
        raw = self.box.raw(number)
        self.assertEqual(self.box.messages()[number - 1]['sha256'],
                         hashlib.sha256(raw).hexdigest())
        return raw

    def send_all(self, messages, reply):
        for name, data in messages:
            with self.subTest(name):
                self.assertRegex(self.submit(data), reply)

    def check_whole(self, numbers):
        for (name, data), number in zip(WHOLE.items(), numbers):
            with self.subTest(name):
                self.assertEqual(
                    self.box.messages()[number - 1]['sha256'],
                    hashlib.sha256(data).hexdigest())

    def check_lacking(self, numbers):
        for (name, (data, front)), number in zip(LACKING.items(), numbers):
            with self.subTest(name):
                raw = self.arrived(number)
                self.assertTrue(raw.endswith(data))
                self.assertRegex(raw[:len(raw) - len(data)],
                                 re.compile(b'\\A' + front + b'\\Z'))

    def test_what_is_whole_is_left_alone(self):
        self.send_all(WHOLE.items(), '^250 ')
        self.check_whole(range(1, len(WHOLE) + 1))

    def test_what_lacks_gets_it(self):
        self.send_all([(n, m[0]) for n, m in LACKING.items()], '^250 ')
        self.check_lacking(range(1, len(LACKING) + 1))
        made = {re.search(MADE_ID, self.box.raw(n)).group()
                for n, (_, front) in enumerate(LACKING.values(), 1)
                if MADE_ID in front}
        self.assertEqual(len(made),
                         sum(MADE_ID in f for _, f in LACKING.values()))

    def test_the_same_from_the_queue(self):
        self.box.kill_grant('demo', aadsts=50173)
        self.send_all(WHOLE.items(), 'Queued as')
        self.send_all([(n, m[0]) for n, m in LACKING.items()], 'Queued as')
        self.wait_state(DEMO, 'reauthorize')
        self.sign_in_sandbox()
        self.assert_queue_empties(60)
        self.check_whole(range(1, len(WHOLE) + 1))
        self.check_lacking(range(len(WHOLE) + 1,
                                 len(WHOLE) + len(LACKING) + 1))

    def test_history_knows_the_message_id(self):
        self.submit(WHOLE['both'])
        self.submit(LACKING['neither'][0])
        made = re.search(MADE_ID, self.arrived(2)).group()
        wanted = {'<known@client.test>', made[12:-2].decode()}

        def found():
            rows = self.daemon.json('history')['history']
            return {row.get('message_id') for row in rows}
        until(lambda: wanted <= found(), 'both in the history', 10)


if __name__ == '__main__':
    main()
