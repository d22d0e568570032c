#!/usr/bin/env python3
"""Holds the tree to the rules of docs/STYLE.md and docs/ARCHITECTURE.md.

    lint.py [SOURCE [BUILD]]

Prints each violation as file:line: what is wrong, then a summary line with
one test per rule. Rules about programs look at those that are built.
"""
import functools
import os
import re
import subprocess
import sys

# A room includes rooms of a lower rank, never one of its own.
RANKS = (('base',), ('codec',), ('net',), ('session', 'store', 'config'),
         ('role',),
         ('relay', 'keeper', 'courier', 'desk', 'supervisor', 'ctl'))
RANK = {room: n for n, rooms in enumerate(RANKS) for room in rooms}

# The libraries of the table in docs/ARCHITECTURE.md: what they are called
# there, and their headers.
LIBRARIES = {
    'uthash': r'uthash\.h',
    'jansson': r'jansson\.h',
    'libevent': r'event2?/.*|evhttp\.h|event\.h',
    'libcurl': r'curl/.*',
    'OpenSSL': r'openssl/.*',
    'inih': r'ini\.h',
    'libcyaml': r'cyaml/.*|yaml\.h',
    'SQLite': r'sqlite3.*\.h',
    'crypt(3)': r'crypt\.h',
    'libqrencode': r'qrencode\.h',
}

# Calls that cannot be made safe, or that run a shell.
FORBIDDEN = ('strcpy', 'strcat', 'sprintf', 'vsprintf', 'gets', 'system',
             'popen', 'strtok', 'tmpnam', 'mktemp', 'alloca')

# What a program must not be linked with, directly or through another library
# of ours: DESIGN's table of roles. libcurl brings OpenSSL, so only names.
NOT_LINKED = {
    'relay': ('libcurl', 'libsqlite3'),
    'courier': ('libcurl',),
    'desk': ('libcurl', 'libsqlite3'),
    'mailbearerd': ('libcurl', 'libsqlite3'),
    'mailbearerctl': ('libcurl', 'libsqlite3'),
}

LONGEST = {'file': 600, 'header': 150, 'function': 100}
EXEMPT = 'long because'

TEXT = ('.c', '.h', '.def', '.md', '.mk', '.py', '.sh', '.mjs', '.json',
        '.in', '.yaml', '.1', '.5', '.8', '.am', '.ac', '.dict', '.socket')
FOLDERS = ('.ci', 'contrib', 'docs', 'etc', 'src', 'tests')
NOT_OURS = ('corpus', 'node_modules', '__pycache__', 'run')

INCLUDE = re.compile(r'\s*#\s*include\s*([<"])([^>"]+)[>"]')
EVENT = re.compile(r'X\(\w+,\s*"([\w-]+)",\s*LOG_(\w+),\s*"((?:[^"\\]|\\.)*)"\)')
LEVELS = {'ERR': 'error', 'WARNING': 'warning', 'NOTICE': 'notice',
          'INFO': 'info', 'DEBUG': 'debug'}


class Tree:
    """The files of a source tree, read once."""

    def __init__(self, root, build):
        self.root = root
        self.build = build
        self.paths = sorted(self.walk())

    def walk(self):
        for name in os.listdir(self.root):
            if os.path.isfile(os.path.join(self.root, name)):
                yield name
        for folder in FOLDERS:
            top = os.path.join(self.root, folder)
            for at, folders, names in os.walk(top):
                folders[:] = [f for f in folders if f not in NOT_OURS]
                for name in names:
                    yield os.path.relpath(os.path.join(at, name), self.root)

    def exists(self, path):
        return os.path.isfile(os.path.join(self.root, path))

    @functools.lru_cache(None)
    def read(self, path):
        with open(os.path.join(self.root, path), encoding='utf-8') as f:
            return f.read()

    def lines(self, path):
        """(number, line) of a file."""
        return enumerate(self.read(path).split('\n'), 1)

    def named(self, *ends, under=''):
        return [p for p in self.paths
                if p.endswith(ends) and p.startswith(under)]

    @functools.lru_cache(None)
    def code(self, path):
        """A C file with comments and the inside of strings blanked."""
        def blank(match):
            text = match[0]
            if text[0] in '"\'':
                return text[0] * 2 + ' ' * (len(text) - 2)
            return re.sub(r'[^\n]', ' ', text)
        return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"'
                      r"|'(?:\\.|[^'\\\n])*'", blank, self.read(path),
                      flags=re.S)


