# SPDX-License-Identifier: Apache-2.0
"""authority.py: an authority that makes certificates, its files in one directory.

They are valid since yesterday: `openssl req -x509` and `x509 -req` make them valid from this second
on, and the appliance's clock, read in whole seconds, may be a second behind ours."""
import datetime
import os
import subprocess
import tempfile

SETTINGS = """[ca]
default_ca = here
[here]
dir = .
database = index.txt
new_certs_dir = .
rand_serial = yes
unique_subject = no
default_md = sha256
policy = names
[names]
organizationName = optional
commonName = supplied
"""
DAY = datetime.timedelta(days=1)


class Authority:
    def __init__(self, name="Test authority"):
        self.directory = tempfile.TemporaryDirectory(prefix="openpolicy-authority-")
        self._write("ca.conf", SETTINGS)
        self.pem = self._sign("ca", f"/CN={name}", "basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash",
                              30, "-selfsign")["chain"]

    def make(self, name, extension, days=30):
        """A key and a certificate for `name`: two PEM texts, and name.key and name.pem in the directory."""
        return self._sign(name, f"/O=Test/CN={name}", extension, days, "-cert", "ca.pem")

    def path(self, name):
        return os.path.join(self.directory.name, name)

    def close(self):
        self.directory.cleanup()

    def _sign(self, name, subject, extension, days, *by):
        now = datetime.datetime.now(datetime.timezone.utc)
        self._write("index.txt", "")
        self._write(f"{name}.ext", extension + "\n")
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key",
                      "-out", f"{name}.csr", "-subj", subject)
        self._openssl("ca", "-batch", "-notext", "-config", "ca.conf", "-startdate", f"{now - DAY:%Y%m%d%H%M%SZ}",
                      "-enddate", f"{now + days * DAY:%Y%m%d%H%M%SZ}", "-extfile", f"{name}.ext", "-in", f"{name}.csr",
                      "-out", f"{name}.pem", "-keyfile", "ca.key", *by)
        return {"key": self._read(f"{name}.key"), "chain": self._read(f"{name}.pem")}

    def _openssl(self, *arguments):
        subprocess.run(("openssl",) + arguments, cwd=self.directory.name, check=True, timeout=60,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)

    def _read(self, name):
        with open(self.path(name)) as f:
            return f.read()
