"""The IMAP server."""

import hashlib
import imaplib

from selfcase import (ALICE, DEMO, MAIL, Case, b64, box, sasl,
                      until_closed)


class ImapTest(Case):
    def fill(self, count=3, user=DEMO):
        return box.create(user, count=count, size=1000)

    def test_login_both_mechanisms(self):
        for mech in ("XOAUTH2", "OAUTHBEARER"):
            server = self.imap(mech=mech)
            self.assertIn("IDLE", server.capabilities)
            with self.assertRaises(imaplib.IMAP4.error) as caught:
                self.imap(mech=mech, token="nonsense")
            self.assertIn("AUTHENTICATIONFAILED", str(caught.exception))
        self.assertEqual(box.violations(), [])

    def test_initial_response_only_if_advertised(self):
        for sasl_ir, answer in ((True, b"OK"), (False, b"BAD")):
            box.settings(sasl_ir=sasl_ir)
            sock = self.tls_socket("imaps").makefile("rwb")
            self.assertEqual(b"SASL-IR" in sock.readline(), sasl_ir)
            text = b64(sasl("XOAUTH2", DEMO, box.mint(DEMO)["access_token"],
                            0))
            sock.write(b"a AUTHENTICATE XOAUTH2 %s\r\n" % text.encode())
            sock.flush()
            self.assertEqual(sock.readline().split()[1], answer)
        self.assertEqual(len(box.violations()), 1)

    def test_fetch_search_store(self):
        made = self.fill()
        server = self.imap()
        self.assertEqual(server.select()[1], [b"3"])
        _, data = server.fetch("2", "(UID FLAGS RFC822.SIZE BODY.PEEK[])")
        self.assertEqual(len(data[0][1]), 1000)
        self.assertIn(b"RFC822.SIZE 1000", data[0][0])
        self.assertEqual(hashlib.sha256(data[0][1]).hexdigest(),
                         made[1]["sha256"])
        self.assertEqual(server.search(None, "UNSEEN")[1], [b"1 2 3"])
        server.fetch("1", "(RFC822)")
        self.assertEqual(server.search(None, "UNSEEN")[1], [b"2 3"])
        self.assertEqual(server.uid("SEARCH", None, "HEADER", "Message-ID",
                                    "synthetic-3@")[1], [b"3"])
        server.store("2", "+FLAGS", "(\\Deleted)")
        self.assertEqual(server.expunge()[1], [b"2"])
        self.assertEqual([m["uid"] for m in box.mailbox(DEMO)], [1, 3])
        _, data = server.fetch(
            "1", "(BODY.PEEK[HEADER.FIELDS (SUBJECT DATE)] ENVELOPE "
            "BODYSTRUCTURE INTERNALDATE BODY.PEEK[TEXT]<0.9>)")
        self.assertTrue(data[0][1].startswith(b"Subject: Synthetic"))
        self.assertIn(b"The quick", data[1][1])
        self.assertIn(b'BODYSTRUCTURE ("TEXT" "PLAIN"', data[1][0])

    def test_multipart(self):
        mail = ("From: \"A, B\" <a@b.example>\r\nSubject: m\r\n"
                "Content-Type: multipart/mixed; boundary=\"xx\"\r\n\r\n"
                "preamble\r\n--xx\r\nContent-Type: text/html\r\n\r\n"
                "<p>\r\n--xx\r\nContent-Type: image/png; name=a.png\r\n"
                "Content-Transfer-Encoding: base64\r\n"
                "Content-Disposition: attachment; filename=a.png\r\n\r\n"
                "AAAA\r\n--xx--\r\nepilogue\r\n")
        box.create(DEMO, text=mail)
        server = self.imap()
        server.select()
        _, data = server.fetch("1", "(BODYSTRUCTURE ENVELOPE)")
        self.assertIn(b'"IMAGE" "PNG" ("NAME" "a.png")', data[0])
        self.assertIn(b'(("A, B" NIL "a" "b.example"))', data[0])
        for section, text in (("1", b"<p>"), ("2", b"AAAA"),
                              ("1.MIME", b"Content-Type: text/html\r\n\r\n")):
            _, data = server.fetch("1", "(BODY[%s])" % section)
            self.assertEqual(data[0][1], text)

    def test_append_copy_move_mailboxes(self):
        server = self.imap()
        self.assertEqual(server.create("Archive/2026")[0], "OK")
        _, data = server.append("Drafts", "(\\Seen)", None, MAIL.encode())
        self.assertIn(b"APPENDUID", data[0])
        self.assertEqual(box.mailbox(DEMO, "Drafts")[0]["flags"], ["\\Seen"])
        server.select("Drafts")
        self.assertEqual(server.copy("1", '"Archive/2026"')[0], "OK")
        self.assertEqual(server.uid("MOVE", "1", "Trash")[0], "OK")
        self.assertEqual(len(box.mailbox(DEMO, "Drafts")), 0)
        self.assertEqual(len(box.mailbox(DEMO, "Trash")), 1)
        names = b" ".join(server.list()[1])
        self.assertIn(b'"Archive/2026"', names)
        self.assertIn(b"\\Sent", names)
        box.settings(special_use=False)
        self.assertNotIn(b"\\Sent", b" ".join(server.list()[1]))
        self.assertEqual(server.status("Trash", "(MESSAGES UNSEEN)")[1],
                         [b'"Trash" (MESSAGES 1 UNSEEN 0)'])
        self.assertEqual(server.namespace()[0], "OK")
        self.assertEqual(server.delete("Archive/2026")[0], "OK")

    def test_idle_hears_of_delivery(self):
        server = self.imap(ALICE)
        server.select()
        server.send(b"i1 IDLE\r\n")
        self.assertEqual(server.readline()[:1], b"+")
        self.send(self.ready())
        self.assertEqual(server.readline(), b"* 1 EXISTS\r\n")
        server.readline()
        server.send(b"DONE\r\n")
        self.assertEqual(server.readline()[:5], b"i1 OK")

    def test_expunge_reaches_the_other_session_in_time(self):
        self.fill()
        one, two = self.imap(), self.imap()
        one.select()
        two.select()
        one.store("1", "+FLAGS", "\\Deleted")
        one.expunge()
        # no EXPUNGE may come in answer to FETCH by number
        two.fetch("3", "(UID)")
        self.assertEqual(two.response("EXPUNGE")[1], [None])
        two.noop()
        self.assertEqual(two.response("EXPUNGE")[1], [b"1"])

    def test_literals(self):
        box.settings(mechanisms=["PLAIN"])
        sock = self.tls_socket("imaps").makefile("rwb")
        sock.readline()
        sock.write(b"a LOGIN {4+}\r\ndemo {13}\r\n")
        sock.flush()
        self.assertEqual(sock.readline()[:1], b"+")
        sock.write(b"demo-password\r\nb LOGIN {99999999999}\r\n"
                   b"c NOOP\r\nd LOGOUT\r\n")
        sock.flush()
        text = sock.read()
        for part in (b"a OK", b"b BAD", b"c OK", b"* BYE", b"d OK"):
            self.assertIn(part, text)

    def test_not_connected(self):
        box.fault("m365-imap-not-connected")
        server = self.imap()
        server.capability()
        with self.assertRaises(imaplib.IMAP4.error) as caught:
            server.select()
        self.assertIn("not connected", str(caught.exception))
        for command in (server.namespace, server.list):
            with self.assertRaises(imaplib.IMAP4.error):
                command()
        with self.assertRaises(imaplib.IMAP4.abort):
            server.noop()
        self.assertEqual(self.imap().select()[0], "OK")

    def test_faults(self):
        for preset, text in (("gmail-imap-too-many-connections", "Too many"),
                             ("m365-imap-auth-failed", "AUTHENTICATE failed"),
                             ("gmail-imap-invalid-credentials", "Invalid"),
                             ("imap-bye-at-auth", "EOF")):
            box.fault(preset)
            with self.assertRaises(imaplib.IMAP4.error) as caught:
                self.imap()
            self.assertIn(text, str(caught.exception))
        box.fault("imap-garbage-greeting")
        self.assertEqual(len(until_closed(self.tls_socket("imaps"))), 4096)
        self.fill(1)
        server = self.imap()
        server.select()
        box.fault(protocol="imap", stage="fetch", after_bytes=500,
                  drop="before")
        with self.assertRaises(imaplib.IMAP4.abort):
            server.fetch("1", "(BODY[])")

    def test_concurrency_and_drop(self):
        box.settings(imap_concurrency=1)
        server = self.imap()
        with self.assertRaises(imaplib.IMAP4.error):
            self.imap()
        box.drop(protocol="imap", user=DEMO)
        with self.assertRaises(imaplib.IMAP4.abort):
            server.noop()

    def test_large_message(self):
        size = 20 << 20
        made = box.create(DEMO, size=size)[0]
        server = self.imap()
        server.select()
        _, data = server.fetch("1", "(BODY.PEEK[])")
        self.assertEqual(len(data[0][1]), size)
        self.assertEqual(hashlib.sha256(data[0][1]).hexdigest(),
                         made["sha256"])
