"""The sandbox's own certificate authority and its server certificates,
made with the openssl command; and the TLS contexts built from them.

DIR/tls/ca.crt is what a client must trust. The server certificates:
good      signed by the CA, for the names a client uses
mismatch  signed by the CA, for another host
untrusted self-signed, for the right names
expired   signed by the CA, for the right names, until yesterday
"""

import os
import ssl
import subprocess

NAMES = "DNS:localhost,DNS:mail.example.test,IP:127.0.0.1,IP:::1"
CERTIFICATES = ("good", "mismatch", "untrusted", "expired")
VERSIONS = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}
CONFIG = """[req]
distinguished_name = dn
prompt = no
[dn]
"""


def _certificate(folder, name, subject, extensions, ca=None):
    path = os.path.join(folder, name)
    command = [
        "openssl", "req", "-x509", "-config", os.path.join(folder, "req.cnf"),
        "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-sha256", "-days", "3650", "-subj", "/CN=" + subject,
        "-keyout", path + ".key", "-out", path + ".crt"]
    if ca:
        ca = os.path.join(folder, ca)
        command += ["-CA", ca + ".crt", "-CAkey", ca + ".key"]
    for extension in extensions:
        command += ["-addext", extension]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL,
                   stderr=subprocess.PIPE)


def _expired(folder, extensions):
    """openssl req knows no days that are over; openssl x509 does."""
    def openssl(*command):
        subprocess.run(["openssl", *command], check=True, cwd=folder,
                       stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    with open(os.path.join(folder, "expired.ext"), "w") as file:
        file.write("\n".join(extensions) + "\n")
    openssl("req", "-config", "req.cnf", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost",
            "-keyout", "expired.key", "-out", "expired.csr")
    openssl("x509", "-req", "-in", "expired.csr", "-CA", "ca.crt", "-CAkey",
            "ca.key", "-CAcreateserial", "-days", "-1", "-extfile",
            "expired.ext", "-out", "expired.crt")


def make(folder):
    """Creates CA and certificates in folder unless they are there."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    if os.path.exists(os.path.join(folder, "complete-2")):
        return
    with open(os.path.join(folder, "req.cnf"), "w") as config:
        config.write(CONFIG)
    leaf = ["basicConstraints=critical,CA:FALSE",
            "keyUsage=critical,digitalSignature",
            "extendedKeyUsage=serverAuth"]
    right = ["subjectAltName=" + NAMES]
    other = ["subjectAltName=DNS:other.example.test"]
    _certificate(folder, "ca", "Sandbox provider CA",
                 ["basicConstraints=critical,CA:TRUE",
                  "keyUsage=critical,keyCertSign,cRLSign",
                  "subjectKeyIdentifier=hash"])
    _certificate(folder, "good", "localhost", leaf + right, "ca")
    _certificate(folder, "mismatch", "other.example.test", leaf + other, "ca")
    _certificate(folder, "untrusted", "localhost", leaf + right)
    _expired(folder, leaf + right)
    open(os.path.join(folder, "complete-2"), "w").close()


class Contexts:
    """Server contexts, one for each certificate and range of versions.
    They are kept, so that session tickets work."""

    def __init__(self, folder):
        self.folder = folder
        self.made = {}

    def get(self, certificate, minimum, maximum):
        key = (certificate, minimum, maximum)
        if key not in self.made:
            self.made[key] = self._make(*key)
        return self.made[key]

    def _make(self, certificate, minimum, maximum):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        path = os.path.join(self.folder, certificate)
        context.load_cert_chain(path + ".crt", path + ".key")
        if minimum in ("1.0", "1.1"):
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version = VERSIONS[minimum]
        context.maximum_version = VERSIONS[maximum]
        return context


class SigningKey:
    """The RSA key for ID tokens (RS256), made when it is first needed."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "signing.key")

    def _ensure(self):
        if not os.path.exists(self.path):
            subprocess.run(
                ["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt",
                 "rsa_keygen_bits:2048", "-out", self.path],
                check=True, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def sign(self, data):
        self._ensure()
        return subprocess.run(
            ["openssl", "dgst", "-sha256", "-sign", self.path],
            input=data, check=True, stdout=subprocess.PIPE).stdout

    def modulus(self):
        self._ensure()
        text = subprocess.run(
            ["openssl", "rsa", "-in", self.path, "-noout", "-modulus"],
            check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE).stdout
        return bytes.fromhex(text.decode().strip().split("=")[1])
