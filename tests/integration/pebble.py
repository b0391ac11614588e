# SPDX-License-Identifier: Apache-2.0
"""pebble.py: a certificate authority to practise with: Debian's pebble, its name server, and ways
from it to an appliance.

    with Pebble(appliance_ports=lambda: (a.http_port, a.https_port), connect=a._connect) as p:
        p.directory, p.trust        its URL as the appliance sees it; PEM of who vouches for its server
        p.root()                    PEM of the authority whose certificates it gives

Names of all kinds are ours: its name server answers 127.0.0.1. It looks three times at once, which
is more than the emulator's network takes, so each of its connections comes through a relay that opens
them one after the other. Refusing one nonce in twenty and giving authorizations a second time are
left as pebble does them."""
import json
import os
import socket
import ssl
import subprocess
import threading
import urllib.request

from appliance import free_port, until
from authority import Authority
from server import APPLIANCE_SEES


class Relay:
    """A listener of ours whose connections go to a port of the appliance."""

    def __init__(self, port, connect):
        self.target, self.connect = port, connect
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                one, _ = self.listener.accept()
            except OSError:
                return
            try:
                other = self.connect(("127.0.0.1", self.target()), 30)
            except OSError:
                one.close()
                continue
            for a, b in ((one, other), (other, one)):
                threading.Thread(target=self._pump, args=(a, b), daemon=True).start()

    @staticmethod
    def _pump(a, b):
        try:
            while piece := a.recv(65536):
                b.sendall(piece)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.listener.close()


class Pebble:
    def __init__(self, http_port, https_port, connect, validity=None, binding=None):
        self.authority = Authority("Pebble's server")
        self.authority.make("pebble", f"subjectAltName=IP:{APPLIANCE_SEES},IP:127.0.0.1")
        self.trust = self.authority.pem
        self.relays = [Relay(http_port, connect), Relay(https_port, connect)]
        self.port, self.manager = free_port(), free_port()
        self.dns, self.dns_manager = free_port(), free_port()
        settings = {"listenAddress": f"127.0.0.1:{self.port}",
                    "managementListenAddress": f"127.0.0.1:{self.manager}",
                    "certificate": self.authority.path("pebble.pem"), "privateKey": self.authority.path("pebble.key"),
                    "httpPort": self.relays[0].port, "tlsPort": self.relays[1].port, "ocspResponderURL": ""}
        if validity:
            settings["certificateValidityPeriod"] = validity
        if binding:
            settings |= {"externalAccountBindingRequired": True, "externalAccountMACKeys": binding}
        with open(self.authority.path("pebble.json"), "w") as f:
            json.dump({"pebble": settings}, f)
        self.processes = []

    directory = property(lambda self: f"https://{APPLIANCE_SEES}:{self.port}/dir")

    def _run(self, *command):
        log = open(self.authority.path(os.path.basename(command[0]) + ".log"), "w")
        self.processes.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT,
                                               env=dict(os.environ, PEBBLE_VA_NOSLEEP="1")))
        log.close()

    def log(self):
        with open(self.authority.path("pebble.log")) as f:
            return f.read()

    def _get(self, port, path):
        context = ssl.create_default_context(cadata=self.trust)
        with urllib.request.urlopen(f"https://127.0.0.1:{port}{path}", timeout=10, context=context) as r:
            return r.read()

    def root(self):
        return self._get(self.manager, "/roots/0").decode()

    def _ready(self):
        try:
            return self._get(self.port, "/dir")
        except OSError:
            return None

    @staticmethod
    def _listens(port):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0

    def __enter__(self):
        self._run("pebble-challtestsrv", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-http01", "", "-https01", "",
                  "-tlsalpn01", "", "-dns01", f"127.0.0.1:{self.dns}",
                  "-management", f"127.0.0.1:{self.dns_manager}")
        self._run("pebble", "-config", self.authority.path("pebble.json"), "-dnsserver", f"127.0.0.1:{self.dns}")
        until(self._ready, 20, why="pebble")
        until(lambda: self._listens(self.dns_manager), 20, why="pebble's name server")
        return self

    def __exit__(self, *unused):
        for p in self.processes:
            p.kill()
            p.wait()
        for r in self.relays:
            r.close()
        self.authority.close()
