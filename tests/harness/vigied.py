"""vigied as an operator runs it: configuration file, certificate, start until ports.json is there, stop, kill, ctl."""
import json
import os
import signal
import subprocess
import time

from tests.harness import base, client, sandbox

PROGRAM = os.path.join(base.BUILD, "vigied")
CTL = os.path.join(base.BUILD, "vigiectl")


def make_certificate(directory):
    """A self-signed P-256 certificate for 127.0.0.1 and its key."""
    certificate, key = os.path.join(directory, "server.pem"), os.path.join(directory, "server.key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
                    "-keyout", key, "-out", certificate], check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return certificate, key


def text_of(settings):
    lines = []
    for section, keys in settings.items():
        lines.append("[%s]" % section)
        lines += ["%s = %s" % item for item in keys.items()]
        lines.append("")
    return "\n".join(lines)


class Node:
    """One node below `directory`. `settings` is {section: {key: value}} over the defaults of the tests."""

    def __init__(self, directory, conninfo, bootstrap, settings=None):
        self.directory = os.path.abspath(directory)
        os.makedirs(self.directory, exist_ok=True)
        self.state_dir = os.path.join(self.directory, "state")
        self.config = os.path.join(self.directory, "vigie.conf")
        self.log = os.path.join(self.directory, "vigied.log")
        self.certificate, key = make_certificate(self.directory)
        self.settings = {
            "node": {"name": "test", "state_dir": self.state_dir, "mode": "test"},
            "tls": {"certificate": self.certificate, "key": key},
            "listen": {"https": "127.0.0.1:0", "http": "127.0.0.1:0", "admin": "127.0.0.1:0"},
            "journal": {"segment_size": "4M", "low_water": "16M"},
            "postgres": {"conninfo": conninfo},
            "kafka": {"bootstrap": bootstrap},
            "alerting": {"presets_dir": os.path.join(base.ROOT, "config", "presets")},
        }
        for section, keys in (settings or {}).items():
            self.settings.setdefault(section, {}).update(keys)
        self.write_config()
        self.child = None
        self.ports = {}
        self.environment = {}  # over that of the test
        self.caged = True      # under the restrictions of systemd/vigied.service where the machine can

    def write_config(self):
        with open(os.open(self.config, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text_of(self.settings))

    def start(self, seconds=30):
        """Starts and waits until readings are accepted and ports.json says where."""
        self.spawn()
        self.wait_ready(seconds)
        return self

    def spawn(self):
        if not os.path.exists(PROGRAM):
            raise base.Failure("build/vigied is not built")
        try:
            os.remove(os.path.join(self.state_dir, "ports.json"))  # after kill -9 the old one is still there
        except FileNotFoundError:
            pass
        command = [PROGRAM, "--config", self.config]
        if self.caged and sandbox.is_possible():
            command = sandbox.command(command, [self.settings["node"]["state_dir"]], [self.directory])
        self.child = base.spawn(command, self.log, cwd=self.directory, env=dict(os.environ, **self.environment))

    def wait_ready(self, seconds=30):
        path = os.path.join(self.state_dir, "ports.json")

        def ready():
            if self.child.poll() is not None:
                raise base.Failure("vigied ended with %d\n%s" % (self.child.returncode, base.tail(self.log)))
            try:
                with open(path) as file:
                    return json.load(file)
            except (FileNotFoundError, ValueError):
                return None

        try:
            self.ports = base.wait_for("vigied is ready", ready, seconds, 0.01)
        except base.Failure as failure:
            raise base.Failure("%s\n%s" % (failure, base.tail(self.log)))

    def stop(self):
        """SIGTERM: drains and exits 0."""
        if self.child is not None:
            child, self.child = self.child, None
            status = base.stop_process(child, signal.SIGTERM, 30)
            base.equal(status, 0, "exit status of vigied\n" + base.tail(self.log))

    def kill(self):
        if self.child is not None:
            child, self.child = self.child, None
            base.stop_process(child, signal.SIGKILL)

    def restart(self):
        self.stop()
        return self.start()

    def ctl(self, *arguments, expect=0, stdin=None):
        """vigiectl; returns its standard output, or (status, output, errors) with expect=None."""
        done = subprocess.run([CTL, "--config", self.config] + list(arguments), input=stdin or b"",
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, cwd=self.directory)
        output, errors = done.stdout.decode(), done.stderr.decode(errors="replace")
        if expect is None:
            return done.returncode, output, errors
        base.equal(done.returncode, expect, "vigiectl", " ".join(arguments), output[-500:], errors[-1500:])
        return output

    def import_rows(self, rows, expect=0):
        path = os.path.join(self.directory, "import.ndjson")
        with open(path, "w") as file:
            for row in rows:
                file.write((row if isinstance(row, str) else json.dumps(row)) + "\n")
        return self.ctl("import", path, expect=expect)

    def https(self, token=None, timeout=30):
        return client.Client(self.ports["https"], token, self.certificate, timeout=timeout)

    def http(self, token=None, timeout=30):
        return client.Client(self.ports["http"], token, timeout=timeout)

    def admin(self, token=None):
        return client.Client(self.ports["admin"], token)

    def control(self):
        """The same through admin.sock, where root and the daemon's own user have every role."""
        return client.Client(unix=os.path.join(self.state_dir, "admin.sock"))

    def clock(self, order=None):
        """The test clock: {"set": T}, {"advance": D}, {"run": true}, None to ask. Returns its answer."""
        with_control = self.control()
        try:
            answer = (with_control.get("/v1/test/clock") if order is None
                      else with_control.post("/v1/test/clock", order))
        finally:
            with_control.close()
        base.equal(answer.status, 200, "test clock", order, answer)
        return answer.json()

    def metrics(self):
        """{"name{labels}": value} of /metrics."""
        admin = self.admin()
        answer = admin.get("/metrics")
        admin.close()
        base.equal(answer.status, 200, "/metrics", answer)
        values = {}
        for line in answer.body.decode().split("\n"):
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                values[name] = float(value)
        return values

    def lag(self, sink):
        return self.metrics()['vigie_sink_lag_records{sink="%s"}' % sink]

    def wait_drained(self, *sinks, seconds=60):
        """Until the sinks have what the journal has."""
        for sink in sinks or ("postgres", "kafka"):
            base.wait_for("%s has all\n%s" % (sink, base.tail(self.log)), lambda: self.lag(sink) == 0, seconds, 0.1)
        time.sleep(0.05)
