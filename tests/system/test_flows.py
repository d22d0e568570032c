#!/usr/bin/env python3
"""
Ways in where nobody signs in, at the real OpenID provider and real servers:
an application with a secret (in a file, or a credential of systemd), with a
certificate (RSA and EC); a service account; a password at the token endpoint,
with a resource; a password at the mail server; a command that prints a token.
What each does when it is refused, and moving from a password to a sign-in.
"""
import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile

import clients
from harness import Case, lab_provider, main, message
from lab import SCRIPTS, until

READER = 'reader@example.test'
APP, FROM_CREDENTIAL, RSA, EC, SERVICE, GRANT, PLAIN, COMMAND, MOVING = (
    f'{name}@example.test' for name in (
        'app', 'credential', 'rsa', 'ec', 'service', 'grant', 'plain',
        'command', 'moving'))
FLOWS = (APP, FROM_CREDENTIAL, RSA, EC, SERVICE, GRANT, PLAIN, COMMAND)
JWT_GRANT = 'urn:ietf:params:oauth:grant-type:jwt-bearer'


def openssl(*args):
    return subprocess.run(['openssl', *args], check=True,
                          stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL).stdout


def b64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip('=')


class Key:
    """A key, its certificate, and what the provider knows of it."""

    def __init__(self, folder, name, *kind):
        self.key, self.certificate = (f'{folder}/{name}.{end}'
                                      for end in ('key', 'crt'))
        openssl('req', '-x509', '-nodes', '-days', '30', '-subj', f'/CN={name}',
                *kind, '-keyout', self.key, '-out', self.certificate)
        os.chmod(self.key, 0o600)
        self.public = openssl('pkey', '-in', self.key, '-pubout').decode()
        der = openssl('pkey', '-in', self.key, '-pubout', '-outform', 'DER')
        if 'rsa:2048' in kind:
            modulus = openssl('rsa', '-in', self.key, '-noout', '-modulus')
            self.jwk = {'kty': 'RSA', 'e': 'AQAB', 'alg': 'RS256',
                        'n': b64url(bytes.fromhex(
                            modulus.decode().strip().split('=')[1]))}
        else:
            # An uncompressed point ends the SubjectPublicKeyInfo.
            self.jwk = {'kty': 'EC', 'crv': 'P-256', 'alg': 'ES256',
                        'x': b64url(der[-64:-32]), 'y': b64url(der[-32:])}
        self.thumbprint = b64url(hashlib.sha256(openssl(
            'x509', '-in', self.certificate, '-outform', 'DER')).digest())


def application(client_id, mailbox, **more):
    return {'client_id': client_id, 'mailbox': mailbox, 'redirect_uris': [],
            'response_types': [], 'grant_types': ['client_credentials'],
            **more}


def lab_clients():
    with open(f'{SCRIPTS}/conf/clients.json', encoding='ascii') as f:
        return json.load(f)


