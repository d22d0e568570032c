"""The authorization server."""

import base64
import json
import threading
import urllib.error

from selfcase import (ALICE, DEMO, DEVICE, REDIRECT, Case, box, client,
                      query)


class OAuthTest(Case):
    def test_discovery_and_jwks(self):
        for path in ("openid-configuration", "oauth-authorization-server"):
            status, _, body = self.http("/.well-known/" + path)
            meta = json.loads(body)
            self.assertEqual((status, meta["issuer"]), (200, box.issuer))
        self.assertEqual(meta["code_challenge_methods_supported"], ["S256"])
        keys = json.loads(self.http("/jwks")[2])["keys"]
        self.assertEqual(keys[0]["alg"], "RS256")

    def test_code_flow(self):
        body = self.sign_in()
        self.assertEqual(body["token_type"], "Bearer")
        self.assertEqual(body["expires_in"], 3600)
        claims = body["id_token"].split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(claims + "=="))
        self.assertEqual(claims["email"], DEMO)
        status, _, info = self.http("/userinfo", headers={
            "Authorization": "Bearer " + body["access_token"]})
        self.assertEqual((status, json.loads(info)["email"]), (200, DEMO))

    def test_public_client(self):
        url, verifier = self.authorize_url(client_id="sandbox-public")
        code = query(box.approve(url))["code"]
        form = dict(grant_type="authorization_code", code=code,
                    client_id="sandbox-public", redirect_uri=REDIRECT,
                    code_verifier=verifier)
        self.assertEqual(
            self.token(None, client_secret="x", **form)[0], 401)
        self.assertEqual(self.token(None, **form)[0], 200)

    def test_client_secret_by_post_and_wrong(self):
        token = box.mint(DEMO)["refresh_token"]
        form = dict(grant_type="refresh_token", refresh_token=token)
        status, body = self.token("sandbox:nonsense", **form)
        self.assertEqual((status, body["error"]), (401, "invalid_client"))
        self.assertEqual(self.token(None, client_id="sandbox", **form)[0],
                         401)
        self.assertEqual(self.token(None, client_id="sandbox", client_secret=(
            "sandbox-secret"), **form)[0], 200)

    def test_pkce_and_redirect_are_checked(self):
        url, _ = self.authorize_url(code_challenge=None)
        self.assertEqual(query(box.approve(url))["error"], "invalid_request")
        url, _ = self.authorize_url(redirect_uri="https://evil.example/")
        with self.assertRaises(client.SandboxError):
            box.approve(url)
        for redirect in (REDIRECT, REDIRECT + "x"):
            url, verifier = self.authorize_url()
            code = query(box.approve(url))["code"]
            verifier = verifier[::-1] if redirect == REDIRECT else verifier
            status, body = self.token(
                grant_type="authorization_code", code=code,
                redirect_uri=redirect, code_verifier=verifier)
            self.assertEqual((status, body["error"]), (400, "invalid_grant"))

    def test_code_used_twice_kills_the_grant(self):
        url, verifier = self.authorize_url()
        form = dict(grant_type="authorization_code", redirect_uri=REDIRECT,
                    code=query(box.approve(url))["code"],
                    code_verifier=verifier)
        first = self.token(**form)[1]
        self.assertEqual(self.token(**form)[0], 400)
        self.assertEqual(self.refresh(first["refresh_token"])[0], 400)

    def test_form_auto_approve_and_deny(self):
        url, _ = self.authorize_url()
        status, _, body = self.http(url)
        self.assertEqual(status, 200)
        self.assertIn(b"<form", body)
        box.settings(auto_approve=True)
        status, headers, _ = self.http(url)
        self.assertEqual(status, 302)
        self.assertIn("code", query(headers["Location"]))
        self.assertEqual(query(box.approve(url, deny=True))["error"],
                         "access_denied")

    def test_refresh_token_only_with_consent(self):
        self.assertNotIn("refresh_token", self.sign_in(prompt=None))
        box.settings(withhold_scopes=["mail"])
        self.assertNotIn("mail", self.sign_in()["scope"].split())

    def test_rotation_and_reuse(self):
        first = self.sign_in()["refresh_token"]
        _, second = self.refresh(first)
        self.assertNotEqual(first, second["refresh_token"])
        self.assertEqual(self.refresh(first)[1]["error"], "invalid_grant")
        self.assertEqual(self.refresh(second["refresh_token"])[0], 400)
        report = box.tokens()
        self.assertEqual(report["family_revocations"][DEMO], 1)
        self.assertEqual(report["refreshes"][DEMO], 1)
        self.assertEqual(report["max_in_flight"][DEMO], 1)
        self.assertNotIn(first, json.dumps(report))
        self.assertNotIn(first, json.dumps(box.log()))

    def test_rotation_switches(self):
        token = box.mint(DEMO)["refresh_token"]
        box.settings(rotate=False)
        self.assertNotIn("refresh_token", self.refresh(token)[1])
        self.assertEqual(self.refresh(token)[0], 200)
        box.settings(rotate=True, reuse="allow", expires_in="string")
        for _ in range(2):
            status, body = self.refresh(token)
            self.assertEqual((status, body["expires_in"]), (200, "3600"))

    def test_device_flow(self):
        box.settings(device_interval=1)
        form = {"client_id": "sandbox", "scope": box.env["SCOPE"]}
        status, _, body = self.http("/device_authorization", form,
                                    "sandbox:sandbox-secret")
        self.assertEqual(status, 200)
        device = json.loads(body)
        poll = dict(grant_type=DEVICE, device_code=device["device_code"])
        self.assertEqual(self.token(**poll)[1]["error"],
                         "authorization_pending")
        self.assertEqual(self.token(**poll)[1]["error"], "slow_down")
        self.assertEqual(box.log(event="slow-down")[0]["interval"], 6)
        device = json.loads(self.http("/device_authorization", form,
                                      "sandbox:sandbox-secret")[2])
        box.approve_device(device["user_code"])
        poll["device_code"] = device["device_code"]
        self.assertIn("refresh_token", self.token(**poll)[1])

    def test_device_denied_and_expired(self):
        for decision, error in (("deny", "access_denied"),
                                ("expire", "expired_token")):
            device = json.loads(self.http(
                "/device_authorization", {"scope": "mail"},
                "sandbox:sandbox-secret")[2])
            box.approve_device(device["user_code"], decision=decision)
            self.assertEqual(self.token(
                grant_type=DEVICE,
                device_code=device["device_code"])[1]["error"], error)

    def test_revoke(self):
        body = self.sign_in()
        self.assertEqual(self.http("/revoke", {
            "token": body["refresh_token"]}, "sandbox:sandbox-secret")[0], 200)
        self.assertEqual(self.refresh(body["refresh_token"])[0], 400)
        self.assertEqual(self.http("/userinfo", headers={
            "Authorization": "Bearer " + body["access_token"]})[0], 401)

    def test_kill_grant_with_entra_text(self):
        body = self.sign_in()
        self.assertEqual(box.kill_grant(DEMO, aadsts=50173)["grants"], 1)
        status, error = self.refresh(body["refresh_token"])
        self.assertEqual((status, error["error"], error["error_codes"]),
                         (400, "invalid_grant", [50173]))
        self.assertIn("AADSTS50173", error["error_description"])

    def test_token_faults(self):
        token = box.mint(DEMO)["refresh_token"]
        box.fault("token-429")
        status, headers, _ = self.http(
            "/token", {"grant_type": "refresh_token",
                       "refresh_token": token}, "sandbox:sandbox-secret")
        self.assertEqual((status, headers["Retry-After"]), (429, "2"))
        box.fault("captive-portal-400")
        status, _, body = self.http("/token", {})
        self.assertEqual((status, body[:9]), (400, b"<!doctype"))
        box.fault("token-503-retry-after", match={"user": ALICE})
        self.assertEqual(self.refresh(token)[0], 200)
        self.assertEqual(len(box.faults()), 1)

    def test_token_dropped_before_and_after(self):
        token = box.mint(DEMO)["refresh_token"]
        for preset in ("token-drop-before", "token-drop-after"):
            box.fault(preset)
            with self.assertRaises((urllib.error.URLError, OSError)):
                self.refresh(token)
        # the first did nothing; the second has rotated: this is reuse
        self.assertEqual(self.refresh(token)[0], 400)
        self.assertEqual(box.tokens()["family_revocations"][DEMO], 1)

    def test_refreshes_in_flight_are_counted(self):
        token = box.mint(DEMO)["refresh_token"]
        box.settings(rotate=False)
        box.fault(protocol="oauth", stage="token", delay=0.3, times=2)
        both = [threading.Thread(target=self.refresh, args=(token,))
                for _ in range(2)]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
        report = box.tokens()
        self.assertEqual(report["max_in_flight"][DEMO], 2)
        self.assertEqual(report["refreshes"][DEMO], 2)

    def test_admin_consent_clears_the_fault(self):
        token = box.mint(DEMO)["refresh_token"]
        box.fault(aadsts=65001, times=0, cleared_by="adminconsent")
        for _ in range(2):
            self.assertEqual(self.refresh(token)[0], 400)
        self.assertEqual(self.http("/adminconsent?client_id=sandbox")[0], 200)
        self.assertEqual(self.refresh(token)[0], 200)
