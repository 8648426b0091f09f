"""A certificate authority of the tests: issues client and server certificates, revokes, and signs revocation lists."""
import datetime
import os
import ssl
import subprocess

CONFIG = """
[ca]
default_ca = own
[own]
dir = %(directory)s
database = %(directory)s/index.txt
serial = %(directory)s/serial
crlnumber = %(directory)s/crlnumber
new_certs_dir = %(directory)s
certificate = %(directory)s/ca.pem
private_key = %(directory)s/ca.key
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
x509_extensions = leaf
[any]
commonName = supplied
[leaf]
basicConstraints = CA:FALSE
"""


def stamp(days):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)
    return at.strftime("%y%m%d%H%M%SZ")


class Authority:
    def __init__(self, directory, name="Test authority"):
        self.directory = os.path.abspath(directory)
        os.makedirs(self.directory, exist_ok=True)
        self.certificate, self.crl = self.path("ca.pem"), self.path("crl.pem")
        self._write("openssl.cnf", CONFIG % {"directory": self.directory})
        self._write("index.txt", "")
        self._write("serial", "1000\n")
        self._write("crlnumber", "01\n")
        self._run("req", "-x509", *self._new_key("ca.key"), "-subj", "/CN=" + name, "-days", "30", "-addext",
                  "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-out",
                  self.certificate)
        self.sign_list()

    def path(self, name):
        return os.path.join(self.directory, name)

    def _write(self, name, text):
        with open(self.path(name), "w") as file:
            file.write(text)

    def _new_key(self, name):
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.path(name))

    def _run(self, *arguments):
        subprocess.run(["openssl"] + list(arguments), check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.PIPE)

    def _ca(self, *arguments):
        self._run("ca", "-batch", "-config", self.path("openssl.cnf"), *arguments)

    def issue(self, name, dns=(), days=(-1, 20)):
        """Certificate and key with common name `name`, valid between the two days from now."""
        request, certificate = self.path(name + ".csr"), self.path(name + ".pem")
        alternative = ("-addext", "subjectAltName=" + ",".join("DNS:" + one for one in dns)) if dns else ()
        self._run("req", "-new", *self._new_key(name + ".key"), "-subj", "/CN=" + name, *alternative, "-out", request)
        self._ca("-notext", "-in", request, "-startdate", stamp(days[0]), "-enddate", stamp(days[1]), "-out",
                 certificate)
        return certificate, self.path(name + ".key")

    def revoke(self, name):
        self._ca("-revoke", self.path(name + ".pem"))

    def sign_list(self, days=(-1, 20)):
        """The revocation list anew; its next update is the second day from now."""
        self._ca("-gencrl", "-crl_lastupdate", stamp(days[0]), "-crl_nextupdate", stamp(days[1]), "-out",
                 self.path("crl.new"))
        os.replace(self.path("crl.new"), self.crl)


def context(trusted, pair=None):
    """A client's context that trusts the daemon's certificate and shows its own."""
    made = ssl.create_default_context(cafile=trusted)
    made.check_hostname = False
    if pair:
        made.load_cert_chain(*pair)
    return made
