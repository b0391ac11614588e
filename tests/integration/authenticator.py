# SPDX-License-Identifier: Apache-2.0
"""authenticator.py: a device with passkeys, and the browser in front of it, independent of the
appliance's code: keys and signatures are openssl's, CBOR is written here."""
import base64
import hashlib
import json
import os
import pathlib
import struct
import subprocess
import tempfile


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def cbor(v):
    """Canonical CBOR of what WebAuthn needs."""
    def head(major, n):
        if n < 24:
            return bytes([major << 5 | n])
        for info, form in ((24, ">B"), (25, ">H"), (26, ">I"), (27, ">Q")):
            if n < 1 << 8 * struct.calcsize(form):
                return bytes([major << 5 | info]) + struct.pack(form, n)
    if isinstance(v, int):
        return head(0, v) if v >= 0 else head(1, -1 - v)
    if isinstance(v, bytes):
        return head(2, len(v)) + v
    if isinstance(v, str):
        return head(3, len(v.encode())) + v.encode()
    if isinstance(v, list):
        return head(4, len(v)) + b"".join(map(cbor, v))
    return head(5, len(v)) + b"".join(cbor(k) + cbor(x) for k, x in v.items())


class Authenticator:
    PRESENT, VERIFIED, MADE = 1, 4, 64

    def __init__(self, origin, algorithm=-7):
        self.origin, self.algorithm = origin, algorithm
        self.id, self.counter, self.handle = os.urandom(32), 0, None
        self.directory = tempfile.TemporaryDirectory()
        self.file = pathlib.Path(self.directory.name, "key.pem")
        kind = (["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"] if algorithm == -257 else
                ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"])
        self.openssl("genpkey", *kind, "-out", str(self.file))

    def openssl(self, *args, data=None):
        return subprocess.run(("openssl",) + args, input=data, check=True, capture_output=True).stdout

    def sign(self, data):
        return self.openssl("dgst", "-sha256", "-sign", str(self.file), data=data)

    def cose(self):
        if self.algorithm == -257:
            text = self.openssl("rsa", "-in", str(self.file), "-modulus", "-noout").decode()
            return {1: 3, 3: -257, -1: bytes.fromhex(text.strip().split("=")[1]), -2: b"\1\0\1"}
        point = self.openssl("pkey", "-in", str(self.file), "-pubout", "-outform", "DER")[-64:]
        return {1: 2, 3: -7, -1: 1, -2: point[:32], -3: point[32:]}

    def client_data(self, kind, challenge, change):
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin,
                           "crossOrigin": False, **change}).encode()

    def data(self, site, flags, counter=None):
        self.counter += 1
        return (hashlib.sha256(site.encode()).digest() + bytes([flags]) +
                struct.pack(">I", self.counter if counter is None else counter))

    def create(self, options, fmt="none", flags=PRESENT | VERIFIED, site=None, **change):
        """PublicKeyCredential.toJSON() of navigator.credentials.create()."""
        options = options["publicKey"]
        assert self.algorithm in [p["alg"] for p in options["pubKeyCredParams"]]
        self.handle = options["user"]["id"]
        client = self.client_data("webauthn.create", options["challenge"], change)
        data = (self.data(site or options["rp"]["id"], flags | self.MADE) + bytes(16) +
                struct.pack(">H", len(self.id)) + self.id + cbor(self.cose()))
        statement = {}
        if fmt == "packed":
            statement = {"alg": self.algorithm, "sig": self.sign(data + hashlib.sha256(client).digest())}
        return {"id": b64(self.id), "rawId": b64(self.id), "type": "public-key",
                "clientExtensionResults": {}, "authenticatorAttachment": "platform",
                "response": {"clientDataJSON": b64(client), "transports": ["internal"],
                             "attestationObject": b64(cbor({"fmt": fmt, "attStmt": statement,
                                                            "authData": data}))}}

    def get(self, options, flags=PRESENT | VERIFIED, site=None, counter=None, **change):
        """PublicKeyCredential.toJSON() of navigator.credentials.get()."""
        options = options["publicKey"]
        client = self.client_data("webauthn.get", options["challenge"], change)
        data = self.data(site or options["rpId"], flags, counter)
        return {"id": b64(self.id), "rawId": b64(self.id), "type": "public-key",
                "clientExtensionResults": {},
                "response": {"clientDataJSON": b64(client), "authenticatorData": b64(data),
                             "signature": b64(self.sign(data + hashlib.sha256(client).digest())),
                             "userHandle": self.handle}}
