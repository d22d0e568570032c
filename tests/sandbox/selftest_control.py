"""The control port and the process."""

import os
import subprocess
import tempfile
import time
import unittest

from selfcase import (DEMO, Case, box, client)


class ControlTest(Case):
    def test_every_preset_is_accepted(self):
        presets = box.get("/presets")
        for name in presets["presets"]:
            box.fault(name, times=2)
        for code in presets["aadsts"]:
            box.fault(aadsts=int(code))
        self.assertEqual(len(box.faults()), len(presets["presets"])
                         + len(presets["aadsts"]))

    def test_bad_requests(self):
        for path, data in (("/fault", {"preset": "no-such"}),
                           ("/fault", {"protocol": "smtp", "stage": "mail"}),
                           ("/fault", {"protocol": "x", "close": True}),
                           ("/settings", {"rotate": 3}),
                           ("/settings", {"certificate": "fine"}),
                           ("/settings", {"no_such": 1}),
                           ("/kill", {"user": "nobody"})):
            with self.assertRaises(client.SandboxError):
                box.post(path, **data)

    def test_skip_and_times(self):
        server = self.ready()
        box.fault(protocol="smtp", stage="noop", skip=1, times=2,
                  reply="451 4.0.0 no")
        codes = [server.noop()[0] for _ in range(4)]
        self.assertEqual(codes, [250, 451, 451, 250])

    def test_waiting_for_messages(self):
        began = time.monotonic()
        self.assertEqual(box.messages(wait=1, timeout=0.2), [])
        self.assertGreaterEqual(time.monotonic() - began, 0.2)
        self.send(self.ready())
        self.assertEqual(len(box.messages(wait=1)), 1)

    def test_many_sessions(self):
        box.settings(mechanisms=["PLAIN"])
        socks = [self.tls_socket("imaps") for _ in range(200)]
        for sock in socks:
            sock.sendall(b"a LOGIN demo demo-password\r\n")
        for sock in socks:
            data = b""
            while b"a OK" not in data:
                data += sock.recv(4096)
        self.assertEqual(box.connections()["open"]["imap " + DEMO], 200)


class ProcessTest(unittest.TestCase):
    def test_background_files_and_clean_end(self):
        temporary = tempfile.TemporaryDirectory(prefix="sandbox-test-")
        self.addCleanup(temporary.cleanup)
        folder = temporary.name
        provider = os.path.join(client.HERE, "provider.py")
        done = subprocess.run([provider, "--dir", folder, "--ports", "auto"],
                              stdout=subprocess.PIPE, timeout=20)
        self.assertEqual((done.returncode, done.stdout), (0, b"ready\n"))
        running = client.attach(folder)
        pid = int(running.env["SANDBOX_PID"])
        self.assertEqual(set(running.ports), {
            "oauth", "control", "smtps", "submission", "imaps",
            "wrong_smtps", "wrong_imaps", "wrong_oauth"})
        running.get("/")
        os.kill(pid, 15)
        end = time.monotonic() + 10
        while os.path.exists(os.path.join(folder, "pid")):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)
