"""An HTTP client of the ingest and admin listeners: one kept-alive connection, JSON in and out."""
import http.client
import json
import socket
import ssl


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return "%d %s" % (self.status, self.body[:600].decode(errors="replace"))


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over admin.sock."""

    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def trusting(certificate):
    """A context that trusts exactly the daemon's own certificate."""
    context = ssl.create_default_context(cafile=certificate)
    context.check_hostname = False
    return context


def connect(port, certificate=None, pair=None, timeout=10):
    """A socket to a listener on loopback, over TLS if `certificate` (the daemon's) is given; `pair`: our own
    certificate and key."""
    made = socket.create_connection(("127.0.0.1", port), timeout)
    if certificate is None:
        return made
    context = trusting(certificate)
    if pair:
        context.load_cert_chain(*pair)
    return context.wrap_socket(made)


class Wire:
    """A connection of bytes; `received` is what has come and was not taken yet."""
    ENDS = (ConnectionResetError,)

    def __init__(self, port, certificate=None, pair=None, timeout=10):
        self.received = b""
        self.socket = connect(port, certificate, pair, timeout)

    def receive(self):
        """Waits for more; False at the end of the connection."""
        try:
            part = self.socket.recv(65536)
        except self.ENDS:
            part = b""
        self.received += part
        return bool(part)

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


class Client:
    """token=None sends no Authorization. A broken connection raises OSError or HTTPException and is closed; the next
    request opens a new one; nothing is sent again by itself."""

    def __init__(self, port=None, token=None, certificate=None, unix=None, timeout=30):
        self.token = token
        if unix is not None:
            self.connection = _UnixConnection(unix, timeout)
        elif certificate is not None:
            self.connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=timeout,
                                                          context=trusting(certificate))
        else:
            self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)

    def request(self, method, path, body=None, content_type=None, headers=None):
        """`body`: bytes as they are, anything else as JSON."""
        fields = {}
        if self.token is not None:
            fields["Authorization"] = "Bearer " + self.token
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            content_type = content_type or "application/json"
        if content_type:
            fields["Content-Type"] = content_type
        fields.update(headers or {})
        try:
            try:
                self.connection.request(method, path, body, fields)
            except (BrokenPipeError, ConnectionResetError):
                pass  # refused before all of the body was sent: the answer may be there
            response = self.connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        except (OSError, http.client.HTTPException):
            self.connection.close()
            raise

    def get(self, path):
        return self.request("GET", path)

    def post(self, path, body, content_type=None, headers=None):
        return self.request("POST", path, body, content_type, headers)

    def readings(self, message):
        return self.post("/v1/readings", message, "application/json")

    def fhir(self, resource, path=None):
        path = path or ("/fhir" if isinstance(resource, dict) and resource.get("resourceType") == "Bundle"
                        else "/fhir/Observation")
        return self.post(path, resource, "application/fhir+json")

    def close(self):
        self.connection.close()
