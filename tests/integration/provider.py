# SPDX-License-Identifier: Apache-2.0
"""provider.py: an OpenID provider for tests, independent of the appliance's code, and an attacker's when
asked to be: what it says and how it signs can be changed for the next token.

    with Provider() as p:
        p.settings(create=True)              a member of auth.providers
        p.person = {"sub": "1", "email": ...}
        back = p.visit(location)             what a browser does there: the address it is sent back to
        p.claims = {"iss": "https://x"}      changes of the next ID token; a value None removes it
        p.header = {"alg": "none"}           likewise
        p.keys                               the keys it publishes, the first one signs
"""
import base64
import hashlib
import hmac
import json
import os
import pathlib
import subprocess
import tempfile
import time
import urllib.parse

from server import Server

CLIENT, SECRET = "the-appliance", "s3cret: with blanks & more"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(n):
    return b64(n.to_bytes((n.bit_length() + 7) // 8, "big"))


class Key:
    """A key pair of openssl's; RS256 or ES256."""

    def __init__(self, alg="ES256", kid=None):
        self.alg, self.kid = alg, kid or os.urandom(6).hex()
        self.directory = tempfile.TemporaryDirectory(prefix="openpolicy-key-")
        self.file = str(pathlib.Path(self.directory.name, "key.pem"))
        kind = (["RSA", "-pkeyopt", "rsa_keygen_bits:2048"] if alg == "RS256" else
                ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"])
        self.openssl("genpkey", "-algorithm", *kind, "-out", self.file)

    def openssl(self, *args, data=None):
        return subprocess.run(("openssl",) + args, input=data, check=True, capture_output=True, timeout=60).stdout

    def jwk(self):
        common = {"kid": self.kid, "alg": self.alg, "use": "sig"}
        if self.alg == "RS256":
            text = self.openssl("rsa", "-in", self.file, "-modulus", "-noout").decode()
            return dict(common, kty="RSA", n=number(int(text.strip().split("=")[1], 16)), e="AQAB")
        point = self.public()[-64:]
        return dict(common, kty="EC", crv="P-256", x=b64(point[:32]), y=b64(point[32:]))

    def public(self):
        return self.openssl("pkey", "-in", self.file, "-pubout", "-outform", "DER")

    def sign(self, data):
        made = self.openssl("dgst", "-sha256", "-sign", self.file, data=data)
        return made if self.alg == "RS256" else plain_ecdsa(made)


def plain_ecdsa(der):
    """DER's two INTEGERs as r || s (RFC 7518 3.4)."""
    at, out = 2, b""
    for _ in range(2):
        n = der[at + 1]
        out += int.from_bytes(der[at + 2:at + 2 + n], "big").to_bytes(32, "big")
        at += 2 + n
    return out


class Provider(Server):
    def __init__(self, path="/realm"):
        super().__init__(tls=True, name="id.test")
        self.path = path
        self.issuer = self.url(path)
        self.person = {"sub": "person-1", "email": "grace@example.org", "email_verified": True, "name": "Grace"}
        self.keys = [Key()]
        self.claims, self.header, self.discovery = {}, {}, {}
        self.secret = None       # signs with HMAC instead
        self.signer = None       # signs instead of the first key
        self.keep_iss = True     # names itself in the answer (RFC 9207)
        self.codes = {}
        self.in_userinfo = False  # the address is told there alone

    def settings(self, **more):
        return dict({"issuer": self.issuer, "client_id": CLIENT, "client_secret": SECRET, "ca_cert": self.ca,
                     "server_name": self.name}, **more)

    # ---- What a browser does here ----------------------------------------------------------------

    def visit(self, location, **change):
        """Signs the person in at once; the query the browser carries back, as a dict."""
        url = urllib.parse.urlsplit(location)
        asked = dict(urllib.parse.parse_qsl(url.query, strict_parsing=True))
        assert location.startswith(self.issuer + "/authorize?"), location
        assert asked["response_type"] == "code" and asked["client_id"] == CLIENT, asked
        assert asked["code_challenge_method"] == "S256" and len(asked["code_challenge"]) == 43, asked
        code = b64(os.urandom(16))
        self.codes[code] = asked
        back = {"code": code, "state": asked["state"]}
        if self.keep_iss:
            back["iss"] = self.issuer
        back.update(change)
        return {k: v for k, v in back.items() if v is not None}

    # ---- What the appliance asks -----------------------------------------------------------------

    def answer(self, seen):
        path = seen.path.partition("?")[0]
        found = {"/.well-known/openid-configuration": self.configuration, "/jwks": self.jwks,
                 "/token": self.token, "/userinfo": self.userinfo}
        if not path.startswith(self.path) or path[len(self.path):] not in found:
            return 404, {}, b""
        status, body = found[path[len(self.path):]](seen)
        return status, {"Content-Type": "application/json"}, json.dumps(body).encode()

    def configuration(self, seen):
        base = {"issuer": self.issuer, "authorization_endpoint": self.issuer + "/authorize",
                "token_endpoint": self.issuer + "/token", "userinfo_endpoint": self.issuer + "/userinfo",
                "jwks_uri": self.issuer + "/jwks", "authorization_response_iss_parameter_supported": self.keep_iss}
        return 200, {k: v for k, v in dict(base, **self.discovery).items() if v is not None}

    def jwks(self, seen):
        return 200, {"keys": [{"kty": "oct", "k": b64(b"never usable"), "kid": "o"}] + [k.jwk() for k in self.keys]}

    def token(self, seen):
        form = dict(urllib.parse.parse_qsl(seen.body.decode(), strict_parsing=True))
        who = (form.get("client_id"), form.get("client_secret"))
        header = seen.headers.get("authorization", "")
        if header.startswith("Basic "):
            who = tuple(map(urllib.parse.unquote, base64.b64decode(header[6:]).decode().split(":")))
        asked = self.codes.pop(form["code"], None)
        verifier = hashlib.sha256(form["code_verifier"].encode()).digest()
        if who != (CLIENT, SECRET):
            return 401, {"error": "invalid_client"}
        if not asked or form["redirect_uri"] != asked["redirect_uri"] or b64(verifier) != asked["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        access = b64(os.urandom(16))
        return 200, {"access_token": access, "token_type": "Bearer", "id_token": self.id_token(asked, access)}

    def userinfo(self, seen):
        return (200, self.person) if seen.headers.get("authorization", "").startswith("Bearer ") else (401, {})

    def id_token(self, asked, access):
        now = int(time.time())
        key = self.signer or self.keys[0]
        claims = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"],
                  "at_hash": b64(hashlib.sha256(access.encode()).digest()[:16])}
        claims.update({"sub": self.person["sub"]} if self.in_userinfo else self.person)
        header = dict({"alg": key.alg, "typ": "JWT", "kid": key.kid}, **self.header)
        claims = {k: v for k, v in dict(claims, **self.claims).items() if v is not None}
        header = {k: v for k, v in header.items() if v is not None}
        signed = b64(json.dumps(header).encode()) + "." + b64(json.dumps(claims).encode())
        if header.get("alg") == "none":
            return signed + "."
        made = hmac.digest(self.secret, signed.encode(), "sha256") if self.secret else key.sign(signed.encode())
        return signed + "." + b64(made)