def room_of(path):
    parts = path.split('/')
    return parts[1] if len(parts) > 2 and parts[0] == 'src' else None


def includes(tree, path):
    """(line, "<" or '"', name) of each."""
    for number, line in tree.lines(path):
        found = INCLUDE.match(line)
        if found:
            yield number, found[1], found[2]


# ---- the rules: each yields (path, line, what is wrong)


def rule_rooms(tree):
    """a file includes its own room and rooms below it"""
    for path in tree.named('.c', '.h', '.def', under='src/'):
        room = room_of(path)
        if room not in RANK:
            yield path, 1, f'there is no room {room}'
            continue
        for number, quote, name in includes(tree, path):
            other = name.split('/')[0]
            if quote == '<' or name == 'config.h':
                continue
            if '/' not in name or not tree.exists(f'src/{name}'):
                yield path, number, f'"{name}" is not a file "room/file.h"'
            elif other != room and RANK.get(other, 99) >= RANK[room]:
                yield path, number, f'{room} includes {name}, not below it'
            elif other != room and name.endswith('_internal.h'):
                yield path, number, f'{name} is for its own room only'


def rule_own_header(tree):
    """a file's own header comes first"""
    for path in tree.named('.c', under='src/'):
        own = path[len('src/'):-1] + 'h'
        first = next((name for _, _, name in includes(tree, path)), None)
        if tree.exists(f'src/{own}') and first != own:
            yield path, 1, f'includes {first} before its own "{own}"'


def doors(tree):
    """{library: rooms} of the table in docs/ARCHITECTURE.md"""
    found = {}
    for _, line in tree.lines('docs/ARCHITECTURE.md'):
        row = re.match(r'\|\s*(\w+)\s*\|(.*)\|\s*$', line)
        for library in LIBRARIES:
            if row and row[1] in RANK and library in row[2]:
                found.setdefault(library, set()).add(row[1])
    return found


def rule_doors(tree):
    """a library's headers are included by the room named for it only"""
    table = doors(tree)
    for library in LIBRARIES:
        if library not in table:
            yield 'docs/ARCHITECTURE.md', 1, f'no room is the door to {library}'
    for path in tree.named('.c', '.h', under='src/'):
        for number, quote, name in includes(tree, path):
            for library, headers in LIBRARIES.items():
                rooms = table.get(library, ())
                if (quote == '<' and re.fullmatch(headers, name)
                        and room_of(path) not in rooms):
                    yield (path, number, f'{library} is for '
                           f'{" and ".join(sorted(rooms))} only')


def rule_file_length(tree):
    """files and headers are short, or say why not"""
    for path in tree.named('.c', '.h', '.py', under=('src/', 'tests/')):
        kind = ('header' if path.endswith('.h') and path.startswith('src/')
                else 'file')
        count = tree.read(path).count('\n')
        if count > LONGEST[kind] and EXEMPT not in tree.read(path).lower():
            yield path, 1, f'{count} lines, {kind}s have {LONGEST[kind]}'


def functions(tree, path):
    """(line of the name, lines of the body, the comment above)"""
    lines = tree.code(path).split('\n')
    start = None
    for n, line in enumerate(lines):
        if line.startswith('{'):
            start = n
        elif line.startswith('}') and start is not None:
            yield start, n - start, comment_above(tree, path, start)
            start = None


def comment_above(tree, path, line):
    """The comment that ends right above the definition whose body opens at
    this index."""
    raw = tree.read(path).split('\n')
    at = line - 1
    while at > 0 and raw[at].strip() and '*/' not in raw[at]:
        at -= 1
    text = []
    while at >= 0 and raw[at].strip():
        text.append(raw[at])
        if '/*' in raw[at]:
            return ' '.join(reversed(text))
        at -= 1
    return ''


def rule_function_length(tree):
    """functions are short, or say why not"""
    for path in tree.named('.c', '.h', under=('src/', 'tests/')):
        for start, count, comment in functions(tree, path):
            if count > LONGEST['function'] and EXEMPT not in comment.lower():
                yield (path, start, f'a function of {count} lines, they have '
                       f'{LONGEST["function"]}')


def rule_forbidden_calls(tree):
    """no call that cannot be made safe"""
    calls = re.compile(r'(?<![\w.>])(' + '|'.join(FORBIDDEN) + r')\s*\(')
    for path in tree.named('.c', '.h', under='src/'):
        for number, line in enumerate(tree.code(path).split('\n'), 1):
            for found in calls.finditer(line):
                yield path, number, f'{found[1]} must not be called'


