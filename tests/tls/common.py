"""What the TLS tests share: an authority made for the run, its certificates, and clients whose every end must be clean.

The servers are the server tests' own (tests/server/harness.py) and the installed memcached (tests/lib/servers.py).
"""
import os
import ssl
import subprocess
import sys
import tempfile
import warnings

here = os.path.dirname(os.path.abspath(__file__))
sys.path[1:1] = [os.path.join(here, "..", "server"), os.path.join(here, "..", "lib")]

import harness  # noqa: E402
import servers  # noqa: E402
from harness import PATIENCE_S, Client, Server  # noqa: E402

warnings.filterwarnings("ignore", "ssl.TLSVersion", DeprecationWarning)
VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
FOLDER = tempfile.TemporaryDirectory(prefix="vitrine-tls-")


def path(name):
    return os.path.join(FOLDER.name, name)


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=PATIENCE_S)


def make_authority(name):
    """NAME.pem and NAME.key: an authority."""
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
            f"/CN={name}", "-keyout", path(f"{name}.key"), "-out", path(f"{name}.pem"))


def make_certificate(name, authority, kind=("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"), days="2"):
    """NAME.pem and NAME.key: a certificate for 127.0.0.1 that the authority answers for."""
    openssl("req", "-newkey", *kind, "-nodes", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1",
            "-keyout", path(f"{name}.key"), "-out", path(f"{name}.csr"))
    openssl("x509", "-req", "-in", path(f"{name}.csr"), "-CA", path(f"{authority}.pem"), "-CAkey", path(f"{authority}.key"),
            "-CAcreateserial", "-days", days, "-copy_extensions", "copy", "-out", path(f"{name}.pem"))
    os.chmod(path(f"{name}.key"), 0o644)  # memcached is another user


def make_all():
    os.chmod(FOLDER.name, 0o755)
    make_authority("authority")
    make_authority("stranger")
    make_certificate("server", "authority")
    make_certificate("other", "authority")
    make_certificate("client", "authority")
    make_certificate("intruder", "stranger")


def files(certificate="server", *more):
    """The value of -o for a certificate, and further keys of it."""
    return ",".join([f"ssl_chain_cert={path(certificate + '.pem')}", f"ssl_key={path(certificate + '.key')}", *more])


def secure(*options, keys=(), certificate="server", **named):
    """A Vitrine that speaks TLS."""
    return Server("-Z", "-o", files(certificate, *keys), *options, **named)


def secure_memcached(*options, keys=(), certificate="server"):
    """The installed memcached, likewise."""
    return servers.memcached("-Z", "-o", files(certificate, *keys), *options)


def context(version=None, certificate=None, trust="authority", **more):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF  # which Python sets: an end without close_notify would look clean
    made.load_verify_locations(path(f"{trust}.pem"))
    made.check_hostname = False
    if version:
        made.minimum_version = made.maximum_version = version
    if certificate:
        made.load_cert_chain(path(f"{certificate}.pem"), path(f"{certificate}.key"))
    for name, value in more.items():
        setattr(made, name, value)
    return made


class SecureClient(Client):
    """A client over TLS. An end without close_notify is an error (ssl.SSLEOFError)."""

    def __init__(self, address, using=None, session=None):
        super().__init__(address)
        try:
            self.socket = (using or context()).wrap_socket(self.socket, suppress_ragged_eofs=False, session=session)
        except BaseException:
            self.socket.close()
            raise

    def serial(self):
        """Of the certificate that the server showed."""
        return self.socket.getpeercert()["serialNumber"]


def address_of(server):
    """Of a server of either kind."""
    return server.address() if isinstance(server, Server) else ("127.0.0.1", server.port)


def connect(server, using=None, session=None):
    return SecureClient(address_of(server), using, session)


def refused(server, using=None):
    """Whether no conversation comes about, be it that the handshake fails or the first answer (TLS 1.3's clients are
    done before the server is)."""
    try:
        with connect(server, using) as client:
            client.ask(b"version\r\n")
            return False
    except (OSError, AssertionError):
        return True


class Wire:
    """TLS in the test's own hands: what goes to the server and when is the test's to say."""

    def __init__(self, address, using=None):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = (using or context()).wrap_bio(self.incoming, self.outgoing)
        self.client = Client(address)
        self.socket = self.client.socket

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.socket.close()

    def handshake_bytes(self):
        """What the client has to say next; None once the handshake is done and said."""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return self.outgoing.read()
        return self.outgoing.read() or None

    def hear(self):
        """Takes what the server sends; False at its end."""
        data = self.socket.recv(65536)
        self.incoming.write(data) if data else self.incoming.write_eof()
        return bool(data)

    def shake_hands(self, send=None):
        """The whole handshake, each flight sent by `send`."""
        while True:
            flight = self.handshake_bytes()
            if flight:
                (send or self.socket.sendall)(flight)
            try:
                self.tls.do_handshake()
                return self
            except ssl.SSLWantReadError:
                assert self.hear(), "closed within the handshake"

    def record(self, data):
        """One TLS record (or more, of more than 16 KiB)."""
        self.tls.write(data)
        return self.outgoing.read()

    def read(self, size):
        """Exactly so many bytes of the server's."""
        data = b""
        while len(data) < size:
            try:
                part = self.tls.read(size - len(data))
            except ssl.SSLWantReadError:
                assert self.hear(), f"closed after {data[-100:]!r}"
                continue
            assert part, f"ended after {data[-100:]!r}"
            data += part
        return data

    def end(self):
        """Reads to the server's goodbye; anything but close_notify is an error."""
        data = b""
        while True:
            try:
                part = self.tls.read(65536)
            except ssl.SSLWantReadError:
                self.hear()
                continue
            except ssl.SSLZeroReturnError:
                return data
            if not part:
                return data
            data += part


make_all()
main = harness.main
