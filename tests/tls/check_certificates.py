"""Certificates: whose are asked for, reading them again while serving, and taking up sessions."""
import os
import shutil
import signal
import ssl
import threading
import time

from common import FOLDER, SecureClient, connect, context, main, path, refused, secure, secure_memcached, VERSIONS
from harness import MIB, SANITIZED, Server, eventually

GUESTS = (None, "client", "intruder")


def authority():
    return f"ssl_ca_cert={path('authority.pem')}"


def put(name, target):
    """The files of a certificate take the place of another's, as a tool that renews them would do it."""
    for kind in ("key", "pem"):
        shutil.copy(path(f"{name}.{kind}"), path("new"))
        os.chmod(path("new"), 0o644)
        os.replace(path("new"), path(f"{target}.{kind}"))


def serial_of(server, version=None):
    with connect(server, context(version)) as client:
        return client.serial()


def serials():
    """Of the certificates server and other."""
    found = []
    for name in ("server", "other"):
        with secure(certificate=name) as server:
            found.append(serial_of(server))
    assert found[0] != found[1]
    return found


# ---- clients' certificates


def test_verify_modes_let_in_whom_memcached_lets_in():
    for mode in range(4):
        keys = (f"ssl_verify_mode={mode}", authority())
        let_in = []
        for server in (secure(keys=keys), secure_memcached(keys=keys)):
            with server:
                let_in.append([not refused(server, context(version, guest)) for version in VERSIONS for guest in GUESTS])
        expected = [[True, True, True], [True, True, False], [False, True, False], [False, True, False]][mode] * 2
        assert let_in[0] == let_in[1] == expected, (mode, let_in)


def test_nobody_is_let_in_without_an_authority():
    with secure(keys=("ssl_verify_mode=2",)) as server:
        assert refused(server, context(certificate="client")) and "ssl_ca_cert" in server.log_text()


def test_refused_clients_are_counted_and_not_logged():
    with secure(keys=("ssl_verify_mode=2", authority())) as server:
        quiet = server.log_text()
        for guest in (None, "intruder"):
            assert refused(server, context(certificate=guest))
        with connect(server, context(certificate="client")) as client:
            eventually(lambda: client.number(b"ssl_handshake_errors") == 2, "both are counted")
        assert server.log_text() == quiet


def test_each_address_may_ask_for_itself():
    listen = ("-l", "127.0.0.1:0,btls:127.0.0.1:0,mtls:127.0.0.1:0")
    with secure(keys=("ssl_verify_mode=1", authority()), listen=listen) as server:
        let_in = []
        for index in range(3):
            for guest in GUESTS:
                try:
                    with SecureClient(server.address(index), context(certificate=guest)) as client:
                        client.ask(b"version\r\n")
                        let_in.append(True)
                except (OSError, AssertionError):
                    let_in.append(False)
        assert let_in == [True, True, False, True, True, True, False, True, False], let_in


# ---- reading certificates again


def test_new_certificates_are_shown_to_new_connections_only():
    ours, other = serials()
    put("server", "renewed")
    with secure(certificate="renewed") as server:
        with connect(server) as old:
            put("other", "renewed")
            assert serial_of(server) == ours
            assert old.ask(b"refresh_certs\r\n") == b"OK\r\n"
            for version in VERSIONS:
                assert serial_of(server, version) == other
            old.store(b"a", b"v")  # goes on under the certificate that it was shown
            assert old.serial() == ours
            put("server", "renewed")
            assert old.ask(b"refresh_certs\r\n") == b"OK\r\n"
            assert serial_of(server) == ours


def test_sighup_reads_certificates_again():
    ours, other = serials()
    put("server", "hup")
    with secure(certificate="hup") as server:
        put("other", "hup")
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: serial_of(server) == other, "the new certificate is shown")
        os.unlink(path("hup.key"))
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: "stay as they were" in server.log_text(), "it says that it kept the old")
        assert serial_of(server) == other and path("hup.key") in server.log_text()


def spoil(name, how):
    if how == "no certificate":
        os.unlink(path(f"{name}.pem"))
    elif how == "no key":
        os.unlink(path(f"{name}.key"))
    elif how == "half a certificate":
        os.truncate(path(f"{name}.pem"), 100)
    elif how == "half a key":
        os.truncate(path(f"{name}.key"), 50)
    elif how == "another's key":
        shutil.copy(path("client.key"), path(f"{name}.key"))
    else:
        os.truncate(path(f"{name}-authority.pem"), 40)


def test_bad_files_change_nothing_and_are_told_as_memcached_tells_them():
    for how in ("no certificate", "no key", "half a certificate", "half a key", "another's key", "half an authority"):
        told = []
        for start in (secure, secure_memcached):
            put("server", "spoilt")
            shutil.copy(path("authority.pem"), path("spoilt-authority.pem"))
            with start(keys=(f"ssl_ca_cert={path('spoilt-authority.pem')}",), certificate="spoilt") as server:
                with connect(server) as client:
                    before = client.serial()
                    spoil("spoilt", how)
                    told.append(client.ask(b"refresh_certs\r\n"))
                    assert told[-1].startswith(b"Error "), told
                    if isinstance(server, Server):
                        for version in VERSIONS:
                            assert serial_of(server, version) == before
                        put("server", "spoilt")
                        shutil.copy(path("authority.pem"), path("spoilt-authority.pem"))
                        assert client.ask(b"refresh_certs\r\n") == b"OK\r\n"
        assert told[0] == told[1], (how, told)


