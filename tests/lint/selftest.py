#!/usr/bin/env python3
"""Shows that every rule of lint.py bites: a small tree that is fine, and for
each rule a change that breaks it."""
import os
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import lint                                                 # noqa: E402

DOORS = ''.join(f'| {room} | {library} |\n' for room, library in (
    ('base', 'uthash'), ('codec', 'jansson'),
    ('net', 'libevent, OpenSSL, libcurl'),
    ('config', 'inih, libcyaml'), ('store', 'SQLite'),
    ('keeper', 'crypt(3)'), ('ctl', 'libqrencode')))
FINE = {
    'docs/ARCHITECTURE.md': DOORS,
    'docs/OPERATIONS.md': '| `up` | info | it is up |\n',
    'src/base/log_event.def': 'X(LOG_UP, "up", LOG_INFO, "it is up")\n',
    'src/base/span.h': 'int span(void);\n',
    'src/base/span.c': '#include "base/span.h"\n\n#include <stdio.h>\n\n'
                       '/* never strcpy(a, b) */\nint span(void)\n{\n'
                       '\tprintf("gets()");\n}\n',
    'src/net/conn.h': '#include <event2/event.h>\n\n'
                      '#include "base/span.h"\n',
    'src/net/conn_internal.h': 'int conn_secret;\n',
    'src/relay/main.c': '#include "config.h"\n#include "net/conn.h"\n',
    'src/keeper/keeper.h': '#include <crypt.h>\n',
}
FINE['Makefile.am'] = 'EXTRA_DIST = contrib/run docs/ROOM.md src/attic ' + \
    ' '.join([*FINE, 'src/base/bad.c', 'src/base/long.c', 'src/store/db.c'])
FINE['Makefile.am'] += '\n'
BODY = '{\n' + '\t;\n' * 101 + '}\n'
BREAKS = {
    'rooms': [('src/base/span.h', '#include "net/conn.h"\n'),
              ('src/relay/main.c', '#include "keeper/keeper.h"\n'),
              ('src/relay/main.c', '#include "net/conn_internal.h"\n'),
              ('src/relay/main.c', '#include "conn.h"\n'),
              ('src/attic/old.c', '\n')],
    'own_header': [('src/base/span.c',
                    '#include <stdio.h>\n#include "base/span.h"\n')],
    'doors': [('src/relay/main.c', '#include <jansson.h>\n'),
              ('src/store/db.c', '#include <openssl/evp.h>\n'),
              ('docs/ARCHITECTURE.md', DOORS.replace('SQLite', 'files'))],
    'file_length': [('src/base/span.c', '#include "base/span.h"\n' * 601),
                    ('src/base/span.h', '\n' * 150 + 'int x;\n')],
    'function_length': [('src/base/long.c', 'int f(void)\n' + BODY),
                        ('src/base/long.c', '/* Long because. */\n\n'
                                            'int f(void)\n' + BODY)],
    'forbidden_calls': [('src/base/bad.c', 'int f(void)\n{\n'
                                           '\tstrcpy(a, "x");\n}\n')],
    'log_events': [('docs/OPERATIONS.md', 'nothing\n'),
                   ('docs/OPERATIONS.md', '| `up` | notice | it is up |\n'),
                   ('docs/OPERATIONS.md', FINE['docs/OPERATIONS.md'] +
                    '| `down` | info | it is down |\n')],
    'unfinished': [('README.md', '<<<<' + '<<< HEAD\n'),
                   ('src/base/bad.c', '/* TO' + 'DO */\n')],
    'width': [('src/base/bad.c', '\t' * 10 + 'x\n')],
    'white_space': [('docs/ROOM.md', 'a \n'), ('contrib/run', 'a\n\n'),
                    ('README.md', 'no newline')],
    'distributed': [('docs/LOST.md', 'lost\n')],
    'links': [],
}
EXCUSED = ('src/base/long.c',
           '/*\n * Long because it is a table.\n */\nint f(void)\n' + BODY)


class Rules(unittest.TestCase):
    def complaints(self, path=None, text=None):
        """{rule: complaints} of the fine tree with one file changed."""
        with tempfile.TemporaryDirectory() as root:
            for name, content in {**FINE, **({path: text} if path
                                             else {})}.items():
                full = os.path.join(root, name)
                os.makedirs(os.path.dirname(full), exist_ok=True)
                with open(full, 'w', encoding='utf-8') as f:
                    f.write(content)
            tree = lint.Tree(root, root)
            return {rule.__name__[len('rule_'):]: list(rule(tree))
                    for rule in lint.RULES}

    def test_a_tree_that_is_fine(self):
        self.assertFalse(any(self.complaints().values()))
        self.assertFalse(any(self.complaints(*EXCUSED).values()))

    def test_each_rule_bites(self):
        self.assertEqual(set(BREAKS), set(self.complaints()))
        for rule, changes in BREAKS.items():
            for path, text in changes:
                with self.subTest(rule=rule, path=path):
                    found = self.complaints(path, text)
                    self.assertTrue(found[rule])
                    del found[rule]
                    self.assertFalse(any(found.values()))

    def test_links(self):
        """A program that is linked with what it must not be."""
        tree = lint.Tree(tempfile.gettempdir(), os.path.dirname(
            os.path.realpath(sys.executable)))
        name = os.path.basename(os.path.realpath(sys.executable))
        lint.NOT_LINKED[name] = ('libc',)
        self.addCleanup(lint.NOT_LINKED.pop, name)
        self.assertEqual(len(list(lint.rule_links(tree))), 1)


if __name__ == '__main__':
    unittest.main()
