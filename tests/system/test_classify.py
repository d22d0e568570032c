#!/usr/bin/env python3
"""
Every code and name of an error that a token endpoint is known to give, played
to a working account each: the state that it is in afterwards, and the one
thing to do. The classes are those of the providers' own lists, written down
here once more, so that no row of the table changes unseen.
"""
from harness import main
from test_token_faults import AtOnce

# Entra's, https://learn.microsoft.com/entra/identity-platform/
# reference-error-codes
CODES = {
    'reauthorize': [16000, 50055, 50056, 50058, 50064, 50072, 50074, 50076,
        50078, 50079, 50085, 50089, 50097, 50125, 50126, 50127, 50129,
        50131, 50132, 50133, 50134, 50135, 50139, 50140, 50144, 50155,
        50158, 50173, 50187, 50199, 54005, 65004, 70000, 70008, 70018,
        70019, 70043, 90120, 700003, 700020, 700082, 9002341],
    'misconfigured': [28002, 28003, 50001, 50011, 50012, 50013, 50014,
        50020, 50034, 50147, 50194, 51004, 65005, 70001, 70002, 70003,
        70004, 70011, 90002, 90004, 90013, 90014, 90019, 90023, 90038,
        90072, 90099, 90100, 90124, 90130, 500011, 500133, 500208, 501481,
        501491, 650052, 650054, 650056, 650057, 700005, 700011, 700016,
        700022, 700023, 700024, 700025, 700027, 700030, 700084, 900144,
        900971, 1000031, 7000112, 7000215, 7000218, 7000222, 9001023,
        9002313, 9002332],
    'retrying': [40010, 50000, 50033, 50087, 50088, 50196, 70012, 80002,
        80005, 80014, 90006, 90012, 90024, 90033, 90055, 90090, 90091],
    'blocked': [50002, 50053, 50057, 50086, 50105, 53000, 53001, 53002,
        53003, 53004, 53010, 53011, 80007, 80012, 80013, 90036, 90092,
        90093, 90123, 500021, 500022, 500212, 500213, 530032, 530033,
        530034, 530035],
    'consent': [65001, 90008, 90094, 90095],
}
# RFC 6749 §5.2, OpenID Connect Core §3.1.2.6, and Google's.
NAMES = {
    'reauthorize': ['invalid_grant', 'interaction_required',
                    'login_required', 'account_selection_required',
                    'access_denied'],
    'consent': ['consent_required'],
    'blocked': ['admin_policy_enforced'],
    'misconfigured': ['invalid_request', 'invalid_client',
                      'unauthorized_client', 'unsupported_grant_type',
                      'invalid_scope', 'invalid_target', 'invalid_resource',
                      'redirect_uri_mismatch', 'deleted_client',
                      'disabled_client', 'org_internal',
                      'disallowed_useragent', 'never_heard_of'],
    'retrying': ['server_error', 'temporarily_unavailable',
                 'internal_failure', 'rate_limit', 'rate_limit_exceeded'],
}
# Google says one thing for many: its words tell them apart.
WORDS = {
    'reauthorize': ['Token has been expired or revoked.', 'Bad Request',
                    'words that nobody has heard'],
    'blocked': ['Account has been deleted', 'User is suspended'],
    'misconfigured': ['Invalid JWT Signature.', 'Invalid JWT: Token must be a '
                      'short-lived token (60 minutes) and in a reasonable '
                      'timeframe.'],
}
# What somebody can be asked to do in each state.
KINDS = {
    'reauthorize': {'sign-in'},
    'consent': {'consent'},
    'blocked': {'portal', 'command', 'wait', 'sign-in'},
    'misconfigured': {'portal', 'configure', 'command'},
    'retrying': {'wait'},
}


def answer(error, description, code=None):
    body = {'error': error, 'error_description': description}
    if code:
        body.update(error_codes=[code], trace_id=f'trace-{code}',
                    correlation_id=f'correlation-{code}')
    return {'status': 400, 'json': body}


def rows():
    """(account, answer, state, what the account's cause is)"""
    for state, codes in CODES.items():
        for n in codes:
            yield (f'e{n}', answer('invalid_grant', f'AADSTS{n}: so.', n),
                   state, f'AADSTS{n}')
    for state, names in NAMES.items():
        for name in names:
            yield (f'n-{name}'.replace('_', '-'), answer(name, 'so it is'),
                   state, None)
    for state, texts in WORDS.items():
        for n, text in enumerate(texts):
            yield (f'w-{state}-{n}', answer('invalid_grant', text), state,
                   None)


class Classify(AtOnce):
    names = tuple(row[0] for row in rows())
    provider = {'portal_url': 'https://portal.test/{client_id}'}

    def test_each_row(self):
        for name, fault, _, _ in rows():
            self.strike(name, fault)
        self.box.expire()
        answers = self.all(self.imap_login)
        found = self.services()
        for name, fault, state, cause in rows():
            with self.subTest(name):
                service = found[name]['imap']
                self.assertEqual(service['state'], state)
                self.assertEqual(found[name]['smtp']['state'], state)
                self.assertTrue(service['text'] and service['step'])
                self.assertIn(service['action']['kind'], KINDS[state])
                self.assertIn(' NO [', answers[name])
                if cause:
                    self.assertEqual(service['cause'], cause)
                    self.assertEqual(service['trace_id'],
                                     fault['json']['trace_id'])
                    self.assertEqual(service['correlation_id'],
                                     fault['json']['correlation_id'])
                self.assertIn(fault['json']['error_description'],
                              service['says'])
        # A token that is dead is not shown again, whoever comes.
        asked = len(self.token_requests())
        self.all(self.imap_login)
        after = self.token_requests()
        self.assertEqual([e['user'] for e in after[asked:]
                          if found[e['user'].split('@')[0]]['imap']['state']
                          == 'reauthorize'], [])


if __name__ == '__main__':
    main()