def test_the_time_of_the_refresh_is_told():
    with secure() as server, connect(server) as client:
        eventually(lambda: client.number(b"time_since_server_cert_refresh") >= 2, "time passes")
        before = time.monotonic()
        assert client.ask(b"refresh_certs\r\n") == b"OK\r\n"
        age = client.number(b"time_since_server_cert_refresh")
        assert age <= time.monotonic() - before + 1


def test_relative_paths_hold_where_the_server_goes():
    folder = os.getcwd()
    os.chdir(FOLDER.name)
    try:
        server = Server("-Z", "-o", "ssl_chain_cert=server.pem,ssl_key=server.key")
        with server, connect(server) as client:
            assert client.ask(b"refresh_certs\r\n") == b"OK\r\n"
            assert client.stats(b"settings")[b"ssl_chain_cert"] == b"server.pem"
    finally:
        os.chdir(folder)


def work(server, known, stop, failures):
    """Sets and gets over one connection after another; each must be shown one of the known certificates."""
    try:
        while not stop.is_set():
            with connect(server, context(VERSIONS[threading.get_ident() % 2])) as client:
                assert client.serial() in known
                for i in range(20):
                    client.store(b"k%d" % i, b"v" * 5000)
                    assert len(client.ask(b"get k%d\r\n" % i, b"END\r\n")) > 5000
    except Exception as error:  # told by the main thread
        failures.append(error)
        stop.set()


def test_refreshing_under_load_drops_nothing():
    known = serials()
    put("server", "busy")
    with secure("-t", "4", certificate="busy") as server, connect(server) as client:
        stop, failures = threading.Event(), []
        threads = [threading.Thread(target=work, args=(server, known, stop, failures)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for turn in range(30):
            put(("other", "server")[turn % 2], "busy")
            assert client.ask(b"refresh_certs\r\n") == b"OK\r\n"
            assert serial_of(server) == known[(turn + 1) % 2]
        stop.set()
        for thread in threads:
            thread.join()
        assert not failures, failures[0]
        assert client.number(b"ssl_handshake_errors") == client.number(b"ssl_proto_errors") == 0


# ---- sessions


def reused(server, using):
    """Whether a second connection takes up the session of a first."""
    with connect(server, using) as first:
        first.ask(b"version\r\n")  # TLS 1.3's tickets come behind the handshake
        with connect(server, using, first.socket.session) as second:
            second.ask(b"version\r\n")
            return second.socket.session_reused


def without_tickets(certificate=None):
    using = context(ssl.TLSVersion.TLSv1_2, certificate)
    using.options |= ssl.OP_NO_TICKET
    return using


def test_tickets_are_taken_up_in_either_version():
    for keys in ((), ("ssl_session_cache",)):
        with secure(keys=keys) as server:
            for version in VERSIONS:
                assert reused(server, context(version)), (keys, version)


def test_sessions_without_tickets_need_the_cache_as_in_memcached():
    for keys, expected in (((), False), (("ssl_session_cache",), True)):
        for server in (secure(keys=keys), secure_memcached(keys=keys)):
            with server:
                assert reused(server, without_tickets()) == expected, (keys, server)


def test_sessions_outlive_clients_that_vanish():
    with secure(keys=("ssl_session_cache",)) as server:
        using = without_tickets()
        with connect(server, using) as first:
            first.ask(b"version\r\n")
            session = first.socket.session
        with connect(server, using, session) as second:
            assert second.socket.session_reused


def test_sessions_of_clients_with_certificates_are_taken_up():
    with secure("-o", f"ssl_verify_mode=2,{authority()},ssl_session_cache") as server:
        for version in VERSIONS:
            assert reused(server, context(version, "client"))


def test_new_sessions_are_counted_once_each():
    with secure(keys=("ssl_session_cache",)) as server, connect(server) as client:
        for version in VERSIONS:
            before = client.number(b"ssl_new_sessions")
            assert reused(server, context(version))
            assert client.number(b"ssl_new_sessions") == before + 1


def test_a_refresh_makes_every_client_show_itself_anew():
    using = context(ssl.TLSVersion.TLSv1_3)
    with secure() as server:
        with connect(server, using) as first:
            first.ask(b"version\r\n")
            session = first.socket.session
            assert first.ask(b"refresh_certs\r\n") == b"OK\r\n"
        with connect(server, using, session) as second:
            second.ask(b"version\r\n")
            assert not second.socket.session_reused


def test_the_cache_of_sessions_is_bounded():
    for certificate, most, keys in ((None, 1024, ()), ("client", 256, ("ssl_verify_mode=2", authority()))):
        count, using = 50 if SANITIZED else most + 50, without_tickets(certificate)
        with secure("-t", "1", keys=("ssl_session_cache", *keys), weighed=True) as server:
            sizes = []
            for turns in (20, count, count):
                for _ in range(turns):
                    with connect(server, using) as client:
                        client.send(b"quit\r\n").to_end()  # the server is done with it before the next comes
                sizes.append(server.rss_beside_store())
            assert SANITIZED or (sizes[1] - sizes[0] < 4 * MIB and sizes[2] - sizes[1] < MIB), (certificate, sizes)


if __name__ == "__main__":
    main()