class Flows(Case):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix='mb-flows-')
        cls.addClassCleanup(shutil.rmtree, cls.dir)
        rsa = ('-newkey', 'rsa:2048')
        cls.keys = {
            'rsa': Key(cls.dir, 'rsa', *rsa),
            'robot': Key(cls.dir, 'robot', *rsa),
            'ec': Key(cls.dir, 'ec', '-newkey', 'ec', '-pkeyopt',
                      'ec_paramgen_curve:P-256')}
        cls.open_lab(users=[READER, *FLOWS, MOVING], PLAIN='1',
                     clients=lab_clients() + cls.clients())
        cls.lab.write('service-keys.json', {'k1': cls.keys['robot'].public})
        accounts = cls.accounts()
        # Credentials come as systemd hands them over.
        cls.file('app-secret', 'credential-secret\n')
        cls.file('mailbearer.key', 'sealed with what systemd gives..')
        os.environ['CREDENTIALS_DIRECTORY'] = cls.dir
        cls.addClassCleanup(os.environ.pop, 'CREDENTIALS_DIRECTORY')
        cls.launch(accounts, cls.providers(),
                   {'retry': {'first': '1s', 'longest': '2s'},
                    'limits': {'auth_delay': '0s'}})

    @classmethod
    def file(cls, name, content):
        path = f'{cls.dir}/{name}'
        with open(path, 'w', encoding='ascii') as f:
            f.write(content)
        os.chmod(path, 0o600)
        return path

    @classmethod
    def clients(cls):
        by_key = {'token_endpoint_auth_method': 'private_key_jwt'}
        return [
            application('app-file', APP, client_secret='file-secret',
                        token_endpoint_auth_method='client_secret_post'),
            application('app-credential', FROM_CREDENTIAL,
                        client_secret='credential-secret',
                        token_endpoint_auth_method='client_secret_post'),
            *(application(f'app-{kind}', mailbox, **by_key,
                          token_endpoint_auth_signing_alg=alg,
                          jwks={'keys': [cls.keys[kind].jwk]})
              for kind, mailbox, alg in (('rsa', RSA, 'RS256'),
                                         ('ec', EC, 'ES256'))),
            {'client_id': 'machine', 'redirect_uris': [],
             'response_types': [], 'token_endpoint_auth_method': 'none',
             'grant_types': ['password', JWT_GRANT]}]

    @classmethod
    def accounts(cls):
        keys, app = cls.keys, {'flow': 'client_credentials'}
        robot = cls.file('robot.json', json.dumps({
            'type': 'service_account', 'client_email': 'robot@p.test',
            'private_key_id': 'k1', 'token_uri': f'{cls.lab.issuer}/token',
            'private_key': openssl('pkey', '-in', keys['robot'].key)
                           .decode()}))
        ask = (f"curl -sS --cacert {cls.lab.ca} -d client_id=machine "
               f"-d grant_type=password -d username={COMMAND} "
               f"-d password={COMMAND}-web-pw -d scope=mail "
               f"{cls.lab.issuer}/token")
        kinds = {
            APP: dict(app, client_id='app-file', client_secret='file-secret'),
            FROM_CREDENTIAL: dict(
                app, client_id='app-credential',
                client_secret_file='credential:app-secret'),
            RSA: dict(app, client_id='app-rsa', provider='found',
                      client_certificate=keys['rsa'].certificate,
                      client_key=keys['rsa'].key),
            EC: dict(app, client_id='app-ec',
                     client_certificate=keys['ec'].certificate,
                     client_key=keys['ec'].key),
            SERVICE: {'flow': 'service_account', 'client_id': 'machine',
                      'service_account_file': robot},
            GRANT: {'flow': 'password_grant', 'client_id': 'machine',
                    'provider': 'partner',
                    'password_file': cls.file('grant',
                                              f'{GRANT}-web-pw\n')},
            PLAIN: {'flow': 'password',
                    'password_file': cls.file('plain', 'plain-mail-pw\n')},
            COMMAND: {'flow': 'command', 'token_command': ask},
            MOVING: {'flow': 'password',
                     'password_file': cls.file('moving', 'wrong\n')}}
        return [{'address': address, 'provider': 'lab', **kind}
                for address, kind in kinds.items()]

    @classmethod
    def providers(cls):
        scopes = {'common': 'openid offline_access', 'smtp': 'mail',
                  'imap': 'mail', 'app': 'mail'}
        by_hand = lab_provider(cls.lab, 'lab', scopes=scopes,
                               client_auth='post')
        found = lab_provider(cls.lab, 'found', scopes=scopes,
                             issuer=cls.lab.issuer)
        for known in ('authorize_url', 'token_url', 'device_url',
                      'userinfo_url'):
            found.pop(known)
        partner = lab_provider(cls.lab, 'partner', scopes={'common': 'openid'},
                               resource='https://partner.test/')
        return [by_hand, found, partner]

    def account(self, address):
        return next(a for a in self.daemon.accounts
                    if a['address'] == address)

    def again(self, account, values):
        """Edits an account and reloads."""
        values = dict(values)
        account.clear()
        account.update(values)
        self.daemon.write()
        self.daemon.ctl('reload', code=0)

    def set_mail_password(self, address, password):
        path = f'{self.lab.run}/dovecot/users'
        with open(path, encoding='ascii') as f:
            text = re.sub(rf'^({re.escape(address)}):[^:]*',
                          rf'\1:{{PLAIN}}{password}', f.read(), flags=re.M)
        with open(path, 'w', encoding='ascii') as f:
            f.write(text)
        # Dovecot looks at the file again when a second has gone by.
        until(lambda: subprocess.run(
            ['doveadm', '-c', f'{self.lab.run}/dovecot/dovecot.conf', 'auth',
             'test', address, password], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, check=False).returncode == 0,
            f'the new password of {address}')
        self.lab.cut_smtp()

    def failures(self, address):
        """What Dovecot says of the passwords it refused this mailbox."""
        with open(f'{self.lab.run}/log/dovecot.log', encoding='utf-8') as f:
            return [line for line in f
                    if address in line and 'Password mismatch' in line]

    def send(self, address, key):
        data = message(address, READER, key)
        clients.curl_send(self.daemon.login(address), data, [READER])
        return data

    def queues(self, address, key):
        data = self.send(address, key)
        until(lambda: self.queued(address), f'{key} in the queue')
        return data

    # ---- each works

    def test_each_sends_and_reads(self):
        for address in FLOWS:
            name = address.split('@', 1)[0]
            with self.subTest(name):
                self.wait_state(address, 'connected')
                data = self.send(address, f'flow-{name}')
                self.assert_arrived(READER, f'flow-{name}', data)
                self.lab.put(address, message(READER, address, f'to-{name}'))
                got = clients.curl_read(self.daemon.login(address))
                self.assertTrue(any(f'<to-{name}@'.encode() in m
                                    for m in got))
                self.assertEqual(self.state(address, 'imap'), 'connected')

    def test_asked_as_the_flow_says(self):
        def first(**match):
            return until(lambda: self.lab.requests('/token', status=200,
                                                   **match), match)[0]
        for kind, alg in (('rsa', 'RS256'), ('ec', 'ES256')):
            signed = first(client=f'app-{kind}')['signed']
            self.assertEqual((signed['alg'], signed['x5t#S256']),
                             (alg, self.keys[kind].thumbprint))
        self.assertEqual(first(grant_type=JWT_GRANT)['signed']['kid'], 'k1')
        first(grant_type='password', resource='https://partner.test/')

    def test_the_sealing_key_is_systemds(self):
        vault = os.listdir(f'{self.daemon.dir}/state/vault')
        self.assertIn('vault.db', vault)
        self.assertNotIn('seal.key', vault)

    # ---- each is refused

    def refused(self, address, state='misconfigured'):
        self.wait_state(address, state)
        service = self.daemon.json('account', 'show', address)['services']
        return service['smtp']

    def rewrite(self, name, content):
        self.file(name, content)
        self.daemon.ctl('reload', code=0)

    def ends(self, address):
        """The token at hand ends, and with it what is open."""
        self.lab.expire_access(address)

    def test_a_new_password_at_the_mail_server(self):
        """Told once, the old one is not shown for ever; mail waits."""
        self.set_mail_password(PLAIN, 'new-mail-pw')
        self.addCleanup(self.rewrite, 'plain', 'plain-mail-pw\n')
        self.addCleanup(self.set_mail_password, PLAIN, 'plain-mail-pw')
        data = self.queues(PLAIN, 'new-password')
        found = self.refused(PLAIN, 'reauthorize')
        self.assertEqual(found['cause'], 'password-refused')
        self.assertIn(f'{self.dir}/plain', found['step'])
        before = len(self.failures(PLAIN))
        for _ in range(3):
            self.daemon.ctl('queue', 'retry')
        self.daemon.ctl('reload', code=0)
        self.assertEqual(len(self.failures(PLAIN)), before)
        self.rewrite('plain', 'new-mail-pw\n')
        self.assert_arrived(READER, 'new-password', data)
        self.wait_state(PLAIN, 'connected')

    def test_a_new_password_at_the_token_endpoint(self):
        self.addCleanup(self.rewrite, 'grant', f'{GRANT}-web-pw\n')
        self.rewrite('grant', 'no longer\n')
        self.ends(GRANT)
        data = self.queues(GRANT, 'new-grant')
        self.assertIn(f'{self.dir}/grant',
                      self.refused(GRANT, 'reauthorize')['step'])
        asked = len(self.lab.requests('/token', grant_type='password',
                                      status=400))
        self.daemon.ctl('reload', code=0)
        self.assertEqual(asked, len(self.lab.requests(
            '/token', grant_type='password', status=400)))
        self.rewrite('grant', f'{GRANT}-web-pw\n')
        self.assert_arrived(READER, 'new-grant', data)

    def test_a_certificate_that_is_not_registered(self):
        account = self.account(RSA)
        old = dict(account)
        account.update(client_certificate=self.keys['robot'].certificate,
                       client_key=self.keys['robot'].key)
        self.addCleanup(self.again, account, old)
        self.again(account, account)
        self.ends(RSA)
        self.assertIn('certificate', self.refused(RSA)['step'])
        self.again(account, old)
        self.wait_state(RSA, 'connected')

    def test_a_command_that_fails(self):
        account = self.account(COMMAND)
        old = dict(account)
        self.addCleanup(self.again, account, old)
        account['token_command'] = 'echo no ticket >&2; exit 3'
        self.again(account, account)
        self.ends(COMMAND)
        data = self.queues(COMMAND, 'failing-command')
        found = self.refused(COMMAND, 'retrying')
        self.assertEqual(found['cause'], 'command-failed')
        self.assertIn('no ticket', found['says'])
        self.again(account, old)
        self.assert_arrived(READER, 'failing-command', data)

    # ---- moving

    def test_from_a_password_to_a_sign_in(self):
        """What was queued under the password goes by the new sign-in."""
        data = self.queues(MOVING, 'moving')
        self.refused(MOVING, 'reauthorize')
        account = self.account(MOVING)
        account.update(flow='authorization_code', client_id='proxy-post',
                       client_secret_file=self.file('moved',
                                                    'proxy-post-secret\n'))
        account.pop('password_file')
        self.again(account, account)
        self.assertEqual(len(self.queued(MOVING)), 1)
        self.sign_in(MOVING, client='proxy-post')
        self.assert_arrived(READER, 'moving', data)
        self.wait_state(MOVING, 'connected')
        self.wait_state(MOVING, 'connected', 'imap')


if __name__ == '__main__':
    main()
