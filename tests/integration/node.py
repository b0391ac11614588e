# SPDX-License-Identifier: Apache-2.0
"""node.py: programs for Node.js against the appliance, with packages its users have.

    said = node.run(a, "opa_client.mjs", token)     the JSON object its last line is

Packages are the `npm` lines of tests/deps.lock; they are linked below build/node/node_modules under
the names programs import. The appliance's certificate is its own, so it is named as an authority to
Node.js rather than checked by nobody.
"""
import json
import os
import shutil
import ssl
import subprocess

from appliance import HERE, TOP

PLACE = os.path.join(TOP, "build/node")


def packages():
    with open(os.path.join(TOP, "tests/deps.lock"), encoding="utf-8") as lock:
        for line in lock:
            field = line.split()
            if len(field) == 6 and field[3] == "npm" and not line.startswith("#"):
                yield field[2], os.path.join(TOP, "build/deps", f"{field[0]}-{field[1]}")


def prepare():
    modules = os.path.join(PLACE, "node_modules")
    for name, source in packages():
        link = os.path.join(modules, name)
        os.makedirs(os.path.dirname(link), exist_ok=True)
        if not os.path.islink(link) or os.readlink(link) != source:
            if os.path.lexists(link):
                os.unlink(link)
            os.symlink(source, link)


def run(a, script, *arguments, seconds=60, env=None):
    """The script's last line as JSON; its first two arguments are the addresses (https, http)."""
    prepare()
    place = os.path.join(PLACE, script)
    shutil.copyfile(os.path.join(HERE, "node", script), place + f".{os.getpid()}")
    os.replace(place + f".{os.getpid()}", place)
    authority = os.path.join(a.directory, "certificate.pem")
    with open(authority, "w", encoding="ascii") as f:
        f.write(ssl.get_server_certificate((a.host, a.https_port)))
    command = [shutil.which("node"), "--preserve-symlinks", "--preserve-symlinks-main", place,
               f"https://localhost:{a.https_port}", f"http://{a.host}:{a.http_port}", *arguments]
    r = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False,
                       env={**os.environ, "NODE_EXTRA_CA_CERTS": authority, **(env or {})})
    assert r.returncode == 0, f"{script} ended with {r.returncode}:\n{r.stdout}{r.stderr}"
    return json.loads(r.stdout.strip().splitlines()[-1])
