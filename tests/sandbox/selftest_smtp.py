"""The submission server."""

import base64
import hashlib
import json
import smtplib
import socket
import ssl
import time

from selfcase import (ALICE, BOB, DEMO, MAIL, Case, b64, box, sasl,
                      until_closed)


class SmtpTest(Case):
    def test_messages_are_exact(self):
        for port in ("smtps", "submission"):
            for mech in ("XOAUTH2", "OAUTHBEARER"):
                server = self.ready(mech=mech, port=port)
                self.send(server)
                server.quit()
        found = box.messages()
        self.assertEqual(len(found), 4)
        self.assertEqual(box.raw(1), MAIL.encode())
        self.assertEqual(found[0]["sha256"],
                         hashlib.sha256(MAIL.encode()).hexdigest())
        self.assertEqual(
            [(m["mail_from"], m["recipients"], m["mechanism"], m["listener"])
             for m in found[1:3]],
            [(DEMO, [ALICE], "OAUTHBEARER", "smtps"),
             (DEMO, [ALICE], "XOAUTH2", "submission")])
        self.assertEqual([m["size"] for m in box.mailbox(ALICE)],
                         [len(MAIL)] * 4)
        self.assertEqual(len(box.mailbox(DEMO, "Sent")), 4)
        self.assertEqual(box.violations(), [])

    def copy(self):
        """What IMAP tells of the copy of <m1@example.test>."""
        server = self.imap()
        server.select("Sent", readonly=True)
        uids = server.uid("SEARCH", None, "SINCE", "1-Jan-2026", "HEADER",
                          "Message-ID", "<m1@example.test>")[1][0].decode()
        if not uids:
            return None
        return server.uid(
            "FETCH", uids.replace(" ", ","), "(UID INTERNALDATE"
            " BODY.PEEK[HEADER.FIELDS (RECEIVED)])")[1][0]

    def test_sent_copy_bears_a_trace(self):
        mail = "Message-ID: <m1@example.test>\r\n" + MAIL
        server = self.ready()
        self.assertIsNone(self.copy())
        self.send(server, mail=mail)
        head, trace = self.copy()
        self.assertRegex(head, rb'^1 \(UID 1 INTERNALDATE "[ \d]\d-\w{3}-')
        self.assertTrue(trace.startswith(b"Received: from "))
        self.assertEqual(box.mailbox(DEMO, "Sent")[0]["size"],
                         len(trace) - 2 + len(mail))
        box.reset()
        box.settings(sent_trace=False)
        self.send(self.ready(), mail=mail)
        self.assertEqual(self.copy()[1], b"\r\n")

    def test_sent_copy_may_come_late(self):
        box.settings(sent_delay=0.3)
        self.send(self.ready())
        self.assertEqual(box.mailbox(DEMO, "Sent"), [])
        box.wait(event="copy")
        self.assertEqual(len(box.mailbox(DEMO, "Sent")), 1)

    def test_failure_shapes(self):
        for mech, dummy, bad in (("XOAUTH2", "", "AQ=="),
                                 ("OAUTHBEARER", "AQ==", "")):
            server, code, text = self.smtp_login("nonsense", mech=mech)
            self.assertEqual(code, 334)
            self.assertIn("status", json.loads(base64.b64decode(text)))
            server.putcmd(dummy) if dummy else server.send("\r\n")
            self.assertEqual(server.getreply()[0], 535)
            server, code, _ = self.smtp_login("nonsense", mech=mech)
            server.putcmd(bad) if bad else server.send("\r\n")
            self.assertEqual(server.getreply()[0], 501)
            server, code, _ = self.smtp_login("nonsense", mech=mech)
            self.assertEqual(server.docmd("*")[0], 501)
        self.assertEqual(len(box.violations()), 2)
        box.settings(failure_shape="direct")
        _, code, text = self.smtp_login("nonsense")
        self.assertEqual((code, text[:5]), (535, b"5.7.3"))

    def test_why_a_token_is_refused(self):
        box.settings(failure_shape="direct")
        token = box.mint(ALICE)["access_token"]
        self.assertEqual(self.smtp_login(token)[1], 535)
        box.add_user(DEMO, delegates=[ALICE])
        self.assertEqual(self.smtp_login(token)[1], 235)
        token = box.mint(DEMO, scope="openid")["access_token"]
        self.assertEqual(self.smtp_login(token)[1], 535)
        token = box.mint(DEMO)["access_token"]
        self.assertEqual(box.expire(DEMO)["expired"], 2)
        self.assertEqual(self.smtp_login(token)[1], 535)
        self.assertEqual([e["why"] for e in box.log(event="auth-refused")],
                         ["token of another user", "insufficient scope",
                          "token expired or revoked"])

    def test_auth_line_limits(self):
        server = self.smtp()
        token = box.mint(DEMO)["access_token"]
        text = b64(sasl("XOAUTH2", DEMO, token, 0))
        self.assertEqual(server.docmd("AUTH", "XOAUTH2 " + text)[0], 500)
        server.docmd("AUTH", "XOAUTH2")
        self.assertEqual(server.docmd("A" * 12300)[0], 500)
        box.settings(access_token_bytes=100)
        token = box.mint(DEMO)["access_token"]
        text = b64(sasl("XOAUTH2", DEMO, token, 0))
        self.assertEqual(server.docmd("AUTH", "XOAUTH2 " + text)[0], 235)
        self.assertEqual(len(box.violations()), 2)

    def test_mechanisms_and_capabilities(self):
        box.settings(mechanisms=["XOAUTH2"], smtp_capabilities=["8BITMIME"])
        server = self.smtp()
        self.assertEqual(server.esmtp_features["auth"].split(), ["XOAUTH2"])
        self.assertFalse(server.has_extn("size"))
        self.assertEqual(server.docmd("AUTH", "OAUTHBEARER")[0], 504)
        server = self.ready()
        self.assertEqual(server.docmd("MAIL", "FROM:<%s> SIZE=1" % DEMO)[0],
                         555)

    def test_plain_when_asked_for(self):
        box.settings(mechanisms=["PLAIN", "LOGIN"])
        for mech in ("auth_plain", "auth_login"):
            server = self.smtp()
            server.user, server.password = DEMO, "demo-password"
            code, _ = server.auth(mech[5:].upper(), getattr(server, mech))
            self.assertEqual(code, 235)

    def test_strict_end_of_data(self):
        server = self.ready()
        for wrong in (b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r"):
            server.mail(DEMO)
            server.rcpt(ALICE)
            self.assertEqual(server.docmd("DATA")[0], 354)
            server.send(b"Subject: x\r\n\r\nbody" + wrong
                        + b"MAIL FROM:<a@b>\r\n\r\n.\r\n")
            code, text = server.getreply()
            self.assertEqual((code, text[:6]), (550, b"5.6.11"))
        self.assertEqual(box.messages(), [])
        box.settings(bare_lf="accept")
        self.send(server, mail=b"Subject: x\r\n\r\nbody")
        server.docmd("NOOP")
        self.assertEqual(len(box.messages()), 1)

    def test_empty_message_and_pipelining(self):
        server = self.ready()
        server.send("MAIL FROM:<>\r\nRCPT TO:<%s>\r\n"
                    "RCPT TO:<nobody@example.test>\r\nDATA\r\n" % BOB)
        codes = [server.getreply()[0] for _ in range(4)]
        self.assertEqual(codes, [250, 250, 550, 354])
        server.send(".\r\n")
        self.assertEqual(server.getreply()[0], 250)
        self.assertEqual(box.messages()[0]["size"], 0)
        server.send("MAIL FROM:<>\r\nRCPT TO:<%s>\r\nDATA\r\nearly" % BOB)
        codes = [server.getreply()[0] for _ in range(3)]
        self.assertEqual(codes, [250, 250, 554])
        self.assertEqual(box.violations()[0]["what"],
                         "sent more before the reply")

    def test_pipelining_only_if_advertised(self):
        box.settings(smtp_capabilities=[])
        server = self.ready()
        server.send("MAIL FROM:<>\r\nRCPT TO:<%s>\r\n" % BOB)
        self.assertEqual(server.getreply()[0], 554)
        self.assertEqual(len(box.violations()), 1)

    def test_refusals_by_stage(self):
        for preset in ("m365-smtp-auth-disabled-tenant",
                       "gmail-smtp-bad-credentials"):
            box.fault(preset)
            server, code, text = self.smtp_login(
                box.mint(DEMO)["access_token"])
            if code == 334:
                server.send("\r\n")
                code, text = server.getreply()
            self.assertEqual(code, 535)
            self.assertIn(b"isabled" if "m365" in preset else b"\n5.7.8",
                          text)
        server = self.ready()
        box.fault("gmail-smtp-daily-limit")
        self.assertEqual(server.mail(DEMO)[0], 550)
        self.assertEqual(server.mail(DEMO)[0], 250)
        box.fault("gmail-smtp-recipient-rate", match={"rcpt": BOB})
        self.assertEqual(server.rcpt(ALICE)[0], 250)
        self.assertEqual(server.rcpt(BOB)[0], 450)
        box.fault("m365-smtp-send-as-denied")
        code, text = server.data(MAIL)
        self.assertEqual((code, text[:7]), (554, b"5.2.252"))
        self.assertEqual(box.messages(), [])

    def test_magic_recipients(self):
        server = self.ready()
        for local, code in (("tempfail", 450), ("permfail", 550)):
            server.mail(DEMO)
            self.assertEqual(server.rcpt(local + "@example.test")[0], code)
            server.rset()
        server.mail(DEMO)
        server.rcpt("eodtemp@example.test")
        self.assertEqual(server.data(MAIL)[0], 451)

    def test_drop_after_data_records_once(self):
        server = self.ready()
        for preset, count in (("smtp-drop-before-data", 0),
                              ("smtp-drop-after-data", 1)):
            box.fault(preset)
            with self.assertRaises(smtplib.SMTPServerDisconnected):
                self.send(server)
            self.assertEqual(len(box.messages()), count)
            server = self.ready()

    def test_drop_in_the_body(self):
        server = self.ready()
        box.fault(protocol="smtp", stage="body", after_bytes=50000,
                  drop="before")
        with self.assertRaises((smtplib.SMTPServerDisconnected, OSError)):
            self.send(server, mail="x" * 70 + "\r\n" * 100000)
        self.assertEqual(box.messages(), [])

    def test_cut_at_an_octet(self):
        greeting = b"220 mail.example.test ESMTP sandbox\r\n"
        for count in (1, len(greeting) - 1, len(greeting)):
            box.fault(protocol="smtp", stage="connect",
                      cut_after_written=count)
            sock = self.tls_socket("smtps")
            self.assertEqual(sock.recv(1), greeting[:1])
            if count == len(greeting):
                sock.sendall(b"QUIT\r\n")
            self.assertEqual(until_closed(sock), greeting[1:count])
        box.fault(protocol="smtp", stage="connect", cut_after_read=9)
        sock = self.tls_socket("smtps")
        sock.sendall(b"NOOP\r\nNOOP\r\n")
        # What was read just before may be unanswered.
        self.assertIn(until_closed(sock),
                      (greeting, greeting + b"250 2.0.0 Ok\r\n"))
        ended = box.wait(event="close", why="cut by a limit", count=4)
        self.assertEqual([(e["read"], e["written"]) for e in ended[:3]],
                         [(0, 1), (0, 36), (6, 37)])
        self.assertEqual(ended[3]["read"], 9)

    def test_octet_by_octet(self):
        box.fault(protocol="smtp", stage="connect", pause=0.005)
        sock = self.tls_socket("smtps")
        start = time.monotonic()
        sock.sendall(b"NOOP\r\nQUIT\r\n")
        self.assertTrue(until_closed(sock).endswith(b"221 2.0.0 Bye\r\n"))
        self.assertGreater(time.monotonic() - start, 0.3)

    def test_garbage_flood_and_silence(self):
        box.fault("smtp-garbage-greeting")
        self.assertEqual(len(until_closed(self.tls_socket("smtps"))), 4096)
        box.fault(protocol="smtp", stage="connect", flood=1 << 20,
                  close=True)
        data = until_closed(self.tls_socket("smtps"))
        self.assertEqual((len(data), b"\n" in data), (1 << 20, False))
        box.fault("smtp-no-greeting")
        sock = self.tls_socket("smtps")
        sock.settimeout(0.2)
        with self.assertRaises(TimeoutError):
            sock.recv(1)

    def test_starttls_injection_both_ways(self):
        box.fault("smtp-starttls-injection")
        sock = socket.create_connection(("localhost",
                                         box.ports["submission"]), 10)
        self.addCleanup(sock.close)
        sock.recv(1000)
        sock.sendall(b"STARTTLS\r\n")
        data = b""
        while data.count(b"\r\n") < 3:
            data += sock.recv(1000)
        self.assertIn(b"AUTH PLAIN", data)
        sock = socket.create_connection(("localhost",
                                         box.ports["submission"]), 10)
        self.addCleanup(sock.close)
        sock.recv(1000)
        sock.sendall(b"STARTTLS\r\nNOOP\r\n")
        self.assertIn(b"554", sock.recv(1000))
        self.assertEqual(box.violations()[0]["what"],
                         "plaintext after STARTTLS")

    def test_limits(self):
        box.settings(smtp_concurrency=1)
        self.ready()
        token = box.mint(DEMO)["access_token"]
        self.assertEqual(self.smtp_login(token)[1], 432)
        self.assertEqual(box.connections()["max"]["smtp " + DEMO], 2)
        box.settings(smtp_concurrency=0, smtp_rate=2)
        server = self.ready()
        self.send(server)
        self.send(server)
        self.assertEqual(server.mail(DEMO)[0], 451)

    def test_certificates_and_versions(self):
        for port in ("wrong_smtps", "wrong_imaps", "wrong_oauth"):
            with self.assertRaises(ssl.SSLCertVerificationError):
                self.tls_socket(port)
        for name in ("untrusted", "expired"):
            box.settings(certificate=name)
            with self.assertRaisesRegex(
                    ssl.SSLCertVerificationError,
                    "self-signed" if name == "untrusted" else name):
                self.tls_socket("smtps")
        box.settings(certificate="good", tls_min="1.0", tls_max="1.1")
        with self.assertRaises(ssl.SSLError):
            self.tls_socket("smtps")
        box.wait(event="tls-failed", protocol="smtp", count=3)

    def test_kill_ends_sessions(self):
        server = self.ready()
        self.assertEqual(box.kill_grant(DEMO)["sessions"], 1)
        self.assertEqual(server.docmd("NOOP")[0], 421)
        server = self.ready(ALICE)
        box.kill_grant(ALICE, sessions=False)
        self.assertEqual(server.docmd("NOOP")[0], 250)

    def test_outage(self):
        box.outage(protocols=["smtp"])
        with self.assertRaises(ConnectionRefusedError):
            self.tls_socket("smtps")
        box.outage(on=False)
        self.tls_socket("smtps")

    def test_plaintext_on_the_tls_port(self):
        sock = socket.create_connection(("localhost", box.ports["smtps"]), 10)
        self.addCleanup(sock.close)
        sock.sendall(b"EHLO test.example\r\n")
        self.assertNotIn(b"220", until_closed(sock))
