"""A private PostgreSQL cluster below a directory: own port on loopback, own random password, nothing of the system.

The server refuses to run as root, so root runs it in a user namespace in which it is somebody else.
"""
import glob
import os
import pwd
import secrets
import signal
import subprocess

from tests.harness import base

SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 60
shared_buffers = 64MB
max_wal_size = 512MB
logging_collector = off
jit = off
log_min_duration_statement = -1
log_line_prefix = '%m [%p] %a '
"""


def find_programs():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"),
                   key=lambda path: int(path.split("/")[4].split(".")[0]))
    if not found:
        raise base.Unavailable("no PostgreSQL server installed: tests/deps.sh")
    return os.path.dirname(found[-1])


def as_somebody():
    """Root is shown to the server as the user that its package made: initdb asks for a name."""
    if os.geteuid() != 0:
        return []
    try:
        uid = pwd.getpwnam("postgres").pw_uid
    except KeyError:
        uid = pwd.getpwnam("nobody").pw_uid
    return ["unshare", "--user", "--map-user=%d" % uid]


class Cluster:
    """durable=False leaves out fsync: our tests kill processes, never the machine."""

    def __init__(self, directory, durable=False):
        self.directory = os.path.abspath(directory)
        self.data = os.path.join(self.directory, "data")
        self.log = os.path.join(self.directory, "postgresql.log")
        self.programs = find_programs()
        self.child = None
        if os.path.exists(os.path.join(self.data, "PG_VERSION")):
            with open(os.path.join(self.directory, "password")) as file:
                self.password = file.read().strip()
            with open(os.path.join(self.directory, "port")) as file:
                self.port = int(file.read())
        else:
            self._make(durable)

    def _make(self, durable):
        os.makedirs(self.directory, exist_ok=True)
        self.password = secrets.token_hex(16)
        self.port = base.free_port()
        password_file = os.path.join(self.directory, "password")
        with open(os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(self.password + "\n")
        with open(os.path.join(self.directory, "port"), "w") as file:
            file.write(str(self.port))
        command = as_somebody() + [os.path.join(self.programs, "initdb"), "-D", self.data, "-U", "postgres",
                                   "-E", "UTF8", "--locale=C", "--auth=scram-sha-256", "--no-sync",
                                   "--pwfile=" + password_file]
        made = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, cwd=self.directory)
        base.equal(made.returncode, 0, "initdb", made.stdout.decode(errors="replace"))
        with open(os.path.join(self.data, "postgresql.conf"), "a") as file:
            file.write(SETTINGS + "port = %d\n" % self.port)
            if not durable:
                file.write("fsync = off\nfull_page_writes = off\n")

    def start(self):
        command = as_somebody() + [os.path.join(self.programs, "postgres"), "-D", self.data]
        self.child = base.spawn(command, self.log, cwd=self.directory)
        base.wait_for("PostgreSQL answers\n" + base.tail(self.log), self._answers, 60)
        return self

    def _answers(self):
        if self.child.poll() is not None:
            raise base.Failure("PostgreSQL ended: " + base.tail(self.log))
        ready = os.path.join(self.programs, "pg_isready")
        return subprocess.run([ready, "-q", "-h", "127.0.0.1", "-p", str(self.port)]).returncode == 0

    def stop(self, mode="fast"):
        """"fast" is an orderly stop, "immediate" is a crash of the server."""
        if self.child is not None:
            base.stop_process(self.child, signal.SIGINT if mode == "fast" else signal.SIGQUIT, 60)
            self.child = None

    def restart(self, mode="fast"):
        self.stop(mode)
        return self.start()

    def conninfo(self, database="postgres"):
        return "host=127.0.0.1 port=%d user=postgres password=%s dbname=%s" % (self.port, self.password, database)

    def environment(self):
        """For psql and other programs of libpq."""
        return dict(os.environ, PGHOST="127.0.0.1", PGPORT=str(self.port), PGUSER="postgres",
                    PGPASSWORD=self.password)

    def psql(self, statement, database="postgres"):
        """The answer as lines of fields separated by '|'; the demo has no other client."""
        done = subprocess.run(["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database,
                               "-c", statement], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, env=self.environment())
        base.equal(done.returncode, 0, "psql", done.stderr.decode(errors="replace"))
        return done.stdout.decode().strip()

    def create_database(self, name):
        self.psql("CREATE DATABASE " + name)

    def drop_database(self, name):
        self.psql("DROP DATABASE IF EXISTS %s WITH (FORCE)" % name)

    def session(self, database="postgres"):
        """A connection that the caller closes: for what must stay open, a lock for example."""
        try:
            import psycopg2
        except ImportError:
            raise base.Unavailable("python3-psycopg2 is not installed: tests/deps.sh")
        return psycopg2.connect(self.conninfo(database))

    def query(self, statement, arguments=None, database="postgres"):
        """All rows of one statement in a transaction of its own."""
        try:
            import psycopg2
        except ImportError:
            raise base.Unavailable("python3-psycopg2 is not installed: tests/deps.sh")
        connection = psycopg2.connect(self.conninfo(database))
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement, arguments)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()