def rule_log_events(tree):
    """docs/OPERATIONS.md lists the log events as they are"""
    source, doc = 'src/base/log_event.def', 'docs/OPERATIONS.md'
    told = {}
    for number, line in tree.lines(doc):
        row = re.match(r'\|\s*`([\w-]+)`\s*\|\s*(error|warning|notice|info'
                       r'|debug)\s*\|\s*(.*?)\s*\|\s*$', line)
        if row:
            told[row[1]] = (number, row[2], row[3])
    known = set()
    for number, line in tree.lines(source):
        for name, level, text in EVENT.findall(line):
            want = (LEVELS[level], text)
            known.add(name)
            if name not in told:
                yield (source, number, f'{doc} has no row | `{name}` | '
                       f'{want[0]} | {text} |')
            elif told[name][1:] != want:
                yield (doc, told[name][0], f'{name} is '
                       f'| {want[0]} | {text} | in {source}')
    for name in set(told) - known:
        yield doc, told[name][0], f'there is no event {name}'


def rule_unfinished(tree):
    """nothing is left for later"""
    for path in tree.named('.c', '.h', '.def', under='src/'):
        for number, line in tree.lines(path):
            if re.search(r'\b(TODO|FIXME|XXX|HACK)\b', line):
                yield path, number, 'is unfinished'
    for path in tree.paths:
        if is_made(path) or not is_text(path):
            continue
        for number, line in tree.lines(path):
            if re.match('(<{7}|>{7}) ', line):
                yield path, number, 'is left of a merge'


def rule_width(tree):
    """a line of C has 80 columns, a tab is 8"""
    for path in tree.named('.c', '.h', under='src/'):
        for number, line in tree.lines(path):
            if len(line.expandtabs(8)) > 80:
                yield path, number, f'{len(line.expandtabs(8))} columns'


def is_text(path):
    name = os.path.basename(path)
    return (path.endswith(TEXT) or '.' not in name
            and not path.startswith('src/') and not is_made(path))


def is_made(path):
    """Made by configure in a tree that is its own build folder."""
    return '/' not in path and path not in ('configure.ac', 'Makefile.am',
                                            'README.md')


def rule_white_space(tree):
    """no white space at a line's end, one newline at the file's"""
    for path in tree.paths:
        if is_made(path) or not is_text(path):
            continue
        try:
            text = tree.read(path)
        except UnicodeDecodeError:
            continue
        for number, line in tree.lines(path):
            if line != line.rstrip():
                yield path, number, 'white space at the end'
        if text and (not text.endswith('\n') or text.endswith('\n\n')):
            yield path, text.count('\n'), 'does not end with one newline'


def rule_distributed(tree):
    """make dist has every file"""
    made = ' '.join(tree.read(p) for p in tree.named('module.mk', '.am'))
    listed = set(re.findall(r'[\w.+/-]+', made))
    for path in tree.paths:
        parts = path.split('/')
        known = {'/'.join(parts[:n]) for n in range(2, len(parts) + 1)}
        known.add(path.removesuffix('.in'))
        if ('/' in path and parts[-1] != 'module.mk'
                and not path.endswith('.pyc') and not known & listed):
            yield path, 1, 'is in no module.mk'


def rule_links(tree):
    """a program is not linked with what its role must not have"""
    for program, libraries in NOT_LINKED.items():
        path = os.path.join(tree.build, program)
        if not os.path.isfile(path):
            continue
        needed = subprocess.run(['readelf', '-d', path], text=True,
                                stdout=subprocess.PIPE, check=True).stdout
        for library in libraries:
            if f'[{library}.' in needed or f'[{library}-' in needed:
                yield program, 1, f'is linked with {library}'


RULES = [value for name, value in list(globals().items())
         if name.startswith('rule_')]


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, '../..')
    build = sys.argv[2] if len(sys.argv) > 2 else os.getcwd()
    tree = Tree(os.path.normpath(root), build)
    failed = 0
    for rule in RULES:
        wrong = list(rule(tree))
        for path, line, what in wrong:
            print(f'{path}:{line}: {what}')
        if wrong:
            print(f'FAILED: {rule.__doc__}')
            failed += 1
    print(f'{len(RULES) - failed} passed, {failed} failed')
    sys.exit(bool(failed))


if __name__ == '__main__':
    main()
